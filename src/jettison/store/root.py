"""One store: a directory with everything that outlives a command.

::

    <root>/
      store.json            format version and id mode; another one is refused
      generation            a number that changes with the set of tags, images and layers
      blobs/sha256/<hex>    pulled and produced blobs
      images/{records,tags}/
      layers/<hex>/         index, pack, fs/
      mounts/<hex>/         cache mounts, by the hash of their id
      containers/<id>/      created containers
      logs/<build>/         output of the steps
      db.sqlite             cache records, history of builds
      locks/                named locks, leases
      unsynced/<boot id>/   notes of what is perhaps not on the disk (see ``ledger``)
      tmp/ trash/           unfinished, deleted

Everything is written aside and renamed into place, so a killed process leaves nothing half done; what it left in ``tmp/``
is swept when its lease is free. Nothing waits for the disk but ``Store.sync`` (one syncfs) and the small files that come
after it: tags, the generation.
"""

from __future__ import annotations

import json
import re
import secrets
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Literal, Self, cast

from jettison.errors import StoreError
from jettison.store.blobs import DiskBlobs
from jettison.store.core import StoreCore
from jettison.store.database import Database
from jettison.store.disk import (
    boot_id,
    inode_of,
    list_names,
    make_directory,
    network_filesystem,
    sync_filesystem,
    write_file,
)
from jettison.store.faults import telling
from jettison.store.history import DiskHistory
from jettison.store.images import DiskImages
from jettison.store.layers import DiskLayers
from jettison.store.lease import COLLECT_LOCK, Lease
from jettison.store.ledger import SyncLedger
from jettison.store.lock import Locks
from jettison.store.records import DiskKeyValue
from jettison.store.trash import Trash

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

    from jettison.store.ledger import Note

IdMode = Literal["root", "subids", "single"]

STORE_VERSION = 1
_DIRECTORIES = (
    "blobs/sha256",
    "images/records",
    "images/tags",
    "layers",
    "mounts",
    "containers",
    "logs",
    "locks/leases",
    "unsynced",
    "tmp",
    "trash",
)
_TOP_NAMES = frozenset(name.partition("/")[0] for name in _DIRECTORIES) | {"store.json"}
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}\Z")


