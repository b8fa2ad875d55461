"""Where deleted things go: renamed away at once, removed when somebody has time.

A rename is atomic and always allowed to the store's user, even for a tree whose files belong to subordinate ids; removing
such a tree may need the worker. So ``Trash.take`` only renames, and ``empty_trash`` (runnable anywhere) removes what its
process may remove and leaves the rest. A symlink is never followed. Deep trees are flattened on the way, so neither the
stack nor the number of open descriptors grows with their depth.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jettison.store.faults import telling

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_DEPTH_MAX = 48
_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_HANDLE = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True, kw_only=True)
class Emptied:
    """What one emptying did: bytes given back, names removed, and entries left because this process may not remove them."""

    size_bytes: int
    removed: int
    left: int


class Trash:
    """The directory ``trash/`` of a store."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def take(self, path: Path) -> bool:
        """Move the file or tree here under a new name; False when it is not there.

        Raises:
            StoreError: ``store-access`` and its kin, the rename was refused.

        """
        with telling("remove", path):
            try:
                path.rename(self.path / secrets.token_hex(12))
            except FileNotFoundError:
                return False
            except PermissionError:
                # A directory whose own mode forbids writing can't change its parent entry; its owner may lift that.
                if path.is_symlink():
                    raise
                path.chmod(stat.S_IRWXU)
                path.rename(self.path / secrets.token_hex(12))
        return True


def empty_trash(path: Path, is_over: Callable[[], bool] = lambda: False) -> Emptied:
    """Remove everything below the directory that this process may remove; several processes may do it at once.

    When ``is_over`` says so the rest stays for the next time.
    """
    work = _Emptying(is_over)
    with telling("open", path):
        fd = os.open(path, _OPEN_DIRECTORY)
    try:
        while work.is_flattened and not is_over():
            work.is_flattened = False
            work.left = 0
            for name in os.listdir(fd):  # noqa: PTH208 - by descriptor
                work.remove(fd, fd, name, 0)
    finally:
        os.close(fd)
    return Emptied(size_bytes=work.size_bytes, removed=work.removed, left=work.left)


class _Emptying:
    def __init__(self, is_over: Callable[[], bool]) -> None:
        self._is_over = is_over
        self.size_bytes = 0
        self.removed = 0
        self.left = 0
        self.is_flattened = True

    def remove(self, top: int, parent: int, name: str, depth: int) -> None:
        if self._is_over():
            self.left += 1
            return
        try:
            status = os.stat(name, dir_fd=parent, follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                self._remove_directory(top, parent, name, depth)
            else:
                os.unlink(name, dir_fd=parent)
            if not stat.S_ISDIR(status.st_mode) and status.st_nlink == 1:
                self.size_bytes += status.st_blocks * 512
            self.removed += 1
        except FileNotFoundError:
            return
        except OSError:
            self.left += 1

    def _remove_directory(self, top: int, parent: int, name: str, depth: int) -> None:
        fd = _open_for_removal(parent, name)
        try:
            if depth >= _DEPTH_MAX:
                os.rename(name, secrets.token_hex(12), src_dir_fd=parent, dst_dir_fd=top)
                self.is_flattened = True
                return
            for child in os.listdir(fd):  # noqa: PTH208 - by descriptor
                self.remove(top, fd, child, depth + 1)
        finally:
            os.close(fd)
        try:
            os.rmdir(name, dir_fd=parent)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            self.removed -= 1  # something below it stays and is counted there


def _open_for_removal(parent: int, name: str) -> int:
    handle = os.open(name, _OPEN_HANDLE, dir_fd=parent)
    try:
        if os.fstat(handle).st_mode & stat.S_IRWXU != stat.S_IRWXU:
            try:
                os.chmod(f"/proc/self/fd/{handle}", stat.S_IRWXU)  # noqa: PTH101 - by descriptor
            except OSError as error:
                if error.errno not in (errno.EPERM, errno.EACCES, errno.ENOENT):
                    raise
    finally:
        os.close(handle)
    return os.open(name, _OPEN_DIRECTORY, dir_fd=parent)
