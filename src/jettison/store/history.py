"""The history of builds: what was built when, how long it took and what came of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jettison.store.database import Database

_COLUMNS = "build_id, started, seconds, status, tags, target, image_id, steps"


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildEntry:
    """One build. ``started`` is seconds since the epoch, ``steps`` JSON text of the caller's making."""

    build_id: str
    started: float
    seconds: float
    status: str
    tags: tuple[str, ...] = ()
    target: str = ""
    image_id: str = ""
    steps: str = "[]"


class DiskHistory:
    """The builds of one store, newest first. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_build(self, entry: BuildEntry) -> None:
        """Write the build down, in place of an earlier entry of the same id."""
        self._database.change(
            f"INSERT OR REPLACE INTO builds ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - a constant
            [
                (
                    entry.build_id,
                    entry.started,
                    entry.seconds,
                    entry.status,
                    json.dumps(entry.tags),
                    entry.target,
                    entry.image_id,
                    entry.steps,
                )
            ],
        )

    def list_builds(self, *, limit: int = 100) -> list[BuildEntry]:
        """Return the newest builds, newest first."""
        rows = self._database.query(
            f"SELECT {_COLUMNS} FROM builds ORDER BY started DESC, build_id DESC LIMIT ?",  # noqa: S608 - a constant
            (limit,),
        )
        return [_entry(row) for row in rows]

    def get_build(self, build_id: str) -> BuildEntry | None:
        """Return the build of that id, None when there is none."""
        rows = self._database.query(f"SELECT {_COLUMNS} FROM builds WHERE build_id = ?", (build_id,))  # noqa: S608
        return _entry(rows[0]) if rows else None

    def remove_builds(self, build_ids: list[str]) -> int:
        """Forget the builds; returns how many there were. Their logs are the collector's."""
        return self._database.change("DELETE FROM builds WHERE build_id = ?", [(build_id,) for build_id in build_ids])


def _entry(row: Any) -> BuildEntry:
    build_id, started, seconds, status, tags, target, image_id, steps = row
    return BuildEntry(
        build_id=build_id,
        started=started,
        seconds=seconds,
        status=status,
        tags=tuple(json.loads(tags)),
        target=target,
        image_id=image_id,
        steps=steps,
    )
