"""The worker process's own set of tools: beside the store and its readers a snapshot driver and a launcher."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jettison.snapshot.fill import Materials
from jettison.snapshot.overlay import OverlayDriver
from jettison.worker.tools import Tools

if TYPE_CHECKING:
    from pathlib import Path

    from jettison.limits import Limits
    from jettison.sandbox.launch import Launcher
    from jettison.sandbox.spec import IdMode
    from jettison.solver.task import Chain
    from jettison.store.root import Store


class RunTools(Tools):
    """Tools of a process that runs steps and touches trees of files."""

    def __init__(self, store: Store, limits: Limits, *, id_mode: IdMode, launcher: Launcher) -> None:
        super().__init__(store, limits)
        self.id_mode: IdMode = id_mode
        self.launcher = launcher
        self.materials = Materials(layers=store.layers, open_blob=self.open_blob, id_mode=id_mode)
        self.driver = OverlayDriver(self.materials, store.locks)

    def lowers(self, chain: Chain) -> tuple[Path, ...]:
        """Return the directories of a chain, topmost first, each made if it was not there; an empty chain has none."""
        ids = [layer.layer_id for layer in chain]
        return tuple(self.driver.ensure_fs(ids[: position + 1]) for position in reversed(range(len(ids))))
