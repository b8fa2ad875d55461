"""How overlayfs writes deletions and opaque directories, and which extended attributes belong to content.

A whiteout is a character device 0/0, or (Linux 6.7, where mknod is refused) an empty file with the attribute
``overlay.whiteout`` in a directory whose ``overlay.opaque`` is ``x``. An opaque directory has ``overlay.opaque`` = ``y``. A
directory with whiteouts has ``overlay.origin``, or the kernel lists them when no other layer has the directory. The
attributes live in ``trusted.`` when the mount was made by real root and in ``user.`` when it was made in a user namespace
(``userxattr``); those of the other name space mean nothing and are never content. Source:
Documentation/filesystems/overlayfs.rst of Linux.

Content keeps ``security.capability`` and ``user.*``. BuildKit's layers carry only the former; the latter can't raise a
privilege and buildah and umoci keep them. Labels of the host (``security.selinux``), POSIX ACLs (``system.*``, which no
builder ships) and ``trusted.*`` stay behind.
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from typing import Literal, TypeAlias

from jettison.errors import HostError, LayerError

IdMode: TypeAlias = Literal["root", "subids", "single"]
"""Whose ids the host gives: real root, an ordinary user with ranges of subordinate ids, or with its own id alone."""

DEVICE_XATTR = b"user.jettison.device"
"""On a placeholder that stands for a device node an ordinary user can't make: ``c:1:3``."""
_PRIVATE_PREFIXES = (b"user.overlay.", b"user.jettison.")
_REFUSED = frozenset({errno.EPERM, errno.EACCES})


@dataclass(frozen=True, slots=True)
class OverlayMarks:
    """The names of the marks in one xattr name space."""

    opaque: bytes
    whiteout: bytes
    origin: bytes
    redirect: bytes
    metacopy: bytes


_MARKS = (b"opaque", b"whiteout", b"origin", b"redirect", b"metacopy")


def _marks_in(space: bytes) -> OverlayMarks:
    return OverlayMarks(*(space + b"overlay." + name for name in _MARKS))


TRUSTED_MARKS = _marks_in(b"trusted.")
USER_MARKS = _marks_in(b"user.")


def marks_for(id_mode: IdMode) -> OverlayMarks:
    """Return the marks that overlay mounts of this id mode read and write."""
    return TRUSTED_MARKS if id_mode == "root" else USER_MARKS


def is_content_xattr(name: bytes) -> bool:
    """Tell whether an extended attribute is part of a layer's content."""
    if name.startswith(b"user."):
        return not name.startswith(_PRIVATE_PREFIXES)
    return name == b"security.capability"


def content_xattrs(fd: int) -> tuple[tuple[bytes, bytes], ...]:
    """Return the attributes of an open file or directory that are content, sorted by name."""
    names = read_names(fd)
    if not names:
        return ()
    kept = sorted(name for name in map(os.fsencode, names) if is_content_xattr(name))
    return tuple((name, os.getxattr(fd, name)) for name in kept)


def read_names(fd: int) -> list[str]:
    """Return the names of all extended attributes; none where the file system has no such thing."""
    try:
        return os.listxattr(fd)
    except OSError as error:
        if error.errno in {errno.ENOTSUP, errno.ENOSYS}:
            return []
        raise


def refuse_features(names: list[str], marks: OverlayMarks, path: bytes) -> None:
    """Refuse an upper directory that is not a plain difference.

    Raises:
        LayerError: overlay-feature: the kernel moved or copied metadata alone (``redirect_dir``, ``metacopy``).

    """
    for mark in (marks.redirect, marks.metacopy):
        if os.fsdecode(mark) in names:
            raise LayerError(
                f"'/{os.fsdecode(path)}' carries '{mark.decode()}', so the upper directory is not a plain difference",
                hint="mount overlays with redirect_dir=off,metacopy=off (kernel module parameters of 'overlay')",
                slug="overlay-feature",
            )


def is_whiteout(status: os.stat_result) -> bool:
    """Tell whether the status is that of a whiteout in device form."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def make_whiteout(name: bytes, dir_fd: int, dir_path: bytes, marks: OverlayMarks) -> None:
    """Make a whiteout in a directory that will be a lower or upper of an overlay.

    Raises:
        HostError: host-whiteout: the host lets us make neither the device nor the attribute form.

    """
    try:
        os.mknod(name, stat.S_IFCHR, 0, dir_fd=dir_fd)
    except OSError as error:
        if error.errno not in _REFUSED:
            raise
    else:
        return
    try:
        _make_xattr_whiteout(name, dir_fd, marks)
    except OSError as error:
        raise HostError(
            f"no whiteout can be made for '/{os.fsdecode(dir_path)}/{os.fsdecode(name)}': mknod and setxattr were refused",
            hint="use a file system with extended attributes, or allow mknod of the device 0/0 in the seccomp profile",
            slug="host-whiteout",
        ) from error


def _make_xattr_whiteout(name: bytes, dir_fd: int, marks: OverlayMarks) -> None:
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=dir_fd)
    try:
        os.setxattr(fd, marks.whiteout, b"y")
    finally:
        os.close(fd)
    parent = os.open(b".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=dir_fd)
    try:
        if os.fsdecode(marks.opaque) not in read_names(parent):
            os.setxattr(parent, marks.opaque, b"x")
    finally:
        os.close(parent)


def mark_opaque(fd: int, marks: OverlayMarks) -> None:
    """Make an open directory opaque."""
    os.setxattr(fd, marks.opaque, b"y")


def mark_with_whiteouts(fd: int, marks: OverlayMarks) -> None:
    """Tell the kernel that an open directory holds whiteouts, which it must not list even if nothing is merged into it."""
    if os.fsdecode(marks.origin) not in read_names(fd):
        # an empty value means "copied up from somewhere"
        os.setxattr(fd, marks.origin, b"")


def device_text(kind_letter: str, device: tuple[int, int]) -> bytes:
    """Return the value of ``DEVICE_XATTR`` for a device: ``c:1:3``."""
    return f"{kind_letter}:{device[0]}:{device[1]}".encode()
