"""``images inspect history tag rmi save load import``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jettison.cli.settings import settings_of
from jettison.errors import UsageError
from jettison.render.tables import age, size, table

if TYPE_CHECKING:
    import argparse


def add(commands: Any) -> None:
    """Declare the commands."""
    _add_listing(commands)
    _add_naming(commands)
    _add_archives(commands)


def _add_listing(commands: Any) -> None:
    listing = commands.add_parser("images", help="list images", epilog="example:\n  jettison images --format json")
    listing.add_argument("name", nargs="?", help="only images of this repository (or repository:tag)")
    listing.add_argument("-a", "--all", action="store_true", help="also images without a name")
    listing.add_argument("-q", "--quiet", action="store_true", help="only ids")
    listing.add_argument("--no-trunc", action="store_true", help="whole ids")
    listing.add_argument("--format", choices=("table", "json"), default="table")
    listing.set_defaults(handler=list_images)
    inspect = commands.add_parser(
        "inspect",
        help="show an image's config and layers as JSON",
        epilog="example:\n  jettison inspect app | jq '.[0].Config.Env'",
    )
    inspect.add_argument("image", nargs="+")
    inspect.add_argument("--format", choices=("json",), default="json")
    inspect.set_defaults(handler=inspect_images)
    history = commands.add_parser(
        "history",
        help="show what each layer of an image was made by",
        epilog="example:\n  jettison history --no-trunc app",
    )
    history.add_argument("image")
    history.add_argument("--no-trunc", action="store_true")
    history.add_argument("-q", "--quiet", action="store_true", help="only layer ids")
    history.add_argument("--format", choices=("table", "json"), default="table")
    history.set_defaults(handler=show_history)


def _add_naming(commands: Any) -> None:
    tag = commands.add_parser(
        "tag", help="give an image another name", epilog="example:\n  jettison tag app registry.example/app:1"
    )
    tag.add_argument("source")
    tag.add_argument("target")
    tag.set_defaults(handler=tag_image)
    rmi = commands.add_parser(
        "rmi", help="remove names of images, and images without a name left", epilog="example:\n  jettison rmi app:old"
    )
    rmi.add_argument("image", nargs="+")
    rmi.add_argument(
        "-f", "--force", action="store_true", help="no error for a missing image; an id removes all its names"
    )
    rmi.set_defaults(handler=remove_images)


def _add_archives(commands: Any) -> None:
    save = commands.add_parser(
        "save",
        help="write images to an archive",
        epilog="example:\n  jettison save -o app.tar app\n  jettison save --format oci -o app.oci.tar app",
    )
    save.add_argument("image", nargs="+")
    save.add_argument("-o", "--output", default="-", metavar="FILE", help="default: standard output")
    save.add_argument("--format", choices=("docker", "oci", "oci-dir"), default="docker")
    save.set_defaults(handler=save_images)
    load = commands.add_parser(
        "load",
        help="read images from a docker or OCI archive, or an OCI directory",
        epilog="example:\n  jettison load -i app.tar",
    )
    load.add_argument("-i", "--input", default="-", metavar="FILE", help="default: standard input")
    load.add_argument("-q", "--quiet", action="store_true")
    load.set_defaults(handler=load_images)
    importing = commands.add_parser(
        "import",
        help="make an image of a root file system in a tar",
        epilog="example:\n  jettison import rootfs.tar.zst debian:mine -c 'CMD [\"bash\"]'",
    )
    importing.add_argument("source", metavar="FILE", help="'-' reads standard input")
    importing.add_argument("name", nargs="?", metavar="NAME[:TAG]")
    importing.add_argument(
        "-c",
        "--change",
        action="append",
        default=[],
        metavar="INSTRUCTION",
        help="apply a metadata instruction (CMD, ENV, LABEL, USER ...)",
    )
    importing.add_argument("-m", "--message", default="", help="comment in the history")
    importing.set_defaults(handler=import_image)


def list_images(args: argparse.Namespace) -> int:
    """Print the images."""
    from jettison.api import images as api

    rows = api.list_images(settings_of(args), name=args.name, has_unnamed=args.all)
    if args.format == "json":
        for row in rows:
            print(json.dumps(row.as_json()))
    elif args.quiet:
        for identity in dict.fromkeys(row.image_id for row in rows):
            print(identity if args.no_trunc else identity[7:19])
    else:
        cells = [
            (
                row.repository or "<none>",
                row.tag or "<none>",
                row.image_id if args.no_trunc else row.image_id[7:19],
                age(row.created, row.now),
                size(row.size_bytes),
            )
            for row in rows
        ]
        sys.stdout.write(table(("REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE"), cells))
    return 0


def inspect_images(args: argparse.Namespace) -> int:
    """Print what is known of images as a JSON list."""
    from jettison.api import images as api

    settings = settings_of(args)
    print(json.dumps([api.inspect_image(settings, name) for name in args.image], indent=2))
    return 0


def show_history(args: argparse.Namespace) -> int:
    """Print the history, newest first."""
    from jettison.api import images as api

    rows = api.image_history(settings_of(args), args.image)
    if args.format == "json":
        for row in rows:
            print(json.dumps(row.as_json()))
        return 0
    if args.quiet:
        for row in rows:
            print(row.layer or "<missing>")
        return 0
    width = None if args.no_trunc else 60
    cells = []
    for row in rows:
        text = row.created_by if width is None or len(row.created_by) <= width else row.created_by[: width - 1] + "…"
        cells.append(
            (
                row.layer[7:19] if row.layer else "<none>",
                age(row.created, row.now),
                text,
                size(row.size_bytes),
                row.comment,
            )
        )
    sys.stdout.write(table(("LAYER", "CREATED", "CREATED BY", "SIZE", "COMMENT"), cells))
    return 0


def tag_image(args: argparse.Namespace) -> int:
    """Name an image."""
    from jettison.api import images as api

    api.tag_image(settings_of(args), args.source, args.target)
    return 0


def remove_images(args: argparse.Namespace) -> int:
    """Remove names and images; say what went."""
    from jettison.api import images as api

    settings = settings_of(args)
    for name in args.image:
        for line in api.remove_image(settings, name, is_forced=args.force):
            print(line)
    return 0


def save_images(args: argparse.Namespace) -> int:
    """Write an archive."""
    from jettison.api import images as api

    if args.output == "-" and sys.stdout.isatty():
        raise UsageError("will not write an archive to a terminal", hint="use -o FILE, or redirect standard output")
    if args.output == "-" and args.format == "oci-dir":
        raise UsageError("a directory can't go to standard output", hint="use -o DIRECTORY")
    api.save_images(settings_of(args), tuple(args.image), args.output, args.format)
    return 0


def load_images(args: argparse.Namespace) -> int:
    """Read an archive; print what came in."""
    from jettison.api import images as api

    if args.input == "-" and sys.stdin.isatty():
        raise UsageError("an archive is expected on standard input", hint="use -i FILE, or redirect standard input")
    for loaded in api.load_images(settings_of(args), args.input):
        if not args.quiet:
            for name in loaded.tags or (loaded.image_id,):
                print(f"Loaded image: {name}")
    return 0


def import_image(args: argparse.Namespace) -> int:
    """Read a root file system; print the image's id."""
    from jettison.api import images as api

    if args.source != "-" and not Path(args.source).exists():
        raise UsageError(f"no file {args.source!r}")
    print(
        api.import_rootfs(settings_of(args), args.source, args.name, changes=tuple(args.change), message=args.message)
    )
    return 0
