"""One directory of an overlay's upper tree while it is scanned: its names, what lies below them, what is to be mended.

Opening a directory removes the stubs of mount points and turns an opaque mark into whiteouts; closing it puts its times back
after such work. Every call goes through the directory's descriptor, so no symlink of the image is ever followed.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from jettison.filetree import EntryKind, FileEntry
from jettison.layer.inode import list_directory, open_directory
from jettison.layer.overlay_marks import (
    OverlayMarks,
    is_whiteout,
    make_whiteout,
    mark_with_whiteouts,
    read_names,
    refuse_features,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_LISTED_AT = 12
"""From this many names on, one listing of the lower directory is cheaper than a look-up for each."""


class LowerEntry(Protocol):
    """What a look-up in the tree below gives: something with an entry."""

    @property
    def entry(self) -> FileEntry:
        """The metadata of the path."""
        ...


class LowerTree(Protocol):
    """The tree below the upper directory (``snapshot.union.Union`` is one); paths are never resolved through symlinks."""

    def lookup(self, path: bytes, /) -> LowerEntry | None:
        """Return what is at exactly this path; a hard link has its file's metadata."""
        ...

    def children(self, path: bytes, /) -> Iterator[LowerEntry]:
        """Go through a directory's entries in order."""
        ...


class UpperDirectory:
    """A directory on the way of the scan.

    ``entry`` is None for the root. ``lower`` is the entry of the directory of the same path below, None when there is no
    directory. ``is_pure``: nothing is merged into it (it or one above is opaque, or the tree is whole). ``is_listed``: its entry
    is out.
    """

    def __init__(self, fd: int, path: bytes, entry: FileEntry | None, tree: LowerTree | None) -> None:
        self.fd = fd
        self.path = path
        self.entry = entry
        self.tree = tree
        self.is_pure = False
        self.is_listed = entry is None
        self.is_touched = False
        self.has_whiteouts = False
        self.at = 0
        self.names: list[tuple[bytes, str]] = []
        self._status = os.fstat(fd)
        self._below: dict[bytes, FileEntry] | None = None

    @property
    def inode(self) -> int:
        """The inode number of the directory."""
        return self._status.st_ino

    def path_of(self, name: bytes) -> bytes:
        """Return the path of a name in it."""
        return b"%b/%b" % (self.path, name) if self.path else name

    def below(self, path: bytes) -> FileEntry | None:
        """Return the entry that the tree below has at a path of this directory."""
        if self.tree is None:
            return None
        if self._below is None:
            if len(self.names) < _LISTED_AT:
                found = self.tree.lookup(path)
                return None if found is None else found.entry
            self._below = {item.entry.path: item.entry for item in self.tree.children(self.path)}
        return self._below.get(path)

    def open(self, marks: OverlayMarks, stubs: frozenset[bytes], stub_parents: frozenset[bytes]) -> None:
        """Read the names, remove stubs, replace the opaque mark.

        Raises:
            LayerError: overlay-feature.
            HostError: host-whiteout.

        """
        self.names = list_directory(self.fd)
        attributes = read_names(self.fd)
        if attributes:
            refuse_features(attributes, marks, self.path)
            opaque = os.fsdecode(marks.opaque)
            if opaque in attributes and os.getxattr(self.fd, opaque) == b"y":
                self.is_pure = True
                os.removexattr(self.fd, opaque)
        if self.is_pure and self.tree is not None:
            self._hide_the_rest(marks)
        if self.path in stub_parents:
            self._remove_stubs(stubs)

    def close(self, marks: OverlayMarks) -> None:
        """Put the times back if the scan changed them, and close the descriptor."""
        if self.fd >= 0:
            if self.has_whiteouts:
                mark_with_whiteouts(self.fd, marks)
            if self.is_touched:
                mtime_ns = self._status.st_mtime_ns if self.entry is None else self.entry.mtime_ns
                os.utime(self.fd, ns=(self._status.st_atime_ns, mtime_ns))
            self.drop_fd()

    def drop_fd(self) -> None:
        """Close the descriptor alone."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def remove(self, name: bytes, *, is_directory: bool = False) -> None:
        """Remove a name (an empty directory when told so)."""
        (os.rmdir if is_directory else os.unlink)(name, dir_fd=self.fd)
        self.is_touched = True

    def is_whiteout_name(self, name: bytes) -> bool:
        """Tell whether the name is a whiteout in device form."""
        return is_whiteout(os.lstat(name, dir_fd=self.fd))

    def _hide_the_rest(self, marks: OverlayMarks) -> None:
        assert self.tree is not None, "only a directory that exists below hides something"
        present = {name for name, _ in self.names}
        hidden: list[tuple[bytes, str]] = []
        for item in self.tree.children(self.path):
            name = item.entry.path[len(self.path) + 1 :] if self.path else item.entry.path
            if name not in present:
                make_whiteout(name, self.fd, self.path, marks)
                hidden.append((name, "o"))
        if hidden:
            self.names = sorted(self.names + hidden)
            self.is_touched = True

    def _remove_stubs(self, stubs: frozenset[bytes]) -> None:
        """Remove the empty mount points made for the step; if the names are then those below, so is the directory's time."""
        kept = []
        for name, letter in self.names:
            path = self.path_of(name)
            if path in stubs and self.below(path) is None and _is_bare(name, self.fd, path, stubs):
                _remove_bare(name, self.fd)
                self.is_touched = True
            else:
                kept.append((name, letter))
        has_removed = len(kept) < len(self.names)
        self.names = kept
        if not has_removed or self.entry is None or self.tree is None:
            return
        was = self.tree.lookup(self.path)
        if was is None or was.entry.kind is not EntryKind.DIRECTORY:
            return
        if not any(self.below(self.path_of(name)) is None or self._is_deletion(name, letter) for name, letter in kept):
            self.entry = self.entry._replace(mtime_ns=was.entry.mtime_ns)

    def _is_deletion(self, name: bytes, letter: str) -> bool:
        return letter == "o" and self.is_whiteout_name(name)


def _is_bare(name: bytes, dir_fd: int, path: bytes, stubs: frozenset[bytes]) -> bool:
    """Tell whether a stub is still an empty file, or a directory that holds nothing but such stubs."""
    status = os.lstat(name, dir_fd=dir_fd)
    if stat.S_ISREG(status.st_mode):
        return status.st_size == 0 and status.st_nlink == 1
    if not stat.S_ISDIR(status.st_mode):
        return False
    fd = open_directory(name, dir_fd, path)
    try:
        return all(
            b"%b/%b" % (path, child) in stubs and _is_bare(child, fd, b"%b/%b" % (path, child), stubs)
            for child, _ in list_directory(fd)
        )
    finally:
        os.close(fd)


def _remove_bare(name: bytes, dir_fd: int) -> None:
    with suppress(IsADirectoryError, PermissionError):
        os.unlink(name, dir_fd=dir_fd)
        return
    fd = open_directory(name, dir_fd, name)
    try:
        for child, _ in list_directory(fd):
            _remove_bare(child, fd)
    finally:
        os.close(fd)
    os.rmdir(name, dir_fd=dir_fd)
