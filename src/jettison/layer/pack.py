"""Packs: the content of many files in one append-only, uncompressed file.

Owns appending and the digests of what is appended; an offset in the pack is the only name a content has (the index keeps
it). Data flows in once, from bytes, chunks or a descriptor; readers use ``os.pread``.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, Self

from jettison.errors import LayerError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from types import TracebackType

_PIECE_BYTES = 1 << 20


class Packed(NamedTuple):
    """Where a content lies in its pack, how long it is, and its sha256 (32 raw bytes)."""

    offset: int
    size: int
    digest: bytes


class PackWriter:
    """Writes a new pack; the file is removed again when the block is left without ``finish``."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        self._is_finished = False
        self._pieces: list[bytes] = []
        self._waiting = 0
        self._at = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        if not self._is_finished:
            with suppress(FileNotFoundError):
                self._path.unlink()

    def append(self, content: bytes | Iterable[bytes]) -> Packed:
        """Append one content, whole or in chunks; return where it lies."""
        start = self._at
        if isinstance(content, bytes):
            self._put(content)
            return Packed(start, len(content), hashlib.sha256(content).digest())
        hasher = hashlib.sha256()
        for chunk in content:
            hasher.update(chunk)
            self._put(chunk)
        return Packed(start, self._at - start, hasher.digest())

    def append_fd(self, fd: int, size: int) -> Packed:
        """Append the next ``size`` bytes of an open file; return where they lie.

        Raises:
            LayerError: ``layer-content``: the file ends before (it changed while it was copied).

        """
        if size <= _PIECE_BYTES:
            data = os.read(fd, size) if size else b""
            if len(data) == size:
                return self.append(data)
            return self.append(self._pieces_of(fd, size, data))
        return self.append(self._pieces_of(fd, size, b""))

    def finish(self) -> int:
        """Write out what is left and close the pack; return its size in bytes. Call it once."""
        assert self._fd >= 0, "finish comes once, inside the with block"
        self._flush()
        os.fchmod(self._fd, 0o644)
        os.close(self._fd)
        self._fd = -1
        self._is_finished = True
        return self._at

    def _pieces_of(self, fd: int, size: int, data: bytes) -> Iterable[bytes]:
        left = size
        while left:
            data = data or os.read(fd, min(left, _PIECE_BYTES))
            if not data:
                raise LayerError(
                    f"a file became {left} bytes shorter while it was copied",
                    slug="layer-content",
                    hint="stop what writes to the files during the build, then build again",
                )
            left -= len(data)
            yield data
            data = b""

    def _put(self, data: bytes) -> None:
        self._pieces.append(data)
        self._at += len(data)
        self._waiting += len(data)
        if self._waiting >= _PIECE_BYTES:
            self._flush()

    def _flush(self) -> None:
        view = memoryview(b"".join(self._pieces))
        self._pieces.clear()
        self._waiting = 0
        while view:
            view = view[os.write(self._fd, view) :]
