"""SandboxSpec -> a running step -> ExitStatus: the worker's side of the zygote.

Owns the sockets to the zygote and to each step. Thread-safe: each step has a socket of its own, so several threads start,
signal and await steps at once. Refuses specs that the steps refuse; a set-up that the kernel refuses is an error that names
call, path and cause. Closing a running step kills it and all that it started.
"""

from __future__ import annotations

import array
import contextlib
import fcntl
import marshal
import os
import platform
import signal
import socket
import struct
import termios
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Self, cast

from jettison.errors import HostError, SandboxError
from jettison.sandbox.refusals import explain_refusal
from jettison.sandbox.seccomp import build_filter
from jettison.sandbox.spec import ExitStatus, KernelFacts, SandboxSpec
from jettison.sandbox.steps import make_steps, namespaces

if TYPE_CHECKING:
    from types import TracebackType

_MESSAGE_BYTES = 1 << 18
_Message = tuple[str, tuple[object, ...]]


class RunningSandbox:
    """A step that runs. Use it as a context manager, or ``wait`` for its end and ``close``.

    ``stubs`` are the mount points that were made for the step, as index keys (no leading slash), parents first; the snapshot
    removes those that are still empty. ``terminal_fd`` is the terminal's master, -1 without; it belongs to this object.
    """

    def __init__(self, report: socket.socket, oom_kills: int) -> None:
        self._report = report
        self._oom_kills = oom_kills
        self._lock = threading.Lock()
        self._pidfd_lock = threading.Lock()
        self._exit: ExitStatus | None = None
        self._reason = ""
        self._was_killed = False
        self._pidfd = -1
        self.pid = 0
        self.terminal_fd = -1
        self.stubs: tuple[bytes, ...] = ()

    def wait(self, timeout_seconds: float | None = None) -> ExitStatus | None:
        """Return how the step ended; None when the time is over first."""
        with self._lock:
            while self._exit is None:
                self._report.settimeout(timeout_seconds)
                try:
                    kind, values = self._receive()
                except TimeoutError:
                    return None
                if kind == "unable":
                    self._reason = str(values[1])
                elif kind == "exited":
                    self._exit = self._judge(cast("int", values[0]))
            return self._exit

    def signal(self, number: int) -> None:
        """Send a signal to the command; nothing when it has ended."""
        with self._pidfd_lock:
            if self._pidfd >= 0:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(self._pidfd, number)

    def kill(self) -> None:
        """End the step with everything that it started; at once and without appeal."""
        self._was_killed = True
        self.signal(signal.SIGKILL)

    def resize(self, rows: int, columns: int) -> None:
        """Tell the terminal its size; nothing without a terminal."""
        if self.terminal_fd >= 0:
            fcntl.ioctl(self.terminal_fd, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))

    def close(self) -> None:
        """Kill the step if it still runs, wait for its end and let the descriptors go. May be called again."""
        if self._report.fileno() < 0:
            return
        if self._exit is None:
            self.kill()
            with contextlib.suppress(SandboxError):
                self.wait()
        with self._pidfd_lock:
            for descriptor in (self._pidfd, self.terminal_fd):
                if descriptor >= 0:
                    os.close(descriptor)
            self._pidfd = self.terminal_fd = -1
        self._report.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def await_start(self, spec: SandboxSpec) -> None:
        """Read until the command starts (or can't be found); the launcher calls it once."""
        while not (self.pid and self.stubs is not _NOT_YET):
            kind, values = self._receive()
            if kind == "started":
                self.pid = cast("int", values[0])
            elif kind == "ready":
                self.stubs = tuple(cast("list[bytes]", values[0]))
            elif kind == "unable":
                self._reason, self.stubs = str(values[1]), ()
            elif kind in {"failed", "lost"}:
                raise explain_refusal(kind, values, spec)
            elif kind == "exited":
                raise SandboxError(f"the sandbox ended before its command started (code {values[0]})")

    def _receive(self) -> _Message:
        descriptors = array.array("i")
        message, ancillary, _flags, _address = self._report.recvmsg(
            _MESSAGE_BYTES, socket.CMSG_SPACE(4 * 2), socket.MSG_CMSG_CLOEXEC
        )
        for _level, _kind, content in ancillary:
            descriptors.frombytes(content[: len(content) - len(content) % 4])
        if not message:
            raise SandboxError(
                "the program that runs steps ended unexpectedly",
                slug="sandbox-lost",
                hint="look for an out-of-memory kill in the kernel's log (dmesg)",
            )
        kind, *values = cast("tuple[str, object]", marshal.loads(message))  # noqa: S302 - from our own child
        if kind == "started":
            self._pidfd = descriptors[0]
        elif kind == "ready" and descriptors:
            self.terminal_fd = descriptors[0]
        return kind, tuple(values)

    def _judge(self, code: int) -> ExitStatus:
        number = -code if code < 0 else 0
        was_killed_by_kernel = code in {-signal.SIGKILL, 128 + signal.SIGKILL} and not self._was_killed
        return ExitStatus(
            code=128 + number if number else code,
            signal=number,
            is_oom=was_killed_by_kernel and _count_oom_kills() > self._oom_kills,
            reason=self._reason,
        )


