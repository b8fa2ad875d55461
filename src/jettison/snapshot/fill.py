"""Brings the contents that an index refers to into a tree that is being written.

Packs are read where they lie, files of other layers are linked (if allowed and equal in all metadata) or copied, and what
lies in a pulled blob is left to the end: then each blob streams once, whatever the order of its members. Hard links come
last, as their files may come from a blob.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, TypeAlias

from jettison.digest import LayerId
from jettison.errors import LayerError
from jettison.filetree import ContentKind, ContentRef, EntryKind, FileEntry
from jettison.layer.overlay_marks import IdMode, content_xattrs, read_names
from jettison.limits import KIB
from jettison.snapshot.beneath import open_beneath
from jettison.snapshot.tree_writer import TreeWriter, copy_range, write_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from types import TracebackType

    from jettison.store.layers import DiskLayers

BlobStream: TypeAlias = "Callable[[LayerId], AbstractContextManager[Iterator[bytes]]]"
"""Opens the uncompressed tar of a pulled layer as chunks of any size."""

_READ_BYTES = 256 * KIB
_READ_FILE = os.O_RDONLY | os.O_NONBLOCK
_NOT_LINKABLE = frozenset({errno.EMLINK, errno.EXDEV, errno.EPERM, errno.EACCES, errno.EOPNOTSUPP})
_LATER = struct.Struct(">HQQqIIH")
"""A file that waits for its blob: layer number, offset, size, mtime, uid, gid, mode; its path follows. Sorts by place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Materials:
    """Where contents come from, and how ids are written."""

    layers: DiskLayers
    open_blob: BlobStream
    id_mode: IdMode


