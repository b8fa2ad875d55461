"""Instructions that change an image's metadata alone: ENV, ARG, LABEL, USER, CMD and the like. A fold over ``ImageState``.

Owns what each means for config, variables and history. Refuses values docker would refuse at the same place. WORKDIR, COPY, ADD
and RUN make layers and are lowered elsewhere; ONBUILD leaves no line of history.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import cast

from jettison.dockerfile.nodes import (
    AnyInstruction,
    Arg,
    Cmd,
    Command,
    Entrypoint,
    Env,
    ExecForm,
    Expose,
    Healthcheck,
    Instruction,
    Label,
    Maintainer,
    Onbuild,
    Pair,
    Shell,
    Stopsignal,
    User,
    Volume,
)
from jettison.dockerfile.signals import parse_signal
from jettison.errors import DockerfileError
from jettison.oci.config import HealthcheckConfig
from jettison.plan.expansion import Expander
from jettison.plan.history import (
    describe_command,
    describe_healthcheck,
    describe_list,
    describe_pairs,
)
from jettison.plan.ports import parse_ports
from jettison.plan.state import ImageState, split_variable


def apply_metadata(node: AnyInstruction, state: ImageState, expander: Expander) -> ImageState:
    """Return the state after an instruction that makes no layer.

    Raises:
        DockerfileError: ``invalid-port``, ``invalid-signal``, ``blank-name``, ``blank-volume``, or a failed expansion.

    """
    return _APPLY[type(node)](node, state, expander)


def merge_pairs(old: Iterable[tuple[str, str]], new: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Return both sets of pairs sorted by name; the new value wins."""
    return tuple(sorted({**dict(old), **dict(new)}.items()))


def command_args(command: Command, state: ImageState) -> tuple[str, ...]:
    """Return the argument vector of a command: the array itself, or SHELL and the text as one argument."""
    if isinstance(command, ExecForm):
        return command.args
    return (*state.shell, command.text)


def _apply_env(node: Env, state: ImageState, expander: Expander) -> ImageState:
    pairs = _expand_pairs(node.pairs, state, expander)
    config = replace(state.config, env=_merge_env(state.config.env, pairs))
    scope = state.scope.with_variables(pairs)
    return replace(state, scope=scope).with_config(config, describe_pairs("ENV", pairs))


def _apply_arg(node: Arg, state: ImageState, expander: Expander) -> ImageState:
    scope = state.scope
    shown: list[tuple[str, str | None]] = []
    for pair in node.pairs:
        name = expander.text(pair.key, scope)
        _refuse_blank(name, pair)
        is_default_used = pair.value is not None and name not in scope.build_args
        default = expander.text(pair.value, scope) if pair.value is not None and is_default_used else None
        scope = scope.with_arg(name, default)
        shown.append(scope.declared[-1])
    return replace(state, scope=scope).with_config(state.config, describe_pairs("ARG", shown))


def _apply_label(node: Label, state: ImageState, expander: Expander) -> ImageState:
    pairs = _expand_pairs(node.pairs, state, expander)
    config = replace(state.config, labels=merge_pairs(state.config.labels, pairs))
    return state.with_config(config, describe_pairs("LABEL", pairs))


def _apply_user(node: User, state: ImageState, expander: Expander) -> ImageState:
    user = expander.text(node.user, state.scope)
    return state.with_config(replace(state.config, user=user), f"USER {user}")


def _apply_cmd(node: Cmd, state: ImageState, _: Expander) -> ImageState:
    args = command_args(node.command, state)
    config = replace(state.config, cmd=args, is_args_escaped=True)
    return replace(state, is_cmd_set=True).with_config(config, describe_command("CMD", args))


def _apply_entrypoint(node: Entrypoint, state: ImageState, _: Expander) -> ImageState:
    args = command_args(node.command, state)
    cmd = state.config.cmd if state.is_cmd_set else None
    config = replace(state.config, entrypoint=args or None, cmd=cmd)
    return state.with_config(config, describe_command("ENTRYPOINT", args))


