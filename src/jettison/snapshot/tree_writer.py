"""Writes entries of an index as files below one directory: exact modes whatever the umask, times of directories last.

It is given paths that are already resolved: each parent is a real directory of the tree. Every call goes through the
descriptor of the parent, opened without following links, so a hostile index stays inside. Where content comes from is the
caller's business. Owners are set except in the ``single`` id mode: there the index alone knows them.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, Self

from jettison.errors import HostError, LayerError
from jettison.filetree import EntryKind, FileEntry
from jettison.layer.overlay_marks import (
    DEVICE_XATTR,
    IdMode,
    device_text,
    is_content_xattr,
    make_whiteout,
    mark_opaque,
    mark_with_whiteouts,
    marks_for,
)
from jettison.snapshot.beneath import open_beneath

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_READ_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY
_UNSUPPORTED = frozenset({errno.ENOTSUP, errno.EPERM, errno.EACCES})
_COPY_BYTES = 1 << 30
_NODES = {EntryKind.CHAR_DEVICE: (stat.S_IFCHR, "c"), EntryKind.BLOCK_DEVICE: (stat.S_IFBLK, "b")}


class TreeWriter:
    """A directory tree in the making; a context manager that closes its descriptors. ``finish`` makes it whole."""

    def __init__(self, target: Path, id_mode: IdMode) -> None:
        """Open an existing, empty directory to be filled."""
        self.root_fd = os.open(target, _READ_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        self._sets_owners = id_mode != "single"
        self._marks = marks_for(id_mode)
        self._at = b""
        self._at_fd = self.root_fd
        self._directories: dict[bytes, FileEntry] = {}
        self._with_whiteouts: set[bytes] = set()
        # a set-group-id bit inherited from the store's parent would hand its group down to every file
        os.fchmod(self.root_fd, 0o700)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._move_to(b"", self.root_fd)
        os.close(self.root_fd)

    def has_directory(self, path: bytes) -> bool:
        """Tell whether the directory has been made."""
        return not path or path in self._directories

    def add_directory(self, entry: FileEntry) -> None:
        """Make a directory, or give one that was made before this metadata; it takes effect in ``finish``."""
        if entry.path and entry.path not in self._directories:
            name = self.enter(entry.path)
            try:
                os.mkdir(name, 0o700, dir_fd=self._at_fd)
            except FileExistsError:
                os.unlink(name, dir_fd=self._at_fd)
                os.mkdir(name, 0o700, dir_fd=self._at_fd)
        self._directories[entry.path] = entry

    def create(self, path: bytes) -> int:
        """Return the descriptor of a new, empty file; hand it to ``finish_file``."""
        name = self.enter(path)
        try:
            return os.open(name, _CREATE, 0o600, dir_fd=self._at_fd)
        except FileExistsError:
            # two names of one layer may meet below a symlink of a lower one: the later wins, as in a tar
            os.unlink(name, dir_fd=self._at_fd)
            return os.open(name, _CREATE, 0o600, dir_fd=self._at_fd)

    def finish_file(self, fd: int, entry: FileEntry) -> None:
        """Give an open file its owner, mode, attributes and time, and close it."""
        try:
            self._settle(fd, entry)
        finally:
            os.close(fd)

    def add_link(self, path: bytes, target: bytes) -> None:
        """Make a further name of a file of this tree.

        Raises:
            LayerError: layer-hard-link: no such file.

        """
        head, _, last = target.rpartition(b"/")
        try:
            source_fd = open_beneath(self.root_fd, head)
        except OSError as error:
            raise _no_target(path, target) from error
        try:
            self.add_link_from(path, source_fd, last)
        except FileNotFoundError as error:
            raise _no_target(path, target) from error
        finally:
            os.close(source_fd)

    def add_link_from(self, path: bytes, source_fd: int, source_name: bytes) -> None:
        """Make a name of an existing inode that lies in another open directory.

        Raises:
            OSError: EMLINK, EXDEV or EPERM when it has to be copied instead.

        """
        name = self.enter(path)
        try:
            os.link(source_name, name, src_dir_fd=source_fd, dst_dir_fd=self._at_fd, follow_symlinks=False)
        except FileExistsError:
            os.unlink(name, dir_fd=self._at_fd)
            os.link(source_name, name, src_dir_fd=source_fd, dst_dir_fd=self._at_fd, follow_symlinks=False)

    def add_special(self, entry: FileEntry) -> None:
        """Make a symlink, device, fifo or whiteout; a device that the host refuses becomes an empty file that says so.

        Raises:
            HostError: host-whiteout, host-id-range.

        """
        name = self.enter(entry.path)
        fd = self._at_fd
        match entry.kind:
            case EntryKind.WHITEOUT:
                make_whiteout(name, fd, self._at, self._marks)
                self._with_whiteouts.add(self._at)
                return
            case EntryKind.SYMLINK:
                os.symlink(entry.link_target, name, dir_fd=fd)
            case EntryKind.FIFO:
                os.mkfifo(name, 0o600, dir_fd=fd)
            case EntryKind.CHAR_DEVICE | EntryKind.BLOCK_DEVICE:
                if not self._make_device(name, entry):
                    return
            case _:
                raise AssertionError(f"{entry.kind.name} is no special file")
        if self._sets_owners:
            self._own(entry, lambda uid, gid: os.chown(name, uid, gid, dir_fd=fd, follow_symlinks=False))
        if entry.kind is not EntryKind.SYMLINK:
            os.chmod(name, entry.mode, dir_fd=fd)
        os.utime(name, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=fd, follow_symlinks=False)

    def finish(self) -> dict[bytes, int]:
        """Give all directories their metadata, the deepest first; return their inode numbers by path."""
        self._move_to(b"", self.root_fd)
        inodes = {}
        for path in reversed(self._directories):
            entry = self._directories[path]
            fd = open_beneath(self.root_fd, path, _READ_DIRECTORY)
            try:
                if entry.is_opaque:
                    mark_opaque(fd, self._marks)
                if path in self._with_whiteouts:
                    mark_with_whiteouts(fd, self._marks)
                self._settle(fd, entry)
                inodes[path] = os.fstat(fd).st_ino
            finally:
                os.close(fd)
        return inodes

    def enter(self, path: bytes) -> bytes:
        """Make the parent of the path the current directory and return the last component.

        Raises:
            LayerError: layer-path: the parent is no directory of this tree.

        """
        head, _, name = path.rpartition(b"/")
        if head != self._at:
            try:
                fd = open_beneath(self.root_fd, head) if head else self.root_fd
            except OSError as error:
                raise LayerError(
                    f"'/{os.fsdecode(path)}' lies below something that is no directory in its layer", slug="layer-path"
                ) from error
            self._move_to(head, fd)
        return name

    def _move_to(self, path: bytes, fd: int) -> None:
        if self._at_fd != self.root_fd:
            os.close(self._at_fd)
        self._at, self._at_fd = path, fd

    def _make_device(self, name: bytes, entry: FileEntry) -> bool:
        """Make the node, or a placeholder and return False."""
        kind, letter = _NODES[entry.kind]
        try:
            os.mknod(name, kind | 0o600, os.makedev(*entry.device), dir_fd=self._at_fd)
        except OSError as error:
            if error.errno not in {errno.EPERM, errno.EACCES}:
                raise
        else:
            return True
        fd = self.create(entry.path)
        self._set_xattr(fd, DEVICE_XATTR, device_text(letter, entry.device))
        self.finish_file(fd, entry)
        return False

    def _settle(self, fd: int, entry: FileEntry) -> None:
        if self._sets_owners and (entry.uid or entry.gid):
            self._own(entry, lambda uid, gid: os.fchown(fd, uid, gid))
        # attributes before the mode, which may take the right to set them; after the owner, whose change drops capabilities
        for name, value in entry.xattrs:
            if is_content_xattr(name):
                self._set_xattr(fd, name, value)
        os.fchmod(fd, entry.mode)
        os.utime(fd, ns=(entry.mtime_ns, entry.mtime_ns))

    @staticmethod
    def _own(entry: FileEntry, chown: Callable[[int, int], None]) -> None:
        try:
            chown(entry.uid, entry.gid)
        except OSError as error:
            if error.errno not in {errno.EINVAL, errno.EPERM}:
                raise
            raise HostError(
                f"'/{os.fsdecode(entry.path)}' belongs to {entry.uid}:{entry.gid}, an id that this user's ranges don't hold",
                hint="give the user more subordinate ids in /etc/subuid and /etc/subgid, or build as root",
                slug="host-id-range",
            ) from error

    @staticmethod
    def _set_xattr(fd: int, name: bytes, value: bytes) -> None:
        """Set an attribute; where the file system or the kernel refuses it, the index alone keeps it."""
        try:
            os.setxattr(fd, name, value)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise


def copy_range(source_fd: int, offset: int, size: int, target_fd: int) -> None:
    """Copy bytes between files inside the kernel, sharing blocks where the file system can.

    Raises:
        LayerError: layer-content: the source is shorter.

    """
    left = size
    copy = _copy_file_range
    while left:
        try:
            done = copy(source_fd, offset, min(left, _COPY_BYTES), target_fd)
        except OSError as error:
            if copy is not _copy_file_range or error.errno not in _NO_RANGE_COPY:
                raise
            copy = _send_file
            continue
        if not done:
            raise LayerError("content is shorter than its index says", slug="layer-content")
        offset += done
        left -= done


_NO_RANGE_COPY = frozenset({errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, errno.EBADF})


def _copy_file_range(source_fd: int, offset: int, size: int, target_fd: int) -> int:
    return os.copy_file_range(source_fd, target_fd, size, offset_src=offset)


def _send_file(source_fd: int, offset: int, size: int, target_fd: int) -> int:
    return os.sendfile(target_fd, source_fd, offset, size)


def write_all(fd: int, data: bytes | memoryview) -> None:
    """Write all bytes to a descriptor."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _no_target(path: bytes, target: bytes) -> LayerError:
    return LayerError(
        f"the hard link '/{os.fsdecode(path)}' names '/{os.fsdecode(target)}', which its layer lacks",
        slug="layer-hard-link",
    )
