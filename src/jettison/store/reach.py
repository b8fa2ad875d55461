"""What is reachable in a store, and how many bytes it takes on the disk.

Roots are digests from anywhere (a tag, a lease, a cache record, a container); each is taken for whatever it names: an image
reaches its layers and blobs, a layer those that hold its content. A digest that names nothing here reaches nothing.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jettison.digest import Digest, LayerId
from jettison.errors import StoreError
from jettison.store.records import digests_in

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from jettison.store.root import Store

_BLOCK_BYTES = 512
_CONTAINER_FILE_BYTES = 16 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A set of layers, images and blobs."""

    layers: set[LayerId]
    images: set[Digest]
    blobs: set[Digest]


class Reach:
    """Everything that a growing set of roots reaches."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.known_layers = frozenset(store.layers.ids())
        self.known_images = frozenset(store.images.ids())
        self.known_blobs = frozenset(store.blobs.digests())
        self.layers: set[LayerId] = set()
        self.images: set[Digest] = set()
        self.blobs: set[Digest] = set()

    def find(self, roots: Iterable[str]) -> Found:
        """Return what the roots reach that is not in the set yet."""
        found = Found(layers=set(), images=set(), blobs=set())
        waiting = list(roots)
        while waiting:
            digest = waiting.pop()
            if digest in self.known_layers and digest not in self.layers and digest not in found.layers:
                found.layers.add(LayerId(digest))
                waiting.extend(self._needs_of_layer(LayerId(digest)))
            if digest in self.known_blobs and digest not in self.blobs:
                found.blobs.add(Digest(digest))
            if digest in self.known_images and digest not in self.images and digest not in found.images:
                found.images.add(Digest(digest))
                waiting.extend(self._needs_of_image(Digest(digest)))
        return found

    def adopt(self, found: Found) -> None:
        """Add what ``find`` returned to the set."""
        self.layers |= found.layers
        self.images |= found.images
        self.blobs |= found.blobs

    def paths(self, found: Found) -> list[Path]:
        """Return where the layers and blobs lie."""
        layers = [self._store.layers.path(layer_id) for layer_id in sorted(found.layers)]
        return layers + [self._store.blobs.path(digest) for digest in sorted(found.blobs)]

    def _needs_of_layer(self, layer_id: LayerId) -> list[str]:
        try:
            return [*self._store.layers.depends_on(layer_id), *self._store.layers.blobs_of(layer_id)]
        except StoreError as error:
            if error.slug != "layer-missing":
                raise
            return []  # removed since the listing; only a reader without the lock meets this

    def _needs_of_image(self, image_id: Digest) -> list[str]:
        record = self._store.images.peek(image_id)
        if record is None:
            return []
        needs: list[str] = [blob.digest for blob in record.manifests]
        for layer in record.layers:
            needs.extend(blob.digest for blob in layer.blobs)
            if layer.layer_id is not None:
                needs.append(layer.layer_id)
        return needs


class Meter:
    """Counts bytes on the disk; a file with several names counts once, where it is met first."""

    def __init__(self) -> None:
        self._seen: set[tuple[int, int]] = set()

    def measure(self, path: Path | str) -> int:
        """Return the bytes of the file or tree. What can't be read, or is gone, counts nothing."""
        total = 0
        waiting: list[Path | str] = [path]
        while waiting:
            place = waiting.pop()
            try:
                status = os.lstat(place)
                if not stat.S_ISDIR(status.st_mode):
                    total += self._count(status)
                    continue
                total += status.st_blocks * _BLOCK_BYTES
                with os.scandir(place) as entries:
                    for entry in entries:
                        if entry.is_dir(follow_symlinks=False):
                            waiting.append(entry.path)
                        else:
                            total += self._count(entry.stat(follow_symlinks=False))
            except OSError:
                continue
        return total

    def _count(self, status: os.stat_result) -> int:
        if status.st_nlink > 1:
            identity = (status.st_dev, status.st_ino)
            if identity in self._seen:
                return 0
            self._seen.add(identity)
        return status.st_blocks * _BLOCK_BYTES


def container_roots(store: Store) -> frozenset[str]:
    """Return the digests that the records of containers name (any ``*.json`` directly in a container's directory)."""
    roots: set[str] = set()
    for path in (store.path / "containers").glob("*/*.json"):
        try:
            if path.lstat().st_size <= _CONTAINER_FILE_BYTES and not path.is_symlink():
                roots |= digests_in(path.read_bytes())
        except FileNotFoundError:
            continue
    return frozenset(roots)
