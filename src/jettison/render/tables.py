"""Rows as aligned tables, byte counts and ages as people read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jettison.render.safe import clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return the rows below their heads in aligned columns, with a final line end."""
    lines = [tuple(head), *(tuple(clean(cell) for cell in row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "".join(
        "   ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() + "\n"
        for line in lines
    )


def size(count: int) -> str:
    """Return a byte count in decimal units with three digits, as docker does: ``12.3MB``."""
    value, number = float(count), 0
    while value >= 1000 and number < len(_UNITS) - 1:
        value /= 1000
        number += 1
    unit = _UNITS[number]
    if unit == "B":
        return f"{count}B"
    digits = 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:.{digits}f}{unit}"


def age(then: float | None, now: float) -> str:
    """Return how long ago a time (seconds) was, in one unit; ``N/A`` for None."""
    if then is None:
        return "N/A"
    seconds = max(now - then, 0)
    for limit, unit, length in (
        (120, "second", 1),
        (7200, "minute", 60),
        (172800, "hour", 3600),
        (14 * 86400, "day", 86400),
        (60 * 86400, "week", 7 * 86400),
        (2 * 365 * 86400, "month", 30 * 86400),
    ):
        if seconds < limit:
            count = int(seconds // length)
            return f"{count} {unit}{'' if count == 1 else 's'} ago"
    return f"{int(seconds // (365 * 86400))} years ago"
