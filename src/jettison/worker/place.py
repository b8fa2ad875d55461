"""Where a COPY puts what it selected: destination kinds, parents, owners, conflicts.

Owns everything that is read of the destination; refuses to write. A ``Placement`` holds all that writing needs, and its
``facts`` are those readings in canonical form, for the content key: equal selection, equal op, equal facts make equal
layers. Rules: Dockerfile reference (COPY) and BuildKit's copy, as FEATURES.md lists them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jettison.errors import StepError
from jettison.filetree import EntryKind, FileEntry
from jettison.guestpath import GuestPath, from_key, parse_guest_path
from jettison.plan.ops import InlineSource
from jettison.worker.owners import Ids

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from jettison.plan.ops import CopyOp
    from jettison.worker.owners import Accounts
    from jettison.worker.select import Item, Match, Selection, SourceTree

ROOT_IDS = Ids(0, 0)
DIRECTORY_MODE = 0o755


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """The destination of a copy.

    ``target`` is the directory that takes all items, or the path of the one file when ``is_directory`` is false.
    ``parents`` are the directories down to it that exist (with the union's metadata, the root left out), ``created`` those
    to make below them. ``owner`` None keeps each entry's own.
    """

    target: bytes
    is_directory: bool
    parents: tuple[FileEntry, ...]
    created: tuple[bytes, ...]
    owner: Ids | None
    facts: bytes


def place(op: CopyOp, selection: Selection, dest: SourceTree, accounts: Accounts) -> Placement:
    """Return where the selection goes; ``accounts`` are those of the destination.

    Raises:
        StepError: ``copy-conflict``: a file where a directory is needed, or the reverse; ``unknown-user``,
            ``unknown-group``, ``accounts-unreadable``.
        LayerError: ``symlink-loop``.

    """
    owner = accounts.find(op.owner) if op.owner is not None else None
    if not selection.items:
        return Placement(target=b"", is_directory=True, parents=(), created=(), owner=owner, facts=b"nothing\n")
    resolved = dest.resolve(parse_guest_path(op.dest))
    is_directory = _takes_many(op, selection.items, resolved, dest)
    parents, created = find_parents(dest, resolved if is_directory else resolved.parent)
    placement = Placement(
        target=resolved.key,
        is_directory=is_directory,
        parents=parents,
        created=created,
        owner=owner,
        facts=_facts(resolved.key, owner, parents, created) + b"%d\n" % is_directory,
    )
    for item in selection.items:
        _check_item(item, placement, selection, dest)
    return placement


def copy_facts(op: CopyOp, selection: Selection, dest: SourceTree, accounts: Accounts) -> bytes:
    """Return exactly what placing the selection reads of the destination; raises what ``place`` raises."""
    return place(op, selection, dest, accounts).facts


def find_parents(dest: SourceTree, directory: GuestPath) -> tuple[tuple[FileEntry, ...], tuple[bytes, ...]]:
    """Return the entries of the directory and its ancestors that exist (root left out), and the paths that are missing.

    Raises:
        StepError: ``copy-conflict``: one of them exists and is no directory.

    """
    parents: list[FileEntry] = []
    created: list[bytes] = []
    path = b""
    for name in directory.key.split(b"/") if directory.key else ():
        path = path + b"/" + name if path else name
        found = dest.lookup(path) if not created else None
        if found is None:
            created.append(path)
        elif found[0].kind is not EntryKind.DIRECTORY:
            raise StepError(
                f"{str(from_key(path))!r} exists and is no directory",
                slug="copy-conflict",
                hint="choose another destination, or remove that file in an earlier RUN",
            )
        else:
            parents.append(found[0]._replace(is_opaque=False))
    return tuple(parents), tuple(created)


def directory_entry(path: bytes, *, mode: int | None, owner: Ids | None, mtime_ns: int) -> FileEntry:
    """Return the entry of a directory that a build makes; its time is fresh."""
    ids = owner or ROOT_IDS
    mode = DIRECTORY_MODE if mode is None else mode
    return FileEntry(path, EntryKind.DIRECTORY, mode, ids.uid, ids.gid, mtime_ns=mtime_ns, is_fresh=True)


def item_path(item: Item, placement: Placement) -> bytes:
    """Return where the contents of a directory, or the file itself, go."""
    if not placement.is_directory or (not isinstance(item, InlineSource) and item.is_directory):
        return placement.target
    name = item.name.encode("utf-8", "surrogateescape") if isinstance(item, InlineSource) else item.name
    return join(placement.target, name)


def join(directory: bytes, relative: bytes) -> bytes:
    """Return a path below a directory that may be the root."""
    return directory + b"/" + relative if directory else relative


def _takes_many(op: CopyOp, items: tuple[Item, ...], resolved: GuestPath, dest: SourceTree) -> bool:
    """Tell whether the destination is (or becomes) a directory that takes the items."""
    found = dest.lookup(resolved.key) if resolved.key else None
    exists_as_directory = not resolved.key or (found is not None and found[0].kind is EntryKind.DIRECTORY)
    if op.is_dest_dir or exists_as_directory or all(_is_directory(item) for item in items):
        return True
    if len(items) > 1:
        raise StepError(
            f"{len(items)} sources can't become the one file {op.dest!r}",
            slug="copy-conflict",
            hint=f"end the destination with a slash: '{op.dest}/'",
        )
    return False


def _is_directory(item: Item) -> bool:
    return not isinstance(item, InlineSource) and item.is_directory


def _check_item(item: Item, placement: Placement, selection: Selection, dest: SourceTree) -> None:
    """Raise StepError ``copy-conflict`` if the item can't go where it must.

    Only what may exist is looked up: the direct entries of directories that exist in the destination.
    """
    path = item_path(item, placement)
    if placement.created:
        return
    if isinstance(item, InlineSource) or not item.is_directory:
        _check_entry(path, dest, is_directory=False)
        return
    for below, is_directory in _below_existing(item, path, selection, dest):
        _check_entry(below, dest, is_directory=is_directory)


def _below_existing(match: Match, path: bytes, selection: Selection, dest: SourceTree) -> Iterator[tuple[bytes, bool]]:
    existing = {path}
    for relative, entry, _ in selection.entries(match):
        cut = relative.rfind(b"/")
        if (join(path, relative[:cut]) if cut > 0 else path) not in existing:
            continue
        below = join(path, relative)
        is_directory = entry[1] is EntryKind.DIRECTORY
        yield below, is_directory
        if is_directory and dest.lookup(below) is not None:
            existing.add(below)


def _check_entry(path: bytes, dest: SourceTree, *, is_directory: bool) -> None:
    found = dest.lookup(path)
    if found is not None and (found[0].kind is EntryKind.DIRECTORY) is not is_directory:
        raise conflict(path, is_directory=is_directory)


def conflict(path: bytes, *, is_directory: bool) -> StepError:
    """Return the error for a file over a directory, or a directory over anything else."""
    shown = str(from_key(path))
    what = "a directory can't replace the file" if is_directory else "a file can't replace the directory"
    return StepError(
        f"{what} {shown!r}",
        slug="copy-conflict",
        hint="copy to another path, or remove the old one in an earlier RUN",
    )


def _facts(target: bytes, owner: Ids | None, parents: Iterable[FileEntry], created: Iterable[bytes]) -> bytes:
    lines = [b"target %s" % target.hex().encode(), b"owner " + repr(owner and tuple(owner)).encode()]
    for entry in parents:
        xattrs = b",".join(b"%s=%s" % (name.hex().encode(), value.hex().encode()) for name, value in entry.xattrs)
        lines.append(b"parent %s %o %d %d %s" % (entry.path.hex().encode(), entry.mode, entry.uid, entry.gid, xattrs))
    lines += [b"create %s" % path.hex().encode() for path in created]
    return b"\n".join(lines) + b"\n"
