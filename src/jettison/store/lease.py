"""What a running process relies on, so that no collector takes it away.

One lease belongs to one open store. It is a file ``locks/leases/<id>`` with one digest a line, alive as long as the named
lock ``lease/<id>`` is held: death ends it. The name of everything unfinished in ``tmp/`` starts with the id of the lease
of its maker. The protocol that keeps a collector and a builder apart:

- a builder writes a digest down (under the shared lock ``collect``) *before* it looks whether the thing is there;
- a collector marks and renames away under the exclusive lock ``collect``, with all live leases among its roots.

So a thing found after ``hold`` stays. A lease is made when the first thing is held, not when the store is opened.
"""

from __future__ import annotations

import os
import secrets
import threading
from typing import TYPE_CHECKING

from jettison.store.disk import list_names
from jettison.store.faults import telling

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from jettison.store.lock import HeldLock, Locks

COLLECT_LOCK = "collect"
"""Shared: relying on something, marking as synced. Exclusive: taking something away."""

_ID_CHARS = 16


class Lease:
    """The digests that one open store relies on. Thread-safe."""

    def __init__(self, directory: Path, locks: Locks) -> None:
        self._directory = directory
        self._locks = locks
        self._guard = threading.Lock()
        self._held: set[str] = set()
        self._alive: HeldLock | None = None
        self._fd = -1
        self._id = ""
        self._is_closed = False

    @property
    def id(self) -> str:
        """The name of the lease; the first call makes it."""
        with self._guard:
            if self._alive is None:
                with self._locks.shared(COLLECT_LOCK):
                    self._begin()
            return self._id

    def hold(self, digests: Iterable[str]) -> None:
        """Keep the named things, and all they need, until the store is closed; cheap for those already held."""
        with self._guard:
            fresh = [digest for digest in digests if digest not in self._held]
            if not fresh:
                return
            with self._locks.shared(COLLECT_LOCK), telling("write", self._directory):
                if self._alive is None:
                    self._begin()
                _write_whole(self._fd, "".join(f"{digest}\n" for digest in fresh).encode())
            self._held.update(fresh)

    def close(self) -> None:
        """End the lease; what it held may be collected from now on."""
        with self._guard:
            self._is_closed = True
            if self._alive is None:
                return
            os.close(self._fd)
            (self._directory / self._id).unlink(missing_ok=True)
            self._alive.release()
            self._alive, self._fd, self._id = None, -1, ""
            self._held.clear()

    def _begin(self) -> None:
        assert not self._is_closed, "the store is closed"
        lease_id = secrets.token_hex(_ID_CHARS // 2)
        with telling("write", self._directory):
            alive = self._locks.try_exclusive(f"lease/{lease_id}")
            assert alive is not None, "a random name is nobody else's"
            try:
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
                self._fd = os.open(self._directory / lease_id, flags, 0o600)
            except OSError:
                alive.release()
                raise
        self._alive, self._id = alive, lease_id


def owner_of(staged_name: str) -> str:
    """Return the id of the lease that the name of something in ``tmp/`` starts with."""
    return staged_name[:_ID_CHARS]


def live_leases(directory: Path, locks: Locks) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Go through the leases that are alive: id and held digests; the files of dead ones are removed on the way.

    The caller holds ``COLLECT_LOCK`` alone.
    """
    for name in list_names(directory):
        path = directory / name
        if locks.is_free(f"lease/{name}"):
            path.unlink(missing_ok=True)
            continue
        with telling("read", path):
            try:
                yield name, tuple(path.read_text("ascii", "replace").split("\n")[:-1])
            except FileNotFoundError:
                continue


def _write_whole(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
