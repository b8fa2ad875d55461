"""A local directory as a tree of sources for COPY, behind its ignore rules.

Owns what a build reads of the directory: it lists only what was asked for, hashes only what was selected (through the stat
cache), and remembers all of it so that the next build can check whether anything changed (``reads``). Refuses to leave the
directory and to trust a file that changes while it is read. Every entry belongs to 0:0 and has no extended attributes.
Names that are hard-linked to each other are separate files here: whether a checkout or a package manager's store shares
inodes is an accident of the host, and a layer must not depend on it. Not for use by several threads at once.
"""

from __future__ import annotations

import os
import stat
from bisect import bisect_left
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from jettison.context.chain import DirectoryChain
from jettison.context.hashing import Hasher, changed, refused
from jettison.errors import ContextError
from jettison.fastpath.walk import list_directory, look_up, walk_tree
from jettison.filetree import NO_CONTENT, ContentRef, EntryKind, FileEntry, sort_key
from jettison.guestpath import ROOT, GuestPath, parse_guest_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from jettison.fastpath.ignore import IgnorePattern, IgnoreRules
    from jettison.fastpath.statcache import StatCache
    from jettison.fastpath.walk import Facts

_MAX_LINKS = 255
_KINDS = {
    stat.S_IFREG: EntryKind.FILE,
    stat.S_IFDIR: EntryKind.DIRECTORY,
    stat.S_IFLNK: EntryKind.SYMLINK,
    stat.S_IFCHR: EntryKind.CHAR_DEVICE,
    stat.S_IFBLK: EntryKind.BLOCK_DEVICE,
    stat.S_IFIFO: EntryKind.FIFO,
}
_ROOT_FACTS: Facts = (stat.S_IFDIR | 0o755,)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextReads:
    """All that a build read of a context, as plain values that ``marshal`` writes.

    ``trees``: facts of everything below a path, ``directories``: names and file types (``S_IFMT``) of a directory's entries,
    ``paths``: facts of single paths (None: absent or ignored), ``digests``: raw sha256 of the files that were hashed.
    """

    trees: Mapping[bytes, Mapping[bytes, Facts]]
    directories: Mapping[bytes, Mapping[bytes, int]]
    paths: Mapping[bytes, Facts | None]
    digests: Mapping[bytes, bytes]


