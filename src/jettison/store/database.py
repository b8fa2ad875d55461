"""The SQLite file of a store: one connection a thread, short transactions, errors told as errors of the store.

WAL mode: readers never wait for a writer. ``synchronous=NORMAL``: after a power cut the last transactions may be gone, the
file is whole; records name things that are checked before they are used. No connection crosses a fork or an exec (SQLite
opens its files close-on-exec). Source: sqlite.org/wal.html, sqlite.org/pragma.html.
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from jettison.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from jettison.store.lock import Locks

_SCHEMA_VERSION = 1
_BUSY_MILLISECONDS = 30_000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
    key TEXT PRIMARY KEY,
    value BLOB NOT NULL,
    preimage BLOB NOT NULL,
    created REAL NOT NULL,
    used INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS records_used ON records (used);
CREATE INDEX IF NOT EXISTS records_preimage ON records (substr(preimage, 1, 64));
CREATE TABLE IF NOT EXISTS builds (
    build_id TEXT PRIMARY KEY,
    started REAL NOT NULL,
    seconds REAL NOT NULL,
    status TEXT NOT NULL,
    tags TEXT NOT NULL,
    target TEXT NOT NULL,
    image_id TEXT NOT NULL,
    steps TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS builds_started ON builds (started);
"""


class Database:
    """The file ``db.sqlite``; opened when first needed. Thread-safe."""

    def __init__(self, path: Path, locks: Locks) -> None:
        self._path = path
        self._locks = locks
        self._local = threading.local()
        self._guard = threading.Lock()
        self._connections: list[sqlite3.Connection] = []
        self._is_closed = False

    def query(self, sql: str, values: Sequence[object] = ()) -> list[Any]:
        """Return all rows of one statement.

        Raises:
            StoreError: ``store-database``, ``disk-full``, ``store-busy``.

        """
        with self._telling():
            return self._connection().execute(sql, values).fetchall()

    def change(self, sql: str, rows: Sequence[Sequence[object]]) -> int:
        """Run one statement for each row in one short transaction; returns how many rows it changed."""
        if not rows:
            return 0
        with self._telling():
            connection = self._connection()
            connection.execute("BEGIN IMMEDIATE")
            try:
                changed = connection.executemany(sql, rows).rowcount
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            return max(changed, 0)

    def compact(self) -> None:
        """Give the space of deleted rows back to the disk, unless somebody else works with the file."""
        with self._telling():
            connection = self._connection()
            try:
                connection.execute("PRAGMA busy_timeout = 0")
                connection.execute("VACUUM")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                    raise
            finally:
                connection.execute(f"PRAGMA busy_timeout = {_BUSY_MILLISECONDS}")

    def close(self) -> None:
        """Close the connections of all threads."""
        with self._guard:
            self._is_closed = True
            while self._connections:
                self._connections.pop().close()
        self._local = threading.local()

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is not None:
            return connection
        assert not self._is_closed, "the store is closed"
        opened = sqlite3.connect(
            self._path, timeout=_BUSY_MILLISECONDS / 1000, isolation_level=None, check_same_thread=False
        )
        try:
            self._prepare(opened)
        except BaseException:
            opened.close()
            raise
        with self._guard:
            self._connections.append(opened)
        self._local.connection = opened
        return opened

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA synchronous = NORMAL")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            # Switching to WAL does not wait for other connections as statements do: one process at a time.
            with self._locks.exclusive("database"):
                self._path.chmod(0o600)
                connection.execute("PRAGMA journal_mode = WAL")
                connection.executescript(_SCHEMA)
                connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
        elif version != _SCHEMA_VERSION:
            raise StoreError(
                f"the database '{self._path}' has version {version}, this jettison knows {_SCHEMA_VERSION}",
                slug="store-database",
                hint=f"use the newer jettison, or delete '{self._path}' (only the cache and the history of builds are lost)",
            )

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._explain(error) from error

    def _explain(self, error: sqlite3.Error) -> StoreError:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        text = str(error).lower()
        if code == sqlite3.SQLITE_FULL:
            return StoreError(
                f"can't write '{self._path}': {text}",
                slug="disk-full",
                hint="free some space there, run 'jettison prune', or choose another disk with --root",
            )
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return StoreError(
                f"the database '{self._path}' stays locked",
                slug="store-busy",
                hint="another jettison may hang: look for its process and end it",
            )
        if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
            return StoreError(
                f"can't write '{self._path}': {text}", slug="store-access", hint="use a --root that belongs to you"
            )
        return StoreError(
            f"the database '{self._path}' can't be used: {text}",
            slug="store-database",
            hint=f"delete '{self._path}' and the files beside it that start so: the cache and the history of builds are "
            "lost, images stay",
        )
