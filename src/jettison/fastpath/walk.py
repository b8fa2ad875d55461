"""What a directory holds, as stat facts: whole trees, one directory, one path; ignored entries left out.

Owns the walk of build contexts; refuses to read content and to follow symlinks. Facts are plain tuples that ``marshal``
can write, so that a later build compares them in one step:

- a file, symlink, device or FIFO: ``(mode, size, mtime_ns, ctime_ns, inode, device)`` with ``st_mode``'s file type;
- a directory: ``(mode,)``, for its times and size change whenever an ignored file comes or goes;
- a directory that can't be listed: ``(mode, errno)``.

Sockets are never listed. Paths are bytes below the root without a leading slash; the order is a directory, then everything
below it, names by bytes (``filetree.sort_key``). An excluded directory appears only when something below it is re-included.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeAlias

    from jettison.fastpath.ignore import IgnoreRules, IgnoreState

    Facts: TypeAlias = tuple[int, ...]

_TYPE = 0o170000
_DIRECTORY = 0o040000
_SOCKET = 0o140000
_ABSENT = frozenset({2, 20})
"""ENOENT and ENOTDIR; the errno module is one import more."""
_NOTHING: Iterator[os.DirEntry[bytes]] = iter(())


def walk_tree(root: bytes, rules: IgnoreRules | None = None, start: bytes = b"") -> dict[bytes, Facts]:
    """Return the facts of everything below ``start`` (itself left out), in order.

    ``start`` must be a real directory or absent (then the result is empty); entries that vanish meanwhile are left out.
    When ``start`` can't be listed the result holds only itself, with the errno.
    """
    found: dict[bytes, Facts] = {}
    state = _live(rules.state_of(start)) if rules is not None else None
    if state is None or not state.can_prune:
        listed = _list(os.path.join(root, start) if start else root)
        if not isinstance(listed, int):
            _descend(found, listed, start + b"/" if start else b"", state)
        elif listed not in _ABSENT:
            found[start] = (_DIRECTORY, listed)
    return found


def list_directory(root: bytes, rules: IgnoreRules | None = None, path: bytes = b"") -> dict[bytes, Facts]:
    """Return the facts of the direct entries of a directory, by name and in order; empty when it is none."""
    found: dict[bytes, Facts] = {}
    state = _live(rules.state_of(path)) if rules is not None else None
    listed = _list(os.path.join(root, path) if path else root)
    if isinstance(listed, int) or (state is not None and state.can_prune):
        return found
    prefix = path + b"/" if path else b""
    for entry in listed:
        below = state.step(entry.name) if state is not None else None
        if below is not None and below.is_excluded:
            is_directory = entry.is_dir(follow_symlinks=False)
            if below.can_prune or not is_directory or not walk_tree(root, rules, prefix + entry.name):
                continue
        facts = _facts(entry)
        if facts is not None:
            found[entry.name] = facts
    return found


def look_up(root: bytes, rules: IgnoreRules | None, path: bytes) -> Facts | None:
    """Return the facts of one path, None when it is absent, ignored, or below something that is no real directory."""
    whole = root
    facts: Facts | None = None
    names = path.split(b"/")
    for depth, name in enumerate(names, 1):
        whole = os.path.join(whole, name)
        try:
            facts = _facts_of(os.lstat(whole))
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return None
        if facts is None or (depth < len(names) and facts[0] & _TYPE != _DIRECTORY):
            return None
    assert facts is not None, "a path has at least one component"
    if rules is not None:
        state = rules.state_of(path)
        if state.is_excluded and (state.can_prune or len(facts) != 1 or not walk_tree(root, rules, path)):
            return None
    return facts


def _descend(
    found: dict[bytes, Facts], listed: Iterator[os.DirEntry[bytes]], prefix: bytes, state: IgnoreState | None
) -> None:
    """Go through a directory and all below it; the stack holds the directories that are not done yet."""
    suspended: list[tuple[Iterator[os.DirEntry[bytes]], bytes, IgnoreState | None, bytes, int]] = []
    while True:
        for entry in listed:
            below = None
            if state is not None:
                below = state.step(entry.name)
                if below.is_excluded and (below.can_prune or not entry.is_dir(follow_symlinks=False)):
                    continue
            facts = _facts(entry)
            if facts is None:
                continue
            path = prefix + entry.name
            found[path] = facts
            if len(facts) == 1:
                deeper = _list(entry.path)
                if isinstance(deeper, int):
                    found[path] = (facts[0], deeper)
                    deeper = _NOTHING
                is_kept = below is None or not below.is_excluded
                suspended.append((listed, prefix, state, path, 0 if is_kept else len(found)))
                listed, prefix, state = deeper, path + b"/", None if below is None else _live(below)
                break
        else:
            if not suspended:
                return
            listed, prefix, state, path, count_without_kept = suspended.pop()
            if len(found) == count_without_kept:
                del found[path]


def _live(state: IgnoreState) -> IgnoreState | None:
    return None if state.is_settled else state


def _list(directory: bytes) -> Iterator[os.DirEntry[bytes]] | int:
    """Return the entries in order of their names, or the errno that tells why there are none to see."""
    try:
        with os.scandir(directory) as entries:
            return iter(sorted(entries, key=_name_of))
    except OSError as error:
        return error.errno or 0


def _name_of(entry: os.DirEntry[bytes]) -> bytes:
    return entry.name


def _facts(entry: os.DirEntry[bytes]) -> Facts | None:
    """Return the facts of an entry, None for a socket or one that vanished."""
    try:
        return _facts_of(entry.stat(follow_symlinks=False))
    except OSError:
        return None


def _facts_of(status: os.stat_result) -> Facts | None:
    """Return the facts that a stat result tells, None for a socket."""
    mode = status.st_mode
    if mode & _TYPE == _DIRECTORY:
        return (mode,)
    if mode & _TYPE == _SOCKET:
        return None
    return (mode, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev)


def facts_of(status: os.stat_result) -> Facts:
    """Return the facts of an open file's stat result (never a socket or a directory)."""
    return (
        status.st_mode,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_ino,
        status.st_dev,
    )
