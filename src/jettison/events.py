"""What happens in a build, as data. Below ``render`` nothing prints or logs; it calls ``emit(event)``.

Events are frozen, ordered per op and timed by the caller's clock (``at`` is seconds of a monotonic clock). They pickle, so
that a worker in another process can send them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildStarted:
    """The plan is known: how many steps the target needs."""

    at: float
    build_id: str
    step_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OpStarted:
    """An op began to run. ``name`` is what BuildKit's plain log shows: ``[build 2/5] RUN npm ci``."""

    at: float
    op: int
    name: str
    stage: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OpOutput:
    """A piece of what a step wrote; not aligned to lines, not decoded."""

    at: float
    op: int
    stream: Literal["stdout", "stderr"]
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class OpProgress:
    """How far a long transfer or copy is; ``total`` is 0 when unknown."""

    at: float
    op: int
    what: str
    done: int
    total: int
    unit: Literal["bytes", "files"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpFinished:
    """An op has its result. ``reason`` says how: it ran, or which key hit the cache."""

    at: float
    op: int
    name: str
    stage: str
    reason: Literal["ran", "recipe-hit", "content-hit"]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OpFailed:
    """An op failed; the error itself is raised by the build."""

    at: float
    op: int
    name: str
    stage: str
    message: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OpCancelled:
    """An op was stopped because another one failed or the user asked."""

    at: float
    op: int
    name: str
    stage: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSkipped:
    """A stage that the target does not need: neither resolved nor built."""

    at: float
    stage: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseStarted:
    """Work that is no step: reading the context, resolving a base, exporting."""

    at: float
    phase: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseProgress:
    """How far the work of a phase is; ``total`` is 0 when unknown."""

    at: float
    phase: str
    text: str
    done: int
    total: int
    unit: Literal["bytes", "files"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseFinished:
    """The work that ``PhaseStarted`` announced is done."""

    at: float
    phase: str
    text: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned:
    """Something to tell the user that does not stop the build."""

    at: float
    slug: str
    message: str
    where: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildFinished:
    """The end, with the image's id where there is one."""

    at: float
    image_id: str
    tags: tuple[str, ...]
    seconds: float
    ran: int
    cached: int


Event: TypeAlias = (
    BuildStarted
    | OpStarted
    | OpOutput
    | OpProgress
    | OpFinished
    | OpFailed
    | OpCancelled
    | StageSkipped
    | PhaseStarted
    | PhaseProgress
    | PhaseFinished
    | Warned
    | BuildFinished
)
Emit: TypeAlias = Callable[[Event], None]


def ignore_event(event: Event) -> None:
    """Take an event and do nothing: the default listener."""
    del event
