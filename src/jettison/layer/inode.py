"""One inode of a directory tree read as a ``FileEntry``; links are never followed.

Used by everything that turns a directory into entries (the upper directory of a step, a copied tree). It knows nothing of
overlays. Contents are hashed by ``Hasher``: small files at once, as their cost is system calls that the interpreter lock
serialises anyway; larger ones in two threads.
"""

from __future__ import annotations

import os
import stat
from concurrent.futures import Future, ThreadPoolExecutor
from hashlib import sha256
from typing import TYPE_CHECKING, Self, TypeAlias

from jettison.errors import LayerError
from jettison.filetree import EntryKind, FileEntry
from jettison.limits import KIB, MIB

if TYPE_CHECKING:
    from types import TracebackType

Xattrs: TypeAlias = tuple[tuple[bytes, bytes], ...]

_INLINE_BYTES = 128 * KIB
_BLOCK_BYTES = MIB
_THREADS = 2
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_OPEN_DIRECTORY = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC


class Hasher:
    """Computes sha256 digests of open files; a context manager that owns its threads (started at the first large file)."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            # not cancelled: each pending call owns a descriptor that only it closes
            self._pool.shutdown(wait=True)

    def start(self, fd: int, size: int, path: bytes) -> bytes | Future[bytes]:
        """Take over the descriptor and return the raw digest, or its future when the file is large.

        Raises:
            LayerError: layer-unstable: the file has another size than its status said.

        """
        if size <= _INLINE_BYTES:
            return self.digest(fd, size, path)
        if self._pool is None:
            self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="hash")
        return self._pool.submit(self.digest, fd, size, path)

    @staticmethod
    def digest(fd: int, size: int, path: bytes) -> bytes:
        """Take over the descriptor and return the raw digest.

        Raises:
            LayerError: layer-unstable, as ``start``.

        """
        try:
            data = os.read(fd, min(size, _INLINE_BYTES)) if size else b""
            left = size - len(data)
            if not left:
                return sha256(data).digest()
            hashed = sha256(data)
            buffer = memoryview(bytearray(min(left, _BLOCK_BYTES)))
            while left:
                got = os.readv(fd, (buffer[: min(left, len(buffer))],))
                if not got:
                    raise LayerError(f"'/{os.fsdecode(path)}' became shorter while it was read", slug="layer-unstable")
                hashed.update(buffer[:got])
                left -= got
            return hashed.digest()
        finally:
            os.close(fd)


def open_file(name: bytes, dir_fd: int, path: bytes) -> tuple[int, os.stat_result]:
    """Return a descriptor of a regular file and its status; the caller closes it.

    Raises:
        LayerError: layer-unreadable: it can't be opened, or is no regular file any more.

    """
    try:
        fd = os.open(name, _OPEN_FILE, dir_fd=dir_fd)
    except OSError as error:
        raise _unreadable(path, error) from error
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        os.close(fd)
        raise LayerError(f"'/{os.fsdecode(path)}' changed its type while it was read", slug="layer-unstable")
    return fd, status


def open_directory(name: bytes, dir_fd: int, path: bytes) -> int:
    """Return a readable descriptor of a directory.

    Raises:
        LayerError: layer-unreadable: it can't be opened.

    """
    try:
        return os.open(name, _OPEN_DIRECTORY, dir_fd=dir_fd)
    except OSError as error:
        raise _unreadable(path, error) from error


def open_by_parts(root_fd: int, path: bytes) -> int:
    """Return a readable descriptor of a directory some levels below, one O_NOFOLLOW open per component.

    Raises:
        LayerError: layer-unreadable: as ``open_directory``.

    """
    at = open_directory(b".", root_fd, b"")
    for part in path.split(b"/") if path else ():
        try:
            below = open_directory(part, at, path)
        finally:
            os.close(at)
        at = below
    return at


def list_directory(fd: int) -> list[tuple[bytes, str]]:
    """Return the names in an open directory, sorted as bytes, each with ``d``, ``f``, ``l`` or ``o`` (anything else)."""
    with os.scandir(fd) as entries:
        found = [(os.fsencode(entry.name), _letter(entry)) for entry in entries]
    found.sort()
    return found


def _letter(entry: os.DirEntry[str]) -> str:
    if entry.is_file(follow_symlinks=False):
        return "f"
    if entry.is_dir(follow_symlinks=False):
        return "d"
    return "l" if entry.is_symlink() else "o"


def file_entry(path: bytes, status: os.stat_result, xattrs: Xattrs) -> FileEntry:
    """Return the entry of a regular file, its digest still missing."""
    return FileEntry(
        path,
        EntryKind.FILE,
        status.st_mode & 0o7777,
        status.st_uid,
        status.st_gid,
        status.st_size,
        status.st_mtime_ns,
        b"",
        xattrs,
    )


def directory_entry(path: bytes, status: os.stat_result, xattrs: Xattrs) -> FileEntry:
    """Return the entry of a directory."""
    return FileEntry(
        path,
        EntryKind.DIRECTORY,
        status.st_mode & 0o7777,
        status.st_uid,
        status.st_gid,
        0,
        status.st_mtime_ns,
        b"",
        xattrs,
    )


def hard_link_entry(path: bytes, first: FileEntry) -> FileEntry:
    """Return the entry of a further name of a file."""
    return FileEntry(path, EntryKind.HARD_LINK, first.mode, first.uid, first.gid, 0, first.mtime_ns, first.path)


def special_entry(name: bytes, dir_fd: int, path: bytes, status: os.stat_result) -> FileEntry | None:
    """Return the entry of a symlink, device or fifo; None for a socket, which no layer holds."""
    kind = _SPECIAL.get(stat.S_IFMT(status.st_mode))
    if kind is None:
        return None
    target = os.readlink(name, dir_fd=dir_fd) if kind is EntryKind.SYMLINK else b""
    is_device = kind in {EntryKind.CHAR_DEVICE, EntryKind.BLOCK_DEVICE}
    return FileEntry(
        path,
        kind,
        status.st_mode & 0o7777,
        status.st_uid,
        status.st_gid,
        0,
        status.st_mtime_ns,
        target,
        device=(os.major(status.st_rdev), os.minor(status.st_rdev)) if is_device else (0, 0),
    )


_SPECIAL = {
    stat.S_IFLNK: EntryKind.SYMLINK,
    stat.S_IFCHR: EntryKind.CHAR_DEVICE,
    stat.S_IFBLK: EntryKind.BLOCK_DEVICE,
    stat.S_IFIFO: EntryKind.FIFO,
}


def is_same_file(new: FileEntry, old: FileEntry) -> bool:
    """Tell whether two entries of one path are equal but for content digest, freshness and the order of hard links."""
    return (
        _plain_kind(new) == _plain_kind(old)
        and (new.mode == old.mode or new.kind is EntryKind.SYMLINK)
        and new.uid == old.uid
        and new.gid == old.gid
        and new.size == old.size
        and new.mtime_ns == old.mtime_ns
        and new.xattrs == old.xattrs
        and new.device == old.device
        and (new.kind is not EntryKind.SYMLINK or new.link_target == old.link_target)
    )


def _plain_kind(entry: FileEntry) -> EntryKind:
    return EntryKind.FILE if entry.kind is EntryKind.HARD_LINK else entry.kind


def _unreadable(path: bytes, error: OSError) -> LayerError:
    return LayerError(
        f"'/{os.fsdecode(path)}' can't be read: {os.strerror(error.errno or 0)}",
        hint="the step left a file that this user may not read; build as root or with subordinate ids",
        slug="layer-unreadable",
    )
