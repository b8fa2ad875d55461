"""Tar streams as members: headers of ustar, pax and GNU tar, each number and text with one interpretation.

Owns the syntax of tar and nothing of its meaning: names are as they stand (see ``layer.read``). Refuses what readers are known
to disagree about, or what costs more than its bytes: bad checksums, signs and blanks in numbers, two names for one member,
sparse files, overlong headers, data behind a lone zero block. A size in a pax header wins over the one in the ustar header, as
POSIX says; links, devices and directories have no data whatever their size field holds. Source: POSIX.1-2017 pax; GNU tar
manual, "Basic Tar Format".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from zlib import adler32

from jettison.errors import LayerError
from jettison.filetree import EntryKind
from jettison.layer.overlay_marks import is_content_xattr
from jettison.layer.paxheader import Overrides, parse_pax

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jettison.limits import Limits

_BLOCK = 512
_ZEROS = bytes(_BLOCK)
_NANO = 1_000_000_000
_TIME_MAX = (1 << 63) - 1
_ID_MAX = (1 << 32) - 2
_DEVICE_MAX = (1 << 32) - 1
_SKIP_BYTES = 1 << 18
_KINDS = {
    0x00: EntryKind.FILE,
    0x30: EntryKind.FILE,
    0x37: EntryKind.FILE,
    0x31: EntryKind.HARD_LINK,
    0x32: EntryKind.SYMLINK,
    0x33: EntryKind.CHAR_DEVICE,
    0x34: EntryKind.BLOCK_DEVICE,
    0x35: EntryKind.DIRECTORY,
    0x36: EntryKind.FIFO,
}
_PAX, _PAX_GLOBAL, _LONG_NAME, _LONG_LINK = 0x78, 0x67, 0x4C, 0x4B
_EXTENSIONS = frozenset({_PAX, _PAX_GLOBAL, _LONG_NAME, _LONG_LINK})
_SPARSE = 0x53
_FILE = EntryKind.FILE
_DEVICES = (EntryKind.CHAR_DEVICE, EntryKind.BLOCK_DEVICE)


class Member(NamedTuple):
    """One member: name and link text as they stand, ``size`` of the data that follows (0 but for files).

    ``offset`` is where the data starts in the uncompressed stream; ``xattrs`` hold only attributes that are content, sorted.
    """

    name: bytes
    kind: EntryKind
    mode: int
    uid: int
    gid: int
    size: int
    mtime_ns: int
    link: bytes
    xattrs: tuple[tuple[bytes, bytes], ...]
    device: tuple[int, int]
    offset: int


class TarStream:
    """Goes through the members of a tar once; between two steps the data of a file can be taken.

    Data that nobody takes is skipped. At the end everything behind the tar is read too, so that the whole stream passes.
    """

    def __init__(self, pieces: Iterator[bytes], limits: Limits) -> None:
        self._pieces = pieces
        self._limits = limits
        self._data = b""
        self._at = 0
        self._start = 0  # position of self._data in the stream
        self._next = 0  # position of the next header
        self._data_end = 0  # position behind the data of the present member
        self._owners: dict[bytes, tuple[int, int, int]] = {}

    def __iter__(self) -> Iterator[Member]:
        """Go through the members.

        Raises:
            LayerError: ``tar-header``, ``tar-truncated``, ``tar-sparse``, ``tar-limit``.

        """
        overrides = Overrides()
        count = 0
        while (head := self._header()) is not None:
            kind_number = head[156]
            if kind_number in _EXTENSIONS:
                self._extend(overrides, head)
                continue
            count += 1
            if count > self._limits.layer_entries:
                raise LayerError(f"the tar has more than {self._limits.layer_entries} members", slug="tar-limit")
            member = self._member(head, overrides)
            if overrides.is_set:
                overrides = Overrides()
            self._data_end = member.offset + member.size
            self._next = self._data_end + (-member.size % _BLOCK)
            yield member
        if overrides.is_set:
            raise _bad("an extended header has no member behind it")
        for _ in self._pieces:
            pass

    def take(self, size: int) -> bytes:
        """Return the next bytes of the present member's data, exactly as many.

        Raises:
            LayerError: ``tar-truncated``.

        """
        if size > len(self._data) - self._at:
            self._fill(size)
        at = self._at
        self._at = at + size
        return self._data[at : at + size]

    def chunks(self) -> Iterator[bytes]:
        """Yield what is left of the present member's data.

        Raises:
            LayerError: ``tar-truncated``.

        """
        while left := self._data_end - self._start - self._at:
            if self._at == len(self._data):
                self._fill(1)
            yield self.take(min(left, len(self._data) - self._at))

    def _header(self) -> bytes | None:
        self._skip_to(self._next)
        head = self._block()
        if head is None:
            return None
        if not head[0] and head == _ZEROS:
            second = self._block()
            if second is not None and second != _ZEROS:
                raise _bad("there are members behind an end mark")
            return None
        text = head[148:156]
        total = (adler32(head) - 1) & 0xFFFF if head.isascii() else sum(head)
        if total - sum(text) + 256 != _octal(text) and not _has_signed_sum(head, text):
            raise _bad("a checksum is wrong")
        self._next = self._start + self._at
        return head

    def _block(self) -> bytes | None:
        if len(self._data) - self._at < _BLOCK and not self._fill(_BLOCK, is_needed=False):
            if self._data[self._at :].strip(b"\0"):
                raise _truncated()
            return None
        at = self._at
        self._at = at + _BLOCK
        return self._data[at : at + _BLOCK]

    def _extend(self, overrides: Overrides, head: bytes) -> None:
        size = _number(head[124:136])
        if not 0 <= size <= self._limits.pax_bytes:
            raise LayerError(f"an extended header of the tar has {size} bytes", slug="tar-limit")
        self._next += size + (-size % _BLOCK)
        data = self.take(size)
        kind_number = head[156]
        if kind_number == _PAX_GLOBAL:
            if parse_pax(data).keys() & {b"path", b"linkpath", b"size"}:
                raise _bad("a global header names a file or a size")
        elif kind_number == _PAX:
            overrides.set_pax(parse_pax(data))
        else:
            overrides.set_gnu(data.partition(b"\0")[0], is_link=kind_number == _LONG_LINK)

    def _member(self, head: bytes, overrides: Overrides) -> Member:
        kind = _KINDS.get(head[156])
        if kind is None:
            raise _unknown_type(head[156])
        owner = self._owners.get(head[100:124])
        if owner is None:
            numbers = (_number(head[100:108]) & 0o7777, _number(head[108:116]), _number(head[116:124]))
            owner = self._owners[head[100:124]] = numbers
        mode, uid, gid = owner
        size = _octal(head[124:136])
        mtime_ns = _octal(head[136:148]) * _NANO
        name = _name(head)
        link = head[157:257].partition(b"\0")[0] if head[157] else b""
        xattrs: tuple[tuple[bytes, bytes], ...] = ()
        if overrides.is_set:
            name, link = overrides.texts(name, link)
            uid, gid, size, mtime_ns = overrides.numbers((uid, gid, size, mtime_ns))
            xattrs = self._content_xattrs(overrides)
        if name.endswith(b"/") and kind is _FILE:
            if size:
                raise _bad("a file has the name of a directory")
            kind = EntryKind.DIRECTORY
        if kind is not _FILE:
            size = 0
        if not (0 <= uid <= _ID_MAX and 0 <= gid <= _ID_MAX and size >= 0):
            raise _bad("an owner or a size is out of range")
        if size > self._limits.layer_bytes:
            raise LayerError(f"a file of the tar has {size} bytes", slug="tar-limit")
        device = _device(head) if kind in _DEVICES else (0, 0)
        mtime_ns = max(-_TIME_MAX, min(mtime_ns, _TIME_MAX))
        return Member(name, kind, mode, uid, gid, size, mtime_ns, link, xattrs, device, self._next)

    def _content_xattrs(self, overrides: Overrides) -> tuple[tuple[bytes, bytes], ...]:
        pairs = overrides.xattrs()
        if not pairs:
            return ()
        for name, value in pairs:
            if len(value) > self._limits.xattr_bytes or not 0 < len(name) <= self._limits.name_bytes or b"\0" in name:
                raise LayerError(f"an extended attribute of the tar has {len(value)} bytes", slug="tar-limit")
        return tuple(sorted((name, value) for name, value in pairs if is_content_xattr(name)))

    def _skip_to(self, position: int) -> None:
        while (gap := position - self._start - self._at) > len(self._data) - self._at:
            self._at += min(gap, len(self._data) - self._at)
            self._fill(1)
        self._at += gap

    def _fill(self, wanted: int, *, is_needed: bool = True) -> bool:
        """Read on until that many bytes are ready; false (or an error, if they are needed) when the stream ends before."""
        parts = [self._data[self._at :]]
        have = len(parts[0])
        self._start += self._at
        self._at = 0
        for piece in self._pieces:
            parts.append(piece)
            have += len(piece)
            if have >= wanted:
                break
        self._data = b"".join(parts)
        if have < wanted and is_needed:
            raise _truncated()
        return have >= wanted


def _name(head: bytes) -> bytes:
    name = head[:100].partition(b"\0")[0]
    if head[345] and head[257:263] == b"ustar\0":
        return head[345:500].partition(b"\0")[0] + b"/" + name
    return name


def _device(head: bytes) -> tuple[int, int]:
    major, minor = _number(head[329:337]), _number(head[337:345])
    if not (0 <= major <= _DEVICE_MAX and 0 <= minor <= _DEVICE_MAX):
        raise _bad("a device number is out of range")
    return major, minor


def _octal(field: bytes) -> int:
    """Return the value of a field that is usually plain octal digits with one terminator."""
    digits = field[:-1]
    if digits.isdigit() and field[-1] in b"\0 ":
        try:
            return int(digits, 8)
        except ValueError:
            raise _bad("a number is not octal") from None
    return _number(field)


def _number(field: bytes) -> int:
    """Return the value of a number field: octal digits with blanks around, or GNU's base 256."""
    if field[0] & 0x80:
        if field[0] & 0x40:
            return int.from_bytes(field, "big", signed=True)
        return int.from_bytes(field, "big") - (0x80 << 8 * (len(field) - 1))
    digits = field.partition(b"\0")[0].strip(b" ")
    if not digits:
        return 0
    if not digits.isdigit():
        raise _bad("a number is not octal")
    try:
        return int(digits, 8)
    except ValueError:
        raise _bad("a number is not octal") from None


def _has_signed_sum(head: bytes, text: bytes) -> bool:
    """Tell whether the checksum counts bytes as signed, as some old programs did."""
    total = sum(byte - 256 if byte > 127 else byte for byte in head[:148] + head[156:])
    return total + 256 == _octal(text)


def _unknown_type(number: int) -> LayerError:
    if number == _SPARSE:
        return LayerError(
            "the tar holds a sparse file", slug="tar-sparse", hint="make the archive again without '--sparse'"
        )
    return _bad(f"the type {chr(number)!r} is unknown")


def _bad(reason: str) -> LayerError:
    return LayerError(f"the tar is malformed: {reason}", slug="tar-header")


def _truncated() -> LayerError:
    return LayerError(
        "the tar ends in the middle of a member", slug="tar-truncated", hint="fetch or make the archive again"
    )