class Filler:
    """Writes files of entries into a tree; a context manager. ``finish`` writes what had to wait."""

    def __init__(self, writer: TreeWriter, materials: Materials, *, may_link: bool) -> None:
        self._writer = writer
        self._materials = materials
        self._may_link = may_link
        self._packs: dict[str, int] = {}
        self._trees: dict[str, _SourceTree] = {}
        self._numbers: dict[str, int] = {}
        self._later: list[bytes] = []
        self._later_xattrs: dict[bytes, tuple[tuple[bytes, bytes], ...]] = {}
        self._links: list[tuple[bytes, bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for fd in self._packs.values():
            os.close(fd)
        for tree in self._trees.values():
            tree.close()

    def add_file(self, entry: FileEntry, ref: ContentRef) -> None:
        """Write a file, or put it off; ``ref.layer`` is filled in.

        Raises:
            LayerError: layer-content: the content is not where the index says.

        """
        if not entry.size:
            self._writer.finish_file(self._writer.create(entry.path), entry)
            return
        match ref.kind:
            case ContentKind.PACK:
                self._add_from_pack(entry, ref)
            case ContentKind.FS:
                self._add_from_tree(entry, ref)
            case ContentKind.BLOB:
                self._put_off(entry, ref)
            case ContentKind.NONE:
                raise LayerError(f"the index names no content for '/{os.fsdecode(entry.path)}'", slug="layer-content")

    def add_link(self, path: bytes, target: bytes) -> None:
        """Note a hard link to a file of the same tree."""
        self._links.append((path, target))

    def finish(self) -> None:
        """Stream the blobs and make the hard links.

        Raises:
            LayerError: layer-content, layer-hard-link.

        """
        self._later.sort()
        names = list(self._numbers)
        start = 0
        while start < len(self._later):
            number = self._later[start][:2]
            stop = start
            while stop < len(self._later) and self._later[stop][:2] == number:
                stop += 1
            with self._materials.open_blob(LayerId(names[int.from_bytes(number)])) as chunks:
                self._stream(_Cursor(chunks), start, stop)
            start = stop
        self._later.clear()
        for path, target in self._links:
            self._writer.add_link(path, target)
        self._links.clear()

    def _add_from_pack(self, entry: FileEntry, ref: ContentRef) -> None:
        pack = self._packs.get(ref.layer)
        if pack is None:
            path = self._materials.layers.pack_path(LayerId(ref.layer))
            pack = self._packs[ref.layer] = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        fd = self._writer.create(entry.path)
        try:
            _copy(pack, ref.offset, entry, fd)
        except BaseException:
            os.close(fd)
            raise
        self._writer.finish_file(fd, entry)

    def _add_from_tree(self, entry: FileEntry, ref: ContentRef) -> None:
        tree = self._trees.get(ref.layer)
        if tree is None:
            path = self._materials.layers.fs_path(LayerId(ref.layer))
            tree = self._trees[ref.layer] = _SourceTree(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        source = tree.open(ref.path)
        try:
            status = os.fstat(source)
            if not stat.S_ISREG(status.st_mode) or status.st_size != entry.size:
                raise LayerError(
                    f"the content of '/{os.fsdecode(entry.path)}' has changed in layer '{ref.layer}'",
                    hint="remove the layer with 'jettison prune' and build again",
                    slug="layer-content",
                )
            if self._may_link and self._is_equal(source, status, entry):
                try:
                    self._writer.add_link_from(entry.path, tree.dir_fd, tree.name)
                except OSError as error:
                    if error.errno not in _NOT_LINKABLE:
                        raise
                else:
                    return
            fd = self._writer.create(entry.path)
            try:
                _copy(source, 0, entry, fd)
            except BaseException:
                os.close(fd)
                raise
            self._writer.finish_file(fd, entry)
        finally:
            os.close(source)

    def _is_equal(self, fd: int, status: os.stat_result, entry: FileEntry) -> bool:
        """Tell whether an inode already is what the entry would be written as."""
        if status.st_mode & 0o7777 != entry.mode or status.st_mtime_ns != entry.mtime_ns:
            return False
        if self._materials.id_mode != "single" and (status.st_uid, status.st_gid) != (entry.uid, entry.gid):
            return False
        if "system.posix_acl_access" in read_names(fd):
            return False
        return content_xattrs(fd) == entry.xattrs

    def _put_off(self, entry: FileEntry, ref: ContentRef) -> None:
        number = self._numbers.setdefault(ref.layer, len(self._numbers))
        head = _LATER.pack(number, ref.offset, entry.size, entry.mtime_ns, entry.uid, entry.gid, entry.mode)
        self._later.append(head + entry.path)
        if entry.xattrs:
            self._later_xattrs[entry.path] = entry.xattrs

    def _stream(self, cursor: _Cursor, start: int, stop: int) -> None:
        last: FileEntry | None = None
        last_offset = -1
        for record in self._later[start:stop]:
            _, offset, size, mtime_ns, uid, gid, mode = _LATER.unpack_from(record)
            path = record[_LATER.size :]
            xattrs = self._later_xattrs.get(path, ())
            entry = FileEntry(path, EntryKind.FILE, mode, uid, gid, size, mtime_ns, b"", xattrs)
            fd = self._writer.create(path)
            try:
                if offset == last_offset and last is not None:
                    self._copy_again(last, fd)
                else:
                    cursor.copy(offset, size, fd)
            except BaseException:
                os.close(fd)
                raise
            self._writer.finish_file(fd, entry)
            last, last_offset = entry, offset

    def _copy_again(self, first: FileEntry, fd: int) -> None:
        """Copy a file that has just been streamed: two entries may share one place of a blob."""
        source = open_beneath(self._writer.root_fd, first.path, _READ_FILE)
        try:
            copy_range(source, 0, first.size, fd)
        finally:
            os.close(source)


class _SourceTree:
    """The ``fs/`` of a layer that is read from; remembers the directory of the last file."""

    def __init__(self, root_fd: int) -> None:
        self._root_fd = root_fd
        self._at = b""
        self.dir_fd = root_fd
        self.name = b""

    def open(self, path: bytes) -> int:
        head, _, self.name = path.rpartition(b"/")
        try:
            if head != self._at:
                fd = open_beneath(self._root_fd, head) if head else self._root_fd
                self._leave()
                self._at, self.dir_fd = head, fd
            return os.open(self.name, _READ_FILE | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self.dir_fd)
        except OSError as error:
            raise LayerError(
                f"'/{os.fsdecode(path)}' can't be read from its layer: {os.strerror(error.errno or 0)}",
                slug="layer-content",
            ) from error

    def close(self) -> None:
        self._leave()
        os.close(self._root_fd)

    def _leave(self) -> None:
        if self.dir_fd != self._root_fd:
            os.close(self.dir_fd)
            self.dir_fd, self._at = self._root_fd, b""


class _Cursor:
    """A stream of chunks read at rising offsets."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._chunk = memoryview(b"")
        self._start = 0
        self._end = 0

    def copy(self, offset: int, size: int, fd: int) -> None:
        """Write the bytes from an offset, at or after the end of the last ones, to a descriptor."""
        if offset < self._end:
            raise LayerError("two files of a layer overlap in its blob", slug="layer-content")
        self._end = offset + size
        while size:
            skip = offset - self._start
            if skip >= len(self._chunk):
                self._start += len(self._chunk)
                self._chunk = self._next()
                continue
            piece = self._chunk[skip : skip + size]
            write_all(fd, piece)
            offset += len(piece)
            size -= len(piece)

    def _next(self) -> memoryview:
        for chunk in self._chunks:
            return memoryview(chunk)
        raise LayerError("a layer's blob is shorter than its index says", slug="layer-content")


def _copy(source_fd: int, offset: int, entry: FileEntry, fd: int) -> None:
    if entry.size > _READ_BYTES:
        copy_range(source_fd, offset, entry.size, fd)
        return
    data = os.pread(source_fd, entry.size, offset)
    if len(data) != entry.size:
        raise LayerError(
            f"the content of '/{os.fsdecode(entry.path)}' is shorter than its index says", slug="layer-content"
        )
    write_all(fd, data)
