"""The collector: removes what no root reaches, and enforces a cap on the size of the store.

Roots are live leases, tags, containers, and (as the policy says) untagged images and cache records. The work has two
halves: under the exclusive lock ``collect`` everything doomed is renamed to the trash, which is quick; the trash is emptied
afterwards, when nobody waits. Order of reading matters: leases first, then what their owners may have turned into tags,
containers or records meanwhile.

With a cap, cache records are kept from the most recently used on, as long as all that is reached fits; then untagged images
in the same way. If what must stay is too big by itself, cache mounts that nobody uses go, least recently changed first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from jettison.digest import Digest
from jettison.store.disk import list_names
from jettison.store.lease import COLLECT_LOCK, live_leases, owner_of
from jettison.store.reach import Meter, Reach, container_roots
from jettison.store.root import mount_lock
from jettison.store.trash import empty_trash

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from jettison.store.root import Store

RemovalKind = Literal["layer", "image", "blob", "record", "mount", "log", "staging"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectPolicy:
    """What a collection may take. ``max_bytes`` is a hard cap on the whole store, ``keep_builds`` counts the newest ones."""

    keep_cache: bool = True
    keep_untagged: bool = True
    keep_mounts: bool = True
    max_bytes: int | None = None
    keep_builds: int | None = None
    is_dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """One thing that was (or would be) removed: its name, its bytes on the disk, and why."""

    kind: RemovalKind
    name: str
    size_bytes: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What a collection did.

    ``kept_bytes`` is what stays (0 when no cap was asked for, it is not measured then); ``is_over_cap`` says that it is still
    more than the cap; ``left`` counts entries of the trash that this process may not remove (the worker can).
    """

    removals: tuple[Removal, ...]
    kept_bytes: int = 0
    is_over_cap: bool = False
    left: int = 0

    @property
    def size_bytes(self) -> int:
        """The bytes given back."""
        return sum(removal.size_bytes for removal in self.removals)


KEEP_ALL = CollectPolicy()


def collect(store: Store, policy: CollectPolicy = KEEP_ALL, *, on_wait: Callable[[], None] | None = None) -> Collected:
    """Remove what nothing needs under the policy; returns what went, and why. Safe while builds run.

    Raises:
        StoreError: the disk or the database refused something; what was removed before stays removed.

    """
    store.core.lease.id  # noqa: B018 - a lease can't begin while the lock below is held
    with store.locks.exclusive(COLLECT_LOCK, on_wait):
        run = _Collection(store, policy)
        run.choose()
        if not policy.is_dry_run:
            run.remove()
    if policy.is_dry_run:
        return run.result(left=0)
    if run.has_removed("record"):
        store.compact()
    return run.result(left=empty_trash(store.trash.path).left)


def sweep(store: Store) -> int:
    """Move to the trash what dead processes left in ``tmp/``; returns how many entries. Quick; the end of a build calls it."""
    store.core.lease.id  # noqa: B018 - a lease can't begin while the lock below is held
    with store.locks.exclusive(COLLECT_LOCK):
        live = {lease for lease, _ in live_leases(store.path / "locks" / "leases", store.locks)}
        return sum(store.trash.take(path) for path in _dead_staging(store, live))


