"""Opening paths below a directory without ever following a symlink, quickly when they come in order.

Owns directory descriptors; refuses to leave its root: every component is opened with O_NOFOLLOW below the descriptor of the
one before it, so that a directory swapped for a symlink meanwhile is an error, never a way out.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

_OPEN_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_KEPT = 64
"""Directories kept open at most; of the deeper ones only the last."""


class DirectoryChain:
    """The directories from the root down to the last one used. Belongs to one thread."""

    def __init__(self, root: Path) -> None:
        self._names: list[bytes] = []
        self._fds = [os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)]
        self._parent: bytes = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all descriptors."""
        while self._fds:
            os.close(self._fds.pop())

    def open_file(self, path: bytes) -> int:
        """Return a descriptor for reading; never blocks on a FIFO.

        Raises:
            OSError: ELOOP or ENOTDIR: a symlink stands where a file or directory was.

        """
        cut = path.rfind(b"/")
        parent = path[:cut] if cut > 0 else b""
        fd = self._fds[-1] if parent == self._parent else self._enter(parent)
        return os.open(path[cut + 1 :], _OPEN_FILE, dir_fd=fd)

    def stat(self, path: bytes) -> os.stat_result:
        """Return the stat result of the path itself. Raises OSError as ``open_file``."""
        cut = path.rfind(b"/")
        fd = self._enter(path[:cut] if cut > 0 else b"")
        return os.stat(path[cut + 1 :] or b".", dir_fd=fd, follow_symlinks=False)

    def read_link(self, path: bytes) -> bytes:
        """Return the text of a symlink. Raises OSError as ``open_file``."""
        cut = path.rfind(b"/")
        fd = self._enter(path[:cut] if cut > 0 else b"")
        return os.readlink(path[cut + 1 :], dir_fd=fd)

    def _enter(self, directory: bytes) -> int:
        """Return the descriptor of a directory, valid until the next call."""
        if directory == self._parent:
            return self._fds[-1]
        names = directory.split(b"/") if directory else []
        common = 0
        for old, new in zip(self._names, names[: _KEPT - 1], strict=False):
            if old != new:
                break
            common += 1
        self._cut(common)
        try:
            for name in names[common:]:
                fd = os.open(name, _OPEN_DIRECTORY, dir_fd=self._fds[-1])
                if len(self._fds) > _KEPT:
                    os.close(self._fds.pop())  # only the newest of the deep ones is needed to go on
                self._fds.append(fd)
                self._names.append(name)
        finally:
            self._parent = b"/".join(self._names)
        return self._fds[-1]

    def _cut(self, length: int) -> None:
        while len(self._fds) > length + 1:
            os.close(self._fds.pop())
        del self._names[length:]
