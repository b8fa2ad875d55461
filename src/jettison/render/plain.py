"""Events as plain lines, for pipes, files and continuous integration; every line of a step carries the step's number.

::

    #3 [build 2/4] RUN npm ci
    #3 0.812 added 312 packages
    #3 DONE 14.2s
    #4 [build 1/4] FROM node:22-slim
    #4 CACHED
    pulling node:22-slim ... 12.5/80.1 MiB
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from jettison import events
from jettison.render.amounts import amount
from jettison.render.safe import clean

if TYPE_CHECKING:
    from jettison.events import Event

_PROGRESS_SECONDS = 5.0
"""A transfer is told of this often."""


QUIET_PHASES = frozenset({"hash", "sync"})
NOTICED_SECONDS = 0.5
"""Phases that every build has are told only when somebody had to wait for them."""


class PlainRenderer:
    """Writes lines to a stream; call it with each event, in order."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._numbers: dict[int, int] = {}
        self._started: dict[int, float] = {}
        self._rest: dict[tuple[int, str], bytes] = {}
        self._told: dict[str, float] = {}

    def __call__(self, event: Event) -> None:
        """Write what the event says."""
        lines = self._lines(event)
        if lines:
            self._stream.write("\n".join(lines) + "\n")
            self._stream.flush()

    def close(self) -> None:
        """Nothing is held back."""

    def _lines(self, event: Event) -> list[str]:
        match event:
            case events.OpStarted():
                self._started[event.op] = event.at
                return [self._head(event.op, event.name)]
            case events.OpOutput():
                return self._output(event)
            case events.OpFinished():
                return self._finished(event)
            case events.OpFailed():
                prefix = self._prefix(event.op)
                head = [] if event.op in self._started else [self._head(event.op, event.name)]
                return [*self._flush(event.op), *head, f"{prefix} ERROR: {clean(event.message)}"]
            case events.OpCancelled():
                return [*self._flush(event.op), f"{self._prefix(event.op)} CANCELED"]
            case events.StageSkipped():
                return [f"stage {clean(event.stage)} is not needed: skipped"]
            case events.PhaseStarted() if event.phase.startswith("pull "):
                self._told[event.phase] = event.at
                return [f"{clean(event.text)} ..."]
            case events.PhaseProgress():
                if event.at - self._told.get(event.phase, 0.0) < _PROGRESS_SECONDS:
                    return []
                self._told[event.phase] = event.at
                return [f"{clean(event.text)} ... {amount(event)}"]
            case events.PhaseFinished():
                is_worth_a_line = event.seconds >= NOTICED_SECONDS or event.phase not in QUIET_PHASES
                return [f"{clean(event.text)} {event.seconds:.1f}s"] if is_worth_a_line else []
            case events.Warned():
                where = f" ({clean(event.where)})" if event.where else ""
                hint = f"; {clean(event.hint)}" if event.hint else ""
                return [f"warning[{event.slug}]: {clean(event.message)}{where}{hint}"]
            case _:
                return []

    def _finished(self, event: events.OpFinished) -> list[str]:
        if event.reason == "ran":
            return [*self._flush(event.op), f"{self._prefix(event.op)} DONE {event.seconds:.1f}s"]
        head = [] if event.op in self._started else [self._head(event.op, event.name)]
        return [*head, f"{self._prefix(event.op)} CACHED"]

    def _output(self, event: events.OpOutput) -> list[str]:
        key = (event.op, event.stream)
        data = self._rest.pop(key, b"") + event.data
        *whole, rest = data.split(b"\n")
        if rest:
            self._rest[key] = rest
        seconds = event.at - self._started.get(event.op, event.at)
        return [self._line(event.op, seconds, line) for line in whole]

    def _flush(self, op: int) -> list[str]:
        lines = []
        for stream in ("stdout", "stderr"):
            rest = self._rest.pop((op, stream), b"")
            if rest:
                lines.append(f"{self._prefix(op)} {clean(_last_overwrite(rest))}")
        return lines

    def _line(self, op: int, seconds: float, line: bytes) -> str:
        return f"{self._prefix(op)} {seconds:.3f} {clean(_last_overwrite(line))}".rstrip()

    def _head(self, op: int, name: str) -> str:
        return f"{self._prefix(op)} {clean(name)}"

    def _prefix(self, op: int) -> str:
        return f"#{self._numbers.setdefault(op, len(self._numbers) + 1)}"


def _last_overwrite(line: bytes) -> str:
    """Return what a terminal would show of a line in which a program went back with carriage returns."""
    return line.rstrip(b"\r").rpartition(b"\r")[2].decode("utf-8", "replace")
