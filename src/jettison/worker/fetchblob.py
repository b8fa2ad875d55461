"""Takes the content of single files out of pulled layers: each blob streams once, whatever the order of the files.

Owns the order of reading; refuses content whose digest is not the index's.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, TypeAlias

from jettison.digest import LayerId
from jettison.errors import LayerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

    from jettison.filetree import ContentRef, FileEntry
    from jettison.layer.pack import PackWriter

BlobStream: TypeAlias = "Callable[[LayerId], AbstractContextManager[Iterator[bytes]]]"
"""Opens the uncompressed tar of a pulled layer as chunks of any size."""

_PLACE = struct.Struct(">HQQ32s")
"""Layer number, offset, size and digest of a file: sorts by place, and takes little memory."""


def pack_blobs(
    files: Iterable[tuple[FileEntry, ContentRef]], pack: PackWriter, open_blob: BlobStream
) -> dict[tuple[str, int], int]:
    """Append the content of the files to the pack; return its offset there by (layer id, offset in the blob).

    Raises:
        LayerError: ``layer-content``: a blob is shorter than its index says, or other than the index says.

    """
    numbers: dict[str, int] = {}
    places = sorted(
        {
            _PLACE.pack(numbers.setdefault(ref.layer, len(numbers)), ref.offset, entry.size, entry.digest)
            for entry, ref in files
        }
    )
    names = list(numbers)
    packed: dict[tuple[str, int], int] = {}
    start = 0
    while start < len(places):
        number = places[start][:2]
        layer = names[int.from_bytes(number)]
        with open_blob(LayerId(layer)) as chunks:
            cursor = _Cursor(chunks)
            while start < len(places) and places[start][:2] == number:
                _, offset, size, digest = _PLACE.unpack(places[start])
                content = pack.append(cursor.read(offset, size))
                if content.digest != digest:
                    raise LayerError(
                        f"the content at {offset} of layer '{layer}' is not what its index says",
                        slug="layer-content",
                        hint="remove the layer with 'jettison prune' and build again",
                    )
                packed[layer, offset] = content.offset
                start += 1
    return packed


class _Cursor:
    """A stream of chunks, read at offsets that rise."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._chunk = b""
        self._start = 0

    def read(self, offset: int, size: int) -> Iterator[bytes]:
        """Yield the bytes of a range that starts at or after the end of the last one."""
        if offset < self._start:
            raise LayerError("two files of a layer overlap in its blob", slug="layer-content")
        while size:
            skip = offset - self._start
            if skip >= len(self._chunk):
                self._start += len(self._chunk)
                self._chunk = self._next()
                continue
            piece = self._chunk[skip : skip + size]
            offset += len(piece)
            size -= len(piece)
            yield piece

    def _next(self) -> bytes:
        for chunk in self._chunks:
            return chunk
        raise LayerError("a layer's blob is shorter than its index says", slug="layer-content")
