"""The binary form of one entry of a layer index.

Owns the record layout and nothing else; ``layer.index`` owns the file around it. A record is::

    times     mtime_ns i64, time flags u8 (1: fresh)
    place     content kind u8, layer number u16 (0: own), length of path u16 (0xffff: the entry's), offset u64
    content   path length u16, kind u8, flags u8, mode u16, uid u32, gid u32, size u64 (devices: major << 32 | minor),
              link length u16, xattrs length u32, sha256 (32 raw bytes, zero for all but files)
              path, link target, xattrs
    path of the place

all little-endian and without padding. ``content`` is one run of bytes, so that it can be hashed without the rest: times and
places are not part of what a layer holds.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from jettison.errors import LayerError
from jettison.filetree import NO_CONTENT, ContentKind, ContentRef, EntryKind, FileEntry

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from mmap import mmap

    Buffer = bytes | mmap
    Slot = tuple[FileEntry, ContentRef]

PLACE_AT = 9
CONTENT_AT = 22
RECORD = struct.Struct("<qBBHHQHBBHIIQHI32s")
PATH_AT = RECORD.size
_TIMES_AND_PLACE = struct.Struct("<qBBHHQ")
_CONTENT = struct.Struct("<HBBHIIQHI32s")
_PATH_LENGTH = struct.Struct("<H")
_XATTR = struct.Struct("<HI")
_SAME_PATH = 0xFFFF
_NO_DIGEST = bytes(32)
_OPAQUE = 1
IMPLIED = 2
_KNOWN_FLAGS = _OPAQUE | IMPLIED
_KINDS: tuple[EntryKind | None, ...] = (None, *EntryKind)
_PLACES = tuple(ContentKind)
_FILE = EntryKind.FILE
_WHITEOUT = EntryKind.WHITEOUT
_CHAR = EntryKind.CHAR_DEVICE
_BLOCK = EntryKind.BLOCK_DEVICE
_new = tuple.__new__


def encode_record(
    entry: FileEntry, ref: ContentRef, layer_number: int, *, is_implied: bool = False
) -> tuple[bytes, bytes, bytes]:
    """Return the three parts of a record: times and place, content, the place's path.

    Raises:
        LayerError: ``layer-index``: a value does not fit its field, or a file lacks its digest.

    """
    path, kind, mode, uid, gid, size, mtime_ns, link, xattrs, device, digest, is_opaque, is_fresh = entry
    if kind is _FILE:
        if len(digest) != 32:
            raise LayerError(f"the file {_show(path)} has no digest", slug="layer-index")
    elif kind is _WHITEOUT:
        _, _, mode, uid, gid, size, mtime_ns, link, xattrs, device, digest, is_opaque, is_fresh = FileEntry(path, kind)
    elif digest or size:
        raise LayerError(f"{_show(path)} is no file: it has neither size nor digest", slug="layer-index")
    if kind is _CHAR or kind is _BLOCK:
        size = device[0] << 32 | device[1]
    packed = encode_xattrs(xattrs) if xattrs else b""
    place, _, offset, place_path = ref
    place_length = len(place_path)
    if place_path == path:
        place_path, place_length = b"", _SAME_PATH
    flags = (_OPAQUE if is_opaque else 0) | (IMPLIED if is_implied else 0)
    try:
        head = _TIMES_AND_PLACE.pack(mtime_ns, is_fresh, place, layer_number, place_length, offset)
        content = _CONTENT.pack(
            len(path), kind, flags, mode, uid, gid, size, len(link), len(packed), digest or _NO_DIGEST
        )
    except struct.error as error:
        raise LayerError(f"a value of {_show(path)} does not fit the index ({error})", slug="layer-index") from error
    return head, b"%b%b%b%b" % (content, path, link, packed), place_path


def scan_records(data: Buffer, start: int, stop: int, layers: Sequence[str]) -> Iterator[Slot]:
    """Yield the entries of the records between two positions, with the place of their content.

    ``layers`` names the layers by number, the own one with an empty text.

    Raises:
        LayerError: ``layer-index-corrupt``: a record overruns the stop or holds an impossible value.

    """
    unpack = RECORD.unpack_from
    new = _new
    kinds = _KINDS
    at = start
    try:
        while at < stop:
            (
                mtime_ns,
                is_fresh,
                place,
                layer,
                place_length,
                offset,
                path_length,
                kind_number,
                flags,
                mode,
                uid,
                gid,
                size,
                link_length,
                xattrs_length,
                digest,
            ) = unpack(data, at)
            at += PATH_AT
            end = at + path_length
            path = data[at:end]
            link = b""
            xattrs: tuple[tuple[bytes, bytes], ...] = ()
            if link_length:
                at = end
                end += link_length
                link = data[at:end]
            if xattrs_length:
                at = end
                end += xattrs_length
                xattrs = decode_xattrs(data[at:end])
            if place:
                if place_length == 0xFFFF:
                    ref = new(ContentRef, (_PLACES[place], layers[layer], offset, path))
                else:
                    at = end
                    end += place_length
                    ref = new(ContentRef, (_PLACES[place], layers[layer], offset, data[at:end]))
            else:
                ref = NO_CONTENT
            if end > stop or flags > _KNOWN_FLAGS or is_fresh > 1:
                raise _corrupt(end)
            kind = kinds[kind_number]
            if kind is None:
                raise _corrupt(end)
            device = (0, 0)
            if kind is _CHAR or kind is _BLOCK:
                device, size = (size >> 32, size & 0xFFFFFFFF), 0
            yield (
                new(
                    FileEntry,
                    (
                        path,
                        kind,
                        mode,
                        uid,
                        gid,
                        size,
                        mtime_ns,
                        link,
                        xattrs,
                        device,
                        digest if kind is _FILE else b"",
                        flags & 1 == 1,
                        is_fresh == 1,
                    ),
                ),
                ref,
            )
            at = end
    except (struct.error, IndexError) as error:
        raise _corrupt(at) from error


def path_at(data: Buffer, at: int) -> bytes:
    """Return the path of the record that starts there."""
    try:
        length: int = _PATH_LENGTH.unpack_from(data, at + CONTENT_AT)[0]
    except struct.error as error:
        raise _corrupt(at) from error
    return data[at + PATH_AT : at + PATH_AT + length]


def is_implied_at(data: Buffer, at: int) -> bool:
    """Tell whether the record that starts there is a directory that its tar did not list."""
    return data[at + CONTENT_AT + 3] & IMPLIED != 0


def encode_xattrs(xattrs: tuple[tuple[bytes, bytes], ...]) -> bytes:
    """Return the pairs as bytes: name length u16, value length u32, name, value; sorted by name, each name once.

    Raises:
        LayerError: ``layer-index``: the names are not sorted, or one comes twice.

    """
    parts: list[bytes] = []
    last: bytes | None = None
    for name, value in xattrs:
        if last is not None and name <= last:
            raise LayerError(f"extended attributes are not sorted: {_show(name)}", slug="layer-index")
        last = name
        parts += (_XATTR.pack(len(name), len(value)), name, value)
    return b"".join(parts)


def decode_xattrs(data: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """Return the pairs that ``encode_xattrs`` wrote.

    Raises:
        LayerError: ``layer-index-corrupt``: the lengths do not add up.

    """
    pairs: list[tuple[bytes, bytes]] = []
    at = 0
    try:
        while at < len(data):
            name_length, value_length = _XATTR.unpack_from(data, at)
            at += _XATTR.size
            middle = at + name_length
            end = middle + value_length
            pairs.append((data[at:middle], data[middle:end]))
            at = end
    except struct.error as error:
        raise _corrupt(at) from error
    if at != len(data):
        raise _corrupt(at)
    return tuple(pairs)


def _corrupt(at: int) -> LayerError:
    return LayerError(
        f"a layer index is corrupt near byte {at}",
        slug="layer-index-corrupt",
        hint="remove the layer with 'jettison prune' and build again",
    )


def _show(path: bytes) -> str:
    return repr(path.decode("utf-8", "backslashreplace"))
