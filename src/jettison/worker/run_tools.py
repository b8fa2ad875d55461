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

    from jettison.digest import LayerId
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
        self._copies = CopyDriver(self.materials)

    def lowers(self, chain: Chain, stack: ExitStack) -> tuple[Path, ...]:
        """Return directories that united show the chain, topmost first; each is made if it was not there.

        Without overlays it is one copy, which goes when the stack is closed.
        """
        ids = [layer.layer_id for layer in chain]
        if self._overlay is not None:
            return self._overlay.lowers(ids)
        root = stack.enter_context(self._copies.prepare(ids)).root
        assert root is not None, "the copy driver makes one directory"
        return (root,)

    def driver_for(self, chain: Chain) -> SnapshotDriver:
        """Return the driver for a step on these layers.

        The directory of a COPY --from may be hard links to files of the stage's layer. Where both are in sight, programs
        would take two files for one (``cp`` refuses to copy a file onto itself), so such a step gets copies.
        """
        if self._overlay is None or self._shows_a_file_twice([layer.layer_id for layer in chain]):
            return self._copies
        return self._overlay

    def _shows_a_file_twice(self, ids: list[LayerId]) -> bool:
        seen: set[LayerId] = set()
        for layer_id in ids:
            holders = {layer_id, *self.indexes.index(layer_id).summary.foreign_layers}
            linked = {holder for holder in holders if self.store.layers.is_made_as_directory(holder)}
            if linked & seen:
                return True
            seen |= linked
        return False

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
