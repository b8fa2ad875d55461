"""Tar headers to write: ustar where everything fits, pax records for the rest.

Owns the bytes of one member's header, decided by its entry and the epoch alone: numeric owners, no user names, no access or
change times, whole seconds. Source: POSIX.1-2017 pax, "ustar Interchange Format" and "pax Header Block".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from zlib import adler32

from jettison.errors import LayerError
from jettison.filetree import EntryKind
from jettison.layer.whiteout import PREFIX, opaque_path, refuse_marker_name, whiteout_path

if TYPE_CHECKING:
    from jettison.filetree import FileEntry

BLOCK = 512
END = bytes(2 * BLOCK)
PADDING = tuple(bytes(-length % BLOCK) for length in range(BLOCK))
"""The zero bytes after a content, by its length modulo 512."""
_NANO = 1_000_000_000
_OCTAL_7 = 0o7777777
_OCTAL_11 = 0o77777777777
_NAME_MAX = 100
_PREFIX_MAX = 155
_SPLITTABLE_MAX = _NAME_MAX + 1 + _PREFIX_MAX
_BASIC_SIZE = 345
_NO_LINK = bytes(100)
_NO_PREFIX = bytes(167)
_MAGIC = b"ustar\x0000" + bytes(64)
_NO_DEVICE = b"0000000\x000000000\x00"
_PAX_NAME = b"PaxHeaders.0/entry"
_TYPES = {
    EntryKind.FILE: b"0",
    EntryKind.HARD_LINK: b"1",
    EntryKind.SYMLINK: b"2",
    EntryKind.CHAR_DEVICE: b"3",
    EntryKind.BLOCK_DEVICE: b"4",
    EntryKind.DIRECTORY: b"5",
    EntryKind.FIFO: b"6",
}
_DIRECTORY = EntryKind.DIRECTORY
_WHITEOUT = EntryKind.WHITEOUT
_HARD_LINK = EntryKind.HARD_LINK
_DEVICES = (EntryKind.CHAR_DEVICE, EntryKind.BLOCK_DEVICE)


class _Fields(NamedTuple):
    """The values of one header before they are fitted into it."""

    path: bytes
    type: bytes
    mode: int = 0
    uid: int = 0
    gid: int = 0
    size: int = 0
    mtime: int = 0
    link: bytes = b""
    xattrs: tuple[tuple[bytes, bytes], ...] = ()
    numbers: bytes = _NO_DEVICE


class HeaderWriter:
    """Makes headers; keeps the numbers it has formatted, which repeat a lot."""

    def __init__(self, epoch: int | None) -> None:
        self._epoch = epoch
        self._owners: dict[tuple[int, int, int], bytes] = {}

    def header(self, entry: FileEntry) -> bytes:
        """Return all blocks of the member before its content; those of an opaque directory end with its marker.

        Raises:
            LayerError: ``layer-whiteout-name``: a name that would read as a deletion; ``layer-device``: a number too large.

        """
        path, kind, mode, uid, gid, size, mtime_ns, link, xattrs, _, _, is_opaque, is_fresh = entry
        if kind is _WHITEOUT:
            return _long_header(_Fields(whiteout_path(path), b"0"))
        mtime = mtime_ns // _NANO
        if self._epoch is not None and (is_fresh or mtime > self._epoch):
            mtime = self._epoch
        if PREFIX in path:
            refuse_marker_name(path)
        numbers = _NO_DEVICE
        if kind is _DIRECTORY:
            path = path + b"/" if path else b"./"
        elif kind is _HARD_LINK:
            xattrs = ()
        elif kind in _DEVICES:
            numbers = _device_numbers(entry)
        # A value too long for its field makes the text longer than the fields are: then it goes the long way.
        head = b"%b%b%011o\0%011o\0        %b%b%b%b" % (
            path.ljust(100, b"\0"),
            self._owners.get((mode, uid, gid)) or self._owner(mode, uid, gid),
            size,
            mtime,
            _TYPES[kind],
            link.ljust(100, b"\0") if link else _NO_LINK,
            _MAGIC,
            numbers,
        )
        if len(head) == _BASIC_SIZE and not xattrs and mtime >= 0 and head.isascii():
            blocks = b"%b%06o\0 %b%b" % (head[:148], (adler32(head) - 1) & 0xFFFF, head[156:], _NO_PREFIX)
        else:
            blocks = _long_header(_Fields(path, _TYPES[kind], mode, uid, gid, size, mtime, link, xattrs, numbers))
        return blocks + _long_header(_Fields(opaque_path(entry.path), b"0")) if is_opaque else blocks

    def _owner(self, mode: int, uid: int, gid: int) -> bytes:
        text = self._owners[mode, uid, gid] = b"%07o\0%07o\0%07o\0" % (mode, uid, gid)
        return text


def _long_header(fields: _Fields) -> bytes:
    path, kind, mode, uid, gid, size, mtime, link, _, numbers = fields
    prefix = b""
    if _NAME_MAX < len(path) <= _SPLITTABLE_MAX and path.isascii():
        prefix, path = _split(path)
    records = _pax_records(fields._replace(path=path))
    head = b"%b%07o\0%07o\0%07o\0%011o\0%011o\0        %b%b%b%b%b" % (
        _clip(path),
        mode,
        _fit(uid, _OCTAL_7),
        _fit(gid, _OCTAL_7),
        _fit(size, _OCTAL_11),
        _fit(mtime, _OCTAL_11),
        kind,
        _clip(link),
        _MAGIC,
        numbers,
        prefix.ljust(167, b"\0"),
    )
    block = b"%b%06o\0 %b" % (head[:148], (adler32(head) - 1) & 0xFFFF, head[156:])
    if not records:
        return block
    extension = _long_header(_Fields(_PAX_NAME, b"x", mode=0o644, size=len(records)))
    return b"%b%b%b%b" % (extension, records, PADDING[len(records) % BLOCK], block)


def _pax_records(fields: _Fields) -> bytes:
    """Return the records of what ustar can't hold, sorted by key."""
    records: dict[bytes, bytes] = {b"SCHILY.xattr." + name: value for name, value in fields.xattrs}
    texts = {b"path": fields.path, b"linkpath": fields.link}
    records |= {key: text for key, text in texts.items() if len(text) > _NAME_MAX or not text.isascii()}
    for key, number, bound in (
        (b"uid", fields.uid, _OCTAL_7),
        (b"gid", fields.gid, _OCTAL_7),
        (b"size", fields.size, _OCTAL_11),
        (b"mtime", fields.mtime, _OCTAL_11),
    ):
        if not 0 <= number <= bound:
            records[key] = b"%d" % number
    return b"".join(_pax_record(key, records[key]) for key in sorted(records))


