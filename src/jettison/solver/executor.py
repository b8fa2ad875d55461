"""Where actions run: at once in the caller (tests), or in a few threads."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


class Executor(Protocol):
    """Runs callables; each puts its own result where the caller reads it."""

    def submit(self, call: Callable[[], None]) -> None:
        """Run the call, now or soon."""
        ...

    def close(self) -> None:
        """Wait for all calls and free the threads."""
        ...


class InlineExecutor:
    """Runs each call at once, in the caller's thread."""

    def submit(self, call: Callable[[], None]) -> None:
        """Run the call now."""
        call()

    def close(self) -> None:
        """Nothing is under way."""


class ThreadExecutor:
    """Runs calls in at most ``size`` threads, started as they are needed. A call must not raise."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._lock = threading.Lock()

    def submit(self, call: Callable[[], None]) -> None:
        """Run the call in a free thread, a new one, or the first that becomes free."""
        with self._lock:
            if self._idle > 0:
                self._idle -= 1
            elif len(self._threads) < self._size:
                thread = threading.Thread(target=self._work, name=f"jettison-{len(self._threads)}", daemon=True)
                self._threads.append(thread)
                thread.start()
        self._calls.put(call)

    def close(self) -> None:
        """Wait for all calls and end the threads."""
        for _ in self._threads:
            self._calls.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            call()
            with self._lock:
                self._idle += 1
