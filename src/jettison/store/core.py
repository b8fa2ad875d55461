"""What all parts of one open store share: its paths, locks, lease, trash and ledger of unsynced things."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jettison.digest import is_digest
from jettison.errors import StoreError
from jettison.store.disk import exists, sync_directory, write_file
from jettison.store.faults import telling

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from jettison.store.lease import Lease
    from jettison.store.ledger import Note, SyncLedger
    from jettison.store.lock import Locks
    from jettison.store.trash import Trash


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreCore:
    """The common ground of one open store. ``clock`` gives seconds since the epoch, for people to read."""

    path: Path
    locks: Locks
    lease: Lease
    ledger: SyncLedger
    trash: Trash
    clock: Callable[[], float]

    def staging_path(self) -> Path:
        """Return a new name in ``tmp/`` that belongs to this store's lease; nothing is there yet."""
        return self.path / "tmp" / f"{self.lease.id}-{secrets.token_hex(8)}"

    def replace_file(self, path: Path, data: bytes, *, is_durable: bool = False) -> None:
        """Write the file whole: readers see the old one or the new one; ``is_durable`` waits until it is on the disk."""
        staged = self.staging_path()
        with telling("write", path):
            try:
                write_file(staged, data, is_durable=is_durable)
                staged.replace(path)
            except BaseException:
                staged.unlink(missing_ok=True)
                raise
            if is_durable:
                sync_directory(path.parent)

    def generation(self) -> int:
        """Return the number that stands for the present set of tags, images and layers; 0 when it can't be read."""
        try:
            return int((self.path / "generation").read_bytes(), 16)
        except (OSError, ValueError):
            return 0

    def bump_generation(self, *, is_durable: bool = False) -> None:
        """Give the set of tags, images and layers a new number, one that it never had before."""
        number = int.from_bytes(os.urandom(8), "big") >> 1 | 1
        self.replace_file(self.path / "generation", b"%x\n" % number, is_durable=is_durable)


def digits_of(digest: str) -> str:
    """Return the hexadecimal digits of a digest, safe as a file name.

    Raises:
        StoreError: ``bad-digest``, the text is not ``sha256:`` and 64 hexadecimal digits.

    """
    if not is_digest(digest):
        raise StoreError(f"not a sha256 digest: '{digest[:100]}'", slug="bad-digest")
    return digest[7:]


def is_digits(name: str) -> bool:
    """Tell whether a file name is that of a digest."""
    return is_digest(f"sha256:{name}")


def clear_way(core: StoreCore, target: Path, note: Note, is_trusted: Callable[[], bool]) -> bool:
    """Tell whether the caller is to put its thing at the target: False when a good one lies there already.

    What a power cut left at the target goes to the trash first. Only then may the caller make the note for its own thing:
    a note beside such remains would make them trusted.
    """
    if not exists(target):
        return True
    if is_trusted():
        return False
    with core.locks.exclusive(f"replace/{note.kind}/{note.hex}"):
        if exists(target) and not is_trusted():
            core.trash.take(target)
    return not exists(target)
