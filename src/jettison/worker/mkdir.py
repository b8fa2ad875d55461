"""WORKDIR: a directory and its missing parents -> a new layer.

Owns the rule that what exists stays as it is; refuses to follow a symlink out of the root. When nothing has to be made the
layer is empty, and still a layer: history and layers must agree in number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jettison.guestpath import parse_guest_path
from jettison.layer.index import IndexWriter
from jettison.plan.ops import Owner
from jettison.worker.copy import FIXED_TIME_NS
from jettison.worker.place import directory_entry, find_parents

if TYPE_CHECKING:
    from pathlib import Path

    from jettison.filetree import FileEntry
    from jettison.layer.index import IndexSummary
    from jettison.plan.ops import MkdirOp
    from jettison.worker.owners import Accounts, Ids
    from jettison.worker.select import SourceTree


def make_directory(op: MkdirOp, dest: SourceTree, accounts: Accounts, *, staged: Path, now_ns: int) -> IndexSummary:
    """Write ``index`` into a staged layer directory: new directories 0755, owned by the op's user; return its summary.

    Raises:
        StepError: ``copy-conflict``: the path or a part of it is no directory; ``unknown-user``, ``unknown-group``,
            ``accounts-unreadable`` (only when there is a directory to make).
        LayerError: ``symlink-loop``.

    """
    parents, created, owner = _plan(op, dest, accounts)
    mtime_ns = FIXED_TIME_NS if op.is_reproducible else now_ns
    with IndexWriter(staged / "index") as index:
        if created:
            for entry in parents:
                index.add(entry)
        for path in created:
            index.add(directory_entry(path, mode=None, owner=owner, mtime_ns=mtime_ns))
        return index.finish()


def mkdir_facts(op: MkdirOp, dest: SourceTree, accounts: Accounts) -> bytes:
    """Return exactly what making the directory reads of the destination; raises what ``make_directory`` raises."""
    parents, created, owner = _plan(op, dest, accounts)
    if not created:
        return b"nothing\n"
    lines = [repr((entry.path, entry.mode, entry.uid, entry.gid, entry.xattrs)) for entry in parents]
    return "\n".join((*lines, repr(created), repr(owner and tuple(owner)))).encode()


def _plan(
    op: MkdirOp, dest: SourceTree, accounts: Accounts
) -> tuple[tuple[FileEntry, ...], tuple[bytes, ...], Ids | None]:
    parents, created = find_parents(dest, dest.resolve(parse_guest_path(op.path)))
    owner = accounts.find(_owner(op.user)) if created and op.user else None
    return parents, created, owner


def _owner(user: str) -> Owner:
    name, separator, group = user.partition(":")
    return Owner(user=name or "0", group=group if separator and group else None)
