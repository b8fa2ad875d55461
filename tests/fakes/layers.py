"""Random layers and a naive model of what a stack of them means, to hold the real thing against."""

from __future__ import annotations

import hashlib
from contextlib import ExitStack, contextmanager

from hypothesis import strategies as st

from jettison.filetree import NO_CONTENT, ContentKind, ContentRef, EntryKind, FileEntry, parent_of, sort_key
from jettison.layer.index import IndexWriter, LayerIndex
from jettison.snapshot.union import Union

NAMES = st.sampled_from([b"a", b"b", b"a-", b"a.b", b"\x01"])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map(b"/".join)


@st.composite
def layers(draw):
    """Return the slots of one valid layer: parents listed, hard links to the first name of a file."""
    slots = {}
    for path in draw(st.lists(PATHS, max_size=12)):
        if any(above in slots and slots[above].kind is not EntryKind.DIRECTORY for above in _parents(path)):
            continue
        if path in slots and slots[path].kind is EntryKind.DIRECTORY:
            continue
        for above in _parents(path):
            slots.setdefault(above, _directory(draw, above))
        slots[path] = draw(st.sampled_from([_file, _file, _directory, _symlink, _whiteout]))(draw, path)
    if draw(st.integers(0, 9)) == 0:
        slots[b""] = _directory(draw, b"")
    _add_hard_links(draw, slots)
    return [
        (slots[path], ContentRef(ContentKind.PACK, "", 1) if slots[path].kind is EntryKind.FILE else NO_CONTENT)
        for path in sorted(slots, key=sort_key)
    ]


def _parents(path):
    while path := parent_of(path):
        yield path


def _file(draw, path):
    data = draw(st.binary(min_size=1, max_size=3))
    return FileEntry(
        path, EntryKind.FILE, 0o600 + draw(st.integers(0, 7)), size=len(data), digest=hashlib.sha256(data).digest()
    )


def _directory(draw, path):
    return FileEntry(path, EntryKind.DIRECTORY, 0o700 + draw(st.integers(0, 7)), is_opaque=draw(st.integers(0, 4)) == 0)


def _symlink(draw, path):
    return FileEntry(path, EntryKind.SYMLINK, 0o777, link_target=draw(st.sampled_from([b"a", b"/a/b", b"..", b"../b"])))


def _whiteout(draw, path):
    return FileEntry(path, EntryKind.WHITEOUT)


def _add_hard_links(draw, slots):
    files = sorted((path for path, entry in slots.items() if entry.kind is EntryKind.FILE), key=sort_key)
    for number, first in enumerate(files):
        for other in files[number + 1 :]:
            if (
                slots[first].kind is EntryKind.FILE
                and slots[other].kind is EntryKind.FILE
                and draw(st.integers(0, 3)) == 0
            ):
                slots[other] = slots[first]._replace(
                    path=other, kind=EntryKind.HARD_LINK, size=0, digest=b"", link_target=first
                )


def flatten(stack):
    """Return path -> (entry with links resolved, layer), by applying one layer after the other to a dict."""
    tree = {}
    for number, slots in enumerate(stack):
        by_path = {entry.path: entry for entry, _ in slots}
        for path, entry in by_path.items():
            if entry.kind is EntryKind.DIRECTORY and not entry.is_opaque:
                if path in tree and tree[path][0].kind is not EntryKind.DIRECTORY:
                    del tree[path]
                continue
            _remove(tree, path, keep_itself=False)
        for path, entry in by_path.items():
            if entry.kind is EntryKind.WHITEOUT:
                continue
            shown = by_path[entry.link_target]._replace(path=path) if entry.kind is EntryKind.HARD_LINK else entry
            tree[path] = (shown._replace(is_opaque=False), number)
    return tree


def _remove(tree, path, *, keep_itself):
    inside = path + b"/" if path else b""
    for below in [below for below in tree if below.startswith(inside) or below == path]:
        del tree[below]


@contextmanager
def a_union(directory, stack):
    """Write the layers and give their union."""
    with ExitStack() as open_files:
        made = []
        for number, slots in enumerate(stack):
            path = directory / f"{number}.index"
            path.unlink(missing_ok=True)
            with IndexWriter(path) as writer:
                for entry, ref in slots:
                    writer.add(entry, ref)
                summary = writer.finish()
            made.append((summary.layer_id, open_files.enter_context(LayerIndex(path))))
        yield Union(made)
