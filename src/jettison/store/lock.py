"""Named locks between threads and processes, released by death.

All names share one file: a name is hashed to an offset and the lock is an *open file description* lock on that byte
(fcntl(2), F_OFD_SETLK). So there is no lock file to clean up, no race of unlink against open, and a process that is killed
holds nothing afterwards. Each acquisition opens the file anew: two threads exclude each other as two processes do.
Locks are not reentrant and the kernel looks for no deadlock: take them in a fixed order.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import struct
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from jettison.errors import CancelledError
from jettison.store.faults import telling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_FLOCK = struct.Struct("@hhqqi0q")
"""``struct flock``: type, whence, start, length, pid (0 for OFD locks)."""

_POLL_FIRST_SECONDS = 0.002
_POLL_LAST_SECONDS = 0.05


class HeldLock:
    """A lock that is held until ``release`` or the death of the process."""

    __slots__ = ("_fd",)

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def release(self) -> None:
        """Give the lock back; a second call does nothing."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


class Locks:
    """All named locks of one store."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def exclusive(
        self,
        name: str,
        on_wait: Callable[[], None] | None = None,
        is_cancelled: Callable[[], bool] | None = None,
    ) -> Iterator[None]:
        """Hold the lock alone.

        ``on_wait`` is called once when somebody else holds it; with ``is_cancelled`` the wait can be given up.

        Raises:
            CancelledError: ``cancelled``, ``is_cancelled`` said so.

        """
        held = self._acquire(name, fcntl.F_WRLCK, on_wait, is_cancelled)
        try:
            yield
        finally:
            held.release()

    @contextmanager
    def shared(
        self,
        name: str,
        on_wait: Callable[[], None] | None = None,
        is_cancelled: Callable[[], bool] | None = None,
    ) -> Iterator[None]:
        """Hold the lock together with other shared holders; the rest is as ``exclusive`` has it."""
        held = self._acquire(name, fcntl.F_RDLCK, on_wait, is_cancelled)
        try:
            yield
        finally:
            held.release()

    def try_exclusive(self, name: str) -> HeldLock | None:
        """Return the lock held alone, or None at once when anybody holds it."""
        return self._attempt(name, fcntl.F_WRLCK)

    def try_shared(self, name: str) -> HeldLock | None:
        """Return the lock held together with others, or None at once when somebody holds it alone."""
        return self._attempt(name, fcntl.F_RDLCK)

    def is_free(self, name: str) -> bool:
        """Tell whether nobody holds the lock, neither alone nor shared (this process included)."""
        fd = self._open()
        try:
            answer = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, _flock(fcntl.F_WRLCK, name))
        finally:
            os.close(fd)
        assert isinstance(answer, bytes)
        return bool(_FLOCK.unpack(answer)[0] == fcntl.F_UNLCK)

    def _open(self) -> int:
        with telling("open", self._path):
            return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)

    def _attempt(self, name: str, kind: int) -> HeldLock | None:
        fd = self._open()
        try:
            fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _flock(kind, name))
        except OSError as error:
            os.close(fd)
            if error.errno in (errno.EAGAIN, errno.EACCES):
                return None
            raise
        return HeldLock(fd)

    def _acquire(
        self,
        name: str,
        kind: int,
        on_wait: Callable[[], None] | None,
        is_cancelled: Callable[[], bool] | None,
    ) -> HeldLock:
        held = self._attempt(name, kind)
        if held is not None:
            return held
        if on_wait is not None:
            on_wait()
        return self._wait(name, kind) if is_cancelled is None else self._poll(name, kind, is_cancelled)

    def _wait(self, name: str, kind: int) -> HeldLock:
        fd = self._open()
        try:
            fcntl.fcntl(fd, fcntl.F_OFD_SETLKW, _flock(kind, name))
        except BaseException:
            os.close(fd)
            raise
        return HeldLock(fd)

    def _poll(self, name: str, kind: int, is_cancelled: Callable[[], bool]) -> HeldLock:
        pause = _POLL_FIRST_SECONDS
        while True:
            if is_cancelled():
                raise CancelledError(f"stopped while waiting for another build (lock '{name}')")
            held = self._attempt(name, kind)
            if held is not None:
                return held
            time.sleep(pause)
            pause = min(pause * 2, _POLL_LAST_SECONDS)


def _flock(kind: int, name: str) -> bytes:
    start = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") >> 2
    return _FLOCK.pack(kind, os.SEEK_SET, start, 1, 0)
