"""The root file system of a step: the child's mounts, made inside the new root and never through its symlinks.

Stand-alone, see ``child.py``. Owns one function per mount step of ``steps.py``; ``room.py`` finds the targets. Until ``enter``
the host's tree is still the root, so that host sources can be opened. No other process is inside meanwhile, but bind sources
may change under us: they are opened by descriptor below their own root.
"""

# Paths are bytes below descriptors, and pathlib is too heavy for a process that forks once per step:
# ruff: noqa: PTH102, PTH211

from __future__ import annotations

import errno
import os

from jettison.sandbox import kernel
from jettison.sandbox.room import O_PLACE, Room, handle, is_directory, walk

_PLAIN = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC


def mount_overlay(room: Room, mountpoint: bytes, layers: tuple[tuple[bytes, ...], bytes, bytes], options: tuple[
    tuple[bytes, bytes | None], ...
], is_appended: bool) -> None:  # fmt: skip  # noqa: FBT001 - called from a table
    """Mount (lowers, upper, work) upon a directory.

    The kernel bounds an option to 255 bytes and, before ``lowerdir+``, all of them to one page; so it gets short names:
    symlinks on a private file system that nobody else can see.
    """
    del room
    names = kernel.open_file_system(b"tmpfs", ((b"mode", b"0700"),))
    here = os.open(b".", O_PLACE)
    try:
        os.fchdir(names)
        lowers, upper, work = layers
        short = tuple(b"%x" % number for number in range(len(lowers)))
        for name, lower in zip(short, lowers, strict=True):
            os.symlink(lower, name)
        writable: tuple[tuple[bytes, bytes | None], ...] = ()
        if upper:
            os.symlink(upper, b"u")
            os.symlink(work, b"w")
            writable = ((b"upperdir", b"u"), (b"workdir", b"w"))
        if is_appended:
            appended = tuple((b"lowerdir+", name) for name in short)
            tree = kernel.open_file_system(b"overlay", (*appended, *writable, *options))
            kernel.attach(tree, mountpoint)
            os.close(tree)
        else:
            words = [b"lowerdir=" + b":".join(short)]
            words += [name if value is None else name + b"=" + value for name, value in (*writable, *options)]
            kernel.mount(b"overlay", mountpoint, b"overlay", kernel.MS_NODEV, b",".join(words))
    finally:
        os.fchdir(here)
        os.close(here)
        os.close(names)


def root_overlay(room: Room, mountpoint: bytes, layers: tuple[tuple[bytes, ...], bytes, bytes], options: tuple[
    tuple[bytes, bytes | None], ...
], is_appended: bool) -> None:  # fmt: skip  # noqa: FBT001 - called from a table
    """Mount the overlay that is the step's root."""
    mount_overlay(room, mountpoint, layers, options, is_appended)
    room.set_root(mountpoint)


def root_directory(room: Room, path: bytes) -> None:
    """Take a plain directory as the step's root; device nodes on it are dead."""
    kernel.mount(path, path, None, kernel.MS_BIND | kernel.MS_REC)
    flags = kernel.MS_BIND | kernel.MS_REMOUNT | kernel.MS_NODEV | _locked_flags(path)
    kernel.mount(None, path, None, flags)
    room.set_root(path)


def scratch(room: Room, path: bytes) -> None:
    """Mount the step's private file system upon an empty directory of ours; it vanishes from sight with the old root."""
    kernel.mount(b"tmpfs", path, b"tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, b"mode=0700")
    room.scratch = path


def proc(room: Room) -> None:
    """Mount the /proc of the step's process namespace."""
    target = room.core_directory(b"proc")
    kernel.mount(b"proc", target, b"proc", _PLAIN)
    room.forbid(target)


def system(room: Room, is_fresh: bool, is_recursive: bool) -> None:  # noqa: FBT001 - called from a table
    """Mount /sys read-only: a fresh one, or (inside a user namespace) the host's with all below it."""
    target = room.core_directory(b"sys")
    if is_fresh:
        kernel.mount(b"sysfs", target, b"sysfs", _PLAIN | kernel.MS_RDONLY)
        return
    kernel.mount(b"/sys", target, None, kernel.MS_BIND | kernel.MS_REC)
    if is_recursive:
        kernel.restrict_tree(target, is_sealed=True)
        return
    kernel.mount(b"tmpfs", target + b"/fs/cgroup", b"tmpfs", _PLAIN | kernel.MS_RDONLY)
    flags = kernel.MS_BIND | kernel.MS_REMOUNT | kernel.MS_RDONLY | _PLAIN
    kernel.mount(None, target, None, flags | _locked_flags(target))


def devices(
    room: Room, names: tuple[bytes, ...], links: tuple[tuple[bytes, bytes], ...], options: tuple[bytes, bytes]
) -> None:
    """Make a small /dev of binds of the host's nodes.

    The directory itself is nodev: a step that makes a node of its own (mknod is in docker's default set) can't open it.
    """
    place = room.core_directory(b"dev")
    flags = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_STRICTATIME
    kernel.mount(b"tmpfs", place, b"tmpfs", flags, b"mode=755,size=64m")
    for name in names:
        path = place + b"/" + name
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o666))
        kernel.mount(b"/dev/" + name, path, None, kernel.MS_BIND)
    for name, text in links:
        os.symlink(text, place + b"/" + name)
    terminal_options, shm_options = options
    for name, kind, sealed, data in (
        (b"pts", b"devpts", kernel.MS_NOSUID | kernel.MS_NOEXEC, terminal_options),
        (b"shm", b"tmpfs", _PLAIN, shm_options),
        (b"mqueue", b"mqueue", _PLAIN, None),
    ):
        path = place + b"/" + name
        os.mkdir(path, 0o755)
        kernel.mount(name, path, kind, sealed, data)


