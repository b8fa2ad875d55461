"""What the store asks of the kernel: the boot id, one syncfs, the kind of a file system, whole files.

Sources: syncfs(2), statfs(2), proc_sys_kernel(5). Owns no state.
"""

from __future__ import annotations

import ctypes
import os
import secrets
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_NETWORK = {
    0x6969: "NFS",
    0x517B: "SMB",
    0xFE534D42: "SMB",
    0xFF534D42: "CIFS",
    0x5346414F: "AFS",
    0x6B414653: "AFS",
    0x00C36400: "Ceph",
    0x01021997: "9P",
    0x73757245: "Coda",
    0x0BD00BD0: "Lustre",
    0x47504653: "GPFS",
    0x01161970: "GFS2",
    0x7461636F: "OCFS2",
    0x19830326: "BeeGFS",
}
"""File systems that several machines may mount, by the magic number of statfs(2)."""

_libc = ctypes.CDLL(None, use_errno=True)


def boot_id() -> str:
    """Return the id of this boot of the kernel; where the kernel tells none, one that no other call returns."""
    try:
        text = _BOOT_ID.read_text("ascii").strip()
    except OSError:
        text = ""
    return text if text and text.replace("-", "").isalnum() else f"none-{secrets.token_hex(16)}"


def sync_filesystem(path: Path) -> None:
    """Wait until everything written so far to the file system of the path is on the disk (syncfs(2)).

    Raises:
        OSError: what the disk answered (ENOSPC and EIO of earlier writes come out here).

    """
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if _libc.syncfs(fd) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), str(path))
    finally:
        os.close(fd)


def network_filesystem(path: Path) -> str | None:
    """Return the name of the network file system that holds the path, None for a local one."""
    buffer = ctypes.create_string_buffer(512)
    if _libc.statfs(os.fsencode(path), buffer) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(path))
    kind = ctypes.c_uint32 if os.uname().machine == "s390x" else ctypes.c_long
    return network_name(kind.from_buffer(buffer).value & 0xFFFFFFFF)


def network_name(magic: int) -> str | None:
    """Return the name of the network file system with this magic number, None for any other."""
    return _NETWORK.get(magic)


def write_file(path: Path, data: bytes, *, mode: int = 0o644, is_durable: bool = False) -> None:
    """Write a new file whole, with exactly this mode; ``is_durable`` waits for the disk. It must not exist."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        os.fchmod(fd, mode)
        if is_durable:
            os.fsync(fd)
    finally:
        os.close(fd)


def sync_directory(path: Path) -> None:
    """Wait until the names of a directory are on the disk."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def list_names(path: Path) -> list[str]:
    """Return the names in the directory, sorted."""
    return sorted(os.listdir(path))  # noqa: PTH208 - a Path for each of thousands of names costs more than the call


def make_directory(path: Path, mode: int = 0o700) -> None:
    """Make the directory with exactly this mode, and its missing parents; one that exists is left as it is."""
    if path.is_dir():
        return
    make_parents(path.parent)
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        if not path.is_dir():
            raise
        return
    path.chmod(mode)


def make_parents(path: Path) -> None:
    """Make the missing directories of the path, each with mode 0755."""
    if not path.is_dir():
        make_directory(path, 0o755)


def inode_of(path: Path) -> int | None:
    """Return the inode number that the name has, None when there is no such name; a symlink is not followed."""
    try:
        return os.lstat(path).st_ino
    except (FileNotFoundError, NotADirectoryError):
        return None


def exists(path: Path) -> bool:
    """Tell whether the name is there, whatever it is; a symlink is not followed."""
    return inode_of(path) is not None
