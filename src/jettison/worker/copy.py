"""A placed selection -> the files of a new layer: its index, and a pack for content that has no other place.

Owns what COPY makes of metadata (owner, mode, times) and where content goes: files of a context and heredocs are written into
the pack, files of a stage stay where they are and are only referred to, files of a pulled blob are taken out of it in one
pass. Entries stream through in order; nothing here holds them all.
"""

from __future__ import annotations

import hashlib
import heapq
import os
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from jettison.context.hashing import changed
from jettison.context.local import LocalContext
from jettison.errors import LayerError
from jettison.filetree import NO_CONTENT, ContentKind, ContentRef, EntryKind, FileEntry, sort_key
from jettison.layer.index import IndexWriter
from jettison.layer.pack import PackWriter
from jettison.plan.ops import InlineSource
from jettison.worker.fetchblob import pack_blobs
from jettison.worker.place import conflict, directory_entry, item_path, join

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from jettison.layer.index import IndexSummary
    from jettison.plan.ops import CopyOp
    from jettison.worker.fetchblob import BlobStream
    from jettison.worker.place import Placement
    from jettison.worker.select import Item, Selection

FIXED_TIME_NS = 315_532_800_000_000_000
"""1980-01-01: the time of context files in a reproducible build; zip can't go below it. Marked fresh, so an image made with
SOURCE_DATE_EPOCH shows that instead."""

HEREDOC_MODE = 0o644
_FILE = EntryKind.FILE
_DIRECTORY = EntryKind.DIRECTORY
_SYMLINK = EntryKind.SYMLINK
_HARD_LINK = EntryKind.HARD_LINK
_PACK = ContentKind.PACK


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """All that writing a copy needs. ``open_blob`` streams the uncompressed tar of a pulled layer of the source."""

    op: CopyOp
    selection: Selection
    placement: Placement
    now_ns: int
    open_blob: BlobStream


class _Planned(NamedTuple):
    """An entry at its destination, not transformed yet; ``item`` is its place in the selection."""

    path: bytes
    item: int
    entry: FileEntry
    ref: ContentRef


def write_copy(copy: Copy, staged: Path) -> IndexSummary:
    """Write ``index``, and ``pack`` when there is content to hold, into a staged layer directory; return its summary.

    The summary's foreign layers are those that the new layer depends on.

    Raises:
        ContextError: ``context-changed``, ``context-unreadable``.
        StepError: ``copy-conflict``: two sources put a file and a directory at the same path.
        LayerError: ``layer-content``: content of a stage or blob is not what its index says.

    """
    with ExitStack() as stack:
        index = stack.enter_context(IndexWriter(staged / "index"))
        writer = _LayerWriter(copy, index, _LazyPack(staged / "pack", stack))
        writer.write_parents()
        plans = [_plan(copy, number, item) for number, item in enumerate(copy.selection.items)]
        if len(plans) == 1:
            for planned in plans[0]:
                writer.write(planned)
        else:
            for planned in _merge(copy, plans):
                writer.write(planned)
        writer.pack.finish()
        return index.finish()


def _plan(copy: Copy, number: int, item: Item) -> Iterator[_Planned]:
    path = item_path(item, copy.placement)
    if isinstance(item, InlineSource):
        yield _Planned(path, number, FileEntry(path, _FILE, HEREDOC_MODE, size=len(item.data)), NO_CONTENT)
        return
    for relative, entry, ref in copy.selection.entries(item):
        if not relative:
            yield _Planned(path, number, entry, ref)
            continue
        below = join(path, relative)
        if entry[1] is _HARD_LINK:
            entry = entry._replace(link_target=join(path, entry.link_target))  # noqa: PLW2901 - the same link, placed
        yield _Planned(below, number, entry, ref)


def _merge(copy: Copy, plans: list[Iterator[_Planned]]) -> Iterator[_Planned]:
    """Yield the entries of all items in order, each path once: of equal paths the last source's.

    A hard link whose first name another source replaced becomes the file itself, and later links lead to it.
    """
    keyed = [((sort_key(planned.path), planned.item, planned) for planned in plan) for plan in plans]
    replaced: set[tuple[int, bytes]] = set()
    heirs: dict[tuple[int, bytes], bytes] = {}
    for _, group in groupby(heapq.merge(*keyed, key=itemgetter(0, 1)), key=itemgetter(0)):
        candidates = [planned for _, _, planned in group]
        winner = candidates[-1]
        is_directory = winner.entry.kind is _DIRECTORY
        for loser in candidates[:-1]:
            if (loser.entry.kind is _DIRECTORY) is not is_directory:
                raise conflict(winner.path, is_directory=is_directory)
            if loser.entry.kind is _FILE:
                replaced.add((loser.item, loser.path))
        key = (winner.item, winner.entry.link_target)
        if winner.entry.kind is _HARD_LINK and key in replaced:
            if key in heirs:
                winner = winner._replace(entry=winner.entry._replace(link_target=heirs[key]))
            else:
                heirs[key] = winner.path
                winner = _as_file(copy, winner)
        yield winner


