"""``jettison graph``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from jettison.cli.settings import settings_of

if TYPE_CHECKING:
    import argparse

_EXAMPLES = """examples:
  jettison graph .
  jettison graph --format mermaid --target test . > stages.mmd
  jettison graph --format dot . | dot -Tsvg > stages.svg
"""


def add(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser("graph", help="show the stages of a Dockerfile and what needs what", epilog=_EXAMPLES)
    parser.add_argument("context", metavar="PATH", nargs="?", default=".")
    parser.add_argument("-f", "--file", metavar="FILE", help="the Dockerfile (default: PATH/Dockerfile)")
    parser.add_argument("--target", metavar="STAGE")
    parser.add_argument("--build-arg", action="append", default=[], metavar="NAME[=VALUE]")
    parser.add_argument("--platform", metavar="OS/ARCH")
    parser.add_argument("--format", choices=("text", "mermaid", "dot", "json"), default="text")
    parser.set_defaults(handler=run)


def run(args: argparse.Namespace) -> int:
    """Print the graph."""
    from jettison.api.builder import render_graph
    from jettison.api.request import BuildRequest
    from jettison.cli.commands.build import build_args

    request = BuildRequest(
        context=Path(args.context),
        dockerfile=Path(args.file) if args.file else None,
        target=args.target,
        build_args=build_args(args.build_arg),
        platform=args.platform,
    )
    print(render_graph(request, settings_of(args), args.format).rstrip("\n"))
    return 0