class _Collection:
    def __init__(self, store: Store, policy: CollectPolicy) -> None:
        self._store = store
        self._policy = policy
        self._kept_meter = Meter()
        self._doomed_meter = Meter()
        self._removals: list[Removal] = []
        self._paths: dict[tuple[RemovalKind, str], Path] = {}
        self._kept_bytes = 0
        self._is_full = False

    def choose(self) -> None:
        store = self._store
        leases = dict(live_leases(store.path / "locks" / "leases", store.locks))
        reach = Reach(store)
        held = [digest for digests in leases.values() for digest in digests]
        found = reach.find([*held, *container_roots(store), *store.images.tags().values()])
        reach.adopt(found)
        if self._has_cap:
            for path in (*reach.paths(found), *_fixed_paths(store)):
                self._kept_bytes += self._kept_meter.measure(path)
        self._choose_logs()
        self._choose_mounts()
        self._choose_records(reach)
        self._choose_images(reach)
        self._choose_unreached(reach)
        for path in _dead_staging(store, set(leases)):
            self._doom("staging", path.name, path, "the process that made it is gone")

    def remove(self) -> None:
        if not self._removals:
            return
        store = self._store
        store.core.bump_generation(is_durable=True)
        store.records.delete_all(self._names("record"))
        store.history.remove_builds(self._names("log"))
        for name in self._names("image"):
            store.images.remove(Digest(name))
        for (kind, _), path in self._paths.items():
            held = store.locks.try_exclusive(mount_lock(path)) if kind == "mount" else None
            if kind == "mount" and held is None:
                continue  # a step began to use it just now
            store.trash.take(path)
            if held is not None:
                held.release()
        store.core.bump_generation()

    def has_removed(self, kind: RemovalKind) -> bool:
        return bool(self._names(kind))

    def result(self, *, left: int) -> Collected:
        return Collected(
            removals=tuple(self._removals),
            kept_bytes=self._kept_bytes,
            is_over_cap=not self._fits,
            left=left,
        )

    @property
    def _has_cap(self) -> bool:
        return self._policy.max_bytes is not None

    @property
    def _fits(self) -> bool:
        return self._policy.max_bytes is None or self._kept_bytes <= self._policy.max_bytes

    def _names(self, kind: RemovalKind) -> list[str]:
        return [removal.name for removal in self._removals if removal.kind == kind]

    def _doom(self, kind: RemovalKind, name: str, path: Path, reason: str) -> int:
        size_bytes = self._doomed_meter.measure(path)
        self._removals.append(Removal(kind=kind, name=name, size_bytes=size_bytes, reason=reason))
        self._paths[kind, name] = path
        return size_bytes

    def _try_to_keep(self, reach: Reach, roots: Iterable[str]) -> bool:
        if self._is_full:
            return False
        found = reach.find(roots)
        if self._has_cap:
            before = self._kept_bytes
            self._kept_bytes += sum(self._kept_meter.measure(path) for path in reach.paths(found))
            if not self._fits:
                self._kept_bytes, self._is_full = before, True
                return False
        reach.adopt(found)
        return True

    def _choose_records(self, reach: Reach) -> None:
        reason = "the least recently used, and the store is over its cap"
        if not self._policy.keep_cache:
            reason = "the cache is to be emptied"
        for key, digests in self._store.records.newest_first():
            if not (self._policy.keep_cache and self._try_to_keep(reach, digests)):
                self._removals.append(Removal(kind="record", name=key, size_bytes=0, reason=reason))

    def _choose_images(self, reach: Reach) -> None:
        reason = "untagged, and the store is over its cap" if self._policy.keep_untagged else "no tag names it"
        records = self._store.path / "images" / "records"
        others = reach.known_images - reach.images
        for image_id in sorted(others, key=lambda name: (_changed_ns(records / name.hex), name), reverse=True):
            if not (self._policy.keep_untagged and self._try_to_keep(reach, (image_id,))):
                self._removals.append(Removal(kind="image", name=image_id, size_bytes=0, reason=reason))

    def _choose_unreached(self, reach: Reach) -> None:
        store = self._store
        for layer_id in sorted(reach.known_layers - reach.layers):
            self._doom(
                "layer", layer_id, store.layers.path(layer_id), "no image, cache record, container or build needs it"
            )
        for digest in sorted(reach.known_blobs - reach.blobs):
            self._doom("blob", digest, store.blobs.path(digest), "no image or build needs it")
        reason = "it is not whole (the machine went down before it was on the disk)"
        for name in store.layers.strays():
            self._doom("layer", name, store.path / "layers" / name, reason)
        for name in store.blobs.strays():
            self._doom("blob", name, store.path / "blobs" / "sha256" / name, reason)

    def _choose_mounts(self) -> None:
        places = sorted((self._store.path / "mounts").iterdir(), key=lambda path: (_changed_ns(path), path.name))
        for path in places:
            if self._policy.keep_mounts and self._fits:
                return
            if self._store.locks.is_free(mount_lock(path)):
                reason = "the least recently changed cache mount, and the store is over its cap"
                if not self._policy.keep_mounts:
                    reason = "cache mounts are to be emptied"
                size_bytes = self._doom("mount", path.name, path, reason)
                self._kept_bytes -= size_bytes if self._has_cap else 0

    def _choose_logs(self) -> None:
        keep = self._policy.keep_builds
        if keep is None:
            return
        logs = self._store.path / "logs"
        builds = self._store.history.list_builds(limit=-1)
        for entry in builds[keep:]:
            size_bytes = self._doom("log", entry.build_id, logs / entry.build_id, f"not among the newest {keep} builds")
            self._kept_bytes -= size_bytes if self._has_cap else 0


def _fixed_paths(store: Store) -> Iterator[Path]:
    for name in ("images", "mounts", "containers", "logs", "locks", "unsynced"):
        yield store.path / name
    yield from store.path.glob("db.sqlite*")


def _dead_staging(store: Store, live: set[str]) -> Iterator[Path]:
    directory = store.path / "tmp"
    for name in list_names(directory):
        if owner_of(name) not in live:
            yield directory / name


def _changed_ns(path: Path) -> int:
    try:
        return path.lstat().st_mtime_ns
    except FileNotFoundError:
        return 0
