"""A chain of layers as one tree of files, read from their indexes alone: no mount, no directory.

Owns what a path means when several layers speak of it: the topmost entry wins, deletions and everything that is no
directory hide what lies below in lower layers, so does an opaque directory, and directories merge with the metadata of the
topmost. An ancestor that is a symlink is never followed by a look-up or a walk; ``resolve`` follows symlinks, inside the
root. Data flows from the indexes into single entries: nothing here holds a whole tree.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from jettison.errors import LayerError
from jettison.filetree import ContentRef, EntryKind, FileEntry
from jettison.guestpath import GuestPath, from_key
from jettison.snapshot.merge import LayerSlot, merge

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jettison.digest import LayerId
    from jettison.layer.index import LayerIndex
    from jettison.layer.record import Slot

_LINKS_MAX = 40
_CACHED_DIRECTORIES = 4096
_UNKNOWN = -1
_DIRECTORY = EntryKind.DIRECTORY
_SYMLINK = EntryKind.SYMLINK
_HARD_LINK = EntryKind.HARD_LINK
_WHITEOUT = EntryKind.WHITEOUT
_FILE = EntryKind.FILE


class UnionEntry(NamedTuple):
    """An entry as the whole chain shows it.

    ``ref.layer`` is always filled in for a file. ``layer`` is the position in the chain, 0 at the bottom. ``entry`` is never
    a whiteout; ``is_opaque`` says nothing here.
    """

    entry: FileEntry
    ref: ContentRef
    layer: int


class Union:
    """The tree that a chain of layers makes. The indexes stay the caller's: open as long as the union is used."""

    def __init__(self, layers: Sequence[tuple[LayerId, LayerIndex]]) -> None:
        """Take the layers, bottom first."""
        self._ids = tuple(layer_id for layer_id, _ in layers)
        self._indexes = tuple(index for _, index in layers)
        self._root = self._root_floor()
        self._floors: dict[bytes, int | None] = {}

    @property
    def layer_ids(self) -> tuple[LayerId, ...]:
        """The layers, bottom first."""
        return self._ids

    def lookup(self, path: bytes) -> UnionEntry | None:
        """Return the entry of the path, or None; the last component is not followed.

        The ancestors must be real directories. A hard link shows the content and metadata of its file, as a file with
        this path. The root is only found when a layer lists it.
        """
        floor = self._floor_above(path)
        if floor is None:
            return None
        for layer in range(len(self._indexes) - 1, floor - 1, -1):
            slot = self._indexes[layer].find(path)
            if slot is not None:
                return None if slot[0].kind is _WHITEOUT else self._resolved(slot, layer)
        return None

    def resolve(self, path: GuestPath, *, follow_last: bool = True) -> GuestPath:
        """Return the path with all symlinks followed inside the root.

        From the first component on that does not exist (or is no directory) the rest is kept as text. ``..`` at the root
        stays there. With ``follow_last`` false a symlink as last component is left as it is.

        Raises:
            LayerError: ``symlink-loop``: more than 40 symlinks on the way, as the kernel has it.

        """
        waiting = deque(path.key.split(b"/") if path.key else ())
        done: list[bytes] = []
        links = 0
        while waiting:
            part = waiting.popleft()
            if part == b"..":
                del done[-1:]
                continue
            if part in {b"", b"."}:
                continue
            done.append(part)
            if not waiting and not follow_last:
                break
            found = self.lookup(b"/".join(done))
            if found is None or found.entry.kind is not _SYMLINK:
                continue
            links += 1
            if links > _LINKS_MAX:
                raise LayerError(
                    f"too many symlinks on the way to {str(path)!r}",
                    slug="symlink-loop",
                    hint="a symlink of the image leads back to itself: check the links on this path",
                )
            target = found.entry.link_target
            done.pop()
            if target.startswith(b"/"):
                done.clear()
            waiting.extendleft(reversed(target.split(b"/")))
        return from_key(b"/".join(done))

    def walk(self, path: bytes = b"") -> Iterator[UnionEntry]:
        """Yield the entry itself, if listed, then everything below it, in ``sort_key`` order.

        Hard links come as files (see ``lookup``). Below anything but a real directory nothing comes.
        """
        for slot in self._visible(path):
            yield self._resolved((slot.entry, slot.ref), slot.layer)

    def flatten(self, path: bytes = b"") -> Iterator[tuple[FileEntry, ContentRef]]:
        """Yield the entry itself, if listed, and everything below it as the entries of one layer, hard links kept.

        Of the names of one file that are visible there the first is the file, the others link to it. No directory is opaque.
        """
        inside = path + b"/" if path else b""
        first_names: dict[tuple[int, bytes], bytes] = {}
        for slot in self._visible(path):
            entry = slot.entry
            if entry.kind is not _HARD_LINK:
                shown = self._resolved((entry, slot.ref), slot.layer)
                yield shown.entry, shown.ref
                continue
            key = (slot.layer, entry.link_target)
            first = first_names.get(key)
            if first is None and entry.link_target.startswith(inside) and self._is_shown(entry.link_target, slot.layer):
                first = first_names[key] = entry.link_target
            if first is None:
                first_names[key] = entry.path
                shown = self._resolved((entry, slot.ref), slot.layer)
                yield shown.entry, shown.ref
            else:
                yield entry._replace(link_target=first), slot.ref

    def children(self, path: bytes) -> Iterator[UnionEntry]:
        """Yield the entries directly below a directory, in order; none below anything else."""
        floor = self._floor_of(path)
        if floor is None:
            return
        sources = [(layer, index.children(path)) for layer, index in enumerate(self._indexes) if layer >= floor]
        for slot in merge(sources, floor):
            yield self._resolved((slot.entry, slot.ref), slot.layer)

    def _visible(self, path: bytes) -> Iterator[LayerSlot]:
        floor = self._floor_above(path)
        if floor is None:
            return iter(())
        sources = [(layer, index.subtree(path)) for layer, index in enumerate(self._indexes) if layer >= floor]
        return merge(sources, floor)

    def _is_shown(self, path: bytes, layer: int) -> bool:
        """Tell whether the path, a file of this layer, is what the union shows there."""
        found = self.lookup(path)
        return found is not None and found.layer == layer

    def _resolved(self, slot: Slot, layer: int) -> UnionEntry:
        entry, ref = slot
        if entry.kind is _HARD_LINK:
            first = self._indexes[layer].find(entry.link_target)
            if first is None or first[0].kind is not _FILE:
                raise LayerError(
                    f"the hard link {str(from_key(entry.path))!r} leads to no file of its layer",
                    slug="layer-index-corrupt",
                    hint="remove the layer with 'jettison prune' and build again",
                )
            entry, ref = first[0]._replace(path=entry.path), first[1]
        if ref.kind and not ref.layer:
            ref = ref._replace(layer=self._ids[layer])
        return UnionEntry(entry._replace(is_opaque=False) if entry.is_opaque else entry, ref, layer)

    def _root_floor(self) -> int:
        for layer in range(len(self._indexes) - 1, -1, -1):
            slot = self._indexes[layer].find(b"")
            if slot is not None and slot[0].is_opaque:
                return layer
        return 0

    def _floor_above(self, path: bytes) -> int | None:
        """Return the lowest layer that shows at the path, None if an ancestor is no directory."""
        if not path:
            return 0
        cut = path.rfind(b"/")
        return self._floor_of(path[:cut] if cut > 0 else b"")

    def _floor_of(self, path: bytes) -> int | None:
        """Return the lowest layer that shows below the path, None if it is no directory of the union."""
        if not path:
            return self._root
        known = self._floors.get(path, _UNKNOWN)
        if known != _UNKNOWN:
            return known
        floor = self._floor_above(path)
        if floor is not None:
            floor = self._own_floor(path, floor)
        if len(self._floors) >= _CACHED_DIRECTORIES:
            self._floors.clear()
        self._floors[path] = floor
        return floor

    def _own_floor(self, path: bytes, floor: int) -> int | None:
        is_directory = False
        for layer in range(len(self._indexes) - 1, floor - 1, -1):
            slot = self._indexes[layer].find(path)
            if slot is None:
                continue
            if slot[0].kind is not _DIRECTORY:
                return layer + 1 if is_directory else None
            is_directory = True
            if slot[0].is_opaque:
                return layer
        return floor if is_directory else None
