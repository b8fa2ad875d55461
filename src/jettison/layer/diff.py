"""What a step changed: the upper directory of its overlay as a sorted stream of index entries.

The stream is canonical: it depends on the state before and after, not on the way between. What is equal to the tree below is
not listed (a file copied up and left alone), an opaque directory becomes whiteouts of what it hides, whiteouts of nothing
and sockets vanish, and the parents of every change are listed with their metadata. A layer may later lie on another chain, so
the directory on disk is brought to the same state as the stream while it is read: after the scan it *is* the layer's ``fs``.

It refuses an upper directory that is not a plain difference (``redirect_dir``, ``metacopy``). Links are never followed, and
memory grows with the largest directory and the number of hard links, not with the tree.
"""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from jettison.errors import LayerError
from jettison.filetree import NO_CONTENT, ContentKind, ContentRef, EntryKind, FileEntry, parent_of
from jettison.layer.inode import (
    Hasher,
    directory_entry,
    file_entry,
    hard_link_entry,
    is_same_file,
    open_by_parts,
    open_directory,
    open_file,
    special_entry,
)
from jettison.layer.overlay_marks import (
    DEVICE_XATTR,
    OverlayMarks,
    content_xattrs,
    device_text,
    is_whiteout,
    make_whiteout,
    read_names,
    refuse_features,
)
from jettison.layer.upper import LowerTree, UpperDirectory
from jettison.limits import DEFAULT_LIMITS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_Pending: TypeAlias = "tuple[FileEntry, Future[bytes] | None]"