def _apply_expose(node: Expose, state: ImageState, expander: Expander) -> ImageState:
    ports: list[str] = []
    for word in sorted(node.ports, key=lambda each: each.text):
        for text in expander.words(word, state.scope):
            ports += parse_ports(text, word.span)
    config = replace(state.config, exposed_ports=tuple(sorted({*state.config.exposed_ports, *ports})))
    return state.with_config(config, describe_list("EXPOSE", ports))


def _apply_volume(node: Volume, state: ImageState, expander: Expander) -> ImageState:
    paths: list[str] = []
    for word in node.paths:
        path = expander.text(word, state.scope)
        if not path:
            raise DockerfileError(
                f"a volume's path is blank: '{word.text}'",
                slug="blank-volume",
                span=word.span,
                hint="write an absolute path, or give its variable a value",
            )
        paths.append(path)
    config = replace(state.config, volumes=tuple(sorted({*state.config.volumes, *paths})))
    return state.with_config(config, describe_list("VOLUME", paths))


def _apply_shell(node: Shell, state: ImageState, _: Expander) -> ImageState:
    return state.with_config(replace(state.config, shell=node.args), describe_list("SHELL", node.args))


def _apply_stopsignal(node: Stopsignal, state: ImageState, expander: Expander) -> ImageState:
    signal = expander.text(node.signal, state.scope)
    if parse_signal(signal) is None:
        raise DockerfileError(
            f"no signal is named '{signal}'",
            slug="invalid-signal",
            span=node.signal.span,
            hint="use a name such as SIGTERM or a number such as 15",
        )
    return state.with_config(replace(state.config, stop_signal=signal), f"STOPSIGNAL {signal}")


def _apply_healthcheck(node: Healthcheck, state: ImageState, _: Expander) -> ImageState:
    check = HealthcheckConfig(
        test=_healthcheck_test(node.command),
        interval_ns=node.interval_ns or 0,
        timeout_ns=node.timeout_ns or 0,
        start_period_ns=node.start_period_ns or 0,
        start_interval_ns=node.start_interval_ns or 0,
        retries=node.retries or 0,
    )
    return state.with_config(replace(state.config, healthcheck=check), describe_healthcheck(check))


def _apply_onbuild(node: Onbuild, state: ImageState, _: Expander) -> ImageState:
    return replace(state, config=replace(state.config, on_build=(*state.config.on_build, node.trigger)))


def _apply_maintainer(node: Maintainer, state: ImageState, _: Expander) -> ImageState:
    return replace(state, author=node.author).with_config(state.config, f"MAINTAINER {node.author}")


def _healthcheck_test(command: Command | None) -> tuple[str, ...]:
    if command is None:
        return ("NONE",)
    if isinstance(command, ExecForm):
        return ("CMD", *command.args)
    return ("CMD-SHELL", command.text)


def _expand_pairs(pairs: Sequence[Pair], state: ImageState, expander: Expander) -> tuple[tuple[str, str], ...]:
    expanded: list[tuple[str, str]] = []
    for pair in pairs:
        assert pair.value is not None, "only an ARG may lack a value"
        name = expander.text(pair.key, state.scope)
        _refuse_blank(name, pair)
        expanded.append((name, expander.text(pair.value, state.scope)))
    return tuple(expanded)


def _refuse_blank(name: str, pair: Pair) -> None:
    if not name:
        raise DockerfileError(
            f"a name is blank: '{pair.key.text}'",
            slug="blank-name",
            span=pair.key.span,
            hint="write a name before '=', or give its variable a value",
        )


def _merge_env(env: Sequence[str], pairs: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    values = dict(split_variable(line) for line in env)
    values.update(pairs)
    return tuple(f"{name}={value}" for name, value in values.items())


_Apply = Callable[[Instruction, ImageState, Expander], ImageState]
_APPLY = cast(
    "dict[type[Instruction], _Apply]",
    {
        Env: _apply_env,
        Arg: _apply_arg,
        Label: _apply_label,
        User: _apply_user,
        Cmd: _apply_cmd,
        Entrypoint: _apply_entrypoint,
        Expose: _apply_expose,
        Volume: _apply_volume,
        Shell: _apply_shell,
        Stopsignal: _apply_stopsignal,
        Healthcheck: _apply_healthcheck,
        Onbuild: _apply_onbuild,
        Maintainer: _apply_maintainer,
    },
)
