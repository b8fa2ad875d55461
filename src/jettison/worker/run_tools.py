"""The worker process's own set of tools: beside the store and its readers a snapshot driver and a launcher."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from jettison.sandbox import kernel
from jettison.snapshot.copytree import CopyDriver
from jettison.snapshot.fill import Materials
from jettison.snapshot.overlay import OverlayDriver
from jettison.worker.tools import Tools

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path

    from jettison.limits import Limits
    from jettison.sandbox.launch import Launcher
    from jettison.sandbox.spec import IdMode
    from jettison.snapshot.driver import SnapshotDriver
    from jettison.solver.task import Chain
    from jettison.store.root import Store


class RunTools(Tools):
    """Tools of a process that runs steps and touches trees of files.

    Where the store's file system can't be the upper layer of an overlay (a store inside another container, an old kernel),
    steps get copies instead.
    """

    def __init__(
        self, store: Store, limits: Limits, *, id_mode: IdMode, launcher: Launcher, has_overlay: bool | None = None
    ) -> None:
        super().__init__(store, limits)
        self.id_mode: IdMode = id_mode
        self.launcher = launcher
        self.materials = Materials(layers=store.layers, open_blob=self.open_blob, id_mode=id_mode)
        self._overlay: OverlayDriver | None = None
        if takes_overlay(store, id_mode) if has_overlay is None else has_overlay:
            self._overlay = OverlayDriver(self.materials, store.locks)
        self.driver: SnapshotDriver = self._overlay or CopyDriver(self.materials)

    def lowers(self, chain: Chain, stack: ExitStack) -> tuple[Path, ...]:
        """Return directories that united show the chain, topmost first; each is made if it was not there.

        Without overlays it is one copy, which goes when the stack is closed.
        """
        ids = [layer.layer_id for layer in chain]
        if self._overlay is not None:
            return self._overlay.lowers(ids)
        root = stack.enter_context(self.driver.prepare(ids)).root
        assert root is not None, "the copy driver makes one directory"
        return (root,)

    @property
    def has_overlay(self) -> bool:
        """Whether steps run on overlays."""
        return self._overlay is not None


def takes_overlay(store: Store, id_mode: IdMode) -> bool:
    """Tell whether an overlay with its upper directory in the store can be made: tried, without mounting it anywhere."""
    with store.layers.stage() as staged:
        names = {name: os.fsencode(staged.path / name) for name in ("lower", "upper", "work")}
        for path in names.values():
            os.mkdir(path)  # noqa: PTH102  bytes, as the kernel takes them
        options: list[tuple[bytes, bytes | None]] = [
            (b"lowerdir", names["lower"]),
            (b"upperdir", names["upper"]),
            (b"workdir", names["work"]),
            (b"volatile", None),
        ]
        if id_mode != "root":
            options.append((b"userxattr", None))
        try:
            os.close(kernel.open_file_system(b"overlay", tuple(options)))
        except OSError:
            return False
    return True
