"""COPY against a naive model: dictionaries instead of indexes, one rule after the other instead of a merge."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.copying import FROM_STAGE, a_context, a_copy_op, a_dir, a_file, a_link, a_union, copy_files

from jettison.errors import StepError
from jettison.filetree import EntryKind, sort_key
from jettison.worker.select import select

NAMES = st.sampled_from([b"a", b"b", b"c", b"a-b"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(b"/".join)
DATA = st.sampled_from([b"", b"1", b"22"])
MODES = st.sampled_from([0o644, 0o755, 0o4755])


@st.composite
def trees(draw, *, with_links=True):
    """Return slots of a tree: no path lies below anything but a directory."""
    slots = {}
    for path in draw(st.lists(PATHS, max_size=8)):
        ancestors = [b"/".join(path.split(b"/")[:depth]) for depth in range(1, path.count(b"/") + 1)]
        if path in slots or any(a in slots and slots[a][0].kind is not EntryKind.DIRECTORY for a in ancestors):
            continue
        kind = draw(st.sampled_from(["file", "file", "dir", "link"] if with_links else ["file", "file", "dir"]))
        for ancestor in ancestors:
            slots.setdefault(ancestor, a_dir(ancestor))
        if kind == "dir":
            slots[path] = a_dir(path, draw(MODES))
        elif kind == "link":
            slots[path] = a_link(path, b"nowhere/" + draw(NAMES))
        else:
            slots[path] = a_file(path, draw(DATA), mode=draw(MODES))
    return list(slots.values())


class RefusedError(Exception):
    pass


def model(source, dest, roots, target):
    """Return path -> (kind, mode, digest, link) that a copy into the directory ``target`` changes or adds."""
    tree = {entry.path: entry for entry, _ in source}
    there = {entry.path: entry.kind for entry, _ in dest}
    made = {}

    def put(path, entry):
        is_directory = entry.kind is EntryKind.DIRECTORY
        now = made[path][0] if path in made else there.get(path)
        if now is not None and (now is EntryKind.DIRECTORY) is not is_directory:
            raise RefusedError(path)
        made[path] = (entry.kind, entry.mode, entry.digest, entry.link_target)

    ancestors = [b"/".join(target.split(b"/")[:depth]) for depth in range(1, target.count(b"/") + 2)]
    for path in ancestors:
        if there.get(path, EntryKind.DIRECTORY) is not EntryKind.DIRECTORY:
            raise RefusedError(path)
    for root in roots:
        entry = tree.get(root)
        if root == b"" or (entry is not None and entry.kind is EntryKind.DIRECTORY):
            start = root + b"/" if root else b""
            for path in sorted(tree, key=sort_key):
                if path.startswith(start) and path != root:
                    put(target + b"/" + path[len(start) :], tree[path])
        else:
            put(target + b"/" + root.rpartition(b"/")[2], entry)
    return made


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_copy_from_a_stage_does_what_the_model_does(data):
    source, dest = data.draw(trees()), data.draw(trees(with_links=False))
    usable = [entry.path for entry, _ in source if entry.kind is not EntryKind.SYMLINK] + [b""]
    roots = data.draw(st.lists(st.sampled_from(usable), min_size=1, max_size=3))
    target = data.draw(PATHS)
    op = a_copy_op(*("/" + root.decode() for root in roots), dest=f"/{target.decode()}/", root=FROM_STAGE)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        tree, below = a_union(work, source), a_union(work, dest)
        try:
            expected = model(source, dest, roots, target)
        except RefusedError:
            with pytest.raises(StepError) as caught:
                copy_files(op, tree, below, work)
            assert caught.value.slug == "copy-conflict"
            return
        made = copy_files(op, tree, below, work)
    assert list(made.entries) == sorted(made.entries, key=sort_key)
    found = {
        path: (entry.kind, entry.mode, entry.digest, entry.link_target)
        for path, entry in made.entries.items()
        if path.startswith(target + b"/")
    }
    assert found == expected
    there = {entry.path: entry for entry, _ in dest}
    for depth in range(1, target.count(b"/") + 2):
        path = b"/".join(target.split(b"/")[:depth])
        if path in there:
            assert made.entries[path] == there[path]
        else:
            assert (made.entries[path].mode, made.entries[path].is_fresh) == (0o755, True)


def write_tree(root, slots):
    for entry, _ in sorted(slots, key=lambda slot: sort_key(slot[0].path)):
        path = root / os.fsdecode(entry.path)
        if entry.kind is EntryKind.DIRECTORY:
            path.mkdir(exist_ok=True)
        elif entry.kind is EntryKind.SYMLINK:
            path.symlink_to(os.fsdecode(entry.link_target))
        else:
            path.write_bytes(b"x" * entry.size)
        if entry.kind is not EntryKind.SYMLINK:
            path.chmod(entry.mode | 0o700)


def digest_of(root):
    with a_context(root) as context:
        return select(a_copy_op("."), context).digest


@settings(max_examples=60, deadline=None)
@given(trees(), st.data())
def test_digest_ignores_times_and_sees_everything_else(slots, data):
    with tempfile.TemporaryDirectory() as name:
        root = Path(name) / "context"
        root.mkdir()
        write_tree(root, slots)
        before = digest_of(root)
        for entry, _ in slots:
            os.utime(root / os.fsdecode(entry.path), ns=(0, data.draw(st.integers(0, 10**18))), follow_symlinks=False)
        os.utime(root, ns=(0, 0))
        assert digest_of(root) == before
        moved = root.rename(Path(name) / "moved")
        assert digest_of(moved) == before
        if not slots:
            return
        entry = data.draw(st.sampled_from(slots))[0]
        path = moved / os.fsdecode(entry.path)
        changes = ["rename"]
        if entry.kind is not EntryKind.SYMLINK:
            changes.append("mode")
        if entry.kind is EntryKind.FILE:
            changes.append("content")
        match data.draw(st.sampled_from(changes)):
            case "rename":
                path.rename(path.with_name("renamed"))
            case "mode":
                path.chmod(path.stat().st_mode ^ 0o010)
            case "content":
                path.write_bytes(b"y" * max(1, entry.size))
        assert digest_of(moved) != before
