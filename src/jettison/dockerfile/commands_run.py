"""The instructions that hold a command: RUN, CMD, ENTRYPOINT, HEALTHCHECK."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal, cast

from jettison.dockerfile.commands import warn_of_json
from jettison.dockerfile.durations import parse_duration
from jettison.dockerfile.flags import all_words, first_word, read_flags
from jettison.dockerfile.mounts import parse_mount
from jettison.dockerfile.nodes import Cmd, Entrypoint, ExecForm, Healthcheck, Mount, Run, ShellForm
from jettison.dockerfile.spaces import SPACES_CLASS
from jettison.dockerfile.statements import read_json
from jettison.errors import DockerfileError
from jettison.span import nearest_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jettison.dockerfile.flags import FlagKind, Flags
    from jettison.dockerfile.nodes import Command, Word
    from jettison.dockerfile.statements import Statement

_RUN_FLAGS: Final[Mapping[str, FlagKind]] = {"mount": "list", "network": "text", "security": "text", "device": "list"}
_HEALTH_FLAGS: Final[Mapping[str, FlagKind]] = {
    "interval": "text", "timeout": "text", "start-period": "text", "start-interval": "text", "retries": "text",
}  # fmt: skip
_NETWORKS = ("default", "none", "host")
_SECURITIES = ("sandbox", "insecure")
_MIN_NS = 1_000_000
_FIRST_WORD = re.compile(f"[^{SPACES_CLASS}]+")
_RETRIES = re.compile(r"[+-]?[0-9]{1,10}")
_MAX_RETRIES = (1 << 31) - 1


def parse_run(statement: Statement) -> Run:
    """``RUN [flags] command``; with heredocs the command is the first line's text."""
    flags = read_flags(statement, _RUN_FLAGS)
    mounts: list[Mount] = []
    for value in flags.get("mount", ()):
        try:
            mounts.append(parse_mount(value, escape=statement.escape))
        except DockerfileError as error:
            statement.faults.extend(error.diagnostics)
    network = first_word(flags, "network")
    security = first_word(flags, "security")
    if network:
        _check_choice(statement, network, _NETWORKS, "network")
    if security:
        _check_choice(statement, security, _SECURITIES, "security")
    return Run(
        span=statement.span,
        keyword=statement.keyword,
        keyword_span=statement.keyword_span,
        comments=statement.comments,
        command=_command(statement, "a command", can_be_empty=False),
        mounts=tuple(mounts),
        network=cast("Literal['default', 'none', 'host']", network.text if network else "default"),
        network_span=network.span if network else None,
        security=cast("Literal['sandbox', 'insecure']", security.text if security else "sandbox"),
        security_span=security.span if security else None,
        devices=all_words(flags, "device"),
        heredocs=statement.heredocs,
    )


def parse_cmd(statement: Statement) -> Cmd:
    """``CMD command`` or ``CMD []``."""
    read_flags(statement, {})
    return Cmd(
        span=statement.span,
        keyword=statement.keyword,
        keyword_span=statement.keyword_span,
        comments=statement.comments,
        command=_command(statement, "a command, or [] for none", can_be_empty=True),
    )


def parse_entrypoint(statement: Statement) -> Entrypoint:
    """``ENTRYPOINT command`` or ``ENTRYPOINT []``."""
    read_flags(statement, {})
    return Entrypoint(
        span=statement.span,
        keyword=statement.keyword,
        keyword_span=statement.keyword_span,
        comments=statement.comments,
        command=_command(statement, "a command, or [] for none", can_be_empty=True),
    )


def parse_healthcheck(statement: Statement) -> Healthcheck:
    """``HEALTHCHECK NONE`` or ``HEALTHCHECK [options] CMD command``."""
    flags = read_flags(statement, _HEALTH_FLAGS)
    intervals = {name: _interval(statement, flags, name) for name in _HEALTH_FLAGS if name != "retries"}
    retries = _retries(statement, flags)
    found = _FIRST_WORD.match(statement.rest.text)
    if found is None:
        raise statement.refusal(
            "missing-argument",
            "HEALTHCHECK needs CMD or NONE",
            hint="write HEALTHCHECK CMD command, or HEALTHCHECK NONE",
        )
    kind = statement.rest.cut(0, found.end())
    statement.rest = statement.rest.cut(found.end()).strip()
    if kind.text.upper() == "NONE":
        if statement.rest.text:
            raise statement.refusal(
                "healthcheck-none", "HEALTHCHECK NONE takes nothing after it", statement.rest.span(), hint="remove it"
            )
        command: Command | None = None
    elif kind.text.upper() == "CMD":
        read_json(statement)
        command = _command(statement, "a command after CMD", can_be_empty=False)
    else:
        raise statement.refusal(
            "healthcheck-kind",
            f"HEALTHCHECK has no '{kind.text}'",
            kind.span(),
            hint=f"write HEALTHCHECK CMD {kind.text}"
            if not nearest_name(kind.text, ("CMD", "NONE"))
            else "write CMD or NONE",
        )
    return Healthcheck(
        span=statement.span,
        keyword=statement.keyword,
        keyword_span=statement.keyword_span,
        comments=statement.comments,
        command=command,
        interval_ns=intervals["interval"],
        timeout_ns=intervals["timeout"],
        start_period_ns=intervals["start-period"],
        start_interval_ns=intervals["start-interval"],
        retries=retries,
    )


def _command(statement: Statement, what: str, *, can_be_empty: bool) -> Command:
    form = statement.json
    rest = statement.rest
    if form is not None and (form.args or can_be_empty):
        return ExecForm(args=form.args, span=rest.span())
    if form is not None or not rest.text:
        raise statement.refusal(
            "missing-command",
            f"{statement.keyword} needs {what}",
            rest.span() if rest.text else None,
            hint=f"write {statement.keyword} followed by a command line or a JSON array of strings",
        )
    warn_of_json(statement)
    return ShellForm(text=rest.text, span=rest.span())


def _check_choice(statement: Statement, word: Word, known: tuple[str, ...], flag: str) -> None:
    if word.text not in known:
        near = nearest_name(word.text, known)
        statement.report(
            f"run-{flag}",
            f"'--{flag}' can't be '{word.text}'",
            word.span,
            hint=f"did you mean '{near}'?"
            if near
            else f"write one of {', '.join(known)}; variables do not expand here",
        )


def _interval(statement: Statement, flags: Flags, name: str) -> int | None:
    word = first_word(flags, name)
    if word is None:
        return None
    duration = parse_duration(word.text)
    if duration is None:
        statement.report(
            "healthcheck-duration",
            f"'{word.text}' is no duration",
            word.span,
            hint=f"write a number with a unit: --{name}=30s, --{name}=1m30s",
        )
    elif duration != 0 and duration < _MIN_NS:
        statement.report(
            "healthcheck-duration",
            f"'{word.text}' is shorter than 1ms",
            word.span,
            hint="write 1ms or more, or 0s to inherit",
        )
    return duration or None


def _retries(statement: Statement, flags: Flags) -> int | None:
    word = first_word(flags, "retries")
    if word is None:
        return None
    number = int(word.text) if _RETRIES.fullmatch(word.text) else -1
    if not 0 <= number <= _MAX_RETRIES:
        statement.report(
            "healthcheck-retries",
            f"'{word.text}' is no number of retries",
            word.span,
            hint="write a whole number: --retries=3",
        )
    return number or None