class LocalContext:
    """The files of a directory that no ignore rule hides; satisfies the source tree of COPY.

    ``clock_ns`` is the wall clock; it judges which files are too young for the stat cache.
    """

    def __init__(
        self, directory: Path, *, rules: IgnoreRules | None, cache: StatCache | None, clock_ns: Callable[[], int]
    ) -> None:
        """Open the directory.

        Raises:
            ContextError: ``context``: it is missing or no directory.

        """
        self.directory = directory
        self._rules = rules
        self._root = bytes(directory)
        self._trees: dict[bytes, dict[bytes, Facts]] = {}
        self._orders: dict[bytes, list[bytes]] = {}
        self._directories: dict[bytes, dict[bytes, int]] = {}
        self._paths: dict[bytes, Facts | None] = {}
        try:
            self._chain = DirectoryChain(directory)
        except OSError as error:
            raise ContextError(
                f"can't open the build context {str(directory)!r}: {error.strerror}",
                hint="give an existing directory",
            ) from error
        self._hasher = Hasher(directory, cache, clock_ns)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._chain.close()

    def lookup(self, path: bytes) -> tuple[FileEntry, ContentRef, int] | None:
        """Return the entry of a path; its digest only if ``hash_below`` came before. Symlinks are not followed."""
        facts = self._facts(path)
        return None if facts is None else (self._entry(path, facts), NO_CONTENT, 0)

    def resolve(self, path: GuestPath, *, follow_last: bool = True) -> GuestPath:
        """Return the path without symlinks, taken inside the context as in a chroot; a missing tail is kept as it is.

        Raises:
            ContextError: ``context-link-loop``: more than 255 symlinks.

        """
        done: GuestPath = ROOT
        pending = list(reversed(path.parts))
        links = 0
        while pending:
            name = pending.pop()
            if name == "..":
                done = done.parent
                continue
            following = parse_guest_path(name, done)
            facts = self._facts(following.key) if pending or follow_last else None
            if facts is None or not stat.S_ISLNK(facts[0]):
                done = following
                continue
            links += 1
            if links > _MAX_LINKS:
                raise ContextError(
                    f"the symlink {str(path)!r} of the build context leads in a circle",
                    slug="context-link-loop",
                    hint="point the link at a file of the context",
                )
            target = self._read_link(following.key).decode("utf-8", "surrogateescape")
            if target.startswith("/"):
                done = ROOT
            pending.extend(part for part in reversed(target.split("/")) if part not in {"", "."})
        return done

    def walk(self, path: bytes = b"") -> Iterator[tuple[FileEntry, ContentRef, int]]:
        """Yield the entry of the path (not of the root), then everything below it, in order.

        Raises:
            ContextError: ``context-unreadable``: a directory can't be listed; ``context-changed``.

        """
        for entry, ref in self.flatten(path):
            yield entry, ref, 0

    def flatten(self, path: bytes = b"") -> Iterator[tuple[FileEntry, ContentRef]]:
        """Yield what ``walk`` yields, without the layer: no entry is a hard link here. Raises ContextError as ``walk``."""
        for below, facts in self._below(path):
            yield self._entry(below, facts), NO_CONTENT

    def children(self, path: bytes) -> Iterator[tuple[FileEntry, ContentRef, int]]:
        """Yield the direct entries of a directory, in order."""
        prefix = path + b"/" if path else b""
        listing = list_directory(self._root, self._rules, path)
        self._directories[path] = {name: stat.S_IFMT(facts[0]) for name, facts in listing.items()}
        for name, facts in listing.items():
            yield self._entry(prefix + name, facts), NO_CONTENT, 0

    def hash_below(self, path: bytes) -> None:
        """Make the digests of the file, or of all files below the directory, known to ``lookup`` and ``walk``.

        Raises:
            ContextError: ``context-unreadable``, ``context-changed``.

        """
        files = [(below, facts) for below, facts in self._below(path) if stat.S_ISREG(facts[0])]
        for changed_path, facts in self._hasher.hash_files(files):
            self._remember(changed_path, facts)

    def open_file(self, path: bytes) -> int:
        """Return a descriptor of a file whose facts are still those it was listed or hashed with.

        Raises:
            ContextError: ``context-unreadable``, ``context-changed``.

        """
        try:
            descriptor = self._chain.open_file(path)
        except OSError as error:
            raise refused(path, error) from error
        self._hasher.check(descriptor, path, self._facts(path))
        return descriptor

    def hidden_by(self, path: bytes) -> IgnorePattern | None:
        """Return the ignore pattern that hides an existing path, None when nothing is there or nothing hides it."""
        if self._rules is None or look_up(self._root, None, path) is None:
            return None
        state = self._rules.start
        for name in path.split(b"/"):
            state = state.step(name)
        return state.last_match() if state.is_excluded else None

    def reads(self) -> ContextReads:
        """Return all that was read so far."""
        return ContextReads(
            trees=self._trees, directories=self._directories, paths=self._paths, digests=self._hasher.digests
        )

    def _facts(self, path: bytes) -> Facts | None:
        if not path:
            return _ROOT_FACTS
        tree = self._tree_of(path)
        if tree is not None:
            return self._trees[tree].get(path)
        if path not in self._paths:
            self._paths[path] = look_up(self._root, self._rules, path)
        return self._paths[path]

    def _tree_of(self, path: bytes) -> bytes | None:
        """Return the start of a walked tree that holds the path."""
        if b"" in self._trees:
            return b""
        at = path.find(b"/")
        while at != -1:
            if path[:at] in self._trees:
                return path[:at]
            at = path.find(b"/", at + 1)
        return None

    def _below(self, path: bytes) -> Iterator[tuple[bytes, Facts]]:
        """Yield the paths and facts of the entry (not of the root) and everything below it."""
        facts = self._facts(path)
        if path and facts is not None:
            yield path, facts
        if facts is None or not stat.S_ISDIR(facts[0]):
            return
        _check_listed(path, facts)
        for below, below_facts in self._tree_items(path):
            if len(below_facts) == 2:
                _check_listed(below, below_facts)
            yield below, below_facts

    def _tree_items(self, path: bytes) -> Iterator[tuple[bytes, Facts]]:
        start = path if path in self._trees else self._tree_of(path)
        if start is None:
            start = path
            self._trees[path] = walk_tree(self._root, self._rules, path)
        tree = self._trees[start]
        if start == path:
            return iter(tree.items())
        order = self._orders.setdefault(start, [])
        if not order:
            order.extend(tree)
        key = sort_key(path)
        first = bisect_left(order, key + b"\0", key=sort_key)
        last = bisect_left(order, key + b"\1", key=sort_key)
        return ((below, tree[below]) for below in islice(order, first, last))

    def _remember(self, path: bytes, facts: Facts) -> None:
        tree = self._tree_of(path)
        if tree is not None:
            self._trees[tree][path] = facts
        else:
            self._paths[path] = facts

    def _entry(self, path: bytes, facts: Facts) -> FileEntry:
        mode = facts[0]
        if stat.S_ISREG(mode):
            digest = self._hasher.digests.get(path, b"")
            return FileEntry(path, EntryKind.FILE, mode & 0o7777, 0, 0, facts[1], facts[2], digest=digest)
        if stat.S_ISLNK(mode):
            return FileEntry(path, EntryKind.SYMLINK, 0o777, 0, 0, 0, facts[2], self._read_link(path))
        if not path:
            return FileEntry(path, EntryKind.DIRECTORY, 0o755)
        try:
            status = self._chain.stat(path)
        except OSError as error:
            raise changed(path) from error
        if stat.S_IFMT(status.st_mode) != stat.S_IFMT(mode):
            raise changed(path)
        entry = FileEntry(path, _KINDS[stat.S_IFMT(mode)], mode & 0o7777, 0, 0, 0, status.st_mtime_ns)
        if entry.kind in {EntryKind.CHAR_DEVICE, EntryKind.BLOCK_DEVICE}:
            return entry._replace(device=(os.major(status.st_rdev), os.minor(status.st_rdev)))
        return entry

    def _read_link(self, path: bytes) -> bytes:
        try:
            return self._chain.read_link(path)
        except OSError as error:
            raise changed(path) from error


def _check_listed(path: bytes, facts: Facts) -> None:
    if len(facts) == 2:
        raise refused(path, OSError(facts[1], ""))
