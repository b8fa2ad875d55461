"""RUN becomes a ``RunOp``: arguments, environment, mounts, heredocs.

Refuses, each with its own error, what is parsed but not supported yet: ssh mounts, ``--security=insecure``, ``--device``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jettison.dockerfile.nodes import ExecForm, Heredoc, Run, Word
from jettison.plan.expansion import Expander, encode, file_name
from jettison.plan.history import describe_run
from jettison.plan.metadata import command_args
from jettison.plan.mounts import MountContext, lower_mount
from jettison.plan.ops import Root, RunOp, Script
from jettison.plan.step_names import join_lines, show_run, summarize
from jettison.plan.unsupported import unsupported

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jettison.plan.options import LowerOptions
    from jettison.plan.state import ImageState

SCRIPT_DIRECTORY = "/dev/pipes"
_LONE_HEREDOC = re.compile(r"""[0-9]*<<-?\s*(?:"[^"]*"|'[^']*'|[^\s<"'])+""")
_SECRET_MASK = "****"  # noqa: S105 - what is shown instead of a secret


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """What a RUN is lowered with; ``root_of`` gives the files that a mount's ``from`` names."""

    state: ImageState
    options: LowerOptions
    expander: Expander
    is_reproducible: bool
    root_of: Callable[[Word], Root]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoweredStep:
    """An op, its line of history, and the text that shows it."""

    op: RunOp
    created_by: str
    shown: str


def lower_run(node: Run, context: RunContext) -> LoweredStep:
    """Return the op of a RUN; its parent is the state's head.

    Raises:
        DockerfileError: ``unsupported-feature``, ``invalid-mount``, ``invalid-heredoc-name``, or a failed expansion.

    """
    _refuse_unsupported(node)
    state = context.state
    args, scripts = _read_command(node, state)
    mount_context = MountContext(state=state, expander=context.expander, root_of=context.root_of)
    mounts = tuple(lower_mount(mount, mount_context) for mount in node.mounts)
    network = node.network if node.network != "default" else context.options.default_network
    op = RunOp(
        parent=state.head,
        args=args,
        env=tuple(state.scope.variables.items()),
        cwd=state.cwd,
        user=state.config.user,
        mounts=mounts,
        network=network,
        scripts=scripts,
        is_reproducible=context.is_reproducible,
    )
    created_by = describe_run(args, state.scope.history_arguments)
    return LoweredStep(op=op, created_by=created_by, shown=_show(node, context))


def _refuse_unsupported(node: Run) -> None:
    if node.security == "insecure":
        raise unsupported(
            "RUN --security=insecure", node.security_span or node.span, "run the step in the default sandbox"
        )
    if node.devices:
        raise unsupported("RUN --device", node.devices[0].span, "build without the device, or mount it at run time")


def _read_command(node: Run, state: ImageState) -> tuple[tuple[str, ...], tuple[Script, ...]]:
    command = node.command
    if isinstance(command, ExecForm):
        assert command.args, "the parser refuses a RUN without a command"
        return command.args, ()
    if not node.heredocs:
        return command_args(command, state), ()
    if _has_lone_heredoc(node):
        return _read_lone_heredoc(node.heredocs[0], state)
    # The shell gets the heredocs as they were written, tabs included, and reads them itself.
    text = command.text + "".join(f"\n{heredoc.body_span.text}{heredoc.name}" for heredoc in node.heredocs)
    return (*state.shell, text), ()


def _read_lone_heredoc(heredoc: Heredoc, state: ImageState) -> tuple[tuple[str, ...], tuple[Script, ...]]:
    if not heredoc.body.startswith("#!"):
        return (*state.shell, heredoc.body), ()
    script = Script(name=file_name(heredoc), data=encode(heredoc.body))
    return (*state.shell, f"{SCRIPT_DIRECTORY}/{heredoc.name}"), (script,)


def _show(node: Run, context: RunContext) -> str:
    escape = context.expander.escape
    line = join_lines(node, escape=escape)
    if _has_lone_heredoc(node):
        line += f" ({summarize(node.heredocs[0].body)})"
    return show_run(line, _shown_variables(node, context), escape=escape)


def _has_lone_heredoc(node: Run) -> bool:
    """Tell whether the command is one heredoc and nothing else, so that its body is the command."""
    if isinstance(node.command, ExecForm) or len(node.heredocs) != 1:
        return False
    return _LONE_HEREDOC.fullmatch(node.command.text.strip()) is not None


def _shown_variables(node: Run, context: RunContext) -> Mapping[str, str]:
    variables = dict(context.state.scope.variables)
    for mount in node.mounts:
        if mount.kind == "secret" and mount.env is not None:
            variables[mount.env.text] = _SECRET_MASK
    return variables
