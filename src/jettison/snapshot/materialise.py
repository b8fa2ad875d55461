"""A layer's index and content as a directory that overlayfs takes as a lower one (``fs/``).

It writes exactly what the index says, so one directory serves every chain that holds the layer: a pulled layer whose tar
needs the layers below to be understood has been settled before (``snapshot.settle``). The root directory's own metadata is
not written: a mount shows that of its upper directory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jettison.filetree import EntryKind, FileEntry
from jettison.snapshot.fill import Filler, Materials
from jettison.snapshot.tree_writer import TreeWriter

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from jettison.digest import LayerId
    from jettison.filetree import ContentRef

_ROOT = FileEntry(b"", EntryKind.DIRECTORY, 0o755)


def materialise(
    layer_id: LayerId, index: Iterable[tuple[FileEntry, ContentRef]], target: Path, materials: Materials
) -> None:
    """Fill an existing, empty directory with the files of a layer.

    Files of other layers are linked where all metadata is equal, so the result must never be written to. Nothing is removed
    on failure: the directory belongs to a staging area.

    Raises:
        LayerError: layer-content, layer-hard-link, layer-path: the index and its content disagree.
        HostError: host-whiteout, host-id-range.

    """
    with (
        TreeWriter(target, materials.id_mode) as writer,
        Filler(writer, materials, may_link=True) as filler,
    ):
        writer.add_directory(_ROOT)
        for entry, ref in index:
            match entry.kind:
                case EntryKind.DIRECTORY:
                    writer.add_directory(entry if entry.path else _ROOT._replace(is_opaque=entry.is_opaque))
                case EntryKind.FILE:
                    filler.add_file(entry, ref if ref.layer else ref._replace(layer=layer_id))
                case EntryKind.HARD_LINK:
                    filler.add_link(entry.path, entry.link_target)
                case _:
                    writer.add_special(entry)
        filler.finish()
        writer.finish()
