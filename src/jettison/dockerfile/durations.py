"""Go durations (``1m30s``), the notation of HEALTHCHECK. Text goes in, nanoseconds come out."""

from __future__ import annotations

import re

_UNITS = {
    "ns": 1, "us": 1_000, "\xb5s": 1_000, "\u03bcs": 1_000, "ms": 1_000_000, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9,
}  # fmt: skip
_PART = re.compile("([0-9]+(?:\\.[0-9]*)?|\\.[0-9]+)(ns|us|\xb5s|\u03bcs|ms|s|m|h)")
_DURATION = re.compile(f"([+-]?)((?:{_PART.pattern})+|0)")
_MAX_NS = (1 << 63) - 1


def parse_duration(text: str) -> int | None:
    """Return the nanoseconds of a Go duration, or None when it is none or does not fit 64 bits.

    Grammar: ``[+-] (number unit)+ | [+-] 0`` with the units ns, us, ms, s, m, h.
    """
    if len(text) > 64:
        return None
    match = _DURATION.fullmatch(text)
    if match is None:
        return None
    total = sum(_nanoseconds(part[1], _UNITS[part[2]]) for part in _PART.finditer(text))
    if total > _MAX_NS:
        return None
    return -total if match[1] == "-" else total


def _nanoseconds(number: str, unit: int) -> int:
    whole, _, fraction = number.partition(".")
    scale: int = 10 ** len(fraction)
    return int(whole or 0) * unit + int(fraction or 0) * unit // scale
