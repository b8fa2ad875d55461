"""The store's upkeep and what the host gives: prune, du, info."""

from __future__ import annotations

import platform
import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jettison import __version__
from jettison.api.wiring import Engine
from jettison.store.gc import CollectPolicy, collect
from jettison.store.trash import empty_trash
from jettison.store.usage import usage

if TYPE_CHECKING:
    from jettison.api.request import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """What a prune removed: a line for each thing worth one, and the bytes given back."""

    lines: tuple[str, ...]
    freed_bytes: int

    def as_json(self) -> dict[str, object]:
        """Return it for programs."""
        return {"removed": list(self.lines), "freed_bytes": self.freed_bytes}


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRow:
    """A line of ``jettison du``."""

    kind: str
    count: int
    size_bytes: int
    reclaimable_bytes: int

    def as_json(self) -> dict[str, object]:
        """Return it for programs."""
        return {
            "Type": self.kind,
            "Count": self.count,
            "Size": self.size_bytes,
            "Reclaimable": self.reclaimable_bytes,
        }


def prune(settings: Settings, *, is_all: bool = False, keeps_cache: bool = False) -> Pruned:
    """Remove leftovers, images without a name and the build cache that no image needs; ``is_all`` also mounts and logs.

    Safe while builds run: what they hold stays.
    """
    policy = CollectPolicy(
        keep_cache=keeps_cache and not is_all,
        keep_untagged=False,
        keep_mounts=not is_all,
        keep_builds=0 if is_all else None,
    )
    with Engine(settings) as engine:
        empty_trash(engine.store.trash.path)  # makes room: on a full disk nothing below could be written
        if is_all:
            for name in ("containers", "memo", "contexts"):
                for path in (settings.root / name).glob("*"):
                    engine.store.trash.take(path)
        collected = collect(engine.store, policy)
        if collected.left and engine.id_mode != "root":
            engine.call("empty-trash", None)
    shown = [removal for removal in collected.removals if removal.kind != "record"]
    return Pruned(
        lines=tuple(f"{removal.kind} {removal.name}: {removal.reason}" for removal in shown),
        freed_bytes=collected.size_bytes,
    )


def disk_usage(settings: Settings) -> list[UsageRow]:
    """Return what takes how much space."""
    with Engine(settings) as engine:
        found = usage(engine.store)
    return [
        UsageRow(
            kind=name,
            count=category.count,
            size_bytes=category.size_bytes,
            reclaimable_bytes=category.reclaimable_bytes,
        )
        for name, category in (
            ("images", found.images),
            ("build cache", found.build_cache),
            ("blobs", found.blobs),
            ("cache mounts", found.cache_mounts),
            ("containers", found.containers),
            ("logs", found.logs),
            ("unfinished", found.unfinished),
            ("other", found.other),
        )
    ]


def host_info(settings: Settings) -> dict[str, object]:
    """Return version, places, and what this host can do for steps, each tried, with the reason where it can't."""
    from jettison.sandbox.probe import probe_host

    started = time.monotonic()
    with Engine(settings) as engine:
        mode = engine.id_mode
        generation = engine.store.generation()
        features = probe_host(settings.root / "tmp")
    return {
        "version": __version__,
        "python": platform.python_version(),
        "kernel": platform.release(),
        "root": str(settings.root),
        "store": {"id mode": mode, "generation": generation, "free bytes": shutil.disk_usage(settings.root).free},
        "ca bundle": settings.ca_bundle,
        "network": settings.network,
        "host": {
            found.name: "yes" if found.works else f"no: {found.reason}"
            for found in (*features.modes, *features.features, *features.programs, features.cgroup)
        },
        "probe seconds": round(time.monotonic() - started, 3),
    }
