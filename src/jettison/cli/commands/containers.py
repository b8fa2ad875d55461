"""``jettison run``."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from jettison.api.request import ContainerRequest
from jettison.cli.settings import settings_of
from jettison.errors import JettisonError, UsageError

_EXAMPLES = """examples:
  jettison run --rm -p 8080:8080 app
  jettison run --rm -it -v $PWD:/src -w /src debian:stable-slim bash
"""
_NOT_STARTED = 125


def add(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser("run", help="run a command in a new container of an image", epilog=_EXAMPLES)
    parser.add_argument("--rm", action="store_true", help="remove the container when it ends")
    parser.add_argument("-i", "--interactive", action="store_true", help="keep standard input open")
    parser.add_argument("-t", "--tty", action="store_true", help="give it a terminal")
    parser.add_argument("-e", "--env", action="append", default=[], metavar="NAME[=VALUE]")
    parser.add_argument(
        "-v", "--volume", action="append", default=[], metavar="DIR:PATH[:ro]", help="a directory or file of this host"
    )
    parser.add_argument("-w", "--workdir", metavar="PATH")
    parser.add_argument("-u", "--user", metavar="USER[:GROUP]")
    parser.add_argument(
        "-p",
        "--publish",
        action="append",
        default=[],
        metavar="HOST:CONTAINER",
        help="containers share the host's network: both ports must be the same",
    )
    parser.add_argument("--entrypoint", metavar="PROGRAM")
    parser.add_argument("--name", metavar="NAME")
    parser.add_argument("--network", choices=("host", "none"), default="host")
    parser.add_argument("image")
    parser.add_argument("args", nargs=argparse.REMAINDER, metavar="COMMAND ...")
    parser.set_defaults(handler=run)


def run(args: argparse.Namespace) -> int:
    """Run the container; the exit code is its process's own, 125 when it could not be started."""
    from jettison.api.containers import run_container

    settings = settings_of(args)
    if args.tty and not (sys.stdin.isatty() or sys.stdout.isatty()):
        raise UsageError("-t needs a terminal", hint="leave -t out when input and output are pipes or files")
    request = ContainerRequest(
        image=args.image,
        args=tuple(args.args),
        entrypoint=args.entrypoint,
        env=tuple(args.env),
        volumes=tuple(args.volume),
        workdir=args.workdir,
        user=args.user,
        ports=tuple(args.publish),
        name=args.name or "",
        network=args.network,
        is_removed=args.rm,
        is_interactive=args.interactive,
        has_terminal=args.tty,
    )
    try:
        return run_container(request, settings)
    except JettisonError as error:
        from jettison.render.diagnostic import render_error

        sys.stderr.write(render_error(error))
        return _NOT_STARTED
