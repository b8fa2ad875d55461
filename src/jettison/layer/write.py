"""A layer as a tar stream: the entries of an index, in its order, with their content.

Same entries and epoch, same bytes: no clock, no user names, whole seconds, one spelling for each value (see
``layer.header``). Owns the order of bytes; where content lies is the caller's ``open_content``. Data flows from the index
into the yielded chunks; nothing is held but one chunk.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from jettison.errors import LayerError
from jettison.filetree import EntryKind
from jettison.layer.header import END, PADDING, HeaderWriter

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from jettison.filetree import ContentRef, FileEntry
    from jettison.layer.handle import ContentHandle, OpenContent

CHUNK_BYTES = 1 << 20
_FILE = EntryKind.FILE


def write_tar(
    tree: Iterable[tuple[FileEntry, ContentRef]], open_content: OpenContent, *, epoch: int | None
) -> Iterator[bytes]:
    """Yield the layer tar of the entries in pieces of about a mebibyte.

    Directories end with a slash, deletions are ``.wh.`` names, an opaque directory is followed by its marker. Times are cut
    to whole seconds; with an ``epoch`` (seconds) fresh entries get it and later ones are clamped to it. Source: OCI image
    specification, layer.md.

    Raises:
        LayerError: ``layer-content``: a file is shorter than its entry says; and what ``layer.header`` refuses.

    """
    header = HeaderWriter(epoch).header
    reader = _Reader()
    pieces: list[bytes] = []
    length = 0
    for entry, ref in tree:
        blocks = header(entry)
        pieces.append(blocks)
        length += len(blocks)
        size = entry[5]
        if size and entry[1] is _FILE:
            handle = open_content(entry, ref)
            try:
                if size <= CHUNK_BYTES:
                    pieces += (reader.read_small(handle, size, entry), PADDING[size & 511])
                else:
                    yield b"".join(pieces)
                    pieces.clear()
                    length = -size
                    yield from reader.read_large(handle, size, entry)
                    pieces.append(PADDING[size & 511])
            finally:
                if handle.needs_close:
                    os.close(handle.fd)
            length += size
        if length >= CHUNK_BYTES:
            yield b"".join(pieces)
            pieces.clear()
            length = 0
    pieces.append(END)
    yield b"".join(pieces)


class _Reader:
    """Reads contents; what lies close together in one shared file (a pack) is read in one go."""

    def __init__(self) -> None:
        self._fd = -1
        self._start = 0
        self._window = b""

    def read_small(self, handle: ContentHandle, size: int, entry: FileEntry) -> bytes:
        fd, offset, needs_close = handle
        if needs_close:
            data = os.pread(fd, size, offset)
            return data if len(data) == size else self._read_slowly(data, handle, size, entry)
        at = offset - self._start
        if fd != self._fd or at < 0 or at + size > len(self._window):
            self._window = os.pread(fd, CHUNK_BYTES, offset)
            self._fd, self._start, at = fd, offset, 0
        data = self._window[at : at + size]
        return data if len(data) == size else self._read_slowly(data, handle, size, entry)

    def read_large(self, handle: ContentHandle, size: int, entry: FileEntry) -> Iterator[bytes]:
        fd, offset, _ = handle
        end = offset + size
        while offset < end:
            data = os.pread(fd, min(CHUNK_BYTES, end - offset), offset)
            if not data:
                raise _too_short(entry)
            offset += len(data)
            yield data

    def _read_slowly(self, data: bytes, handle: ContentHandle, size: int, entry: FileEntry) -> bytes:
        while len(data) < size:
            more = os.pread(handle.fd, size - len(data), handle.offset + len(data))
            if not more:
                raise _too_short(entry)
            data += more
        return data


def _too_short(entry: FileEntry) -> LayerError:
    name = entry.path.decode("utf-8", "backslashreplace")
    return LayerError(
        f"the content of {name!r} is shorter than the {entry.size} bytes its layer records",
        slug="layer-content",
        hint="remove the layer with 'jettison prune' and build again",
    )
