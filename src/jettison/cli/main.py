"""``argv`` to exit code; the only place that catches everything."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping
    from typing import NoReturn

    from jettison.cli.parser import Parser

_DESCRIPTION = """Jettison builds container images that carry only what runs: no daemon, no root, multi-stage Dockerfiles
as they are."""

_EXAMPLES = """examples:
  jettison build -t app .              build the last stage of ./Dockerfile and what it needs
  jettison build --target test .       build one stage
  jettison run --rm -p 8080:8080 app   try the image
  jettison graph .                     show the stages and what needs what
"""


def entry() -> NoReturn:
    """Run the command of this process's arguments and end the process with its exit code."""
    argv = sys.argv[1:]
    try:
        code = _from_memo(argv)
        if code is None:
            code = main(argv)
    except KeyboardInterrupt:  # while modules were loading
        code = 130
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os._exit(code)


def main(argv: list[str]) -> int:
    """Run a command and return its exit code; errors are printed to standard error."""
    from jettison.cli import exits
    from jettison.errors import JettisonError

    try:
        args = parse(argv)
        handler: Callable[[argparse.Namespace], int] = args.handler
        return handler(args)
    except JettisonError as error:
        from jettison.render.diagnostic import render_error

        sys.stderr.write(render_error(error))
        return exits.exit_code(error)
    except KeyboardInterrupt:
        sys.stderr.write("stopped\n")
        return exits.STOPPED
    except BrokenPipeError:
        return exits.OK
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else exits.OK
    except Exception:  # noqa: BLE001  the one place where a bug is told to the user
        import traceback

        traceback.print_exc()
        sys.stderr.write("error[bug]: this is a bug in jettison; please report it with the lines above\n")
        return exits.BUG


def make_parser() -> tuple[Parser, Mapping[str, Parser]]:
    """Return the parser of the whole command line, and those of the commands by name."""
    from jettison.cli.commands import build, completion, containers, graph, images, maintenance, registry
    from jettison.cli.parser import Parser

    parser = Parser(prog="jettison", description=_DESCRIPTION, epilog=_EXAMPLES)
    parser.add_argument(
        "--root", metavar="DIR", help="where all state lives (default: $JETTISON_ROOT, or the user's data directory)"
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    commands = parser.add_subparsers(metavar="COMMAND", title="commands", dest="command", parser_class=Parser)
    for module in (build, containers, images, registry, graph, maintenance):
        module.add(commands)
    completion.add(commands, parser)
    return parser, commands.choices


def parse(argv: list[str]) -> argparse.Namespace:
    """Return the parsed arguments, with ``handler`` set.

    Raises:
        UsageError: an unknown command or flag, or a wrong value.

    """
    parser, commands = make_parser()
    args, rest = parser.parse_known_args(argv)
    args.argv = argv
    if args.version:
        from jettison.cli.commands.maintenance import print_version

        args.handler = print_version
        return args
    if args.command is None:
        from jettison.errors import UsageError

        raise UsageError("a command is missing", hint="see 'jettison --help'")
    if rest:
        commands[args.command].unknown_flags(rest)
    return args


def _from_memo(argv: list[str]) -> int | None:
    """Answer an unchanged build from the memo, without loading the builder; None when that can't be done."""
    if "build" not in argv or os.environ.get("JETTISON_MEMO", "1") == "0":
        return None
    from jettison.fastpath.memo import replay

    return replay(argv, os.getcwd(), os.environ, sys.stdout, sys.stderr)  # noqa: PTH109  pathlib costs more than the answer
