"""How far something is, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jettison.events import PhaseProgress

_MEBIBYTE = 1 << 20


def amount(event: PhaseProgress) -> str:
    """Return ``3.1/45.0 MiB``, or ``12/40 files``; without the total where it is unknown."""
    if event.unit == "files":
        return f"{event.done}/{event.total} files" if event.total else f"{event.done} files"
    done, total = event.done / _MEBIBYTE, event.total / _MEBIBYTE
    return f"{done:.1f}/{total:.1f} MiB" if event.total else f"{done:.1f} MiB"
