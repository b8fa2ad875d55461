"""Events as a live display on a terminal: running steps with their last lines, finished ones scrolled away above."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from jettison import events
from jettison.render.amounts import amount
from jettison.render.plain import NOTICED_SECONDS, QUIET_PHASES
from jettison.render.safe import clean

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import RenderableType

    from jettison.events import Event

_TAIL_LINES = 4


@dataclass(slots=True)
class _Running:
    name: str
    started: float
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=_TAIL_LINES))
    rest: bytes = b""
    progress: str = ""


class TerminalRenderer:
    """Draws on the terminal behind the stream; ``close`` leaves only the finished lines. Safe to call from any thread."""

    def __init__(self, stream: TextIO, clock: Callable[[], float], *, has_colour: bool = True) -> None:
        self._clock = clock
        self._console = Console(file=stream, highlight=False, no_color=not has_colour, soft_wrap=True)
        self._lock = threading.Lock()
        self._running: dict[int, _Running] = {}
        self._phases: dict[str, str] = {}
        self._done = 0
        self._total = 0
        self._live = Live(console=self._console, get_renderable=self._draw, refresh_per_second=8, transient=True)
        self._live.start()

    def __call__(self, event: Event) -> None:
        """Take the event into the picture."""
        with self._lock:
            self._take(event)

    def close(self) -> None:
        """Take the live part away."""
        self._live.stop()

    def _take(self, event: Event) -> None:
        match event:
            case events.BuildStarted():
                self._total = event.step_count
            case events.OpStarted():
                self._running[event.op] = _Running(name=clean(event.name), started=event.at)
            case events.OpOutput():
                self._output(event)
            case events.OpProgress():
                if event.op in self._running:
                    total = f"/{event.total}" if event.total else ""
                    self._running[event.op].progress = f"{event.what} {event.done}{total} {event.unit}"
            case events.OpFinished():
                self._running.pop(event.op, None)
                self._done += 1
                mark = f"{event.seconds:.1f}s" if event.reason == "ran" else "CACHED"
                style = "green" if event.reason == "ran" else "cyan"
                self._print(Text.assemble(("✔ ", style), clean(event.name), " ", (mark, style)))
            case events.OpFailed():
                self._running.pop(event.op, None)
                self._print(Text.assemble(("✘ ", "red"), clean(event.name), " ", (clean(event.message), "red")))
            case events.OpCancelled():
                self._running.pop(event.op, None)
                self._print(Text.assemble(("- ", "yellow"), clean(event.name), (" CANCELED", "yellow")))
            case events.StageSkipped():
                self._print(Text(f"- stage {clean(event.stage)} is not needed: skipped", style="dim"))
            case events.Warned():
                self._print(Text(f"! {clean(event.message)} {clean(event.where)}".rstrip(), style="yellow"))
            case events.PhaseStarted():
                self._phases[event.phase] = clean(event.text)
            case events.PhaseProgress():
                self._phases[event.phase] = f"{clean(event.text)}  {amount(event)}"
            case events.PhaseFinished():
                self._phases.pop(event.phase, None)
                if event.phase in QUIET_PHASES and event.seconds < NOTICED_SECONDS:
                    return
                self._print(Text.assemble(("✔ ", "green"), clean(event.text), (f" {event.seconds:.1f}s", "green")))
            case events.BuildFinished():
                return

    def _output(self, event: events.OpOutput) -> None:
        running = self._running.get(event.op)
        if running is None:
            return
        *whole, running.rest = (running.rest + event.data).split(b"\n")
        for line in whole:
            running.tail.append(clean(line.rstrip(b"\r").rpartition(b"\r")[2].decode("utf-8", "replace")))

    def _print(self, text: Text) -> None:
        self._console.print(text)

    def _draw(self) -> RenderableType:
        rows: list[RenderableType] = []
        for running in list(self._running.values()):
            seconds = max(self._clock() - running.started, 0.0)
            head = Text.assemble(("⠿ ", "blue"), running.name, (f"  {seconds:.0f}s {running.progress}", "blue"))
            head.no_wrap = True
            head.overflow = "ellipsis"
            rows.append(head)
            rows.extend(Text(f"    {line}", style="dim", no_wrap=True, overflow="ellipsis") for line in running.tail)
        rows.extend(Text(f"⠿ {text}", style="blue") for text in self._phases.values())
        if self._total:
            rows.append(Text(f"{self._done}/{self._total} steps", style="dim"))
        return Group(*rows)