def _as_file(copy: Copy, planned: _Planned) -> _Planned:
    item = copy.selection.items[planned.item]
    assert not isinstance(item, InlineSource), "a heredoc is no hard link"
    start = len(copy.placement.target) + 1 if copy.placement.target else 0
    found = copy.selection.tree.lookup(join(item.root, planned.path[start:]))
    assert found is not None, "a selected entry is in its tree"
    return planned._replace(entry=found[0], ref=found[1])


class _LazyPack:
    """The layer's pack, made when the first content needs it. Equal contents of one copy are written once."""

    def __init__(self, path: Path, stack: ExitStack) -> None:
        self._path = path
        self._stack = stack
        self._writer: PackWriter | None = None
        self._offsets: dict[bytes, int] = {}

    def writer(self) -> PackWriter:
        if self._writer is None:
            self._writer = self._stack.enter_context(PackWriter(self._path))
        return self._writer

    def add_bytes(self, data: bytes) -> tuple[ContentRef, bytes]:
        """Return the place of the data and its digest."""
        if not data:
            return NO_CONTENT, hashlib.sha256().digest()
        packed = self.writer().append(data)
        return ContentRef(_PACK, "", packed.offset), packed.digest

    def add_context_file(self, context: LocalContext, entry: FileEntry) -> ContentRef:
        """Return the place of a context file's content, which must still have its digest."""
        known = self._offsets.get(entry.digest)
        if known is not None:
            return ContentRef(_PACK, "", known)
        descriptor = context.open_file(entry.path)
        try:
            packed = self.writer().append_fd(descriptor, entry.size)
        except LayerError as error:
            raise changed(entry.path) from error
        finally:
            os.close(descriptor)
        if packed.digest != entry.digest:
            raise changed(entry.path)
        self._offsets[entry.digest] = packed.offset
        return ContentRef(_PACK, "", packed.offset)

    def finish(self) -> None:
        if self._writer is not None:
            self._writer.finish()


class _LayerWriter:
    """Transforms planned entries and adds them to the index, their content to the pack."""

    def __init__(self, copy: Copy, index: IndexWriter, pack: _LazyPack) -> None:
        self.pack = pack
        self._copy = copy
        self._index = index
        tree = copy.selection.tree
        self._context = tree if isinstance(tree, LocalContext) else None
        self._is_time_fixed = copy.op.is_reproducible and self._context is not None
        self._made_ns = FIXED_TIME_NS if copy.op.is_reproducible else copy.now_ns
        self._blobs: dict[tuple[str, int], int] = {}
        if copy.selection.has_blobs:
            self._blobs = pack_blobs(_blob_files(copy.selection), pack.writer(), copy.open_blob)

    def write_parents(self) -> None:
        """Add the directories above the copied files: those that exist as they are, the missing ones anew."""
        copy = self._copy
        for entry in copy.placement.parents:
            self._index.add(entry)
        for path in copy.placement.created:
            self._index.add(
                directory_entry(path, mode=copy.op.mode, owner=copy.placement.owner, mtime_ns=self._made_ns)
            )

    def write(self, planned: _Planned) -> None:
        """Add one entry with its content."""
        path, item, entry, ref = planned
        _, kind, mode, uid, gid, size, mtime_ns, link, xattrs, device, digest, _, is_fresh = entry
        owner = self._copy.placement.owner
        if owner is not None:
            uid, gid = owner
        if self._copy.op.mode is not None and kind is not _SYMLINK:
            mode = self._copy.op.mode
        if self._is_time_fixed:
            mtime_ns, is_fresh = FIXED_TIME_NS, True
        source = self._copy.selection.items[item]
        if isinstance(source, InlineSource):
            mtime_ns, is_fresh = self._made_ns, True
            ref, digest = self.pack.add_bytes(source.data)
        elif kind is _FILE and size:
            if self._context is not None:
                ref = self.pack.add_context_file(self._context, entry)
            elif ref[0] is ContentKind.BLOB:
                ref = ContentRef(_PACK, "", self._blobs[ref.layer, ref.offset])
        elif kind is _FILE:
            ref = NO_CONTENT
        self._index.add(
            FileEntry(path, kind, mode, uid, gid, size, mtime_ns, link, xattrs, device, digest, False, is_fresh), ref
        )


def _blob_files(selection: Selection) -> Iterable[tuple[FileEntry, ContentRef]]:
    for item in selection.items:
        if not isinstance(item, InlineSource):
            for _, entry, ref in selection.entries(item):
                if ref.kind is ContentKind.BLOB and entry.size:
                    yield entry, ref
