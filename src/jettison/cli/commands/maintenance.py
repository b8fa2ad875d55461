"""``prune du info version``."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from jettison.cli.settings import settings_of
from jettison.render.tables import size, table

if TYPE_CHECKING:
    import argparse


def add(commands: Any) -> None:
    """Declare the commands."""
    prune = commands.add_parser(
        "prune",
        help="remove what nothing needs: leftovers, nameless images, build cache",
        epilog="example:\n  jettison prune --all\n  jettison prune --keep-cache",
    )
    prune.add_argument("-a", "--all", action="store_true", help="also the whole build cache, cache mounts, logs")
    prune.add_argument("--keep-cache", action="store_true", help="only leftovers and nameless images")
    prune.add_argument("--format", choices=("text", "json"), default="text")
    prune.set_defaults(handler=run_prune)
    usage = commands.add_parser("du", help="show what takes how much space", epilog="example:\n  jettison du")
    usage.add_argument("--format", choices=("table", "json"), default="table")
    usage.set_defaults(handler=run_usage)
    info = commands.add_parser(
        "info", help="show what this host can do, and why not more", epilog="example:\n  jettison info --format json"
    )
    info.add_argument("--format", choices=("text", "json"), default="text")
    info.set_defaults(handler=run_info)
    version = commands.add_parser(
        "version", help="print the version", epilog="example:\n  jettison version --format json"
    )
    version.add_argument("--format", choices=("text", "json"), default="text")
    version.set_defaults(handler=print_version)


def run_prune(args: argparse.Namespace) -> int:
    """Remove, then say what went."""
    from jettison.api.maintenance import prune

    pruned = prune(settings_of(args), is_all=args.all, keeps_cache=args.keep_cache)
    if args.format == "json":
        print(json.dumps(pruned.as_json()))
        return 0
    for line in pruned.lines:
        print(line)
    print(f"Total reclaimed space: {size(pruned.freed_bytes)}")
    return 0


def run_usage(args: argparse.Namespace) -> int:
    """Print a table of what takes space."""
    from jettison.api.maintenance import disk_usage

    rows = disk_usage(settings_of(args))
    if args.format == "json":
        for row in rows:
            print(json.dumps(row.as_json()))
        return 0
    cells = [(row.kind, str(row.count), size(row.size_bytes), size(row.reclaimable_bytes)) for row in rows]
    sys.stdout.write(table(("TYPE", "COUNT", "SIZE", "RECLAIMABLE"), cells))
    return 0


def run_info(args: argparse.Namespace) -> int:
    """Print what the host gives."""
    from jettison.api.maintenance import host_info

    found = host_info(settings_of(args))
    if args.format == "json":
        print(json.dumps(found, indent=2))
        return 0
    for key, value in found.items():
        if isinstance(value, dict):
            print(f"{key}:")
            for inner, detail in value.items():
                print(f"  {inner}: {detail}")
        else:
            print(f"{key}: {value}")
    return 0


def print_version(args: argparse.Namespace) -> int:
    """Print the version."""
    import platform

    from jettison import __version__

    if getattr(args, "format", "text") == "json":
        print(
            json.dumps(
                {
                    "version": __version__,
                    "python": platform.python_version(),
                    "implementation": platform.python_implementation(),
                }
            )
        )
    else:
        print(f"jettison {__version__} (Python {platform.python_version()})")
    return 0