def _pax_record(key: bytes, value: bytes) -> bytes:
    """Return length, blank, key, ``=``, value and line feed, where the length counts its own digits."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    length = rest + len(str(length))
    return b"%d %b=%b\n" % (length, key, value)


def _split(path: bytes) -> tuple[bytes, bytes]:
    """Return prefix and name of a path that ustar can hold in two parts; an empty prefix if there is no good slash."""
    cut = path.rfind(b"/", 0, min(_PREFIX_MAX + 1, len(path) - 1))
    if cut <= 0 or len(path) - cut - 1 > _NAME_MAX:
        return b"", path
    return path[:cut], path[cut + 1 :]


def _clip(text: bytes) -> bytes:
    """Return what old readers may see of a text that a pax record carries."""
    return text[:_NAME_MAX].decode("ascii", "replace").encode("ascii", "replace").ljust(_NAME_MAX, b"\0")


def _fit(number: int, bound: int) -> int:
    return number if 0 <= number <= bound else 0


def _device_numbers(entry: FileEntry) -> bytes:
    major, minor = entry.device
    if not (0 <= major <= _OCTAL_7 and 0 <= minor <= _OCTAL_7):
        name = entry.path.decode("utf-8", "backslashreplace")
        raise LayerError(f"the numbers of the device {name!r} do not fit into a tar", slug="layer-device")
    return b"%07o\0%07o\0" % (major, minor)
