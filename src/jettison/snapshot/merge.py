"""The streaming merge of sorted layers: for each path the topmost entry that is not hidden.

Owns visibility while it goes through many entries in order: a stack with one floor (the lowest layer that still shows) for
each directory on the way. Pure; knows neither files nor content.
"""

from __future__ import annotations

from heapq import heapify, heappop, heapreplace
from typing import TYPE_CHECKING, NamedTuple

from jettison.filetree import ContentRef, EntryKind, FileEntry

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jettison.layer.record import Slot

    _Source = tuple[bytes, int, Slot, Iterator[Slot]]

_DIRECTORY = EntryKind.DIRECTORY
_WHITEOUT = EntryKind.WHITEOUT


class LayerSlot(NamedTuple):
    """An entry, the place of its content as its layer has it, and the layer's position in the chain."""

    entry: FileEntry
    ref: ContentRef
    layer: int


def merge(sources: Sequence[tuple[int, Iterator[Slot]]], floor: int) -> Iterator[LayerSlot]:
    """Yield what the layers show together, in ``sort_key`` order, each path once, no whiteouts.

    ``sources`` are pairs of a layer's position (0: bottom) and its entries in order; ``floor`` is the lowest layer that
    shows where they start.
    """
    if len(sources) == 1:
        layer, slots = sources[0]
        yield from (LayerSlot(entry, ref, layer) for entry, ref in slots if entry[1] is not _WHITEOUT)
        return
    heap = _heap_of(sources)
    floors = [(b"", floor)]  # key of a directory with a NUL behind it, the lowest layer that shows below
    while heap:
        key, above, slot, _ = heap[0]
        while not key.startswith(floors[-1][0]):
            floors.pop()
        lowest = floors[-1][1]
        winner = LayerSlot(slot[0], slot[1], -above)
        group = [winner]
        _advance(heap)
        while heap and heap[0][0] == key:
            group.append(LayerSlot(*heap[0][2], -heap[0][1]))
            _advance(heap)
        if winner.layer >= lowest:
            below = _floor_below(group, lowest)
            if below != lowest:
                floors.append((key + b"\0" if key else b"", below))
            if slot[0][1] is not _WHITEOUT:
                yield winner


def _floor_below(group: list[LayerSlot], lowest: int) -> int:
    """Return the lowest layer that shows below a path as the layers have it, topmost first."""
    for slot in group:
        if slot.layer < lowest:
            break
        if slot.entry.kind is not _DIRECTORY:
            return slot.layer + 1
        if slot.entry.is_opaque:
            return slot.layer
    return lowest


def _heap_of(sources: Sequence[tuple[int, Iterator[Slot]]]) -> list[_Source]:
    heap: list[_Source] = []
    for layer, slots in sources:
        for slot in slots:
            heap.append((slot[0][0].replace(b"/", b"\0"), -layer, slot, slots))
            break
    heapify(heap)
    return heap


def _advance(heap: list[_Source]) -> None:
    """Move the first source on to its next entry, or drop it at its end."""
    _, above, _, slots = heap[0]
    for slot in slots:
        heapreplace(heap, (slot[0][0].replace(b"/", b"\0"), above, slot, slots))
        return
    heappop(heap)
