"""The index of a layer: one sorted binary file with the metadata of every path and the place of its content.

Owns writing, look-up and streaming of the file; refuses entries out of order, without their parent directories or with
names that no file system has. Nothing here holds all entries as objects. The file::

    header    magic, version, counts, positions, digests of the parts that make the layer id, checksum
    records   in ``sort_key`` order (see ``layer.record``)
    offsets   the position of each record, u64, for binary search
    layers    the ids of other layers that hold content, 32 raw bytes each

The layer id covers contents and times but not the places, so the same files have the same id wherever they lie. The content
digest leaves out the times too: it answers whether anything that a later step can read has changed.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import struct
import sys
import zlib
from array import array
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from jettison.digest import Digest, LayerId
from jettison.errors import LayerError
from jettison.filetree import NO_CONTENT, EntryKind, FileEntry, sort_key
from jettison.layer.record import (
    CONTENT_AT,
    PATH_AT,
    PLACE_AT,
    RECORD,
    encode_record,
    is_implied_at,
    path_at,
    scan_records,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

    from jettison.filetree import ContentRef
    from jettison.layer.record import Slot

_MAGIC = b"JETINDEX"
_VERSION = 1
_HEADER = struct.Struct("<8sIIQQQQQ32s32sI")
_HEADER_SIZE = 160
_DOMAIN = b"jettison layer index 1\n"
_FLUSH_BYTES = 1 << 18
_PATH_MAX = 0xFFFE
_RESERVED = frozenset({b"", b".", b".."})
_U64 = struct.Struct("<Q")
_DIRECTORY = EntryKind.DIRECTORY


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexSummary:
    """What an index holds as a whole.

    ``content_digest`` is like the layer id, without times. ``size_bytes`` adds up the files' sizes (a hard link adds
    nothing). ``foreign_layers`` are the other layers that hold content, in order of first use. ``implied_count`` says how
    many directories stand only because something lies below them (a tar that does not list them).
    """

    layer_id: LayerId
    content_digest: Digest
    entry_count: int
    size_bytes: int
    foreign_layers: tuple[LayerId, ...] = ()
    implied_count: int = 0


class IndexWriter:
    """Writes a new index; the file is removed again when the block is left without ``finish``."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        self._is_finished = False
        self._pieces: list[bytes] = [bytes(_HEADER_SIZE)]
        self._contents: list[bytes] = []
        self._times: list[bytes] = []
        self._content_hash = hashlib.sha256(_DOMAIN)
        self._times_hash = hashlib.sha256()
        self._at = _HEADER_SIZE
        self._flush_at = _FLUSH_BYTES
        self._offsets = array("Q")
        self._layers: dict[str, int] = {"": 0}
        self._size_bytes = 0
        self._implied_count = 0
        self._last_key: bytes | None = None
        self._parents: list[bytes] = [b""]

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

    def add(self, entry: FileEntry, ref: ContentRef = NO_CONTENT, *, is_implied: bool = False) -> None:
        """Append an entry and the place of its content.

        Entries come in ``sort_key`` order, each path once, parents first. ``is_implied`` marks a directory that the tar did
        not list. Whiteouts keep nothing but their path.

        Raises:
            LayerError: ``layer-index``: out of order, no parent directory, an impossible name or value.

        """
        path = entry[0]
        key = path.replace(b"/", b"\0")
        if self._last_key is not None and key <= self._last_key:
            raise _refuse(path, "comes out of order or twice")
        self._last_key = key
        cut = path.rfind(b"/")
        parent = path[:cut] if cut > 0 else b""
        parents = self._parents
        while parents[-1] != parent:
            parents.pop()
            if not parents:
                raise _refuse(path, "comes without its parent directory")
        name = path[cut + 1 :]
        if name in _RESERVED or not cut or b"\0" in name or len(path) > _PATH_MAX:
            self._check_root(entry)
        elif entry[1] is _DIRECTORY:
            parents.append(path)
        number = self._layers.get(ref[1])
        if number is None:
            number = self._layers[ref[1]] = len(self._layers)
        head, content, tail = encode_record(entry, ref, number, is_implied=is_implied)
        self._offsets.append(self._at)
        self._at += len(head) + len(content) + len(tail)
        self._size_bytes += entry[5]
        self._implied_count += is_implied
        self._pieces += (head, content, tail)
        self._contents.append(content)
        self._times.append(head[:PLACE_AT])
        if self._at > self._flush_at:
            self._flush()

    def finish(self) -> IndexSummary:
        """Write the tables and the header and close the file; return the summary. Call it once."""
        assert self._fd >= 0, "finish comes once, inside the with block"
        self._flush()
        offsets_at = self._at
        if sys.byteorder == "big":
            self._offsets.byteswap()
        layers = tuple(LayerId(text) for text in self._layers if text)
        _write_all(self._fd, self._offsets.tobytes() + b"".join(bytes.fromhex(layer.hex) for layer in layers))
        content, times = self._content_hash.digest(), self._times_hash.digest()
        head = _HEADER.pack(
            _MAGIC,
            _VERSION,
            len(layers),
            len(self._offsets),
            self._size_bytes,
            self._implied_count,
            offsets_at,
            offsets_at + 8 * len(self._offsets) + 32 * len(layers),
            content,
            times,
            0,
        )
        head = head[:-4] + zlib.crc32(head[:-4]).to_bytes(4, "little")
        os.pwrite(self._fd, head.ljust(_HEADER_SIZE, b"\0"), 0)
        os.fchmod(self._fd, 0o644)
        os.close(self._fd)
        self._fd = -1
        self._is_finished = True
        return _summary(content, times, len(self._offsets), self._size_bytes, (layers, self._implied_count))

    def _check_root(self, entry: FileEntry) -> None:
        if entry.path or self._offsets:
            raise _refuse(entry.path, "is no possible name")
        if entry.kind is not _DIRECTORY:
            raise LayerError("the root of a layer must be a directory", slug="layer-index")

    def _flush(self) -> None:
        _write_all(self._fd, b"".join(self._pieces))
        self._content_hash.update(b"".join(self._contents))
        self._times_hash.update(b"".join(self._times))
        self._pieces.clear()
        self._contents.clear()
        self._times.clear()
        self._flush_at = self._at + _FLUSH_BYTES


