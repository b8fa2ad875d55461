"""How much disk a store takes, by what the bytes are for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jettison.store.lease import COLLECT_LOCK
from jettison.store.reach import Meter, Reach, container_roots
from jettison.store.root import mount_lock

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from jettison.store.root import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Category:
    """One kind of bytes: how many things, their bytes on the disk, and how many of these a full prune gives back."""

    count: int
    size_bytes: int
    reclaimable_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """The disk use of a store; no byte is in two categories.

    ``images`` are layers that images need (counted are the images), ``build_cache`` layers that only cache records or nothing
    need (counted are the records), ``other`` database, locks and records of images, ``unfinished`` staging and trash.
    """

    images: Category
    build_cache: Category
    blobs: Category
    cache_mounts: Category
    containers: Category
    logs: Category
    unfinished: Category
    other: Category
    layer_count: int

    @property
    def categories(self) -> tuple[Category, ...]:
        """All categories."""
        return (
            self.images,
            self.build_cache,
            self.blobs,
            self.cache_mounts,
            self.containers,
            self.logs,
            self.unfinished,
            self.other,
        )

    @property
    def size_bytes(self) -> int:
        """The bytes of the whole store."""
        return sum(category.size_bytes for category in self.categories)

    @property
    def reclaimable_bytes(self) -> int:
        """The bytes that removing all that no tag, container or running process needs would give back."""
        return sum(category.reclaimable_bytes for category in self.categories)


def usage(store: Store) -> Usage:
    """Return how much disk the store takes; trees that this process may not read are counted as far as it may."""
    with store.locks.shared(COLLECT_LOCK):
        meter = Meter()
        needed = Reach(store)
        needed.adopt(needed.find([*container_roots(store), *store.images.tags().values()]))
        imaged = Reach(store)
        imaged.adopt(imaged.find([*needed.layers, *needed.images, *imaged.known_images]))
        place = store.layers.path
        tagged_bytes = _measure(meter, (place(layer_id) for layer_id in sorted(needed.layers)))
        untagged_bytes = _measure(meter, (place(layer_id) for layer_id in sorted(imaged.layers - needed.layers)))
        cache_bytes = _measure(meter, (place(layer_id) for layer_id in sorted(imaged.known_layers - imaged.layers)))
        kept_blobs = _measure(meter, (store.blobs.path(digest) for digest in sorted(needed.blobs)))
        other_blobs = _measure(
            meter, (store.blobs.path(digest) for digest in sorted(needed.known_blobs - needed.blobs))
        )
        root = store.path
        return Usage(
            images=Category(
                count=len(imaged.known_images),
                size_bytes=tagged_bytes + untagged_bytes,
                reclaimable_bytes=untagged_bytes,
            ),
            build_cache=Category(
                count=sum(1 for _ in store.records.items()), size_bytes=cache_bytes, reclaimable_bytes=cache_bytes
            ),
            blobs=Category(
                count=len(needed.known_blobs), size_bytes=kept_blobs + other_blobs, reclaimable_bytes=other_blobs
            ),
            cache_mounts=_mounts(store, meter),
            containers=_directory(meter, root / "containers", is_reclaimable=False),
            logs=_directory(meter, root / "logs", is_reclaimable=True),
            unfinished=_unfinished(store, meter),
            other=Category(
                count=0,
                size_bytes=_measure(
                    meter, (root / "images", root / "locks", root / "unsynced", *root.glob("db.sqlite*"))
                ),
                reclaimable_bytes=0,
            ),
            layer_count=len(imaged.known_layers),
        )


def _measure(meter: Meter, paths: Iterable[Path]) -> int:
    return sum(meter.measure(path) for path in paths)


def _directory(meter: Meter, path: Path, *, is_reclaimable: bool) -> Category:
    places = sorted(path.iterdir())
    size_bytes = _measure(meter, places)
    return Category(count=len(places), size_bytes=size_bytes, reclaimable_bytes=size_bytes if is_reclaimable else 0)


def _mounts(store: Store, meter: Meter) -> Category:
    places = sorted((store.path / "mounts").iterdir())
    sizes = [(meter.measure(path), store.locks.is_free(mount_lock(path))) for path in places]
    return Category(
        count=len(places),
        size_bytes=sum(size for size, _ in sizes),
        reclaimable_bytes=sum(size for size, is_free in sizes if is_free),
    )


def _unfinished(store: Store, meter: Meter) -> Category:
    staged = _directory(meter, store.path / "tmp", is_reclaimable=False)
    dead = _directory(meter, store.trash.path, is_reclaimable=True)
    return Category(
        count=staged.count + dead.count,
        size_bytes=staged.size_bytes + dead.size_bytes,
        reclaimable_bytes=dead.size_bytes,
    )
