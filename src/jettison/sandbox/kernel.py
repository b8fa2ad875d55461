"""The system calls that a sandbox needs and Python's ``os`` lacks, by number or through the C library.

Stand-alone: the child program imports it with nothing else of jettison. Owns numbers, structures and errors of the calls,
no policy. The library is opened as ``PyDLL``, so that the interpreter lock is never let go around ``clone``.
Sources: clone(2), mount(2), fsopen(2), mount_setattr(2), openat2(2), seccomp(2), capabilities(7), asm-generic/unistd.h.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

_libc = ctypes.PyDLL(None, use_errno=True)
_syscall = _libc.syscall
_syscall.restype = ctypes.c_long

IS_ARM = os.uname().machine == "aarch64"
_CLONE, _PIVOT_ROOT, _SECCOMP, _STATX = (220, 41, 277, 291) if IS_ARM else (56, 155, 317, 332)
_RT_SIGACTION = 134 if IS_ARM else 13
_MOVE_MOUNT, _FSOPEN, _FSCONFIG, _FSMOUNT, _CLOSE_RANGE, _OPENAT2, _MOUNT_SETATTR = 429, 430, 431, 432, 436, 437, 442

CLONE_PIDFD = 0x1000
CLONE_NEWNS = 0x20000
CLONE_NEWCGROUP = 0x2000000
CLONE_NEWUTS = 0x4000000
CLONE_NEWIPC = 0x8000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
_SIGCHLD = 17

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_BIND, MS_REC, MS_PRIVATE, MS_STRICTATIME = 0x1000, 0x4000, 1 << 18, 1 << 24
MNT_DETACH = 2
_ATTR_RDONLY, _ATTR_NOSUID, _ATTR_NODEV, _ATTR_NOEXEC = 1, 2, 4, 8
_AT_RECURSIVE, _AT_EMPTY_PATH, _AT_FDCWD = 0x8000, 0x1000, -100
_CONFIG_FLAG, _CONFIG_STRING, _CONFIG_CREATE = 0, 1, 6
_MOVE_FROM_EMPTY_PATH = 4
RESOLVE_NO_MAGICLINKS, RESOLVE_IN_ROOT = 2, 16

_PR_SET_PDEATHSIG, _PR_CAPBSET_DROP, _PR_CAP_AMBIENT, _AMBIENT_CLEAR_ALL = 1, 24, 47, 4
_PR_SET_NO_NEW_PRIVS = 38
_CAPABILITY_VERSION_3 = 0x20080522
_STATX_MNT_ID, _STATX_MNT_ID_AT = 0x1000, 0x90
_TIOCSPTLCK, _TIOCGPTPEER, _TIOCSCTTY, _TIOCSWINSZ = 0x40045431, 0x5441, 0x540E, 0x5414
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1


class CallError(OSError):
    """A refused system call: its name, the path it was about and the error number."""

    def __init__(self, number: int, call: str, path: bytes = b"") -> None:
        super().__init__(number, os.strerror(number), path)
        self.call = call


def _check(result: int, call: str, path: bytes = b"") -> int:
    if result < 0:
        raise CallError(ctypes.get_errno(), call, path)
    return result


def _call(name: str, number: int, *arguments: object, path: bytes = b"") -> int:
    values = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    return _check(_syscall(ctypes.c_long(number), *values), name, path)


def clone(flags: int) -> tuple[int, int]:
    """Fork with new namespaces. Return (0, -1) in the child, (pid, pidfd) in the parent; the pidfd is close-on-exec.

    Only for a process with one thread. clone(2) instead of clone3(2): container hosts often hide the newer one.
    """
    pidfd = ctypes.c_int(-1)
    pid = _call("clone", _CLONE, flags | CLONE_PIDFD | _SIGCHLD, 0, ctypes.byref(pidfd), 0, 0)
    return pid, (pidfd.value if pid else -1)


def unshare(flags: int) -> None:
    """Move the caller into new namespaces."""
    _check(_libc.unshare(ctypes.c_int(flags)), "unshare")


def mount(source: bytes | None, target: bytes, kind: bytes | None, flags: int = 0, data: bytes | None = None) -> None:
    """Attach a file system, or change the flags of one that is attached."""
    _check(_libc.mount(source, target, kind, ctypes.c_ulong(flags), data), "mount", target)


def unmount(target: bytes, flags: int = MNT_DETACH) -> None:
    """umount2(2); by default the mount and all below it leave at once."""
    _check(_libc.umount2(target, flags), "umount", target)


def pivot_to_here() -> None:
    """Make the current directory (a mount point) the root, and forget the old root altogether. pivot_root(2), NOTES."""
    _call("pivot_root", _PIVOT_ROOT, b".", b".")
    unmount(b".")
    os.chdir("/")


def open_file_system(kind: bytes, options: tuple[tuple[bytes, bytes | None], ...], *, has_devices: bool = False) -> int:
    """Return a detached mount of a new file system; an option without value is a flag. fsopen(2).

    Device nodes on it are dead unless ``has_devices``.
    """
    context = _call("fsopen", _FSOPEN, kind, 1, path=kind)
    try:
        for name, value in options:
            command = _CONFIG_FLAG if value is None else _CONFIG_STRING
            _call("fsconfig", _FSCONFIG, context, command, name, value, 0, path=name if value is None else value)
        _call("fsconfig", _FSCONFIG, context, _CONFIG_CREATE, None, None, 0, path=kind)
        return _call("fsmount", _FSMOUNT, context, 1, 0 if has_devices else _ATTR_NODEV, path=kind)
    finally:
        os.close(context)


def takes_lowerdir_append() -> bool:
    """Tell whether overlay takes one lower directory per call (``lowerdir+``)."""
    try:
        context = _call("fsopen", _FSOPEN, b"overlay", 1)
    except CallError:
        return False
    try:
        _call("fsconfig", _FSCONFIG, context, _CONFIG_STRING, b"lowerdir+", b"/", 0)
    except CallError:
        return False
    finally:
        os.close(context)
    return True


def attach(tree: int, target: bytes) -> None:
    """Put a detached mount onto a directory. move_mount(2)."""
    _call("move_mount", _MOVE_MOUNT, tree, b"", _AT_FDCWD, target, _MOVE_FROM_EMPTY_PATH, path=target)


def restrict_tree(target: bytes, *, is_sealed: bool) -> None:
    """Make a mount and all below it read-only; ``is_sealed`` adds nosuid, nodev and noexec. mount_setattr(2)."""
    flags = _ATTR_RDONLY | (_ATTR_NOSUID | _ATTR_NODEV | _ATTR_NOEXEC if is_sealed else 0)
    attributes = struct.pack("4Q", flags, 0, 0, 0)
    _call("mount_setattr", _MOUNT_SETATTR, _AT_FDCWD, target, _AT_RECURSIVE, attributes, 32, path=target)


def reset_signal(number: int) -> None:
    """Give a signal its default disposition, also one that the C library hides. rt_sigaction(2)."""
    _call("rt_sigaction", _RT_SIGACTION, number, bytes(32), None, 8)


def has_call(number: int) -> bool:
    """Tell whether the kernel knows a call that refuses a bad descriptor."""
    _syscall(ctypes.c_long(number), ctypes.c_long(-1), None, ctypes.c_long(0), None, ctypes.c_long(0))
    return ctypes.get_errno() not in {errno.ENOSYS, errno.EPERM}


def has_mount_setattr() -> bool:
    """Tell whether mount_setattr(2) exists."""
    return has_call(_MOUNT_SETATTR)


def has_openat2() -> bool:
    """Tell whether openat2(2) exists."""
    return has_call(_OPENAT2)


def open_inside(root: int, path: bytes) -> int:
    """Return an O_PATH descriptor of what the path means with ``root`` as its root; magic links are refused. openat2(2)."""
    how = struct.pack("3Q", os.O_PATH | os.O_CLOEXEC, 0, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)
    for _attempt in range(64):
        try:
            return _call("openat2", _OPENAT2, root, path or b".", how, 24, path=path)
        except CallError as error:  # EAGAIN: something was renamed meanwhile
            if error.errno != errno.EAGAIN:
                raise
    raise CallError(errno.EAGAIN, "openat2", path)


def mount_id(descriptor: int) -> int:
    """Return the id of the mount that a descriptor lies on. statx(2)."""
    buffer = ctypes.create_string_buffer(256)
    _call("statx", _STATX, descriptor, b"", _AT_EMPTY_PATH, _STATX_MNT_ID, buffer)
    return int.from_bytes(buffer.raw[_STATX_MNT_ID_AT : _STATX_MNT_ID_AT + 8], "little")


def close_from(first: int) -> None:
    """Close every descriptor from this number on."""
    try:
        _call("close_range", _CLOSE_RANGE, first, 0xFFFFFFFF, 0)
    except CallError:
        os.closerange(first, os.sysconf("SC_OPEN_MAX"))


def die_with_parent() -> None:
    """Be killed when the parent (of one thread) ends; forgotten at each change of identity. PR_SET_PDEATHSIG."""
    _check(_libc.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(9), 0, 0, 0), "prctl")


def limit_bounding_set(allowed: int) -> None:
    """Drop every capability that is not in the mask from the bounding set, and clear the ambient set."""
    for capability in range(64):
        dropped = (
            _libc.prctl(_PR_CAPBSET_DROP, ctypes.c_ulong(capability), 0, 0, 0) if not allowed >> capability & 1 else 0
        )
        if dropped < 0:
            if ctypes.get_errno() == errno.EINVAL:  # past the last capability of this kernel
                break
            raise CallError(ctypes.get_errno(), "prctl")
    _libc.prctl(_PR_CAP_AMBIENT, ctypes.c_ulong(_AMBIENT_CLEAR_ALL), 0, 0, 0)


def set_capabilities(allowed: int) -> None:
    """Set permitted and effective capabilities to the mask, inheritable to none. capset(2)."""
    low, high = allowed & 0xFFFFFFFF, allowed >> 32
    header = struct.pack("Ii", _CAPABILITY_VERSION_3, 0)
    _check(_libc.capset(header, struct.pack("6I", low, low, 0, high, high, 0)), "capset")


def permitted_capabilities() -> int:
    """Return the mask of permitted capabilities. capget(2)."""
    header = struct.pack("Ii", _CAPABILITY_VERSION_3, 0)
    data = ctypes.create_string_buffer(24)
    _check(_libc.capget(header, data), "capget")
    words = struct.unpack("6I", data.raw)
    return int(words[1]) | int(words[4]) << 32


def load_filter(program: bytes) -> None:
    """Load a BPF program as a seccomp filter; needs CAP_SYS_ADMIN or no_new_privs. seccomp(2)."""
    buffer = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(buffer))
    _call("seccomp", _SECCOMP, 1, 0, header)


def set_no_new_privileges() -> None:
    """Give up set-user-id programs for good. PR_SET_NO_NEW_PRIVS."""
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), 0, 0, 0), "prctl")


def set_limit(resource: int, soft: int, hard: int) -> None:
    """Set one resource limit of the caller, -1 for none. setrlimit(2)."""
    mask = (1 << 64) - 1
    _check(_libc.setrlimit(ctypes.c_int(resource), struct.pack("2Q", soft & mask, hard & mask)), "setrlimit")


def set_host_name(name: bytes) -> None:
    """Set the name of this uts namespace."""
    _check(_libc.sethostname(name, ctypes.c_size_t(len(name))), "sethostname", name)


def raise_loopback(socket: int) -> None:
    """Bring ``lo`` of this network namespace up; the socket is any of AF_INET. netdevice(7)."""
    request = ctypes.create_string_buffer(struct.pack("16sh22x", b"lo", 0), 40)
    _check(_libc.ioctl(socket, ctypes.c_ulong(_SIOCGIFFLAGS), request), "ioctl")
    (flags,) = struct.unpack_from("h", request, 16)
    struct.pack_into("h", request, 16, flags | _IFF_UP)
    _check(_libc.ioctl(socket, ctypes.c_ulong(_SIOCSIFFLAGS), request), "ioctl")


def open_terminal(rows: int, columns: int) -> tuple[int, int]:
    """Return (master, terminal) of a new pair in ``/dev/pts``. ioctl_tty(2)."""
    master = os.open("/dev/pts/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    _check(_libc.ioctl(master, ctypes.c_ulong(_TIOCSPTLCK), struct.pack("i", 0)), "ioctl")
    _check(_libc.ioctl(master, ctypes.c_ulong(_TIOCSWINSZ), struct.pack("4H", rows, columns, 0, 0)), "ioctl")
    flags = os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC
    return master, _check(_libc.ioctl(master, ctypes.c_ulong(_TIOCGPTPEER), flags), "ioctl")


def control_terminal(terminal: int) -> None:
    """Make a terminal the controlling one of this session."""
    _check(_libc.ioctl(terminal, ctypes.c_ulong(_TIOCSCTTY), 0), "ioctl")


def wait_readable(descriptors: list[int], timeout_ms: int = -1) -> list[int]:
    """Return those of the descriptors that can be read or whose other end is closed. poll(2)."""
    packed = b"".join(struct.pack("ihh", descriptor, 1, 0) for descriptor in descriptors)
    buffer = ctypes.create_string_buffer(packed, len(packed))
    while _libc.poll(buffer, ctypes.c_ulong(len(descriptors)), timeout_ms) < 0:
        if ctypes.get_errno() != errno.EINTR:
            raise CallError(ctypes.get_errno(), "poll")
    return [descriptor for descriptor, _asked, seen in struct.iter_unpack("ihh", buffer.raw) if seen]
