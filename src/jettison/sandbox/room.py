"""Ways into the root of a step that its symlinks can't bend: the walk below a descriptor, and the root under construction.

Stand-alone, see ``child.py``. Owns the resolution of paths inside the new root and the list of mount points that had to be
made. Refuses a root whose ``/dev``, ``/proc`` or ``/sys`` is no real directory, and targets of the wrong kind.
"""

from __future__ import annotations

import errno
import os

from jettison.sandbox import kernel

O_PLACE = os.O_PATH | os.O_CLOEXEC
_O_ENTRY = O_PLACE | os.O_NOFOLLOW
_IS_DIRECTORY, _IS_LINK, _TYPE = 0o040000, 0o120000, 0o170000
_MAX_LINKS = 40


class HostileRootError(Exception):
    """The image holds something that can't be mounted upon; the message says what."""


class Room:
    """The root under construction: where it is mounted, the private scratch directory, the stubs made so far."""

    def __init__(self) -> None:
        self.root = b""
        self.scratch = b""
        self.stubs: list[bytes] = []
        self.count = 0
        self._root_fd = -1
        self._root_mount = -1
        self._forbidden: set[int] = set()

    def set_root(self, path: bytes) -> None:
        """Take a mounted directory as the new root."""
        self.root = path
        self._root_fd = os.open(path, O_PLACE | os.O_DIRECTORY)
        self._root_mount = kernel.mount_id(self._root_fd)

    def place(self) -> bytes:
        """Return a fresh name on the scratch file system."""
        self.count += 1
        return b"%s/%d" % (self.scratch, self.count)

    def core_directory(self, name: bytes) -> bytes:
        """Return the host-side path of ``/<name>``, made when missing, if it is a real directory."""
        try:
            mode = os.stat(name, dir_fd=self._root_fd, follow_symlinks=False).st_mode
        except FileNotFoundError:
            self._make(self._root_fd, name, name, makes_directory=True)
            mode = _IS_DIRECTORY
        if mode & _TYPE != _IS_DIRECTORY:
            kind = "symbolic link" if mode & _TYPE == _IS_LINK else "file"
            raise HostileRootError(f"the image's '/{name.decode()}' is a {kind}; a step needs a real directory there")
        return self.root + b"/" + name

    def forbid(self, path: bytes) -> None:
        """Let nothing be mounted on the file system at this path: /proc must stay what it is (CVE-2019-16884)."""
        self._forbidden.add(os.stat(path).st_dev)  # noqa: PTH116 - bytes

    def target(self, path: bytes, *, wants_directory: bool) -> int:
        """Return a descriptor of a mount point inside the root; missing parts are made and remembered."""
        found = walk(self._root_fd, path, make=self._make, makes_directory=wants_directory)
        if self._is_root(found) or os.fstat(found).st_dev in self._forbidden:
            os.close(found)
            raise OSError(errno.EBUSY, "nothing can be mounted there", path)
        if is_directory(found) != wants_directory:
            os.close(found)
            text = "it is no directory" if wants_directory else "it is a directory"
            raise OSError(errno.ENOTDIR if wants_directory else errno.EISDIR, text, path)
        return found

    def _is_root(self, descriptor: int) -> bool:
        same = os.fstat(descriptor).st_ino == os.fstat(self._root_fd).st_ino
        return same and kernel.mount_id(descriptor) == self._root_mount

    def _make(self, parent: int, name: bytes, key: bytes, *, makes_directory: bool) -> None:
        before = os.fstat(parent)
        if makes_directory:
            os.mkdir(name, 0o755, dir_fd=parent)
        else:
            os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o644, dir_fd=parent))
        if kernel.mount_id(parent) == self._root_mount:
            self.stubs.append(key)
            os.utime(handle(parent), ns=(before.st_atime_ns, before.st_mtime_ns))


def handle(descriptor: int) -> bytes:
    """Return a path that means exactly what the descriptor is open upon."""
    return b"/proc/self/fd/%d" % descriptor


def walk(root: int, path: bytes, *, make: object = None, makes_directory: bool = True) -> int:
    """Return an O_PATH descriptor of what a path means below ``root``; every symlink is read, none is followed.

    ``..`` goes back along the descriptors that were really passed, so a rename meanwhile can't lead outside. Missing parts
    are made by ``make`` (the last one a directory if ``makes_directory``) or refused.
    """
    names = [name for name in reversed(path.split(b"/")) if name not in {b"", b"."}]
    passed: list[tuple[int, bytes]] = [(os.open(b".", O_PLACE, dir_fd=root), b"")]
    links = 0
    try:
        while names:
            name = names.pop()
            parent, parent_key = passed[-1]
            if name == b"..":
                if len(passed) > 1:
                    os.close(passed.pop()[0])
                continue
            key = parent_key + b"/" + name if parent_key else name
            found = _open_entry(parent, name, key, make, bool(names) or makes_directory)
            if os.fstat(found).st_mode & _TYPE == _IS_LINK:
                text = os.readlink(b"", dir_fd=found)
                os.close(found)
                links += 1
                if links > _MAX_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
                while text.startswith(b"/") and len(passed) > 1:
                    os.close(passed.pop()[0])
                names += [part for part in reversed(text.split(b"/")) if part not in {b"", b"."}]
                continue
            passed.append((found, key))
        return os.dup(passed[-1][0])
    finally:
        for descriptor, _key in passed:
            os.close(descriptor)


def _open_entry(parent: int, name: bytes, key: bytes, make: object, makes_directory: bool) -> int:  # noqa: FBT001 - private
    try:
        return os.open(name, _O_ENTRY, dir_fd=parent)
    except FileNotFoundError:
        if make is None:
            raise
    make(parent, name, key, makes_directory=makes_directory)  # type: ignore[operator]  # a Room's method; typing is too heavy here
    return os.open(name, _O_ENTRY, dir_fd=parent)


def is_directory(descriptor: int) -> bool:
    """Return whether the descriptor is of a directory."""
    return os.fstat(descriptor).st_mode & _TYPE == _IS_DIRECTORY
