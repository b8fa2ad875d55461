"""The front's side of a worker: starts it when it is first needed, sends it requests, hands events on.

The worker process itself comes from ``sandbox.userns``; its program is ``worker.main``.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jettison.errors import HostError
from jettison.worker.channel import Channel, Control, Note, Reply, Request

if TYPE_CHECKING:
    from jettison.sandbox.userns import WorkerProcess

Listener = Callable[[Any, tuple[int, ...]], None]


@dataclass(slots=True)
class Call:
    """A request under way."""

    number: int
    listener: Listener
    is_over: threading.Event = field(default_factory=threading.Event)
    reply: Reply | None = None


class WorkerClient:
    """Calls into one worker process. Methods may be used from several threads; the process starts with the first call."""

    def __init__(self, start: Callable[[], WorkerProcess]) -> None:
        self._start = start
        self._lock = threading.Lock()
        self._process: WorkerProcess | None = None
        self._channel: Channel | None = None
        self._calls: dict[int, Call] = {}
        self._numbers = itertools.count(1)
        self._reader: threading.Thread | None = None

    def begin(self, method: str, payload: Any, *, listener: Listener, fds: tuple[int, ...] = ()) -> Call:
        """Send a request; ``listener`` gets its notes in the reader's thread."""
        channel = self._running()
        call = Call(number=next(self._numbers), listener=listener)
        with self._lock:
            self._calls[call.number] = call
        try:
            channel.send(Request(number=call.number, method=method, payload=payload), fds)
        except OSError as error:
            raise self._gone() from error
        return call

    def wait(self, call: Call) -> Any:
        """Return the value of a request.

        Raises:
            JettisonError: what the worker raised.
            HostError: the worker process is gone (slug ``worker-died``).

        """
        call.is_over.wait()
        reply = call.reply
        if reply is None:
            raise self._gone()
        if reply.error is not None:
            raise reply.error
        assert not reply.trace, f"a bug in the worker:\n{reply.trace}"
        return reply.value

    def call(self, method: str, payload: Any, *, listener: Listener | None = None) -> Any:
        """Send a request and return its value; errors as ``wait``."""
        return self.wait(self.begin(method, payload, listener=listener or _close_fds))

    def control(self, call: Call, action: str, *values: int) -> None:
        """Act on a request under way; too late is no error."""
        channel = self._channel
        if channel is None or call.is_over.is_set():
            return
        try:
            channel.send(Control(number=call.number, action=action, values=values))  # type: ignore[arg-type]  # a Literal
        except OSError:
            return

    def cancel_all(self) -> None:
        """Kill the processes of all requests under way."""
        with self._lock:
            calls = list(self._calls.values())
        for call in calls:
            self.control(call, "kill")

    def close(self) -> None:
        """End the worker and all that it runs, and wait for it."""
        if self._channel is not None:
            self._channel.end()
        if self._reader is not None:
            self._reader.join()  # before the descriptor is closed: its number may soon be another file's
        if self._process is not None:
            self._process.close()

    @property
    def is_started(self) -> bool:
        """A worker process was needed."""
        return self._process is not None

    def _running(self) -> Channel:
        with self._lock:
            if self._channel is None:
                self._process = self._start()
                self._channel = Channel(self._process.socket)
                self._reader = threading.Thread(target=self._read, args=(self._channel,), daemon=True)
                self._reader.start()
            return self._channel

    def _read(self, channel: Channel) -> None:
        while (item := channel.receive()) is not None:
            message, fds = item
            with self._lock:
                call = self._calls.get(message.number)
            if call is None:
                for fd in fds:
                    os.close(fd)
            elif isinstance(message, Note):
                call.listener(message.payload, fds)
            elif isinstance(message, Reply):
                call.reply = message
                self._end(call)
        with self._lock:
            left = list(self._calls.values())
        for call in left:
            self._end(call)

    def _end(self, call: Call) -> None:
        with self._lock:
            self._calls.pop(call.number, None)
        call.is_over.set()

    def _gone(self) -> HostError:
        return HostError(
            "the worker process ended before its work was done",
            slug="worker-died",
            hint="out of memory is the usual cause: see the kernel's log; run the build again, nothing committed is lost",
        )


def _close_fds(payload: Any, fds: tuple[int, ...]) -> None:
    """Take a note that nobody waits for."""
    del payload
    for fd in fds:
        os.close(fd)


def environment_for_worker(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what a worker inherits: enough to run Python, nothing of the caller's secrets."""
    kept = ("PATH", "LANG", "LC_ALL", "TMPDIR")
    return {name: environment[name] for name in kept if name in environment}
