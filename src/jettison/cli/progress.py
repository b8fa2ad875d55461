"""Which renderer shows a build: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jettison.events import Event


class Renderer(Protocol):
    """Takes events; ``close`` ends its output."""

    def __call__(self, event: Event) -> None:
        """Show the event."""
        ...

    def close(self) -> None:
        """End the output."""
        ...


class QuietRenderer:
    """Shows nothing."""

    def __call__(self, event: Event) -> None:
        """Take the event and show nothing."""

    def close(self) -> None:
        """Nothing is held back."""


def open_renderer(progress: str, environment: Mapping[str, str]) -> Renderer:
    """Return the renderer for ``--progress``; ``auto`` takes BUILDKIT_PROGRESS, then looks whether a terminal listens."""
    if progress == "auto":
        wanted = environment.get("BUILDKIT_PROGRESS", "auto")
        progress = wanted if wanted in {"plain", "tty", "rawjson", "quiet"} else "auto"
    if progress == "auto":
        progress = "tty" if sys.stderr.isatty() and environment.get("TERM", "dumb") != "dumb" else "plain"
    if progress == "quiet":
        return QuietRenderer()
    if progress == "rawjson":
        from jettison.render.jsonl import JsonRenderer

        return JsonRenderer(sys.stderr)
    if progress == "tty":
        from jettison.render.tty import TerminalRenderer

        return TerminalRenderer(sys.stderr, time.monotonic, has_colour="NO_COLOR" not in environment)
    from jettison.render.plain import PlainRenderer

    return PlainRenderer(sys.stderr)
