"""Digests of context files by their stat facts, kept between builds so that unchanged files are never read again.

Owns one marshal file per context; refuses to trust it: a damaged, foreign or older file counts as empty. A digest is kept
only for files whose content can't change unseen: a file whose mtime or ctime lies within the clock tick before it was read
could be written once more without a change of its facts, so it is hashed again next time (git calls this racily clean).
Limit: on a network file system whose clock is behind by more than the tick, two writes within a tick can go unseen.
"""

from __future__ import annotations

import marshal
import os
import sys
from _hashlib import openssl_sha256 as sha256

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container

    from jettison.fastpath.walk import Facts

_MAGIC = b"jettison-stat 1 "
_HEADER = _MAGIC + f"{sys.implementation.cache_tag} {marshal.version}\n".encode()
_TICK_NS = 100_000_000
"""Ten times the coarsest timer tick of Linux (CONFIG_HZ=100): times of files come from the last tick."""
_COARSE_TICK_NS = 2_100_000_000
"""For a time without a fraction: a file system that keeps whole or even seconds only (FAT, HFS, some NFS)."""


class StatCache:
    """path -> (facts, raw sha256). ``is_dirty`` tells whether ``save`` would write anything new.

    ``get`` and ``put`` may be called by several threads; each is one dictionary operation.
    """

    __slots__ = ("_digests", "_path", "is_dirty")

    def __init__(self, path: str | bytes) -> None:
        self._path = os.fsencode(path)
        self._digests: dict[bytes, tuple[Facts, bytes]] = _load(self._path)
        self.is_dirty = False

    def __len__(self) -> int:
        return len(self._digests)

    def get(self, path: bytes, facts: Facts) -> bytes | None:
        """Return the raw digest of a file that still has these facts, None when it has to be read."""
        known = self._digests.get(path)
        return known[1] if known is not None and known[0] == facts else None

    def put(self, path: bytes, facts: Facts, digest: bytes, *, began_ns: int) -> None:
        """Keep a digest; ``began_ns`` is the wall clock before the file was opened. Racily clean files are not kept."""
        if is_racy(facts, began_ns):
            if self._digests.pop(path, None) is not None:
                self.is_dirty = True
            return
        self._digests[path] = (facts, digest)
        self.is_dirty = True

    def forget_all_but(self, paths: Container[bytes]) -> None:
        """Drop files that are gone; call it only after a walk of the whole context."""
        gone = [path for path in self._digests if path not in paths]
        for path in gone:
            del self._digests[path]
        self.is_dirty = self.is_dirty or bool(gone)

    def save(self) -> None:
        """Write the file atomically, when there is something new (a later reader sees the old or the new one, whole).

        Raises:
            OSError: the directory is missing or not writable.

        """
        if not self.is_dirty:
            return
        payload = marshal.dumps(self._digests)
        temporary = self._path + b".%d.tmp" % os.getpid()
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with open(descriptor, "wb") as file:
                file.write(_HEADER + sha256(payload, usedforsecurity=False).digest())
                file.write(payload)
            os.rename(temporary, self._path)
        except BaseException:
            os.unlink(temporary)
            raise
        self.is_dirty = False


def is_racy(facts: Facts, began_ns: int) -> bool:
    """Tell whether a file read from ``began_ns`` on could have changed afterwards without a change of its facts."""
    for time_ns in facts[2:4]:
        tick_ns = _TICK_NS if time_ns % 1_000_000_000 else _COARSE_TICK_NS
        if time_ns + tick_ns >= began_ns:
            return True
    return False


def _load(path: bytes) -> dict[bytes, tuple[Facts, bytes]]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            data = file.read()
    except OSError:
        return {}
    start = len(_HEADER) + 32
    if not data.startswith(_HEADER) or len(data) < start:
        return {}
    payload = memoryview(data)[start:]
    if sha256(payload, usedforsecurity=False).digest() != data[len(_HEADER) : start]:
        return {}
    try:
        loaded: object = marshal.loads(payload)  # noqa: S302 - our own file, checked against its digest
    except (ValueError, EOFError, TypeError):
        return {}
    return loaded if isinstance(loaded, dict) else {}
