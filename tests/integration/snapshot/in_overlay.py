"""A program: mounts an overlay in a mount namespace of its own, changes files in it, and prints what it then shows.

usage: in_overlay.py SPEC; SPEC is a file with a Python literal: {"root": directory} or {"lowers", "upper", "work", "options"},
and "operations": tuples as ``apply`` takes them. Run by ``unshare --mount`` as root, with ``--user --map-root-user`` otherwise.
"""

from __future__ import annotations

import ast
import ctypes
import errno
import hashlib
import os
import shutil
import stat
import subprocess
import sys
import tempfile


def mount_overlay(spec: dict, target: str) -> None:
    options = f"lowerdir={':'.join(spec['lowers'])},upperdir={spec['upper']},workdir={spec['work']},{spec['options']}"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"overlay", target.encode(), b"overlay", 0, options.encode()):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), options)


def unmount(target: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.umount2(target.encode(), 0):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), target)


def apply(root: bytes, operation: tuple) -> None:
    """Do one operation; what the file system refuses (no such file, not empty) is skipped."""
    verb, path, *rest = operation
    place = os.path.join(root, path)
    try:
        _VERBS[verb](place, *[os.path.join(root, item[1]) if isinstance(item, tuple) else item for item in rest])
    except (OSError, shutil.Error):
        return


def _is_regular(place: bytes) -> bool:
    return stat.S_ISREG(os.lstat(place).st_mode)


def _write(place: bytes, data: bytes) -> None:
    if os.path.lexists(place) and not _is_regular(place):
        return
    with open(place, "wb") as file:
        file.write(data)


def _append(place: bytes, data: bytes) -> None:
    if not _is_regular(place):
        return
    with open(place, "ab") as file:
        file.write(data)


def _remove(place: bytes) -> None:
    if os.path.isdir(place) and not os.path.islink(place):
        shutil.rmtree(place)
    else:
        os.unlink(place)


def _replace_directory(place: bytes) -> None:
    _remove(place)
    os.mkdir(place)


def _move(place: bytes, target: bytes) -> None:
    if target.startswith(place + b"/") or os.path.isdir(target):
        return
    try:
        os.rename(place, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        # overlayfs answers so for directories of lower layers, and mv(1) copies then
        subprocess.run(["cp", "-a", "--", place, target], check=True)
        _remove(place)


def _touch(place: bytes, nanoseconds: int) -> None:
    os.utime(place, ns=(nanoseconds, nanoseconds), follow_symlinks=False)


def _settle(place: bytes, nanoseconds: int) -> None:
    """Give one time to all that is younger."""
    for directory, names, files in os.walk(place, topdown=False):
        for name in (*names, *files, b""):
            at = os.path.join(directory, name)
            if os.lstat(at).st_mtime_ns > nanoseconds:
                _touch(at, nanoseconds)


def _open_for_writing(place: bytes) -> None:
    if _is_regular(place):
        os.close(os.open(place, os.O_WRONLY | os.O_NOFOLLOW))


def _chmod(place: bytes, mode: int) -> None:
    if not os.path.islink(place):
        os.chmod(place, mode)


_VERBS = {
    "write": _write,
    "append": _append,
    "open": _open_for_writing,
    "mkdir": os.mkdir,
    "remove": _remove,
    "replace-directory": _replace_directory,
    "move": _move,
    "chmod": _chmod,
    "chown": lambda place, uid, gid: os.chown(place, uid, gid, follow_symlinks=False),
    "symlink": lambda place, text: os.symlink(text, place),
    "link": lambda place, target: os.link(target, place, follow_symlinks=False),
    "touch": _touch,
    "settle": _settle,
    "xattr": lambda place, name, value: os.setxattr(place, name, value, follow_symlinks=False),
    "fifo": os.mkfifo,
    "socket": lambda place: os.mknod(place, stat.S_IFSOCK | 0o600),
}


def walk(root: bytes) -> dict[bytes, tuple]:
    """Return what each path is: type, mode, owner, time, content, attributes."""
    found: dict[bytes, tuple] = {}
    waiting = [b""]
    while waiting:
        directory = waiting.pop()
        for name in os.listdir(os.path.join(root, directory)):
            path = os.path.join(directory, name)
            place = os.path.join(root, path)
            status = os.lstat(place)
            kind = stat.S_IFMT(status.st_mode)
            if kind == stat.S_IFSOCK:
                continue
            content: object = None
            attributes: tuple = ()
            if kind == stat.S_IFREG:
                with open(place, "rb") as file:
                    content = hashlib.sha256(file.read()).hexdigest()
            elif kind == stat.S_IFLNK:
                content = os.readlink(place)
            elif kind in {stat.S_IFCHR, stat.S_IFBLK}:
                content = (os.major(status.st_rdev), os.minor(status.st_rdev))
            if kind in {stat.S_IFREG, stat.S_IFDIR}:
                names = sorted(os.fsencode(text) for text in os.listxattr(place))
                attributes = tuple((item, os.getxattr(place, item)) for item in names if item.startswith(b"user."))
            mode = 0 if kind == stat.S_IFLNK else status.st_mode & 0o7777
            found[path] = (kind, mode, status.st_uid, status.st_gid, status.st_mtime_ns, content, attributes)
            if kind == stat.S_IFDIR:
                waiting.append(path)
    return found


def main() -> None:
    with open(sys.argv[1], encoding="ascii") as file:
        spec = ast.literal_eval(file.read())
    if "root" in spec:
        root = os.fsencode(spec["root"])
        for operation in spec["operations"]:
            apply(root, operation)
        print(ascii(walk(root)))
        return
    with tempfile.TemporaryDirectory() as target:
        mount_overlay(spec, target)
        for operation in spec["operations"]:
            apply(os.fsencode(target), operation)
        shown = walk(os.fsencode(target))
        unmount(target)
    print(ascii(shown))


if __name__ == "__main__":
    main()
