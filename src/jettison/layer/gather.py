"""The members of one tar, gathered until all have been seen, then given out as the entries of a layer.

Owns the meaning of order in a tar: each member acts on what the earlier ones left, as if it were unpacked into an empty
directory by a program that never leaves it. Refuses names that climb, names below a file, a root that is no directory, hard
links to nothing. Entries are kept as packed bytes, not objects: 200,000 of them must fit into memory.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from jettison.errors import LayerError
from jettison.filetree import EntryKind, FileEntry, parent_of, sort_key
from jettison.layer.names import clean_name, refuse_name
from jettison.layer.record import decode_xattrs, encode_xattrs
from jettison.layer.whiteout import META_PREFIX, OPAQUE, OPAQUE_NAME, PREFIX, meaning_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jettison.layer.members import Member
    from jettison.limits import Limits

# turn (of the name), inode (turn of the member that made it), kind, mode, uid, gid, mtime, size or device, offset,
# length of the link text, sha256; then link text and xattrs
_PACKED = struct.Struct("<QQBHIIqQQI32s")
_TURN = struct.Struct("<QQB")
_KIND_AT = 16
_IMPLIED_MODE = 0o755
_LINKS_MAX = 40
_NO_DIGEST = bytes(32)
_NOTHING = float("inf")
_DIRECTORY = EntryKind.DIRECTORY
_SYMLINK = EntryKind.SYMLINK
_HARD_LINK = EntryKind.HARD_LINK
_FILE = EntryKind.FILE
_WHITEOUT = EntryKind.WHITEOUT
_DEVICES = (EntryKind.CHAR_DEVICE, EntryKind.BLOCK_DEVICE)

Given = tuple[FileEntry, int, bool]
"""An entry, the offset of its content, and whether it is a directory that the tar did not list."""


class Gathering:
    """What the members so far add up to."""

    def __init__(self, limits: Limits, *, is_layer: bool) -> None:
        self._limits = limits
        self._is_layer = is_layer
        self._turn = 0
        self._members: dict[bytes, bytes] = {}
        self._whiteouts: set[bytes] = set()
        self._opaque: set[bytes] = set()
        self._linked: set[int] = set()
        self._parents: set[bytes] = {b""}  # every directory that something was put into
        self._places: dict[bytes, bytes] = {b"": b""}  # directory as named -> where it really is, at present
        self._replaced: dict[bytes, int] = {}  # former directory -> the turn since which it is none

    def add(self, member: Member, digest: bytes, offset: int) -> None:
        """Take the next member.

        Raises:
            LayerError: ``tar-name``, ``tar-link``, ``layer-whiteout``.

        """
        self._turn += 1
        path = clean_name(member.name, self._limits)
        if self._is_layer and path.startswith(META_PREFIX) and path != OPAQUE_NAME:
            return  # what AUFS kept for itself, with everything below
        cut = path.rfind(b"/")
        name = path[cut + 1 :]
        if cut > 0:
            named = path[:cut]
            parent = self._places.get(named)
            if parent is None:
                parent = self._place(named)
            path = parent + b"/" + name if parent else name
        else:
            parent = b""
        if name.startswith(PREFIX) and self._delete(parent, name):
            return
        kind = member.kind
        if kind is not _DIRECTORY:
            if not path:
                raise LayerError("the tar replaces the root directory", slug="tar-name")
            self._displace(path)
        elif path in self._members:
            self._places.clear()
        if kind is _HARD_LINK:
            self._members[path] = self._link(path, member)
        else:
            self._members[path] = self._pack(member, digest, offset)

    def entries(self) -> Iterator[Given]:
        """Yield the entries of the layer in ``sort_key`` order, missing parents filled in."""
        first_names: dict[int, bytes] = {}
        stack: list[tuple[bytes, float]] = [(b"", 0)]  # what is open on the way; turns before the number are gone
        for path in sorted(self._members.keys() | self._whiteouts | self._opaque, key=sort_key):
            while not path.startswith(stack[-1][0]):
                stack.pop()
            oldest = stack[-1][1]
            packed = self._members.get(path)
            if packed is not None and _TURN.unpack_from(packed)[0] < oldest:
                packed = None
            is_marked = path in self._whiteouts or path in self._opaque
            if oldest == _NOTHING or (packed is None and not is_marked):
                continue
            for parent in _parents_between(path, len(stack[-1][0])):
                stack.append((parent + b"/", max(oldest, self._replaced.get(parent, 0))))
                yield FileEntry(parent, _DIRECTORY, _IMPLIED_MODE), 0, True
            given = self._marked(path) if packed is None else self._unpack(path, packed, first_names)
            if path and given[0].kind is _DIRECTORY:
                stack.append((path + b"/", max(oldest, self._replaced.get(path, 0))))
            elif path in self._replaced:
                stack.append((path + b"/", _NOTHING))
            yield given

    def _delete(self, parent: bytes, name: bytes) -> bool:
        """Take a name that may mean a deletion; tell whether it does."""
        if not self._is_layer:
            raise refuse_name(name, "an image layer would take for a deletion")
        meaning = meaning_of(name)
        if meaning is OPAQUE:
            self._opaque.add(parent)
        elif isinstance(meaning, bytes):
            self._whiteouts.add(parent + b"/" + meaning if parent else meaning)
        return meaning is not None

    def _displace(self, path: bytes) -> None:
        """Note that the path becomes something else than a directory."""
        if path in self._parents:
            self._replaced[path] = self._turn
            self._places.clear()
        elif path in self._places:
            self._places.clear()

    def _place(self, named: bytes) -> bytes:
        """Return the directory that the name leads to now, through symlinks of this tar, inside the root."""
        waiting = named.split(b"/")[::-1]
        way: list[tuple[bytes, int]] = [(b"", 0)]  # each directory, and the turn before which nothing in it is left
        links = 0
        while waiting:
            part = waiting.pop()
            if part == b"..":
                del way[max(1, len(way) - 1) :]
                continue
            if part in {b"", b"."}:
                continue
            above, oldest = way[-1]
            path = self._below(above, part, named)
            packed = self._members.get(path)
            if packed is not None and _TURN.unpack_from(packed)[0] < oldest:
                packed = None
            kind = _DIRECTORY if packed is None else packed[_KIND_AT]
            if kind == _SYMLINK:
                links += 1
                if links > _LINKS_MAX:
                    raise _bad_link(named, "runs through more than 40 symlinks")
                target = self._link_text(packed or b"")
                if target.startswith(b"/"):
                    del way[1:]
                waiting += target.split(b"/")[::-1]
            elif kind == _DIRECTORY:
                way.append((path, max(oldest, self._replaced.get(path, 0))))
            else:
                raise refuse_name(named, "needs a directory where the tar has a file")
        path = way[-1][0]
        self._places[named] = self._places[path] = path
        while path not in self._parents:
            self._parents.add(path)
            path = parent_of(path)
        return self._places[named]

    def _below(self, above: bytes, part: bytes, named: bytes) -> bytes:
        """Return the path of a component on the way of a name; refuse it where no file system could go."""
        if part.startswith(PREFIX):
            raise refuse_name(named, "goes through a deletion")
        path = above + b"/" + part if above else part
        if len(path) >= self._limits.path_bytes or len(part) > self._limits.name_bytes:
            raise refuse_name(path, "is too long")
        return path

    def _present(self, path: bytes) -> bytes | None:
        """Return the packed member at the path unless a later one took the ground from under it."""
        packed = self._members.get(path)
        if packed is None or not self._replaced:
            return packed
        turn = _TURN.unpack_from(packed)[0]
        above = path
        while above:
            above = parent_of(above)
            if self._replaced.get(above, 0) > turn:
                return None
        return packed

    def _link(self, path: bytes, member: Member) -> bytes:
        """Return the packed member for another name of an earlier one."""
        target = clean_name(member.link, self._limits) if member.link else b""
        cut = target.rfind(b"/")
        if cut > 0:
            target = b"/".join(part for part in (self._place(target[:cut]), target[cut + 1 :]) if part)
        packed = self._present(target)
        if packed is None or packed[_KIND_AT] == _DIRECTORY:
            raise _bad_link(path, f"is a hard link to {_show(member.link)}, no file before it in the tar")
        _, inode, kind = _TURN.unpack_from(packed)
        if kind == _FILE:
            self._linked.add(inode)
        return self._turn.to_bytes(8, "little") + packed[8:]

    def _pack(self, member: Member, digest: bytes, offset: int) -> bytes:
        _, kind, mode, uid, gid, size, mtime_ns, link, xattrs, device, _ = member
        if kind is _SYMLINK:
            mode = 0o777
            if not link or len(link) >= self._limits.path_bytes:
                raise _bad_link(member.name, "is a symlink with an impossible target")
        else:
            link = b""
        if kind in _DEVICES:
            size = device[0] << 32 | device[1]
        numbers = _PACKED.pack(
            self._turn, self._turn, kind, mode, uid, gid, mtime_ns, size, offset, len(link), digest or _NO_DIGEST
        )
        return b"%b%b%b" % (numbers, link, encode_xattrs(xattrs))

    def _unpack(self, path: bytes, packed: bytes, first_names: dict[int, bytes]) -> Given:
        _, inode, number, mode, uid, gid, mtime_ns, size, offset, link_length, digest = _PACKED.unpack_from(packed)
        kind = EntryKind(number)
        middle = _PACKED.size + link_length
        entry = FileEntry(
            path,
            kind,
            mode,
            uid,
            gid,
            0 if kind in _DEVICES else size,
            mtime_ns,
            packed[_PACKED.size : middle],
            decode_xattrs(packed[middle:]),
            (size >> 32, size & 0xFFFFFFFF) if kind in _DEVICES else (0, 0),
            digest if kind is _FILE else b"",
            kind is _DIRECTORY and (path in self._opaque or path in self._whiteouts),
        )
        if kind is _FILE and inode in self._linked:
            first = first_names.setdefault(inode, path)
            if first != path:
                entry = entry._replace(kind=_HARD_LINK, size=0, link_target=first, xattrs=(), digest=b"")
        return entry, offset, False

    def _marked(self, path: bytes) -> Given:
        """Return what stands at a path that only markers speak of."""
        if path in self._opaque or path in self._parents:
            return FileEntry(path, _DIRECTORY, _IMPLIED_MODE, is_opaque=True), 0, True
        return FileEntry(path, _WHITEOUT), 0, False

    @staticmethod
    def _link_text(packed: bytes) -> bytes:
        length: int = _PACKED.unpack_from(packed)[9]
        return packed[_PACKED.size : _PACKED.size + length]


def _parents_between(path: bytes, start: int) -> Iterator[bytes]:
    """Yield the directories above the path that are longer than the start, shortest first."""
    at = path.find(b"/", start)
    while at > 0:
        yield path[:at]
        at = path.find(b"/", at + 1)


def _bad_link(name: bytes, reason: str) -> LayerError:
    return LayerError(
        f"the name {_show(name)} of the tar {reason}",
        slug="tar-link",
        hint="do not trust this archive; make it again if it is yours",
    )


def _show(name: bytes) -> str:
    return repr(name[:200].decode("utf-8", "backslashreplace"))
