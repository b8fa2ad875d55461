"""Digests of context files, each read at most once per change: the stat cache first, then the file.

Owns the reading; refuses files that change under it. Small files are hashed in turn (system calls dominate, a second thread
gains nothing there), large ones by a second thread beside them.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import threading
from collections import deque
from typing import TYPE_CHECKING

from jettison.context.chain import DirectoryChain
from jettison.errors import ContextError
from jettison.fastpath.walk import facts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from jettison.fastpath.statcache import StatCache
    from jettison.fastpath.walk import Facts

_LARGE_BYTES = 1 << 18
_CHUNK_BYTES = 1 << 20
_TRIES = 3


class Hasher:
    """Digests by path, for one context directory and one build. ``digests`` holds what is known so far."""

    def __init__(self, directory: Path, cache: StatCache | None, clock_ns: Callable[[], int]) -> None:
        self.digests: dict[bytes, bytes] = {}
        self._directory = directory
        self._cache = cache
        self._clock_ns = clock_ns

    def hash_files(self, files: Iterable[tuple[bytes, Facts]]) -> list[tuple[bytes, Facts]]:
        """Make the digests of all these files known; return those whose facts were newer than the given ones.

        Raises:
            ContextError: ``context-unreadable``, ``context-changed``.

        """
        small: deque[tuple[bytes, Facts]] = deque()
        large: deque[tuple[bytes, Facts]] = deque()
        for path, facts in files:
            if path in self.digests:
                continue
            known = self._cache.get(path, facts) if self._cache is not None else None
            if known is None:
                (small if facts[1] < _LARGE_BYTES else large).append((path, facts))
            else:
                self.digests[path] = known
        if not large:
            return self._hash_all(small)
        beside = _Beside(lambda: self._hash_all(large))
        try:
            newer = self._hash_all(small) + self._hash_all(large)
        except BaseException:
            large.clear()
            raise
        finally:
            beside.join()
        return newer + beside.result()

    def check(self, descriptor: int, path: bytes, facts: Facts | None) -> None:
        """Close the descriptor and raise ContextError ``context-changed`` unless it has these facts."""
        if facts_of(os.fstat(descriptor)) != facts:
            os.close(descriptor)
            raise changed(path)

    def _hash_all(self, files: deque[tuple[bytes, Facts]]) -> list[tuple[bytes, Facts]]:
        """Hash files until the queue is empty; two threads may share one queue."""
        newer: list[tuple[bytes, Facts]] = []
        if not files:
            return newer
        with DirectoryChain(self._directory) as chain:
            while files:
                try:
                    path, facts = files.popleft()
                except IndexError:  # the other thread took the last one
                    break
                found = self._hash(chain, path)
                if found != facts:
                    newer.append((path, found))
        return newer

    def _hash(self, chain: DirectoryChain, path: bytes) -> Facts:
        """Make the digest of one file known; return its facts, which were the same before and after reading."""
        for _ in range(_TRIES):
            began_ns = self._clock_ns()
            try:
                descriptor = chain.open_file(path)
            except OSError as error:
                raise refused(path, error) from error
            try:
                before = facts_of(os.fstat(descriptor))
                if not stat.S_ISREG(before[0]):
                    raise changed(path)
                digest = _digest(descriptor, before[1])
                is_same = facts_of(os.fstat(descriptor)) == before
            except OSError as error:
                raise refused(path, error) from error
            finally:
                os.close(descriptor)
            if is_same:
                self.digests[path] = digest
                if self._cache is not None:
                    self._cache.put(path, before, digest, began_ns=began_ns)
                return before
        raise changed(path)


class _Beside(threading.Thread):
    """A piece of work in a second thread; ``result`` gives what it returned or raises what it raised."""

    def __init__(self, work: Callable[[], list[tuple[bytes, Facts]]]) -> None:
        super().__init__(name="hash")
        self._work = work
        self._value: list[tuple[bytes, Facts]] = []
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        """Do the work."""
        try:
            self._value = self._work()
        except BaseException as error:  # noqa: BLE001 - handed to the thread that asks for the result
            self._error = error

    def result(self) -> list[tuple[bytes, Facts]]:
        """Return what the work returned."""
        if self._error is not None:
            raise self._error
        return self._value


def _digest(descriptor: int, size: int) -> bytes:
    if size < _CHUNK_BYTES:
        data = os.read(descriptor, size + 1)
        if len(data) == size:
            return hashlib.sha256(data).digest()
        state = hashlib.sha256(data)
    else:
        state = hashlib.sha256()
    while data := os.read(descriptor, _CHUNK_BYTES):
        state.update(data)
    return state.digest()


def changed(path: bytes) -> ContextError:
    """Return the error for a path that is no longer what it was when it was listed."""
    return ContextError(
        f"the file {show(path)} of the build context changed while it was read",
        slug="context-changed",
        hint="build again when nothing writes to the context, or name the file in .dockerignore",
    )


def refused(path: bytes, error: OSError) -> ContextError:
    """Return the error for a path that the system call did not open or read."""
    if error.errno in {errno.ENOENT, errno.ELOOP, errno.ENOTDIR, errno.ENXIO}:
        return changed(path)
    reason = os.strerror(error.errno) if error.errno else "unknown error"
    return ContextError(
        f"can't read {show(path)} of the build context: {reason.lower()}",
        slug="context-unreadable",
        hint="make it readable for you, or name it in .dockerignore",
    )


def show(path: bytes) -> str:
    """Return a context path as messages quote it."""
    text = path.decode("utf-8", "backslashreplace") or "."
    return "'" + "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text) + "'"
