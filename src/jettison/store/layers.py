"""Layers by id: a directory with ``index``, ``pack`` and ``fs/``, written once and then immutable.

A layer is made in ``tmp/`` and renamed to ``layers/<hex>`` when it is whole; of two makers of one layer the first wins. A
directory ``fs/`` that is materialised later is installed the same way. ``deps`` names the layers that hold content of this
one, ``synced`` and ``fs-synced`` are the marks that ``ledger`` describes. Knows no format of what lies inside.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jettison.digest import Digest, LayerId, is_digest
from jettison.errors import StoreError
from jettison.store.core import StoreCore, clear_way, digits_of, is_digits
from jettison.store.disk import exists, list_names, write_file
from jettison.store.faults import telling
from jettison.store.ledger import Note

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from jettison.store.blobs import DiskBlobs

_SYNCED = "synced"
_FS_SYNCED = "fs-synced"
_FS_AT_COMMIT = "fs-at-commit"


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedLayer:
    """A directory of one's own in ``tmp/``; what is not committed or installed out of it goes to the trash."""

    path: Path


class DiskLayers:
    """The layers of one store."""

    def __init__(self, core: StoreCore, blobs: DiskBlobs) -> None:
        self._core = core
        self._blobs = blobs
        self._directory = core.path / "layers"
        self._whole: set[str] = set()

    @contextmanager
    def stage(self) -> Iterator[StagedLayer]:
        """Yield a fresh directory (mode 0700), kept from sweepers while this store is open."""
        path = self._core.staging_path()
        with telling("write", path):
            path.mkdir(mode=0o700)
            path.chmod(0o700)
        try:
            yield StagedLayer(path=path)
        finally:
            self._core.trash.take(path)

    def commit(
        self,
        staged: StagedLayer,
        layer_id: LayerId,
        *,
        depends_on: tuple[LayerId, ...] = (),
        blobs: tuple[Digest, ...] = (),
    ) -> None:
        """Make the staged directory the layer; when the layer is there already, that one stays.

        ``depends_on`` and ``blobs`` are the other layers and the blobs whose content the index refers to; the collector
        keeps them with this one. The staged directory holds at least ``index``.
        """
        target = self.path(layer_id)
        assert (staged.path / "index").is_file(), "a layer without an index"
        self._core.lease.hold((layer_id, *depends_on, *blobs))
        with telling("write", target):
            lines = [f"layer {dependency}\n" for dependency in sorted(set(depends_on))]
            lines += [f"blob {digest}\n" for digest in blobs]
            write_file(staged.path / "deps", "".join(lines).encode())
            if (staged.path / "fs").is_dir():
                write_file(staged.path / _FS_AT_COMMIT, b"")
            note = Note("layer", target.name)
            self._install(staged.path, target, note, lambda: self._is_whole(target.name, set()))

    def install_fs(self, layer_id: LayerId, staged_dir: Path) -> None:
        """Make a materialised directory the ``fs/`` of the layer; when it has one already, that one stays.

        ``staged_dir`` lies in the store's ``tmp/`` (below a staged directory); a loser is left there.
        """
        target = self.fs_path(layer_id)
        if not self.has(layer_id):
            raise _missing(layer_id)
        with telling("write", target):
            note = Note("fs", target.parent.name)
            self._install(staged_dir, target, note, lambda: self._is_fs_trusted(target.parent.name))

    def has(self, layer_id: LayerId) -> bool:
        """Tell whether the layer and all it depends on are here, whole; if so they stay while this store is open."""
        digits = digits_of(layer_id)
        if layer_id in self._whole:
            return True
        self._core.lease.hold((layer_id,))
        if not self._is_whole(digits, set()):
            return False
        self._whole.add(layer_id)
        return True

    def has_fs(self, layer_id: LayerId) -> bool:
        """Tell whether the layer is here and has its ``fs/`` directory, whole."""
        return self.has(layer_id) and self._is_fs_trusted(digits_of(layer_id))

    def is_made_as_directory(self, layer_id: LayerId) -> bool:
        """Tell whether the layer was committed with its ``fs/``: its files have no other form."""
        return exists(self.path(layer_id) / _FS_AT_COMMIT)

    def path(self, layer_id: LayerId) -> Path:
        """Return the directory of the layer, there or not."""
        return self._directory / digits_of(layer_id)

    def index_path(self, layer_id: LayerId) -> Path:
        """Return where the index of the layer lies."""
        return self._directory / digits_of(layer_id) / "index"

    def pack_path(self, layer_id: LayerId) -> Path:
        """Return where the pack of the layer lies, if it has one."""
        return self._directory / digits_of(layer_id) / "pack"

    def fs_path(self, layer_id: LayerId) -> Path:
        """Return where the directory tree of the layer lies; ``has_fs`` tells whether it does."""
        return self._directory / digits_of(layer_id) / "fs"

    def ids(self) -> Iterator[LayerId]:
        """Go through the ids of all layers, in no order; nothing is leased."""
        with telling("read", self._directory):
            names = list_names(self._directory)
        seen: set[str] = set()
        for name in names:
            if is_digits(name) and self._is_whole(name, seen):
                yield LayerId(f"sha256:{name}")

    def depends_on(self, layer_id: LayerId) -> tuple[LayerId, ...]:
        """Return the layers that hold content of this one.

        Raises:
            StoreError: ``layer-missing``.

        """
        return tuple(LayerId(digest) for kind, digest in self._dependencies(layer_id) if kind == "layer")

    def blobs_of(self, layer_id: LayerId) -> tuple[Digest, ...]:
        """Return the blobs that hold content of this layer, in the order given to ``commit``.

        Raises:
            StoreError: ``layer-missing``.

        """
        return tuple(Digest(digest) for kind, digest in self._dependencies(layer_id) if kind == "blob")

    def remove(self, layer_id: LayerId) -> bool:
        """Move the layer to the trash, whoever needs it; False when it is not here.

        The caller holds ``COLLECT_LOCK`` alone (the collector does).
        """
        path = self.path(layer_id)
        self._whole.discard(layer_id)
        self._core.ledger.clear(Note("layer", path.name))
        self._core.ledger.clear(Note("fs", path.name))
        return self._core.trash.take(path)

    def drop_untrusted(self, digits: str) -> bool:
        """Move the layer, or only its ``fs/``, to the trash if a power cut may have damaged it; tells whether it did."""
        path = self._directory / digits
        if not self._is_trusted(digits):
            return self._core.trash.take(path)
        return not self._is_fs_trusted(digits) and self._core.trash.take(path / "fs")

    def strays(self) -> list[str]:
        """Return the names below ``layers/`` that are no layer, or one that lacks a part."""
        seen: set[str] = set()
        return [name for name in list_names(self._directory) if not is_digits(name) or not self._is_whole(name, seen)]

    def place_of(self, digits: str) -> Path:
        """Return where the thing of these hexadecimal digits lies, or would (for ``Store.sync``)."""
        return self._directory / digits

    def mark_synced(self, note: Note) -> None:
        """Set the mark that the layer (or its ``fs/``) is on the disk (for ``Store.sync`` alone)."""
        name = _SYNCED if note.kind == "layer" else _FS_SYNCED
        try:
            write_file(self._directory / note.hex / name, b"")
        except (FileExistsError, FileNotFoundError):
            return

    def _dependencies(self, layer_id: LayerId) -> list[tuple[str, str]]:
        path = self.path(layer_id) / "deps"
        with telling("read", path):
            try:
                lines = path.read_text("ascii", "replace").splitlines()
            except FileNotFoundError as error:
                raise _missing(layer_id) from error
        pairs = [(kind, digest) for kind, _, digest in (line.partition(" ") for line in lines)]
        return [(kind, digest) for kind, digest in pairs if is_digest(digest)]

    def _install(self, source: Path, target: Path, note: Note, is_trusted: Callable[[], bool]) -> None:
        while clear_way(self._core, target, note, is_trusted):
            self._core.ledger.note(note)
            if _rename_if_free(source, target):
                return

    def _is_whole(self, digits: str, seen: set[str]) -> bool:
        """Tell whether the layer and all it depends on can be trusted; ``seen`` are those that are known to be."""
        if digits in seen:
            return True
        if not self._is_trusted(digits) or not exists(self._directory / digits / "deps"):
            return False
        for kind, digest in self._dependencies(LayerId(f"sha256:{digits}")):
            if kind == "blob" and not self._blobs.is_present(Digest(digest)):
                return False
            if kind == "layer" and not self._is_whole(digest[7:], seen):
                return False
        seen.add(digits)
        return True

    def _is_trusted(self, digits: str) -> bool:
        path = self._directory / digits
        return self._core.ledger.is_trusted(Note("layer", digits), lambda: exists(path / _SYNCED)) and exists(path)

    def _is_fs_trusted(self, digits: str) -> bool:
        path = self._directory / digits
        if not exists(path / "fs"):
            return False
        if exists(path / _FS_AT_COMMIT):
            return True
        return self._core.ledger.is_trusted(Note("fs", digits), lambda: exists(path / _FS_SYNCED))


def _rename_if_free(source: Path, target: Path) -> bool:
    # rename(2) replaces an empty directory and refuses any other; an empty fs/ of a layer without files is no loss.
    try:
        source.rename(target)
    except OSError as error:
        if not exists(target):
            raise error from None
        return False
    return True


def _missing(layer_id: LayerId) -> StoreError:
    return StoreError(
        f"no layer '{layer_id}' in the local store",
        slug="layer-missing",
        hint="build again without the cache (--no-cache)",
    )
