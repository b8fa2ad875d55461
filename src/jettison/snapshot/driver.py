"""The protocol of snapshot drivers: a chain of layers becomes a root file system, and what a step did to it a new layer.

Owns what both drivers share: the open indexes of chains, the staged directories and the end of a commit. Knows no mounts:
the sandbox mounts what a ``Rootfs`` names. Data flows from layers to a ``Rootfs``, and after the step into one new layer.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

from jettison.errors import StoreError
from jettison.filetree import EntryKind, FileEntry
from jettison.layer.index import IndexWriter, LayerIndex
from jettison.snapshot.union import Union

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path
    from types import TracebackType

    from jettison.digest import Digest, LayerId
    from jettison.filetree import ContentRef
    from jettison.layer.diff import CopiedTree
    from jettison.store.layers import DiskLayers, StagedLayer

DEFAULT_ROOT = FileEntry(b"", EntryKind.DIRECTORY, 0o755)
"""The root directory where no layer says otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommittedLayer:
    """A layer that a step has made. ``size_bytes`` adds up its files, ``content_digest`` leaves out times."""

    layer_id: LayerId
    content_digest: Digest
    size_bytes: int
    entry_count: int


class Rootfs:
    """A root file system for one step; a context manager that gives back its directories.

    Overlay: ``lowers`` (topmost first, never empty), ``upper`` and ``work`` are mounted by the sandbox. Otherwise ``root`` is
    the whole tree, ``copied`` what is known of it, and the others mean nothing. After the step nothing may use it any more,
    then it is committed once.
    """

    def __init__(self, chain: tuple[LayerId, ...], staged: StagedLayer, resources: ExitStack) -> None:
        self.chain = chain
        self.staged = staged
        self.lowers: tuple[Path, ...] = ()
        self.upper = staged.path / "upper"
        self.work = staged.path / "work"
        self.root: Path | None = None
        self.copied: CopiedTree | None = None
        self._resources = resources

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._resources.close()


class SnapshotDriver(Protocol):
    """Turns chains of layers into root file systems and back."""

    def prepare(self, chain: Sequence[LayerId]) -> Rootfs:
        """Return a root file system of the chain (bottom first) that a step may change. Use it as a context manager.

        Raises:
            LayerError, StoreError: a layer is missing or broken.
            HostError: the host can't hold its files.

        """
        ...

    def commit(
        self, rootfs: Rootfs, *, started_ns: int, is_reproducible: bool, stubs: tuple[bytes, ...] = ()
    ) -> CommittedLayer:
        """Return the layer of what the step changed. Everything that the step started must have ended, mounts included.

        ``started_ns``: when the step began (nanoseconds since the epoch); with ``is_reproducible`` younger times are marked
        fresh. ``stubs``: mount points that were made for the step, all levels that were missing, as paths of the index.

        Raises:
            LayerError: overlay-feature, layer-unreadable, layer-path-too-long.

        """
        ...


class Chains:
    """The indexes of layers, opened once: they never change. Safe to share between threads."""

    def __init__(self, layers: DiskLayers) -> None:
        self._layers = layers
        self._open: dict[LayerId, LayerIndex] = {}
        self._lock = threading.Lock()

    def index(self, layer_id: LayerId) -> LayerIndex:
        """Return the open index of a layer.

        Raises:
            StoreError: layer-missing.
            LayerError: layer-index-corrupt, layer-index-version.

        """
        with self._lock:
            found = self._open.get(layer_id)
            if found is None:
                if not self._layers.has(layer_id):
                    raise StoreError(
                        f"no layer '{layer_id}' in the local store",
                        hint="build again without the cache (--no-cache)",
                        slug="layer-missing",
                    )
                found = self._open[layer_id] = LayerIndex(self._layers.index_path(layer_id))
            return found

    def union(self, chain: Sequence[LayerId]) -> Union:
        """Return the union of the layers, bottom first."""
        return Union([(layer_id, self.index(layer_id)) for layer_id in chain])

    def root_entry(self, chain: Sequence[LayerId]) -> FileEntry:
        """Return the metadata of the root directory: that of the topmost layer that has any."""
        for layer_id in reversed(chain):
            found = self.index(layer_id).find(b"")
            if found is not None:
                return found[0]
        return DEFAULT_ROOT

    def close(self) -> None:
        """Close all indexes."""
        with self._lock:
            for index in self._open.values():
                index.close()
            self._open.clear()


def stage_rootfs(layers: DiskLayers, chain: Sequence[LayerId]) -> Rootfs:
    """Return a root file system with a staged directory of its own and nothing in it."""
    resources = ExitStack()
    staged = resources.enter_context(layers.stage())
    return Rootfs(tuple(chain), staged, resources)


def commit_files(layers: DiskLayers, tree: Iterable[tuple[FileEntry, ContentRef]], files: Path) -> CommittedLayer:
    """Return the layer of the entries; the directory becomes its ``fs`` when all entries have been taken.

    The content of every file lies in that directory.
    """
    with layers.stage() as staged:
        with IndexWriter(staged.path / "index") as writer:
            for entry, ref in tree:
                writer.add(entry, ref)
            summary = writer.finish()
        files.rename(staged.path / "fs")
        layers.commit(staged, summary.layer_id)
    return CommittedLayer(
        layer_id=summary.layer_id,
        content_digest=summary.content_digest,
        size_bytes=summary.size_bytes,
        entry_count=summary.entry_count,
    )
