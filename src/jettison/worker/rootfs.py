"""The files of a chain for the outputs ``tar`` and ``local``: one tar stream, or a directory of the host.

The directory output never follows a symlink that is already there and never deletes what the image does not have; files
belong to the caller. It is written aside first, on the same file system, so that a failure leaves the destination as it was.
"""

from __future__ import annotations

import os
import secrets
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jettison.errors import StoreError, UsageError
from jettison.layer.write import write_tar
from jettison.snapshot.fill import Materials
from jettison.worker.seed import write_union

if TYPE_CHECKING:
    from jettison.solver.task import Chain
    from jettison.worker.tools import Tools


@dataclass(frozen=True, slots=True, kw_only=True)
class TarRequest:
    """The files of a chain as one tar, written to a descriptor."""

    chain: Chain
    epoch: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryRequest:
    """The files of a chain into a directory; made if missing."""

    chain: Chain
    dest: Path


def write_rootfs_tar(tools: Tools, request: TarRequest, fd: int) -> int:
    """Write the flattened tree as a tar; return its size in bytes."""
    total = 0
    for chunk in write_tar(tools.union(request.chain).flatten(), tools.content.open, epoch=request.epoch):
        view = memoryview(chunk)
        total += len(view)
        while view:
            view = view[os.write(fd, view) :]
    return total


def write_rootfs_directory(tools: Tools, request: DirectoryRequest) -> int:
    """Write the flattened tree below the directory; return the count of entries.

    Raises:
        UsageError: ``bad-destination``: the root of the file system, or something that is no directory.
        StoreError: ``disk-full`` and its kin.

    """
    dest = request.dest
    if dest == Path("/"):
        raise UsageError("will not write an image over the root of this file system", slug="bad-destination")
    dest.mkdir(parents=True, exist_ok=True)
    aside = dest / f".jettison-{secrets.token_hex(8)}"
    try:
        aside.mkdir(mode=0o700)
        materials = Materials(layers=tools.store.layers, open_blob=tools.open_blob, id_mode="single")
        count = write_union(tools.union(request.chain), b"", aside, materials)
        _merge(aside, dest)
    except OSError as error:
        raise StoreError(f"can't write to '{dest}': {error.strerror}", slug="output-failed") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return count


def _merge(source: Path, dest: Path) -> None:
    """Move everything below the source into the destination; directories meet, all else replaces what is there."""
    with os.scandir(source) as listing:
        entries = list(listing)
    for entry in entries:
        target = dest / entry.name
        try:
            status = target.lstat()
        except FileNotFoundError:
            _move(entry, target)
            continue
        is_directory = stat.S_ISDIR(status.st_mode)
        if entry.is_dir(follow_symlinks=False) and is_directory:
            mode = entry.stat(follow_symlinks=False)
            Path(entry.path).chmod(0o700)
            _merge(Path(entry.path), target)
            target.chmod(stat.S_IMODE(mode.st_mode))
            os.utime(target, ns=(mode.st_mtime_ns, mode.st_mtime_ns))
            continue
        if is_directory:
            raise IsADirectoryError(21, f"'{target}' is a directory, the image has a file there")
        target.unlink()
        _move(entry, target)


def _move(entry: os.DirEntry[str], target: Path) -> None:
    if not entry.is_dir(follow_symlinks=False):
        Path(entry.path).rename(target)
        return
    # a directory can only be moved while it may be written to (its ".." changes)
    mode = entry.stat(follow_symlinks=False)
    Path(entry.path).chmod(0o700)
    Path(entry.path).rename(target)
    target.chmod(stat.S_IMODE(mode.st_mode))
    os.utime(target, ns=(mode.st_mtime_ns, mode.st_mtime_ns))
