"""Which files a COPY means: patterns and paths over a tree of sources -> the selection, with its digest.

Owns the sources of COPY and ADD (wildcards, symlinks at the top, what is missing); refuses to know a destination. A
selection holds no entries: it goes through the tree anew whenever it is asked, in order, so that 200,000 files cost nothing.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

from jettison.context.local import LocalContext
from jettison.digest import digest_from_raw
from jettison.errors import ContextError
from jettison.fastpath.glob import PatternSyntaxError, compile_component, has_wildcards, tokenize
from jettison.filetree import ContentKind, EntryKind
from jettison.guestpath import GuestPath, from_key, parse_guest_path
from jettison.plan.ops import ContextRoot, InlineSource
from jettison.span import nearest_name
from jettison.worker.archive import refuse_archive

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jettison.digest import Digest
    from jettison.fastpath.glob import Test
    from jettison.filetree import ContentRef, FileEntry
    from jettison.plan.ops import CopyOp, PathSource

_DOMAIN = b"jettison selection 1\n"
_HEAD = struct.Struct("<BHIIQIIHII")
_MATCH = struct.Struct("<BI")


class SourceTree(Protocol):
    """What COPY reads: a local context or the union of a stage's layers. The root may have no entry of its own."""

    def lookup(self, path: bytes, /) -> tuple[FileEntry, ContentRef, int] | None:
        """Return the entry of the path; the last component is not followed."""
        ...

    def resolve(self, path: GuestPath, /, *, follow_last: bool = True) -> GuestPath:
        """Return the path with symlinks followed inside the root; a missing tail is kept."""
        ...

    def children(self, path: bytes, /) -> Iterator[tuple[FileEntry, ContentRef, int]]:
        """Yield the direct entries of a directory, in order."""
        ...

    def flatten(self, path: bytes, /) -> Iterator[tuple[FileEntry, ContentRef]]:
        """Yield the entry and everything below it in order; hard links lead to the first name in there."""
        ...


class Selected(NamedTuple):
    """An entry of a match. ``relative`` is its path below the matched directory, ``b""`` for a matched file itself.

    The link target of a hard link is relative in the same way.
    """

    relative: bytes
    entry: FileEntry
    ref: ContentRef


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A path of the tree that a source means. ``name`` is what it was asked for by, ``root`` where it lies (resolved)."""

    name: bytes
    root: bytes
    is_directory: bool


Item: TypeAlias = Match | InlineSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The matches of all sources in order, and the digest of what a copy of them can see.

    The digest covers names, kinds, modes, owners, sizes, link targets, devices, extended attributes and content; neither
    times, nor the name and metadata of a directory whose contents are copied, nor what holds a match. ``has_blobs`` tells
    that content of some file lies in a pulled blob.
    """

    tree: SourceTree
    items: tuple[Item, ...]
    digest: Digest
    has_blobs: bool = False

    def entries(self, match: Match) -> Iterator[Selected]:
        """Yield what is to be copied of a match, in order: the file, or everything below the directory."""
        return _entries(self.tree, match)


def select(op: CopyOp, tree: SourceTree) -> Selection:
    """Return what the sources of the op mean in the tree. Files of a local context are hashed here.

    A wildcard that matches nothing is no error, as BuildKit has it; a path without wildcards, or the part before the first
    one, must exist.

    Raises:
        ContextError: ``source-not-found``; ``source-ignored``: .dockerignore hides it; ``source-pattern``: malformed;
            ``unsupported-feature``: ADD of an archive; what ``LocalContext.hash_below`` raises.
        LayerError: ``symlink-loop``.

    """
    items: list[Item] = []
    for source in op.sources:
        if isinstance(source, InlineSource):
            items.append(source)
        else:
            items += _Finder(op, tree, source).find()
    hasher = hashlib.sha256(_DOMAIN)
    has_blobs = False
    for item in items:
        if isinstance(item, InlineSource):
            name = item.name.encode("utf-8", "surrogateescape")
            hasher.update(_MATCH.pack(2, len(name)) + name + hashlib.sha256(item.data).digest())
            continue
        if isinstance(tree, LocalContext):
            tree.hash_below(item.root)
        name = b"" if item.is_directory else item.name
        digest, is_blob = _digest_entries(_entries(tree, item))
        hasher.update(_MATCH.pack(item.is_directory, len(name)) + name + digest)
        has_blobs = has_blobs or is_blob
    return Selection(tree=tree, items=tuple(items), digest=digest_from_raw(hasher.digest()), has_blobs=has_blobs)


def _entries(tree: SourceTree, match: Match) -> Iterator[Selected]:
    if not match.is_directory:
        for entry, ref in tree.flatten(match.root):
            yield Selected(b"", entry, ref)
        return
    start = len(match.root) + 1 if match.root else 0
    for entry, ref in tree.flatten(match.root):
        relative = entry[0][start:]
        if not relative:
            continue
        if entry[1] is EntryKind.HARD_LINK:
            entry = entry._replace(link_target=entry.link_target[start:])  # noqa: PLW2901 - one entry, two spellings
        yield Selected(relative, entry, ref)