class Store:
    """An open store; close it (or use it as a context manager) to end its lease. Thread-safe."""

    def __init__(self, core: StoreCore) -> None:
        self.core = core
        self.path = core.path
        self.locks = core.locks
        self.trash = core.trash
        self.blobs = DiskBlobs(core)
        self.images = DiskImages(core)
        self.layers = DiskLayers(core, self.blobs)
        self._database = Database(core.path / "db.sqlite", core.locks)
        self.records = DiskKeyValue(self._database, core.clock)
        self.history = DiskHistory(self._database)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the lease and close the database; what this store held may be collected from now on."""
        try:
            self.records.flush()
        finally:
            self._database.close()
            self.core.lease.close()

    def generation(self) -> int:
        """Return the number that stands for the present set of tags, images and layers; 0 when it is unknown."""
        return self.core.generation()

    def bump_generation(self) -> None:
        """Give the set of tags, images and layers a new number, one that it never had before."""
        self.core.bump_generation()

    def sync(self) -> None:
        """Wait until everything committed so far is on the disk, and mark it so; nothing to do costs next to nothing.

        Call it before tags, and at the end of a build whatever came of it: what is not synced is dropped after a reboot.

        Raises:
            StoreError: ``disk-full`` and its kin, the disk refused bytes that were accepted before.

        """
        with self.core.locks.shared(COLLECT_LOCK):
            # A note comes before its thing: only what lies in its place before the syncfs may be marked after it.
            places = {note: self._place_of(note) for note in self.core.ledger.pending()}
            inodes = {note: inode for note, place in places.items() if (inode := inode_of(place)) is not None}
            if not inodes:
                return
            with telling("sync", self.path):
                sync_filesystem(self.path)
                for note, inode in inodes.items():
                    if inode_of(places[note]) == inode:
                        self._mark_synced(note)
                        self.core.ledger.clear(note)

    def _place_of(self, note: Note) -> Path:
        match note.kind:
            case "blob":
                return self.blobs.place_of(note.hex)
            case "image":
                return self.images.place_of(note.hex)
            case "layer":
                return self.layers.place_of(note.hex)
            case "fs":
                return self.layers.place_of(note.hex) / "fs"

    def _mark_synced(self, note: Note) -> None:
        if note.kind == "blob":
            self.blobs.mark_synced(note.hex)
        elif note.kind != "image":
            self.layers.mark_synced(note)

    def log_dir(self, build_id: str) -> Path:
        """Return the directory for the logs of a build; it is made.

        Raises:
            StoreError: ``bad-name``, the id is no plain name.

        """
        return self._own_directory("logs", build_id)

    def container_dir(self, container_id: str) -> Path:
        """Return the directory of a container; it is made. Its ``*.json`` files name what the container needs.

        Raises:
            StoreError: ``bad-name``, the id is no plain name.

        """
        return self._own_directory("containers", container_id)

    def mount_path(self, cache_id: str) -> Path:
        """Return the directory of a cache mount, there or not. The id is hashed: it is never a path."""
        return self.path / "mounts" / sha256(cache_id.encode("utf-8", "surrogateescape")).hexdigest()

    def compact(self) -> None:
        """Give the space of deleted records back to the disk."""
        self._database.compact()

    def _own_directory(self, kind: str, name: str) -> Path:
        if not _PLAIN_NAME.match(name):
            raise StoreError(f"not a plain name: '{name[:100]}'", slug="bad-name")
        path = self.path / kind / name
        with telling("write", path):
            make_directory(path)
        return path


def mount_lock(path: Path) -> str:
    """Return the name of the lock that users of a cache mount hold; ``path`` is its ``Store.mount_path``."""
    return f"mount/{path.name}"


def container_lock(container_id: str) -> str:
    """Return the name of the lock that a running container holds."""
    return f"container/{container_id}"


def open_store(path: Path, *, id_mode: str, clock: Callable[[], float] = float) -> Store:
    """Return the store at the path; it is made if it is not there.

    ``id_mode`` is how owners are written on the disk (``root``, ``subids``, ``single``). ``clock`` gives seconds since the
    epoch for the ``created`` of records (without one it is 0.0; the order of use is kept by a counter).

    Raises:
        StoreError: ``store-mode``, it was made with another id mode or format version; ``store-network-fs``, the path lies on
            a network file system; ``store-access``, ``disk-full``.

    """
    assert id_mode in ("root", "subids", "single"), id_mode
    path = path.absolute()
    with telling("open", path):
        make_directory(path)
        kind = network_filesystem(path)
        if kind is not None:
            raise StoreError(
                f"'{path}' lies on a network file system ({kind}), where the store's locks and database are not safe",
                slug="store-network-fs",
                hint="choose a local disk with --root (or JETTISON_ROOT)",
            )
        if not (path / "store.json").exists():
            _create(path, id_mode)
        _check_mode(path, cast("IdMode", id_mode))
        return _open(path, clock)


def _open(path: Path, clock: Callable[[], float]) -> Store:
    locks = Locks(path / "locks" / "named")
    core = StoreCore(
        path=path,
        locks=locks,
        lease=Lease(path / "locks" / "leases", locks),
        ledger=SyncLedger(path / "unsynced", boot_id()),
        trash=Trash(path / "trash"),
        clock=clock,
    )
    store = Store(core)
    if core.ledger.has_earlier():
        _drop_unsynced(store)
    return store


def _create(path: Path, id_mode: str) -> None:
    strangers = set(list_names(path)) - _TOP_NAMES
    if strangers:
        raise StoreError(
            f"'{path}' is no store and holds other files ('{min(strangers)}')",
            slug="store-foreign",
            hint="choose an empty or new directory with --root",
        )
    for name in _DIRECTORIES:
        make_directory(path / name)
    staged = path / "tmp" / f"store.json-{secrets.token_hex(8)}"
    document = json.dumps({"version": STORE_VERSION, "id_mode": id_mode}) + "\n"
    try:
        write_file(staged, document.encode(), is_durable=True)
        (path / "store.json").hardlink_to(staged)
    except (FileExistsError, FileNotFoundError):
        # Another process made it at the same moment (and its sweeper took our file): the mode is checked next.
        if not (path / "store.json").exists():
            raise
    finally:
        staged.unlink(missing_ok=True)


def _check_mode(path: Path, id_mode: IdMode) -> None:
    try:
        document = json.loads((path / "store.json").read_bytes())
        version, mode = document["version"], document["id_mode"]
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"'{path / 'store.json'}' can't be read",
            slug="store-mode",
            hint="it is damaged, or no store: choose another --root",
        ) from error
    if version != STORE_VERSION:
        raise StoreError(
            f"the store '{path}' has format version {version}, this jettison knows {STORE_VERSION}",
            slug="store-mode",
            hint="use the jettison that made it, or choose another --root",
        )
    if mode != id_mode:
        raise StoreError(
            f"the store '{path}' was made in id mode '{mode}', this process runs in '{id_mode}'",
            slug="store-mode",
            hint="run as the user that made it, or choose another --root",
        )


def _drop_unsynced(store: Store) -> None:
    core = store.core
    core.lease.id  # noqa: B018 - a lease can't begin while the lock below is held
    with core.locks.exclusive(COLLECT_LOCK):
        core.bump_generation(is_durable=True)
        for note in core.ledger.take_earlier():
            # A tree of foreign owners may refuse to be moved by the front: it stays distrusted, the worker replaces it.
            with suppress(StoreError):
                if note.kind == "blob":
                    store.blobs.drop_untrusted(note.hex)
                elif note.kind != "image":
                    store.layers.drop_untrusted(note.hex)
        core.bump_generation()
