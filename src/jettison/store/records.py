"""Cache records: key -> value, with the preimage of the key for a later ``explain``.

Contract with the collector: a value names the layers, images and blobs that it stands for in their textual form
(``sha256:<hex>``); ``digests_in`` finds them there, in any encoding that keeps ASCII. A record is a hint: whoever reads one
checks that what it names is still in the store.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jettison.store.database import Database

_DIGEST = re.compile(rb"sha256:[0-9a-f]{64}(?![0-9a-f])")
_PAGE_ROWS = 500
_PREIMAGE_INDEXED = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheRecord:
    """One record. ``created`` is seconds since the epoch, ``used`` a counter that grows with each use of any record."""

    key: str
    value: bytes
    preimage: bytes
    created: float
    used: int


class DiskKeyValue:
    """The cache records of one store. Thread-safe; several processes may use it at once."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock
        self._guard = threading.Lock()
        self._touched: set[str] = set()

    def get(self, key: str) -> bytes | None:
        """Return the value, None when there is none. Counts as a use, written down at the next ``put`` or ``flush``."""
        rows = self._database.query("SELECT value FROM records WHERE key = ?", (key,))
        if not rows:
            return None
        with self._guard:
            self._touched.add(key)
        return bytes(rows[0][0])

    def put(self, key: str, value: bytes, preimage: bytes) -> None:
        """Store the value, in place of an earlier one."""
        self._database.change(
            "INSERT INTO records (key, value, preimage, created, used) "
            "VALUES (?, ?, ?, ?, (SELECT coalesce(max(used), 0) + 1 FROM records)) "
            "ON CONFLICT (key) DO UPDATE SET value = excluded.value, preimage = excluded.preimage, "
            "created = excluded.created, used = excluded.used",
            [(key, value, preimage, self._clock())],
        )

    def delete(self, key: str) -> bool:
        """Remove the record; False when there is none."""
        return self.delete_all([key]) > 0

    def delete_all(self, keys: list[str]) -> int:
        """Remove the records in one transaction; returns how many there were."""
        return self._database.change("DELETE FROM records WHERE key = ?", [(key,) for key in keys])

    def items(self) -> Iterator[tuple[str, bytes]]:
        """Go through keys and values, sorted by key. Records that come or go meanwhile may or may not be seen."""
        last = ""
        while True:
            rows = self._database.query(
                "SELECT key, value FROM records WHERE key > ? ORDER BY key LIMIT ?", (last, _PAGE_ROWS)
            )
            for key, value in rows:
                yield str(key), bytes(value)
            if len(rows) < _PAGE_ROWS:
                return
            last = str(rows[-1][0])

    def newest_first(self) -> list[tuple[str, frozenset[str]]]:
        """Return the keys, most recently used first, each with the digests that its value names."""
        self.flush()
        rows = self._database.query("SELECT key, value FROM records ORDER BY used DESC, key")
        return [(str(key), digests_in(bytes(value))) for key, value in rows]

    def find_preimages(self, prefix: bytes, *, limit: int = 100) -> list[CacheRecord]:
        """Return the records whose preimage starts with the prefix, most recently used first, at most ``limit``."""
        self.flush()
        head = prefix[:_PREIMAGE_INDEXED]
        last = head + b"\xff" * (_PREIMAGE_INDEXED - len(head))
        condition = "WHERE substr(preimage, 1, 64) BETWEEN ? AND ? AND substr(preimage, 1, ?) = ? " if prefix else ""
        values = (head, last, len(prefix), prefix) if prefix else ()
        rows = self._database.query(
            f"SELECT key, value, preimage, created, used FROM records {condition}ORDER BY used DESC, key LIMIT ?",  # noqa: S608 - constants
            (*values, limit),
        )
        return [
            CacheRecord(key=str(key), value=bytes(value), preimage=bytes(preimage), created=created, used=used)
            for key, value, preimage, created, used in rows
        ]

    def flush(self) -> None:
        """Write down which records were used since the last time, so that the collector takes others first."""
        with self._guard:
            keys, self._touched = sorted(self._touched), set()
        if keys:
            top = self._database.query("SELECT coalesce(max(used), 0) FROM records")[0][0]
            self._database.change("UPDATE records SET used = ? WHERE key = ?", [(top + 1, key) for key in keys])


def digests_in(value: bytes) -> frozenset[str]:
    """Return the digests that are spelled in the bytes."""
    return frozenset(match.decode("ascii") for match in _DIGEST.findall(value))