_NOT_YET: tuple[bytes, ...] = (b"\0",)


class Launcher:
    """Starts steps through the zygote whose socket the worker got by number; it owns that descriptor from now on."""

    def __init__(self, zygote_fd: int) -> None:
        os.set_inheritable(zygote_fd, False)
        self._line = socket.socket(fileno=zygote_fd)
        self._lock = threading.Lock()
        self._facts: KernelFacts | None = None
        self._null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        self._program = build_filter(platform.machine())

    @property
    def facts(self) -> KernelFacts:
        """What the zygote found the kernel able to do; waits for its first word.

        Raises:
            HostError: ``sandbox-unavailable``: the zygote could not make its mount namespace.

        """
        with self._lock:
            if self._facts is None:
                message = self._line.recv(_MESSAGE_BYTES)
                kind, *values = cast(
                    "tuple[str, object]",
                    marshal.loads(message) if message else ("crashed", "it ended"),  # noqa: S302 - our own
                )
                if kind == "failed":
                    raise HostError(
                        f"a sandbox can't be made here: {values[0]}: {os.strerror(cast('int', values[1]))}",
                        slug="sandbox-unavailable",
                        hint="run `jettison info` to see what this host lacks",
                    )
                if kind != "ready":
                    raise SandboxError(f"the program that runs steps failed: {values[0]}", slug="sandbox-lost")
                self._facts = KernelFacts(**cast("dict[str, bool]", values[0]))
            return self._facts

    def start(
        self,
        spec: SandboxSpec,
        *,
        stdin_fd: int | None = None,
        stdout_fd: int | None = None,
        stderr_fd: int | None = None,
    ) -> RunningSandbox:
        """Return the running step once its command starts; streams that are None are ``/dev/null``.

        The descriptors stay the caller's. A command that is not found or can't be executed is no error here: the step ends
        with 127 or 126 and says why in ``ExitStatus.reason`` and on its standard error.

        Raises:
            SandboxError: ``sandbox-refused`` and the slugs of ``refusals``: the set-up failed; ``sandbox-lost``: the zygote is
                gone; ``sandbox-spec``.

        """
        steps = make_steps(spec, facts=self.facts, program=self._program)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listing = os.memfd_create("steps", os.MFD_CLOEXEC)
        try:
            running = RunningSandbox(ours, _count_oom_kills())
            running.stubs = _NOT_YET
            _write_all(listing, marshal.dumps(tuple((step.name, step.arguments) for step in steps)))
            streams = [self._null if given is None else given for given in (stdin_fd, stdout_fd, stderr_fd)]
            self._send(namespaces(spec), [listing, *streams, theirs.fileno()])
        except BaseException:
            ours.close()
            raise
        finally:
            os.close(listing)
            theirs.close()
        try:
            running.await_start(spec)
        except BaseException:
            running.close()
            raise
        return running

    def close(self) -> None:
        """Hang up: the zygote ends and with it every step that still runs."""
        if self._line.fileno() >= 0:
            self._line.close()
            os.close(self._null)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _send(self, flags: int, descriptors: list[int]) -> None:
        try:
            socket.send_fds(self._line, [marshal.dumps((flags,))], descriptors)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise SandboxError("the program that runs steps is gone", slug="sandbox-lost") from error


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _count_oom_kills() -> int:
    """Return how many processes the kernel killed for want of memory since boot; 0 where it doesn't say. proc(5)."""
    try:
        text = Path("/proc/vmstat").read_bytes()
    except OSError:
        return 0
    _before, _name, after = text.partition(b"\noom_kill ")
    return int(after.split(b"\n", 1)[0]) if after else 0