class LayerIndex:
    """An index opened for reading: a mapping of the file and a few numbers. Safe to share between threads."""

    _count: int
    _size_bytes: int
    _implied_count: int
    _offsets_at: int
    _layers_at: int
    _content: bytes
    _times: bytes

    def __init__(self, path: Path) -> None:
        """Open the index.

        Raises:
            LayerError: ``layer-index-corrupt``: no index, an unfinished or a truncated one; ``layer-index-version``.

        """
        self.path = path
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            size = os.fstat(fd).st_size
            self._read_header(os.pread(fd, _HEADER_SIZE, 0), size)
            self._map = mmap.mmap(fd, size, prot=mmap.PROT_READ)
        finally:
            os.close(fd)
        try:
            self._layers = self._read_layers()
        except BaseException:
            self._map.close()
            raise
        self.summary = _summary(
            self._content, self._times, self._count, self._size_bytes, (self._layers[1:], self._implied_count)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the mapping; using the index afterwards is a ValueError."""
        self._map.close()

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Slot]:
        """Go through all entries in order."""
        return scan_records(self._map, _HEADER_SIZE, self._offsets_at, self._layers)

    def find(self, path: bytes) -> Slot | None:
        """Return the entry of exactly this path and the place of its content, or None."""
        number = self._position(sort_key(path))
        if number == self._count or path_at(self._map, self._start(number)) != path:
            return None
        return self._slot(number)

    def subtree(self, path: bytes) -> Iterator[Slot]:
        """Yield the entry itself, if listed, then everything below it, in order."""
        if not path:
            return iter(self)
        key = sort_key(path)
        start = self._start(self._position(key))
        return scan_records(self._map, start, self._start(self._position(key + b"\1")), self._layers)

    def children(self, path: bytes) -> Iterator[Slot]:
        """Yield the entries directly below the path, in order, without visiting what lies deeper."""
        key = sort_key(path)
        number, stop = self._position(key), self._count
        if path:
            stop = self._position(key + b"\1")
        if number < stop and path_at(self._map, self._start(number)) == path:
            number += 1
        while number < stop:
            slot = self._slot(number)
            yield slot
            number += 1
            if slot[0][1] is _DIRECTORY and number < stop:
                below = slot[0][0]
                if path_at(self._map, self._start(number)).startswith(below + b"/"):
                    number = self._position(sort_key(below) + b"\1", number)

    def implied_paths(self) -> Iterator[bytes]:
        """Yield the directories that the layer's tar did not list, in order."""
        if self._implied_count:
            for number in range(self._count):
                start = self._start(number)
                if is_implied_at(self._map, start):
                    yield path_at(self._map, start)

    def verify(self) -> None:
        """Read everything and compare it with the digests in the header.

        Raises:
            LayerError: ``layer-index-corrupt``: a digest, a position or the order is wrong.

        """
        contents, times = hashlib.sha256(_DOMAIN), hashlib.sha256()
        at, last = _HEADER_SIZE, None
        for number, (entry, _) in enumerate(self):
            key = sort_key(entry.path)
            if number >= self._count or self._start(number) != at or (last is not None and key <= last):
                raise _corrupt(self.path, "its records and its table disagree")
            last = key
            fields = RECORD.unpack_from(self._map, at)
            content_end = at + PATH_AT + fields[6] + fields[13] + fields[14]
            contents.update(self._map[at + CONTENT_AT : content_end])
            times.update(self._map[at : at + PLACE_AT])
            at = content_end + (fields[4] if fields[2] and fields[4] != 0xFFFF else 0)
        if at != self._offsets_at or (contents.digest(), times.digest()) != (self._content, self._times):
            raise _corrupt(self.path, "its content has changed")

    def _read_header(self, head: bytes, size: int) -> None:
        if len(head) < _HEADER_SIZE or head[:8] != _MAGIC:
            raise _corrupt(self.path, "it is no finished index")
        fields = _HEADER.unpack_from(head)
        if fields[1] != _VERSION:
            raise LayerError(
                f"the layer index {str(self.path)!r} has version {fields[1]}, this program reads {_VERSION}",
                slug="layer-index-version",
                hint="use a root that this version of jettison made",
            )
        crc = zlib.crc32(head[: _HEADER.size - 4])
        _, _, layers, self._count, self._size_bytes, self._implied_count, self._offsets_at, whole, *rest = fields
        self._content, self._times, expected_crc = rest
        table = self._offsets_at + 8 * self._count
        if crc != expected_crc or whole != size or table + 32 * layers != size or self._offsets_at < _HEADER_SIZE:
            raise _corrupt(self.path, "its size or header is wrong")
        self._layers_at = table

    def _read_layers(self) -> tuple[LayerId, ...]:
        raw = self._map[self._layers_at :]
        names = (LayerId(f"sha256:{raw[at : at + 32].hex()}") for at in range(0, len(raw), 32))
        return (LayerId(""), *names)

    def _start(self, number: int) -> int:
        if number >= self._count:
            return self._offsets_at
        start: int = _U64.unpack_from(self._map, self._offsets_at + 8 * number)[0]
        if not _HEADER_SIZE <= start < self._offsets_at:
            raise _corrupt(self.path, "its table points outside")
        return start

    def _position(self, key: bytes, low: int = 0) -> int:
        data, high = self._map, self._count
        while low < high:
            middle = (low + high) >> 1
            if path_at(data, self._start(middle)).replace(b"/", b"\0") < key:
                low = middle + 1
            else:
                high = middle
        return low

    def _slot(self, number: int) -> Slot:
        for slot in scan_records(self._map, self._start(number), self._offsets_at, self._layers):
            return slot
        raise _corrupt(self.path, "its table points outside")


def _summary(
    content: bytes, times: bytes, count: int, size_bytes: int, rest: tuple[tuple[LayerId, ...], int]
) -> IndexSummary:
    identity = hashlib.sha256(_DOMAIN + content + times).hexdigest()
    return IndexSummary(
        layer_id=LayerId(f"sha256:{identity}"),
        content_digest=Digest(f"sha256:{content.hex()}"),
        entry_count=count,
        size_bytes=size_bytes,
        foreign_layers=rest[0],
        implied_count=rest[1],
    )


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _refuse(path: bytes, reason: str) -> LayerError:
    return LayerError(f"the path {path.decode('utf-8', 'backslashreplace')!r} {reason}", slug="layer-index")


def _corrupt(path: Path, reason: str) -> LayerError:
    return LayerError(
        f"the layer index {str(path)!r} is corrupt: {reason}",
        slug="layer-index-corrupt",
        hint="remove the layer with 'jettison prune' and build again",
    )
