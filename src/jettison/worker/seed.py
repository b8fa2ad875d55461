"""Files of a union written into a fresh directory: seeds of cache mounts, and the tree of the ``local`` output."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jettison.filetree import EntryKind, FileEntry
from jettison.snapshot.fill import Filler, Materials
from jettison.snapshot.tree_writer import TreeWriter

if TYPE_CHECKING:
    from pathlib import Path

    from jettison.snapshot.union import Union

_DEFAULT_ROOT = FileEntry(b"", EntryKind.DIRECTORY, 0o755)


def write_union(union: Union, start: bytes, target: Path, materials: Materials) -> int:
    """Write everything below ``start`` of the union into an existing, empty directory; return the count of entries.

    Modes, times and (but for the ``single`` id mode) owners are as the union has them; hard links among the files stay.

    Raises:
        LayerError: a layer's index and its content disagree.
        HostError: the host refuses an owner.

    """
    cut = len(start) + 1 if start else 0
    count = 0
    with TreeWriter(target, materials.id_mode) as writer, Filler(writer, materials, may_link=False) as filler:
        writer.add_directory(_DEFAULT_ROOT)
        for entry, ref in union.flatten(start):
            count += 1
            if entry.path == start:
                if entry.kind is EntryKind.DIRECTORY:
                    writer.add_directory(entry._replace(path=b""))
                continue
            moved = entry._replace(path=entry.path[cut:])
            if entry.kind is EntryKind.DIRECTORY:
                writer.add_directory(moved)
            elif entry.kind is EntryKind.FILE:
                filler.add_file(moved, ref)
            elif entry.kind is EntryKind.HARD_LINK:
                filler.add_link(moved.path, entry.link_target[cut:])
            else:
                writer.add_special(moved)
        filler.finish()
        writer.finish()
    return count
