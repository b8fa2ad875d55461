"""The copying driver, for hosts without overlayfs: the merged tree is written out, and afterwards compared with its chain.

Contents are copied (inside the kernel, sharing blocks where the file system can), never linked, as the step may write to
them. What a step left alone is known by its inode and status time and not read again. Changed files stay where they are:
the tree loses everything else and becomes the new layer's ``fs``. So both drivers give the same index for the same changes,
but for one thing: a file with several names in a lower layer loses them when it is written through overlayfs (each name is
copied up alone), while here, as on any file system, all its names change.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from jettison.filetree import EntryKind
from jettison.layer.diff import CopiedTree, DiffOptions, scan_upper
from jettison.layer.overlay_marks import marks_for
from jettison.snapshot.driver import Chains, CommittedLayer, Rootfs, commit_files, stage_rootfs
from jettison.snapshot.fill import Filler, Materials
from jettison.snapshot.tree_writer import TreeWriter

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from jettison.digest import LayerId

_TICK_SECONDS = 0.0005


class CopyDriver:
    """A ``SnapshotDriver`` that needs nothing of the host. Safe to use from several threads."""

    def __init__(self, materials: Materials) -> None:
        self._materials = materials
        self._layers = materials.layers
        self._chains = Chains(materials.layers)

    def close(self) -> None:
        """Close the indexes."""
        self._chains.close()

    def prepare(self, chain: Sequence[LayerId]) -> Rootfs:
        """Return a whole tree of the chain, as ``SnapshotDriver`` has it."""
        rootfs = stage_rootfs(self._layers, chain)
        try:
            rootfs.root = rootfs.staged.path / "root"
            rootfs.root.mkdir()
            rootfs.work.mkdir()
            inodes = self._write_tree(chain, rootfs.root)
            rootfs.copied = CopiedTree(made_ns=_file_time(rootfs.staged.path / "made"), inodes=inodes)
        except BaseException:
            rootfs.__exit__(None, None, None)
            raise
        return rootfs

    def commit(
        self, rootfs: Rootfs, *, started_ns: int, is_reproducible: bool, stubs: tuple[bytes, ...] = ()
    ) -> CommittedLayer:
        """Return the layer of what differs from the chain, as ``SnapshotDriver`` has it."""
        assert rootfs.root is not None, "a root file system of this driver is a whole tree"
        assert rootfs.copied is not None, "and what it was is known from prepare"
        options = DiffOptions(
            marks=marks_for(self._materials.id_mode),
            is_single_id=self._materials.id_mode == "single",
            fresh_since_ns=started_ns if is_reproducible else None,
            stubs=frozenset(stubs),
            copied=rootfs.copied,
        )
        lower = self._chains.union(rootfs.chain)
        return commit_files(self._layers, scan_upper(rootfs.root, lower, options), rootfs.root)

    def _write_tree(self, chain: Sequence[LayerId], target: Path) -> dict[bytes, int]:
        """Write the merged tree; return the inode numbers of its directories."""
        with (
            TreeWriter(target, self._materials.id_mode) as writer,
            Filler(writer, self._materials, may_link=False) as filler,
        ):
            writer.add_directory(self._chains.root_entry(chain)._replace(is_opaque=False))
            for entry, ref in self._chains.union(chain).flatten():
                match entry.kind:
                    case EntryKind.DIRECTORY:
                        writer.add_directory(entry)
                    case EntryKind.FILE:
                        filler.add_file(entry, ref)
                    case EntryKind.HARD_LINK:
                        filler.add_link(entry.path, entry.link_target)
                    case _:
                        writer.add_special(entry)
            filler.finish()
            return writer.finish()


def _file_time(path: Path) -> int:
    """Return a time by the file system's clock, when that clock has gone on: whatever changes from now on is younger."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        made_ns = os.fstat(fd).st_ctime_ns
        while os.fstat(fd).st_ctime_ns == made_ns:
            time.sleep(_TICK_SECONDS)
            os.fchmod(fd, 0o600)
        return made_ns
    finally:
        os.close(fd)
