"""The scheduler: a pure state machine that says what may start.

Each op goes through these states::

    idle -> probing -> done                        its recipe key is known
                    -> waiting -> weighing -> done      its content key is known
                                           -> running -> done
    any state -> dropped                           after a failure or a cancellation nothing new starts

``probing`` looks the recipe key up, ``waiting`` wants all inputs done, ``weighing`` looks the content key up. An op is only
wanted if a target or the execution of another op needs it: inputs of an op whose recipe key hits are never looked at.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Phase(Enum):
    """What is to be done for an op."""

    PROBE = "probe"
    WEIGH = "weigh"
    RUN = "run"


class _State(Enum):
    IDLE = 0
    PROBING = 1
    WAITING = 2
    WEIGHING = 3
    RUNNING = 4
    DONE = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One thing that may start now."""

    op: int
    phase: Phase


class Schedule:
    """The state of one build's ops. ``needs[i]`` are the ops whose results executing op i takes (all smaller than i)."""

    def __init__(self, needs: Sequence[frozenset[int]], wanted: Iterable[int]) -> None:
        for op, inputs in enumerate(needs):
            assert all(0 <= other < op for other in inputs), "ops are in dependency order"
        self._needs = needs
        self._states = [_State.IDLE] * len(needs)
        self._missing: dict[int, set[int]] = {}
        self._waiters: dict[int, list[int]] = {}
        self._ready: deque[Action] = deque()
        self._is_stopped = False
        self._active = 0
        self._wanted = tuple(wanted)
        for op in self._wanted:
            self._want(op)

    def take(self) -> Action | None:
        """Return an action that may start now, or None; the caller must report how it ended."""
        if self._is_stopped or not self._ready:
            return None
        self._active += 1
        return self._ready.popleft()

    def hit(self, op: int) -> None:
        """Report that a probe or a weighing found the op's result."""
        assert self._states[op] in {_State.PROBING, _State.WEIGHING}, "only look-ups hit"
        self._active -= 1
        self._finish(op)

    def miss(self, op: int) -> None:
        """Report that a probe or a weighing found nothing."""
        self._active -= 1
        if self._states[op] is _State.WEIGHING:
            self._states[op] = _State.RUNNING
            self._ready.append(Action(op=op, phase=Phase.RUN))
            return
        assert self._states[op] is _State.PROBING, "only look-ups miss"
        self._states[op] = _State.WAITING
        missing = {other for other in self._needs[op] if self._states[other] is not _State.DONE}
        self._missing[op] = missing
        for other in sorted(missing):
            self._waiters.setdefault(other, []).append(op)
            self._want(other)
        if not missing:
            self._weigh(op)

    def ran(self, op: int) -> None:
        """Report that the op was executed."""
        assert self._states[op] is _State.RUNNING, "only running ops end"
        self._active -= 1
        self._finish(op)

    def fail(self) -> None:
        """Report that an action failed or was cancelled: nothing new starts."""
        self._active -= 1
        self._is_stopped = True

    def stop(self) -> None:
        """Let nothing new start."""
        self._is_stopped = True

    @property
    def is_over(self) -> bool:
        """Nothing is under way and nothing may start."""
        return self._active == 0 and (self._is_stopped or not self._ready)

    @property
    def is_complete(self) -> bool:
        """Every wanted op is done."""
        return all(self._states[op] is _State.DONE for op in self._wanted)

    def is_done(self, op: int) -> bool:
        """Tell whether the op has its result."""
        return self._states[op] is _State.DONE

    def _want(self, op: int) -> None:
        if self._states[op] is _State.IDLE:
            self._states[op] = _State.PROBING
            self._ready.append(Action(op=op, phase=Phase.PROBE))

    def _weigh(self, op: int) -> None:
        self._states[op] = _State.WEIGHING
        self._ready.append(Action(op=op, phase=Phase.WEIGH))

    def _finish(self, op: int) -> None:
        self._states[op] = _State.DONE
        for waiter in self._waiters.pop(op, ()):
            missing = self._missing[waiter]
            missing.discard(op)
            if not missing and self._states[waiter] is _State.WAITING:
                self._weigh(waiter)