def _digest_entries(selected: Iterator[Selected]) -> tuple[bytes, bool]:
    """Return the digest of the entries, and whether the content of one lies in a pulled blob."""
    hasher = hashlib.sha256()
    pieces: list[bytes] = []
    has_blobs = False
    for relative, entry, ref in selected:
        _, kind, mode, uid, gid, size, _, link, xattrs, device, digest, _, _ = entry
        if kind is EntryKind.SYMLINK:
            mode = 0o777
        pieces.append(
            _HEAD.pack(kind, mode, uid, gid, size, device[0], device[1], len(relative), len(link), len(xattrs))
        )
        pieces += (relative, link, digest)
        for name, value in xattrs:
            pieces.append(struct.pack("<HI", len(name), len(value)) + name + value)
        if len(pieces) > 4096:
            hasher.update(b"".join(pieces))
            pieces.clear()
        if ref[0] is ContentKind.BLOB:
            has_blobs = True
    hasher.update(b"".join(pieces))
    return hasher.digest(), has_blobs


class _Finder:
    """One source of an op: its text and where it is looked for."""

    def __init__(self, op: CopyOp, tree: SourceTree, source: PathSource) -> None:
        self._tree = tree
        self._source = source
        self._place = _place_text(op)

    def find(self) -> list[Item]:
        try:
            path = parse_guest_path(self._source.pattern)
            parts = path.parts
            first = next((at for at, part in enumerate(parts) if has_wildcards(part)), len(parts))
            tests = [compile_component(tokenize(part)) for part in parts[first:]]
        except (ValueError, PatternSyntaxError) as error:
            raise ContextError(
                f"the source {self._source.pattern!r} is no valid pattern: {error}",
                slug="source-pattern",
                hint="escape a literal '[' as '[[]'",
            ) from error
        if not tests:
            return [self._literal(path)]
        base = self._existing(GuestPath("/" + "/".join(parts[:first])))
        return [self._match(found.rpartition(b"/")[2], found) for found in self._matching(base.key, tests)]

    def _literal(self, path: GuestPath) -> Match:
        if "\\" in path and self._tree.lookup(self._tree.resolve(path, follow_last=False).key) is None:
            path = parse_guest_path("".join(str(token)[-1] for token in tokenize(path)))
        return self._match(path.name.encode("utf-8", "surrogateescape"), path.key)

    def _match(self, name: bytes, key: bytes) -> Match:
        root = self._existing(from_key(key)).key
        found = self._tree.lookup(root) if root else None
        is_directory = not root or (found is not None and found[0].kind is EntryKind.DIRECTORY)
        is_file = found is not None and found[0].kind is EntryKind.FILE
        if is_file and self._source.is_add and isinstance(self._tree, LocalContext):
            refuse_archive(self._tree, root)
        return Match(name=name, root=root, is_directory=is_directory)

    def _matching(self, directory: bytes, tests: list[bytes | Test]) -> Iterator[bytes]:
        """Yield the paths below a directory that match component by component, in order; links on the way are not followed."""
        test = tests[0]
        for entry, _, _ in self._tree.children(directory):
            name = entry.path.rpartition(b"/")[2]
            if name == test if isinstance(test, bytes) else test(name):
                if len(tests) == 1:
                    yield entry.path
                elif entry.kind is EntryKind.DIRECTORY:
                    yield from self._matching(entry.path, tests[1:])

    def _existing(self, path: GuestPath) -> GuestPath:
        """Return the path without symlinks, or raise the error that says best why nothing is there."""
        resolved = self._tree.resolve(path)
        if not resolved.key or self._tree.lookup(resolved.key) is not None:
            return resolved
        shown = self._source.pattern
        if isinstance(self._tree, LocalContext):
            pattern = self._tree.hidden_by(resolved.key)
            if pattern is not None:
                raise ContextError(
                    f"the source {shown!r} is excluded from {self._place} by '{pattern.text}'"
                    f" (line {pattern.line} of the ignore file)",
                    slug="source-ignored",
                    hint=f"add the line '!{resolved[1:]}' at the end of the ignore file, or remove that pattern",
                )
        raise ContextError(
            f"the source {shown!r} does not exist in {self._place}",
            slug="source-not-found",
            hint=self._nearest(resolved),
        )

    def _nearest(self, path: GuestPath) -> str:
        parts = path.parts
        for depth in range(len(parts)):
            parent = b"/".join(part.encode("utf-8", "surrogateescape") for part in parts[:depth])
            name = parts[depth]
            names = [
                entry.path.rpartition(b"/")[2].decode("utf-8", "backslashreplace")
                for entry, _, _ in self._tree.children(parent)
            ]
            if name in names:
                continue
            near = nearest_name(name, names[:1000])
            if near is None:
                break
            return f"did you mean {'/'.join((*parts[:depth], near, *parts[depth + 1 :]))!r}?"
        return f"check the spelling and that the path is meant relative to {self._place}"


def _place_text(op: CopyOp) -> str:
    if isinstance(op.root, ContextRoot):
        return f"the build context {op.root.name!r}" if op.root.name else "the build context"
    return "the stage or image it is copied from"