def mount_bind(room: Room, source_root: bytes, source: bytes, target: bytes, access: int) -> None:
    """Bind a host file or tree; with ``source_root`` it is resolved below that and never leaves it.

    ``access``: 0 writable, 1 read-only, 2 read-only where mount_setattr(2) is missing.
    """
    origin = _open_source(source_root, source)
    wants_directory = is_directory(origin)
    point = room.target(target, wants_directory=wants_directory)
    kernel.mount(handle(origin), handle(point), None, kernel.MS_BIND | kernel.MS_REC)
    os.close(origin)
    os.close(point)
    if access:
        _restrict(room, target, access, wants_directory=wants_directory)


def _open_source(source_root: bytes, source: bytes) -> int:
    if not source_root:
        return os.open(source, O_PLACE)
    root = os.open(source_root, O_PLACE | os.O_DIRECTORY)
    try:
        return kernel.open_inside(root, source)
    except OSError as error:
        if error.errno != errno.ENOSYS:
            raise
        return walk(root, source)
    finally:
        os.close(root)


def _restrict(room: Room, target: bytes, access: int, *, wants_directory: bool) -> None:
    point = room.target(target, wants_directory=wants_directory)
    path = handle(point)
    if access == 1:
        kernel.restrict_tree(path, is_sealed=False)
    else:
        kernel.mount(None, path, None, kernel.MS_BIND | kernel.MS_REMOUNT | kernel.MS_RDONLY | _locked_flags(path))
    os.close(point)


def _locked_flags(path: bytes) -> int:
    """Return the flags of a mount that a remount inside a user namespace must repeat (ST_* equal MS_* here)."""
    flags = os.statvfs(path).f_flag
    kept = flags & (kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC | 1024 | 2048)
    return kept | (1 << 21 if flags & 4096 else 0)  # ST_RELATIME -> MS_RELATIME


def mount_memory(room: Room, target: bytes, options: bytes, is_read_only: bool) -> None:  # noqa: FBT001 - from a table
    """Mount an empty file system in memory."""
    point = room.target(target, wants_directory=True)
    flags = kernel.MS_NOSUID | kernel.MS_NODEV | (kernel.MS_RDONLY if is_read_only else 0)
    kernel.mount(b"tmpfs", handle(point), b"tmpfs", flags, options)
    os.close(point)


def mount_file(room: Room, target: bytes, data: bytes, owner: tuple[int, int, int], access: int) -> None:
    """Show a file of the step's private file system at the target; ``owner`` is (mode, uid, gid)."""
    mode, uid, gid = owner
    path = room.place()
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb", buffering=0) as file:  # noqa: PTH123 - by descriptor
        view = memoryview(data)
        while view:
            view = view[file.write(view) :]
        os.fchown(descriptor, uid, gid)
        os.fchmod(descriptor, mode)
    mount_bind(room, b"", path, target, access)


def mount_union(room: Room, layers: tuple[tuple[bytes, ...], bytes, bytes], options: tuple[
    tuple[bytes, bytes | None], ...
], is_appended: bool, bind: tuple[bytes, bytes, int]) -> None:  # fmt: skip  # noqa: FBT001 - called from a table
    """Unite layers aside and bind a path of the union; ``bind`` is (source, target, access)."""
    aside = room.place()
    os.mkdir(aside, 0o700)
    mount_overlay(room, aside, layers, options, is_appended)
    source, target, access = bind
    mount_bind(room, aside, source, target, access)


def enter(room: Room) -> None:
    """Make the new root the root; from here on the host's tree is gone."""
    os.chdir(room.root)
    kernel.pivot_to_here()


def mask(room: Room, files: tuple[bytes, ...], directories: tuple[bytes, ...], read_only: tuple[bytes, ...]) -> None:
    """Hide parts of /proc and /sys and protect others; those that this kernel lacks are passed over."""
    del room
    for path in files:
        _quietly(b"/dev/null", path, None, kernel.MS_BIND)
    for path in directories:
        _quietly(b"tmpfs", path, b"tmpfs", kernel.MS_RDONLY | _PLAIN)
    for path in read_only:
        if _quietly(path, path, None, kernel.MS_BIND | kernel.MS_REC):
            kernel.mount(None, path, None, kernel.MS_BIND | kernel.MS_REMOUNT | kernel.MS_RDONLY | _PLAIN)


def _quietly(source: bytes, target: bytes, kind: bytes | None, flags: int) -> bool:
    try:
        kernel.mount(source, target, kind, flags)
    except OSError as error:
        if error.errno not in {errno.ENOENT, errno.ENOTDIR}:
            raise
        return False
    return True
