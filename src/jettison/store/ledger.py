"""Which things were written in this boot and are perhaps not on the disk yet.

Nothing in the store waits for the disk when it is committed. After a power cut a renamed file may be empty, so a thing is
trusted only when one of two statements holds:

- it carries the mark *synced*, which is only set after a syncfs that followed its commit; or
- ``unsynced/<boot id>/<kind>.<name>`` exists for the boot that runs now (this kernel still has every byte in memory).

The default is distrust: a thing with neither (its note or its mark was lost in the cut) is as good as absent and gets
replaced. That needs no order between the disk's writes but "syncfs is over, then the mark". Notes are made before the
thing is put in place; a note without its thing says nothing (and a sync leaves it alone: the thing may come the next
moment). Notes of earlier boots are what ``Store`` drops on open.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal, NamedTuple, cast, get_args

from jettison.store.disk import list_names, make_directory
from jettison.store.faults import telling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NotedKind = Literal["blob", "layer", "fs", "image"]
_KINDS = frozenset(get_args(NotedKind))


class Note(NamedTuple):
    """A thing that was committed in some boot: what it is and the hexadecimal digits of its digest."""

    kind: NotedKind
    hex: str


class SyncLedger:
    """The directory ``unsynced/`` of a store, seen from one boot."""

    def __init__(self, directory: Path, boot: str) -> None:
        self._directory = directory
        self._boot = boot
        self._current = directory / boot

    def note(self, note: Note) -> None:
        """Write down that the thing is about to be committed."""
        path = self._current / f"{note.kind}.{note.hex}"
        with telling("write", path):
            try:
                _touch(path)
            except FileNotFoundError:
                make_directory(self._current)
                _touch(path)

    def is_trusted(self, note: Note, is_marked: Callable[[], bool]) -> bool:
        """Tell whether the thing is marked as synced or noted in this boot.

        A sync sets the mark and then clears the note. It may do both between our two looks, so the mark is looked at again.
        """
        return is_marked() or self.is_noted(note) or is_marked()

    def is_noted(self, note: Note) -> bool:
        """Tell whether the thing was committed in this boot and not synced since."""
        try:
            os.lstat(self._current / f"{note.kind}.{note.hex}")
        except FileNotFoundError:
            return False
        return True

    def pending(self) -> list[Note]:
        """Return the notes of this boot."""
        return _notes(self._current)

    def clear(self, note: Note) -> None:
        """Forget the note of this boot: the thing is marked as synced, or is not there."""
        (self._current / f"{note.kind}.{note.hex}").unlink(missing_ok=True)

    def has_earlier(self) -> bool:
        """Tell whether an earlier boot left notes."""
        with telling("read", self._directory):
            return any(name != self._boot for name in list_names(self._directory))

    def take_earlier(self) -> Iterator[Note]:
        """Go through the notes of earlier boots and remove them behind the caller's back, each after it was handled."""
        for name in list_names(self._directory):
            if name == self._boot:
                continue
            directory = self._directory / name
            for note in _notes(directory):
                yield note
                (directory / f"{note.kind}.{note.hex}").unlink(missing_ok=True)
            for stray in list_names(directory):
                (directory / stray).unlink(missing_ok=True)
            directory.rmdir()


def _notes(directory: Path) -> list[Note]:
    try:
        names = list_names(directory)
    except FileNotFoundError:
        return []
    notes = []
    for name in names:
        kind, _, digits = name.partition(".")
        if kind in _KINDS:
            notes.append(Note(cast("NotedKind", kind), digits))
    return notes


def _touch(path: Path) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
