"""Pulled layers put in their place: directories that a tar does not list get their meaning from the layers below.

A tar may hold ``lib/x`` without ``lib``. Unpacked on top of others, ``lib`` is then whatever lies there: a directory keeps its
mode and owner, a symlink is followed (inside the root) and the file lands at the place it leads to. An index by itself
can't know; this writes a second one for a given chain below. Content stays where it is: the new index refers to the old layer.
"""

from __future__ import annotations

from heapq import merge as heap_merge
from operator import itemgetter
from typing import TYPE_CHECKING

from jettison.errors import LayerError
from jettison.filetree import NO_CONTENT, EntryKind, FileEntry, parent_of, sort_key
from jettison.guestpath import from_key
from jettison.layer.index import IndexWriter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jettison.digest import LayerId
    from jettison.filetree import ContentRef
    from jettison.layer.index import IndexSummary, LayerIndex
    from jettison.layer.record import Slot
    from jettison.snapshot.union import Union

_DIRECTORY = EntryKind.DIRECTORY
_SYMLINK = EntryKind.SYMLINK
_HARD_LINK = EntryKind.HARD_LINK


def settle_layer(layer_id: LayerId, index: LayerIndex, below: Union, path: Path) -> IndexSummary | None:
    """Write the index that the layer has on top of these layers; return its summary, or None if the old one will do.

    Places that were the layer's own name it now: the new layer depends on it.

    Raises:
        LayerError: ``layer-parent``: a file lies where the tar needs a directory; ``symlink-loop``.

    """
    implied = _implied_below(index, below)
    if not implied:
        return None
    mover = _Mover(index, below, implied)
    known: set[bytes] = {b""}
    with IndexWriter(path) as writer:
        for entry, ref in mover.entries():
            for parent in _missing_parents(entry.path, known):
                known.add(parent)
                writer.add(_as_below(FileEntry(parent, _DIRECTORY, 0o755), below))
            if entry.kind is _DIRECTORY:
                known.add(entry.path)
            writer.add(entry, ref._replace(layer=layer_id) if ref.kind and not ref.layer else ref)
        return writer.finish()


class _Mover:
    """The entries of a layer at the paths they really get, in order, each path once."""

    def __init__(self, index: LayerIndex, below: Union, implied: frozenset[bytes]) -> None:
        self._index = index
        self._below = below
        self._implied = implied
        self._moves: dict[bytes, bytes] = {}
        for directory in sorted(implied, key=sort_key):
            place = self._place_of(directory)
            if place != directory:
                self._moves[directory] = place
        self._first_names: dict[bytes, bytes] = {}

    def entries(self) -> Iterator[Slot]:
        moved = sorted(
            (
                (sort_key(place), 1, entry.path, (entry._replace(path=place), ref))
                for entry, ref, place in self._moved()
            ),
            key=itemgetter(0, 1, 2),
        )
        stays = (
            (sort_key(slot[0].path), 0, slot[0].path, slot) for slot in self._index if not self._is_moved(slot[0].path)
        )
        last: bytes | None = None
        for key, _, old_path, (entry, ref) in heap_merge(stays, moved, key=itemgetter(0, 1, 2)):
            if key == last:
                continue  # what the tar names by its real path counts
            last = key
            if entry.kind is _HARD_LINK or old_path in self._first_names:
                yield self._link(entry, old_path, ref)
            elif old_path in self._implied:
                yield _as_below(entry, self._below), ref
            else:
                yield entry, ref

    def _place_of(self, directory: bytes) -> bytes:
        place = self._new_path(directory)
        found = self._below.lookup(place)
        if found is None or found.entry.kind is _DIRECTORY:
            return place
        if found.entry.kind is _SYMLINK:
            resolved = self._below.resolve(from_key(place)).key
            target = self._below.lookup(resolved)
            if target is None or target.entry.kind is _DIRECTORY:
                return resolved
        raise LayerError(
            f"the layer holds files below {str(from_key(directory))!r}, which is no directory in the layers below it",
            slug="layer-parent",
            hint="the image is damaged: its layers do not fit together",
        )

    def _new_path(self, path: bytes) -> bytes:
        above = path
        while above:
            place = self._moves.get(above)
            if place is not None:
                return (place + path[len(above) :]).removeprefix(b"/")
            above = parent_of(above)
        return path

    def _is_moved(self, path: bytes) -> bool:
        return bool(self._moves) and self._new_path(path) != path

    def _moved(self) -> Iterator[tuple[FileEntry, ContentRef, bytes]]:
        for old in self._moves:
            if self._new_path(parent_of(old)) == parent_of(old):
                for entry, ref in self._index.subtree(old):
                    yield entry, ref, self._new_path(entry.path)

    def _link(self, entry: FileEntry, old_path: bytes, ref: ContentRef) -> Slot:
        """Return a name of a file with several names: the first in the new order is the file."""
        old_target = entry.link_target or old_path
        first = self._first_names.get(old_target)
        if first is None:
            target = self._new_path(old_target)
            if sort_key(target) < sort_key(entry.path):
                return entry._replace(link_target=target), ref
            self._first_names[old_target] = entry.path
            found = self._index.find(old_target)
            assert found is not None, "a hard link leads to a file of its layer"
            return found[0]._replace(path=entry.path), found[1]
        return (
            entry._replace(kind=_HARD_LINK, size=0, link_target=first, xattrs=(), digest=b""),
            NO_CONTENT,
        )


def _implied_below(index: LayerIndex, below: Union) -> frozenset[bytes]:
    """Return the directories that the tar does not list and that may be something below.

    None if nothing is there for any of them. Where the layer hides what lies below, nothing is there.
    """
    visible = frozenset(path for path in index.implied_paths() if not _is_hidden(index, path))
    if any(below.lookup(path) for path in visible):
        return visible
    return frozenset()


def _is_hidden(index: LayerIndex, path: bytes) -> bool:
    """Tell whether the layer itself hides what the layers below have at the path of one of its directories."""
    above = path
    while above:
        above = parent_of(above)
        slot = index.find(above)
        if slot is not None and slot[0].is_opaque:
            return True
    slot = index.find(path)
    return slot is not None and slot[0].is_opaque


def _missing_parents(path: bytes, known: set[bytes]) -> list[bytes]:
    parents: list[bytes] = []
    above = parent_of(path)
    while above not in known:
        parents.append(above)
        above = parent_of(above)
    return parents[::-1]


def _as_below(entry: FileEntry, below: Union) -> FileEntry:
    """Return the directory with the metadata that it has below, if it is there."""
    found = below.lookup(entry.path)
    if found is None or found.entry.kind is not _DIRECTORY:
        return entry
    return found.entry._replace(is_opaque=entry.is_opaque)
