"""Work that is no step, said aloud: a phase begins and ends as events."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from jettison import events

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jettison.events import Emit


@contextmanager
def phase(emit: Emit, name: str, text: str) -> Iterator[None]:
    """Emit that the work begins, and at its end how long it took; a failure speaks for itself."""
    started = time.monotonic()
    emit(events.PhaseStarted(at=started, phase=name, text=text))
    yield
    now = time.monotonic()
    emit(events.PhaseFinished(at=now, phase=name, text=text, seconds=now - started))
