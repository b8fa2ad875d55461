"""The overlay driver: layers are lower directories, the step's changes an upper one that becomes the new layer as it is.

Materialises what a chain lacks, each layer once per store and under its lock; never mounts. Source:
Documentation/filesystems/overlayfs.rst of Linux.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jettison.errors import HostError
from jettison.filetree import EntryKind
from jettison.layer.diff import DiffOptions, scan_upper
from jettison.layer.overlay_marks import marks_for
from jettison.limits import DEFAULT_LIMITS
from jettison.snapshot.driver import Chains, CommittedLayer, Rootfs, commit_files, stage_rootfs
from jettison.snapshot.materialise import materialise
from jettison.snapshot.tree_writer import TreeWriter

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from jettison.digest import LayerId
    from jettison.snapshot.fill import Materials
    from jettison.store.lock import Locks


class OverlayDriver:
    """A ``SnapshotDriver`` for hosts that mount overlayfs. Safe to use from several threads."""

    def __init__(self, materials: Materials, locks: Locks) -> None:
        self._materials = materials
        self._layers = materials.layers
        self._locks = locks
        self._chains = Chains(materials.layers)

    def close(self) -> None:
        """Close the indexes."""
        self._chains.close()

    def prepare(self, chain: Sequence[LayerId]) -> Rootfs:
        """Return lowers, upper and work of the chain, as ``SnapshotDriver`` has it."""
        lowers = self.lowers(chain)
        rootfs = stage_rootfs(self._layers, chain)
        try:
            self._make_upper(rootfs)
            rootfs.lowers = lowers or (_make_directory(rootfs.staged.path / "empty"),)
        except BaseException:
            rootfs.__exit__(None, None, None)
            raise
        return rootfs

    def commit(
        self, rootfs: Rootfs, *, started_ns: int, is_reproducible: bool, stubs: tuple[bytes, ...] = ()
    ) -> CommittedLayer:
        """Return the layer of the upper directory, as ``SnapshotDriver`` has it."""
        options = DiffOptions(
            marks=marks_for(self._materials.id_mode),
            is_single_id=self._materials.id_mode == "single",
            fresh_since_ns=started_ns if is_reproducible else None,
            stubs=frozenset(stubs),
        )
        lower = self._chains.union(rootfs.chain)
        return commit_files(self._layers, scan_upper(rootfs.upper, lower, options), rootfs.upper)

    def lowers(self, chain: Sequence[LayerId]) -> tuple[Path, ...]:
        """Return the directories to mount for a chain, topmost first, each made if it is not there.

        Layers without entries are left out, and so is what lies below a layer whose root is opaque.

        Raises:
            HostError: host-layer-limit: more layers than the kernel stacks; and as ``materialise``.
            LayerError: as ``materialise``.

        """
        return tuple(self.ensure_fs(chain[: position + 1]) for position in self._shown(chain))

    def ensure_fs(self, chain: Sequence[LayerId]) -> Path:
        """Return the ``fs`` directory of the topmost layer of a chain, made if it is not there.

        Raises:
            LayerError, HostError: as ``materialise``.

        """
        layer_id = chain[-1]
        if not self._layers.has_fs(layer_id):
            with self._locks.exclusive(f"materialise/{layer_id}"):
                if not self._layers.has_fs(layer_id):
                    self._materialise(layer_id)
        return self._layers.fs_path(layer_id)

    def _materialise(self, layer_id: LayerId) -> None:
        with self._layers.stage() as staged:
            target = _make_directory(staged.path / "fs")
            materialise(layer_id, self._chains.index(layer_id), target, self._materials)
            self._layers.install_fs(layer_id, target)

    def _shown(self, chain: Sequence[LayerId]) -> list[int]:
        """Return the positions of the layers to mount, topmost first."""
        shown = []
        for position in reversed(range(len(chain))):
            index = self._chains.index(chain[position])
            if len(index):
                shown.append(position)
                root = index.find(b"")
                if root is not None and root[0].is_opaque:
                    # overlayfs does not look at the mark of a root directory
                    break
        if len(shown) > DEFAULT_LIMITS.layers:
            raise HostError(
                f"the chain has {len(shown)} layers, overlayfs stacks {DEFAULT_LIMITS.layers}",
                hint="join some RUN or COPY instructions, or copy the result into a new stage",
                slug="host-layer-limit",
            )
        return shown

    def _make_upper(self, rootfs: Rootfs) -> None:
        """Make the upper and work directories; the root of a mount shows the metadata of the upper one."""
        _make_directory(rootfs.work)
        _make_directory(rootfs.upper)
        entry = self._chains.root_entry(rootfs.chain)
        assert entry.kind is EntryKind.DIRECTORY, "an index's root is a directory"
        with TreeWriter(rootfs.upper, self._materials.id_mode) as writer:
            writer.add_directory(entry._replace(is_opaque=False))
            writer.finish()


def _make_directory(path: Path) -> Path:
    path.mkdir()
    path.chmod(0o755)
    return path
