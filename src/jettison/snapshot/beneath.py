"""Opening paths below a directory without ever leaving it: no symlink is followed, no ``..`` climbs.

The kernel does it in one call (openat2 with RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS); where that call is missing or a seccomp
filter refuses it, a walk opens one component at a time with O_NOFOLLOW. Both refuse the same paths. Source: openat2(2).
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_OPENAT2 = 437
_RESOLVE = 0x02 | 0x04 | 0x08  # no magic links, no symlinks, beneath
_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def open_beneath(root_fd: int, path: bytes, flags: int = _DIRECTORY, mode: int = 0) -> int:
    """Return a descriptor of the path below the directory; by default an O_PATH descriptor of a directory.

    The path is relative (``b""`` is the directory itself). O_CLOEXEC is always set.

    Raises:
        OSError: ELOOP when a component is a symlink, EXDEV when it would climb out, else as open(2).

    """
    call = _kernel_call()
    if call is not None:
        # with O_PATH, O_NOFOLLOW would ask for the symlink itself
        return call(root_fd, path or b".", (flags | os.O_CLOEXEC) & ~os.O_NOFOLLOW, mode)
    return open_by_walk(root_fd, path, flags, mode)


def open_by_walk(root_fd: int, path: bytes, flags: int = _DIRECTORY, mode: int = 0) -> int:
    """Return what ``open_beneath`` returns, by one O_NOFOLLOW open per component.

    Raises:
        OSError: as ``open_beneath``.

    """
    flags |= os.O_CLOEXEC | os.O_NOFOLLOW
    parts = [part for part in path.split(b"/") if part and part != b"."]
    if path.startswith(b"/") or b".." in parts:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), path)
    at = root_fd
    try:
        for part in parts[:-1]:
            below = _open_component(part, at, _DIRECTORY, 0)
            if at != root_fd:
                os.close(at)
            at = below
        return _open_component(parts[-1] if parts else b".", at, flags, mode)
    finally:
        if at != root_fd:
            os.close(at)


def _open_component(name: bytes, dir_fd: int, flags: int, mode: int) -> int:
    """Open one name; a symlink answers ELOOP whatever the flags are."""
    try:
        fd = os.open(name, flags, mode, dir_fd=dir_fd)
    except NotADirectoryError:
        if _is_symlink(name, dir_fd):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), name) from None
        raise
    if flags & os.O_PATH and not flags & os.O_DIRECTORY and _is_symlink(name, dir_fd):
        os.close(fd)
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), name)
    return fd


def _is_symlink(name: bytes, dir_fd: int) -> bool:
    try:
        return os.lstat(name, dir_fd=dir_fd).st_mode & 0o170000 == 0o120000
    except FileNotFoundError:
        return False


@cache
def _kernel_call() -> Callable[[int, bytes, int, int], int] | None:
    """Return openat2 as a function, or None where the kernel or a filter has none."""
    # PyDLL keeps the interpreter lock: these opens are too short to be worth giving it away
    syscall = ctypes.PyDLL(None, use_errno=True).syscall
    syscall.restype = ctypes.c_long
    how = struct.Struct("QQQ").pack

    def openat2(root_fd: int, path: bytes, flags: int, mode: int) -> int:
        while True:
            fd: int = syscall(_OPENAT2, root_fd, path, how(flags, mode, _RESOLVE), 24)
            if fd >= 0:
                return fd
            number = ctypes.get_errno()
            if number not in {errno.EAGAIN, errno.EINTR}:
                raise OSError(number, os.strerror(number), path)

    here = os.open("/", _DIRECTORY)
    try:
        os.close(openat2(here, b".", _DIRECTORY, 0))
    except OSError:
        return None
    finally:
        os.close(here)
    return openat2
