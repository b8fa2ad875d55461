"""Trees to copy from and to, and a copy in one call, without a store."""

from __future__ import annotations

import contextlib
import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jettison.context.local import LocalContext
from jettison.fastpath.ignore import parse_ignore
from jettison.filetree import NO_CONTENT, ContentKind, ContentRef, EntryKind, FileEntry, sort_key
from jettison.layer.index import IndexSummary, IndexWriter, LayerIndex
from jettison.limits import DEFAULT_LIMITS
from jettison.plan.ops import ContextRoot, CopyOp, InlineSource, OpRoot, PathSource
from jettison.snapshot.union import Union
from jettison.worker.copy import Copy, write_copy
from jettison.worker.owners import Accounts
from jettison.worker.place import place
from jettison.worker.select import select

if TYPE_CHECKING:
    from pathlib import Path

NOW_NS = 1_700_000_000_000_000_000
LATER_NS = 10**19


def a_file(path, data=b"x", *, mode=0o644, uid=0, gid=0, mtime_ns=7, **others):
    """Return a file entry and the digest-derived place of its content in some other layer."""
    entry = FileEntry(
        path, EntryKind.FILE, mode, uid, gid, len(data), mtime_ns, digest=hashlib.sha256(data).digest(), **others
    )
    return entry, ContentRef(ContentKind.FS, "", 0, path) if data else NO_CONTENT


def a_dir(path, mode=0o755, uid=0, gid=0, mtime_ns=5, **others):
    """Return a directory entry."""
    return FileEntry(path, EntryKind.DIRECTORY, mode, uid, gid, 0, mtime_ns, **others), NO_CONTENT


def a_link(path, target, *, kind=EntryKind.SYMLINK, **others):
    """Return a symlink (or hard link) entry."""
    return FileEntry(path, kind, 0o777, link_target=target, mtime_ns=6, **others), NO_CONTENT


def with_parents(slots):
    """Return the slots in order, with default directories above them."""
    known = {slot[0].path: slot for slot in slots}
    for path in list(known):
        parts = path.split(b"/")
        for depth in range(1, len(parts)):
            parent = b"/".join(parts[:depth])
            known.setdefault(parent, a_dir(parent))
    return [known[path] for path in sorted(known, key=sort_key)]


def a_union(directory: Path, *layers) -> Union:
    """Return the union of layers given as lists of slots, bottom first; parents are filled in."""
    made = []
    for slots in layers:
        path = directory / f"layer-{len(os.listdir(directory))}.index"
        with IndexWriter(path) as writer:
            for entry, ref in with_parents(slots):
                writer.add(entry, ref)
            summary = writer.finish()
        made.append((summary.layer_id, LayerIndex(path)))
    return Union(made)


def a_context(directory: Path, *, ignore=b"", cache=None) -> LocalContext:
    """Return the context of a directory; its clock is far in the future, so that no file is racy."""
    return LocalContext(directory, rules=parse_ignore(ignore), cache=cache, clock_ns=lambda: LATER_NS)


def a_copy_op(*sources, dest="/", owner=None, mode=None, is_reproducible=False, is_add=False, root=None) -> CopyOp:
    """Return an op; text sources are paths, pairs are heredocs, a trailing slash of the destination counts."""
    made = tuple(
        PathSource(pattern=source, is_add=is_add)
        if isinstance(source, str)
        else InlineSource(name=source[0], data=source[1])
        for source in sources
    )
    return CopyOp(
        parent=None,
        root=root or ContextRoot(),
        sources=made,
        dest=dest.rstrip("/") or "/",
        is_dest_dir=dest.endswith("/"),
        owner=owner,
        mode=mode,
        is_reproducible=is_reproducible,
    )


@dataclass(frozen=True)
class Copied:
    """What a copy made: entries by path, and the bytes of packed files."""

    summary: IndexSummary
    entries: dict[bytes, FileEntry]
    refs: dict[bytes, ContentRef]
    pack: bytes

    def content(self, path):
        entry, ref = self.entries[path], self.refs[path]
        return self.pack[ref.offset : ref.offset + entry.size] if ref.kind is ContentKind.PACK else b""


def no_blob(layer_id):
    """Stand for sources that have no pulled layer."""
    raise AssertionError(f"no blob is needed, yet {layer_id} was opened")


def accounts_of(union, files=None) -> Accounts:
    """Return the accounts of a union whose /etc files have these contents by path."""
    return Accounts(union, lambda entry, _ref, limit: (files or {})[entry.path][:limit], DEFAULT_LIMITS)


def copy_files(op: CopyOp, tree, dest: Union, directory: Path, *, files=None, open_blob=no_blob) -> Copied:
    """Select, place and write; read everything back."""
    selection = select(op, tree)
    placement = place(op, selection, dest, accounts_of(dest, files))
    staged = directory / f"staged-{len(os.listdir(directory))}"
    staged.mkdir()
    summary = write_copy(
        Copy(op=op, selection=selection, placement=placement, now_ns=NOW_NS, open_blob=open_blob), staged
    )
    pack = b""
    with contextlib.suppress(FileNotFoundError):
        pack = (staged / "pack").read_bytes()
    with LayerIndex(staged / "index") as index:
        slots = list(index)
    return Copied(summary, {e.path: e for e, _ in slots}, {e.path: r for e, r in slots}, pack)


FROM_STAGE = OpRoot(op=0)
