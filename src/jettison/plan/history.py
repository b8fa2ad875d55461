"""The ``created_by`` text of each instruction, exactly as BuildKit writes it.

Owns the spelling that Go's formatting gives: ``["a" "b"]`` for quoted lists, ``[a b]`` for plain ones, ``1m30s`` for durations.
Every function takes expanded values and returns one line of history. Source: FEATURES 1.11, BuildKit's dockerfile2llb.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from jettison.oci.config import HealthcheckConfig

_LAYER_SUFFIX = " # buildkit"
_ESCAPES = {
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
    "\\": "\\\\",
    '"': '\\"',
}
_UNITS_NS = ((1_000_000, "ms"), (1_000, "\N{MICRO SIGN}s"))
_SECOND_NS = 1_000_000_000


def describe_run(args: Sequence[str], arguments: Sequence[tuple[str, str]]) -> str:
    """Return ``RUN |2 A=1 B=2 /bin/sh -c command # buildkit``; without ARGs the count is left out."""
    words = list(args)
    if arguments:
        words = [f"|{len(arguments)}", *(f"{name}={value}" for name, value in arguments), *words]
    return "RUN " + " ".join(words) + _LAYER_SUFFIX


def describe_copy(keyword: str, flags: Sequence[str], sources: Sequence[str], dest: str) -> str:
    """Return ``COPY [--chown=..] [--chmod=..] source... dest # buildkit``."""
    return " ".join((keyword, *flags, *sources, dest)) + _LAYER_SUFFIX


def describe_pairs(keyword: str, pairs: Iterable[tuple[str, str | None]]) -> str:
    """Return ``ENV a=1 b=2``; an ARG without a value is its name alone."""
    return " ".join((keyword, *(name if value is None else f"{name}={value}" for name, value in pairs)))


def describe_list(keyword: str, items: Iterable[str]) -> str:
    """Return ``VOLUME [/a /b]``."""
    return f"{keyword} [{' '.join(items)}]"


def describe_command(keyword: str, args: Iterable[str]) -> str:
    """Return ``CMD ["a" "b"]``."""
    return f"{keyword} [{' '.join(quote(arg) for arg in args)}]"


def describe_healthcheck(check: HealthcheckConfig) -> str:
    """Return ``HEALTHCHECK {Test:[CMD-SHELL true] Interval:30s ...}``."""
    fields = (
        ("Test", f"[{' '.join(check.test)}]"),
        ("Interval", render_duration(check.interval_ns)),
        ("Timeout", render_duration(check.timeout_ns)),
        ("StartPeriod", render_duration(check.start_period_ns)),
        ("StartInterval", render_duration(check.start_interval_ns)),
        ("Retries", str(check.retries)),
    )
    return "HEALTHCHECK {" + " ".join(f"{name}:{value}" for name, value in fields) + "}"


def quote(text: str) -> str:
    """Return the text as a Go string literal in double quotes."""
    return '"' + "".join(_quoted(char) for char in text) + '"'


def render_duration(nanoseconds: int) -> str:
    """Return a duration as Go prints it: ``0s``, ``1.5s``, ``1m30s``, ``250ms``; negative ones do not occur here."""
    if nanoseconds == 0:
        return "0s"
    if nanoseconds < _SECOND_NS:
        for size, unit in _UNITS_NS:
            if nanoseconds >= size:
                return _decimal(nanoseconds, size) + unit
        return f"{nanoseconds}ns"
    minutes, rest = divmod(nanoseconds, 60 * _SECOND_NS)
    text = _decimal(rest, _SECOND_NS) + "s"
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{text}"
    return f"{minutes}m{text}" if minutes else text


def _decimal(value: int, unit: int) -> str:
    whole, rest = divmod(value, unit)
    if rest == 0:
        return str(whole)
    return f"{whole}." + str(rest).zfill(len(str(unit)) - 1).rstrip("0")


def _quoted(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if char.isprintable():
        return char
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