_LOOK_AHEAD = 128
"""Entries that may wait behind a large file while it is hashed; also bounds the open descriptors."""
_OPEN_DIRECTORIES = 200
"""Descriptors kept while descending; deeper trees close the outer ones and open them again."""
TICK_NS = 10_000_000
"""File times come from a clock that ticks at least this often: a file made after a start may be dated so much before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CopiedTree:
    """What is known of a tree that was made as a whole copy of the tree below, before a step changed it.

    ``inodes`` are those of its directories by path. A file in such a directory whose status changed (ctime) not after
    ``made_ns`` is the copy: writing, linking and renaming all set that time, and no program can set it back.
    """

    made_ns: int
    inodes: Mapping[bytes, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffOptions:
    """How an upper directory is read.

    ``marks``: the xattr name space of the mount. ``is_single_id``: owners on disk say nothing, a file that exists below keeps
    the owner recorded there. ``fresh_since_ns``: files as young as this are fresh (None: times count as content). ``stubs``:
    the paths, each parent of its own included, made as mount points for the step. ``copied``: the directory is no overlay's
    upper one but a whole tree, so what it lacks was deleted.
    """

    marks: OverlayMarks
    is_single_id: bool = False
    fresh_since_ns: int | None = None
    stubs: frozenset[bytes] = frozenset()
    copied: CopiedTree | None = None


def scan_upper(upper: Path, lower: LowerTree, options: DiffOptions) -> Iterator[tuple[FileEntry, ContentRef]]:
    """Yield what the upper directory changes, in ``sort_key`` order, parents first; files refer to FS content by their path.

    The root directory itself is never listed. The directory is changed on the way (see the module); nothing else may use it.

    Raises:
        LayerError: overlay-feature, layer-unreadable, layer-unstable; layer-path-too-long.
        HostError: host-whiteout.

    """
    with Hasher() as hasher:
        waiting: deque[_Pending] = deque()
        futures = 0
        for pending in _Scan(lower, options, hasher).run(upper):
            waiting.append(pending)
            futures += pending[1] is not None
            while waiting and (waiting[0][1] is None or len(waiting) > _LOOK_AHEAD or waiting[0][1].done()):
                entry, future = waiting.popleft()
                yield _finished(entry, future)
        for entry, future in waiting:
            yield _finished(entry, future)


def _finished(entry: FileEntry, future: Future[bytes] | None) -> tuple[FileEntry, ContentRef]:
    if future is not None:
        entry = entry._replace(digest=future.result())
    if entry.kind is EntryKind.FILE:
        return entry, ContentRef(ContentKind.FS, path=entry.path)
    return entry, NO_CONTENT


class _Scan:
    """The state of one scan: the directories from the root to where it is, and the hard links it has met."""

    def __init__(self, lower: LowerTree, options: DiffOptions, hasher: Hasher) -> None:
        self._lower = lower
        self._options = options
        self._hasher = hasher
        self._stub_parents = frozenset(map(parent_of, options.stubs))
        self._stack: list[UpperDirectory] = []
        self._links: dict[tuple[int, int], FileEntry] = {}
        self._untouched_links: set[int] = set()

    def run(self, upper: Path) -> Iterator[_Pending]:
        """Yield the changed entries; digests of large files as futures."""
        fd = os.open(upper, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        self._root_fd = os.dup(fd)
        try:
            root = UpperDirectory(fd, b"", None, self._lower)
            root.is_pure = self._options.copied is not None
            self._enter(root)
            while self._stack:
                here = self._stack[-1]
                if here.at == len(here.names):
                    self._leave()
                    continue
                name, letter = here.names[here.at]
                here.at += 1
                pending = self._descend(name) if letter == "d" else self._read(name, letter)
                if pending is not None:
                    yield from self._unlisted_parents()
                    yield pending
        finally:
            for directory in self._stack:
                directory.drop_fd()
            os.close(self._root_fd)

    def _unlisted_parents(self) -> Iterator[_Pending]:
        for directory in self._stack:
            # the directory just entered is listed by its own entry
            if not directory.is_listed and directory.entry is not None:
                directory.is_listed = True
                yield directory.entry, None

    def _enter(self, directory: UpperDirectory) -> None:
        if len(self._stack) >= _OPEN_DIRECTORIES:
            self._stack[-_OPEN_DIRECTORIES].drop_fd()
        self._stack.append(directory)
        directory.open(self._options.marks, self._options.stubs, self._stub_parents)

    def _leave(self) -> None:
        done = self._stack.pop()
        if self._stack and self._stack[-1].fd < 0:
            self._stack[-1].fd = open_by_parts(self._root_fd, self._stack[-1].path)
        done.close(self._options.marks)
        if not done.is_listed:
            self._stack[-1].remove(done.path[done.path.rfind(b"/") + 1 :], is_directory=True)

    def _descend(self, name: bytes) -> _Pending | None:
        """Enter a directory; its entry comes at once when it differs from the one below, else when something in it does."""
        here = self._stack[-1]
        path = self._path(here, name)
        fd = open_directory(name, here.fd, path)
        below = here.below(path)
        entry = directory_entry(path, os.fstat(fd), content_xattrs(fd))
        was = below if below is not None and below.kind is EntryKind.DIRECTORY else None
        entry = self._settled(entry, was)
        inner = UpperDirectory(fd, path, entry, None if was is None else self._lower)
        inner.is_pure = here.is_pure
        self._enter(inner)
        assert inner.entry is not None, "only the root has no entry"
        if was is not None and is_same_file(inner.entry, was):
            return None
        inner.is_listed = True
        # its parents first: they are flushed while this one counts as listed
        return inner.entry, None

    def _read(self, name: bytes, letter: str) -> _Pending | None:
        here = self._stack[-1]
        path = self._path(here, name)
        if self._is_untouched(here, name):
            here.remove(name)
            return None
        below = here.below(path)
        if letter == "f":
            return self._read_file(name, path, below)
        status = os.lstat(name, dir_fd=here.fd)
        if is_whiteout(status):
            return self._deletion(name, path, below)
        entry = special_entry(name, here.fd, path, status)
        if entry is None:
            # a socket: it vanishes, but what it replaced stays away
            here.remove(name)
            if below is None:
                return None
            make_whiteout(name, here.fd, here.path, self._options.marks)
            return self._deletion(name, path, below)
        entry = self._settled(entry, below)
        if below is None or not is_same_file(entry, below):
            return entry, None
        here.remove(name)
        return None

    def _is_untouched(self, here: UpperDirectory, name: bytes) -> bool:
        """Tell whether a file of a copied tree is as it was made, without reading it."""
        copied = self._options.copied
        if copied is None or copied.inodes.get(here.path) != here.inode:
            return False
        status = os.lstat(name, dir_fd=here.fd)
        if status.st_ino in self._untouched_links:
            return True
        if status.st_ctime_ns > copied.made_ns:
            return False
        if status.st_nlink > 1:
            # the scan itself removes one name after the other, which changes the status of the rest
            self._untouched_links.add(status.st_ino)
        return True

    def _deletion(self, name: bytes, path: bytes, below: FileEntry | None) -> _Pending | None:
        if below is None:
            self._stack[-1].remove(name)
            return None
        self._stack[-1].has_whiteouts = True
        return FileEntry(path, EntryKind.WHITEOUT), None

    def _read_file(self, name: bytes, path: bytes, below: FileEntry | None) -> _Pending | None:
        here = self._stack[-1]
        fd, status = open_file(name, here.fd, path)
        try:
            names = read_names(fd)
            special = self._marked(fd, names, path, below) if names else None
            entry = file_entry(path, status, content_xattrs(fd) if names else ())
        except BaseException:
            os.close(fd)
            raise
        entry = self._settled(special or entry, below)
        if entry.kind is not EntryKind.FILE:
            os.close(fd)
            if entry.kind is EntryKind.WHITEOUT:
                return self._deletion(name, path, below)
            if below is None or not is_same_file(entry, below):
                return entry, None
            here.remove(name)
            return None
        if status.st_nlink > 1:
            linked = self._linked(entry, status)
            if linked is not entry:
                os.close(fd)
                return linked, None
        elif below is not None and is_same_file(entry, below):
            digest = self._hasher.digest(fd, entry.size, path)
            if digest == below.digest:
                here.remove(name)
                return None
            return entry._replace(digest=digest), None
        started = self._hasher.start(fd, entry.size, path)
        if isinstance(started, Future):
            return entry, started
        return entry._replace(digest=started), None

    def _marked(self, fd: int, names: list[str], path: bytes, below: FileEntry | None) -> FileEntry | None:
        """Return what an empty file with one of our or the kernel's marks stands for."""
        marks = self._options.marks
        refuse_features(names, marks, path)
        status = os.fstat(fd)
        if status.st_size:
            return None
        if os.fsdecode(marks.whiteout) in names:
            return FileEntry(path, EntryKind.WHITEOUT)
        # only where the tree below has this very device: a step can't conjure up others
        if below is None or below.kind not in _DEVICES or DEVICE_XATTR.decode() not in names:
            return None
        if os.getxattr(fd, DEVICE_XATTR) != device_text(_DEVICES[below.kind], below.device):
            return None
        return file_entry(path, status, ())._replace(kind=below.kind, device=below.device)

    def _linked(self, entry: FileEntry, status: os.stat_result) -> FileEntry:
        """Return the entry itself for the first name of an inode, for the others a hard link to it."""
        first = self._links.setdefault((status.st_dev, status.st_ino), entry)
        return entry if first is entry else hard_link_entry(entry.path, first)

    def _settled(self, entry: FileEntry, below: FileEntry | None) -> FileEntry:
        """Return the entry with the owner and freshness that this build's rules give it."""
        if below is not None and self._options.is_single_id and _family(below.kind) == _family(entry.kind):
            entry = entry._replace(uid=entry.uid or below.uid, gid=entry.gid or below.gid)
        since = self._options.fresh_since_ns
        is_fresh = since is not None and entry.mtime_ns >= since - TICK_NS
        if is_fresh or (below is not None and below.is_fresh and below.mtime_ns == entry.mtime_ns):
            entry = entry._replace(is_fresh=True)
        return entry

    @staticmethod
    def _path(here: UpperDirectory, name: bytes) -> bytes:
        path = here.path_of(name)
        if len(path) > DEFAULT_LIMITS.path_bytes:
            raise LayerError(
                f"the step left a path of {len(path)} bytes below '/{os.fsdecode(path[:60])}...'",
                hint=f"Linux and image formats stop at {DEFAULT_LIMITS.path_bytes} bytes; remove it in the same step",
                slug="layer-path-too-long",
            )
        return path


def _family(kind: EntryKind) -> EntryKind:
    return EntryKind.FILE if kind is EntryKind.HARD_LINK else kind


_DEVICES = {EntryKind.CHAR_DEVICE: "c", EntryKind.BLOCK_DEVICE: "b"}
