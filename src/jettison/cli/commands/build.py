"""``jettison build``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from jettison.api.request import BuildRequest, OutputKind, OutputSpec, SecretSource
from jettison.cli.parser import fields, pairs
from jettison.cli.progress import open_renderer
from jettison.cli.settings import settings_of
from jettison.errors import UsageError
from jettison.span import nearest_name

if TYPE_CHECKING:
    import argparse

    from jettison.api.request import BuildResult

_EXAMPLES = """examples:
  jettison build -t app .
  jettison build -f docker/Dockerfile --target test --build-arg VERSION=1.2 .
  jettison build -o type=oci,dest=app.tar .          an OCI archive
  jettison build -o out .                            the files of the target, into ./out
  jettison build -o - . | tar t                      the files of the target as a tar
  jettison build --secret id=npmrc,src=$HOME/.npmrc -t app .
"""


def add(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser("build", help="build an image from a Dockerfile", epilog=_EXAMPLES)
    parser.add_argument("context", metavar="PATH", help="the directory whose files COPY may see")
    parser.add_argument(
        "-f", "--file", metavar="FILE", help="the Dockerfile (default: PATH/Dockerfile); '-' reads standard input"
    )
    parser.add_argument(
        "-t", "--tag", action="append", default=[], metavar="NAME[:TAG]", help="name of the image; may be repeated"
    )
    parser.add_argument("--target", metavar="STAGE", help="the stage to build, by name or number (default: the last)")
    parser.add_argument(
        "--build-arg",
        action="append",
        default=[],
        metavar="NAME[=VALUE]",
        help="value of an ARG; without VALUE it comes from the environment",
    )
    parser.add_argument("--label", action="append", default=[], metavar="NAME=VALUE", help="a label of the image")
    parser.add_argument("--platform", metavar="OS/ARCH", help="the platform to build for")
    parser.add_argument("--pull", action="store_true", help="ask the registries for newer base images")
    parser.add_argument("--no-cache", action="store_true", help="run every step again")
    parser.add_argument(
        "--no-cache-filter",
        action="append",
        default=[],
        metavar="STAGE[,STAGE]",
        help="run every step of these stages again",
    )
    parser.add_argument(
        "-o",
        "--output",
        action="append",
        default=[],
        metavar="DEST|type=TYPE[,dest=DEST]",
        help="what to write: type=image (the local store, default), oci, docker, local, tar",
    )
    parser.add_argument(
        "--secret",
        action="append",
        default=[],
        metavar="id=ID[,src=FILE|,env=NAME]",
        help="a secret for RUN --mount=type=secret",
    )
    parser.add_argument(
        "--network",
        choices=("default", "host", "none"),
        default="default",
        help="network of RUN steps that say nothing else",
    )
    parser.add_argument("--iidfile", metavar="FILE", help="write the image id to FILE")
    parser.add_argument("--metadata-file", metavar="FILE", help="write digests and names as JSON to FILE")
    parser.add_argument(
        "--reproducible",
        action="store_true",
        help="same inputs, same digest: takes the last commit's time when SOURCE_DATE_EPOCH is not set",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="print only the image id")
    parser.add_argument(
        "--progress", choices=("auto", "plain", "tty", "rawjson", "quiet"), default="auto", help="how progress is shown"
    )
    parser.set_defaults(handler=run)


def run(args: argparse.Namespace) -> int:
    """Build, print the image id where asked for, write the side files."""
    from jettison.api.builder import build_image

    settings = settings_of(args)
    request = _request(args)
    renderer = open_renderer("quiet" if args.quiet else args.progress, settings.environment)
    try:
        result = build_image(request, settings, renderer, command=args.argv)
    finally:
        renderer.close()
    _write_files(args, result)
    if args.quiet:
        if not any(output.dest == "-" for output in request.outputs):  # else standard output holds the archive
            print(result.image_id)
    elif args.progress != "rawjson":
        _summary(result)
    return 0


def _request(args: argparse.Namespace) -> BuildRequest:
    dockerfile = None
    text = None
    if args.file == "-":
        text = sys.stdin.read()
    elif args.file is not None:
        dockerfile = Path(args.file)
    if args.context == "-" or "://" in args.context or args.context.startswith("git@"):
        raise UsageError(
            f"a build context must be a directory, not {args.context!r}",
            slug="unsupported-context",
            hint="fetch or unpack it first",
        )
    return BuildRequest(
        context=Path(args.context),
        dockerfile=dockerfile,
        dockerfile_text=text,
        target=args.target,
        tags=tuple(args.tag),
        build_args=build_args(args.build_arg),
        labels=pairs(args.label, "--label"),
        platform=args.platform,
        no_cache=args.no_cache,
        pull=args.pull,
        no_cache_filter=tuple(name for text in args.no_cache_filter for name in text.split(",") if name),
        outputs=tuple(_output(text) for text in args.output),
        secrets=tuple(_secret(text) for text in args.secret),
        network=cast("Literal['default', 'host', 'none']", args.network),
        is_reproducible=args.reproducible,
    )


def build_args(texts: list[str]) -> dict[str, str | None]:
    """Return ``--build-arg`` words by name; None takes the value from the environment."""
    found: dict[str, str | None] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not name:
            raise UsageError(f"--build-arg takes NAME[=VALUE], not {text!r}")
        found[name] = value if equals else None
    return found


def _output(text: str) -> OutputSpec:
    if "=" not in text:
        return OutputSpec(kind="tar" if text == "-" else "local", dest=text)
    values = fields(text, "--output")
    kind = values.pop("type", "")
    kinds = get_args(OutputKind)
    if kind not in kinds:
        near = nearest_name(kind, kinds)
        raise UsageError(
            f"--output: unknown type {kind!r}",
            hint=f"did you mean {near!r}?" if near else f"known types: {', '.join(kinds)}",
        )
    dest = values.pop("dest", values.pop("src", "") if kind == "image" else "")
    if kind == "local" and not dest:
        raise UsageError("--output: type=local needs dest=DIRECTORY")
    names = tuple(name for name in values.pop("name", "").split(",") if name)
    is_tar = values.pop("tar", "true")
    compression = values.pop("compression", "gzip")
    level = values.pop("compression-level", "")
    if (
        is_tar not in {"true", "false"}
        or compression not in {"gzip", "zstd", "uncompressed"}
        or (level and not level.isdigit())
    ):
        raise UsageError(
            f"--output: wrong value in {text!r}",
            hint="tar=true|false, compression=gzip|zstd|uncompressed, compression-level=NUMBER",
        )
    if values:
        unknown = next(iter(values))
        near = nearest_name(unknown, ("type", "dest", "name", "tar", "compression", "compression-level"))
        raise UsageError(f"--output: unknown key {unknown!r}", hint=f"did you mean {near!r}?" if near else None)
    return OutputSpec(
        kind=cast("OutputKind", kind),
        dest=dest or ("" if kind == "image" else "-"),
        names=names,
        is_tar=is_tar == "true",
        compression=cast("Literal['gzip', 'zstd', 'uncompressed']", compression),
        compression_level=int(level) if level else None,
    )


def _secret(text: str) -> SecretSource:
    values = fields(text, "--secret")
    kind = values.pop("type", "")
    name = values.pop("id", "")
    file = values.pop("src", values.pop("source", ""))
    variable = values.pop("env", "")
    if not name:
        raise UsageError(f"--secret: an id is missing in {text!r}")
    if values or kind not in {"", "file", "env"}:
        raise UsageError(f"--secret: can't read {text!r}", hint="id=ID,src=FILE or id=ID,env=NAME")
    if kind == "env" and not variable:
        variable, file = file or name, ""
    return SecretSource(id=name, file=Path(file) if file else None, variable=variable or None)


def _write_files(args: argparse.Namespace, result: BuildResult) -> None:
    _write_text(args.iidfile, result.image_id)
    _write_text(args.metadata_file, json.dumps(result.metadata, indent=2) + "\n")


def _write_text(name: str | None, text: str) -> None:
    if not name:
        return
    try:
        Path(name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"can't write {name!r}: {error.strerror}", slug="bad-destination") from error


def _summary(result: BuildResult) -> None:
    ran = sum(step.reason == "ran" for step in result.steps)
    names = " ".join(result.tags)
    print(f"{result.image_id} {names}".rstrip(), file=sys.stderr)
    print(
        f"{len(result.steps)} steps: {ran} ran, {len(result.steps) - ran} cached, {result.seconds:.2f}s",
        file=sys.stderr,
    )
