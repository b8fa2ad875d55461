"""Index -> tar -> index is the identity, and so is index -> file -> index."""

import hashlib
import io
import tempfile
from pathlib import Path

from hypothesis import assume, given
from hypothesis import strategies as st
from tests.fakes.layers import layers

from jettison.errors import LayerError
from jettison.filetree import NO_CONTENT, ContentKind, ContentRef, EntryKind, FileEntry, parent_of, sort_key
from jettison.layer.handle import ContentHandle
from jettison.layer.index import IndexWriter, LayerIndex
from jettison.layer.members import TarStream
from jettison.layer.read import index_tar
from jettison.layer.write import write_tar
from jettison.limits import DEFAULT_LIMITS

NAMES = st.binary(min_size=1, max_size=120).filter(
    lambda name: name not in {b".", b".."} and b"/" not in name and b"\0" not in name and not name.startswith(b".wh.")
)
IDS = st.one_of(st.integers(0, 3), st.sampled_from([0o7777777, 0o7777777 + 1, (1 << 32) - 2]))
SECONDS = st.one_of(st.integers(-(10**9), 9 * 10**9), st.just(0))
XATTRS = st.dictionaries(
    st.binary(min_size=1, max_size=5).filter(lambda name: b"\0" not in name and b"=" not in name).map(b"user.".__add__),
    st.binary(max_size=30),
    max_size=2,
).map(lambda pairs: tuple(sorted(pairs.items())))


@st.composite
def trees(draw):
    """Return entries with every kind of value, and their contents in one run of bytes."""
    paths = {b"/".join(parts) for parts in draw(st.lists(st.lists(NAMES, min_size=1, max_size=4), max_size=8))}
    slots, data = [], b""
    directories = {parent_of(path) for path in paths}
    while more := {parent_of(path) for path in directories} - directories:
        directories |= more
    for path in sorted((paths | directories) - {b""}, key=sort_key):
        kind = EntryKind.DIRECTORY if path in directories else draw(st.sampled_from(list(EntryKind)))
        common = {"uid": draw(IDS), "gid": draw(IDS), "mtime_ns": draw(SECONDS) * 10**9}
        if kind in {EntryKind.FILE, EntryKind.HARD_LINK}:
            content = draw(st.binary(max_size=1500))
            ref = ContentRef(ContentKind.PACK, "", len(data)) if content else NO_CONTENT
            data += content
            digest = hashlib.sha256(content).digest()
            entry = FileEntry(
                path,
                EntryKind.FILE,
                draw(st.integers(0, 0o7777)),
                size=len(content),
                digest=digest,
                xattrs=draw(XATTRS),
                **common,
            )
            slots.append((entry, ref))
            continue
        if kind is EntryKind.WHITEOUT:
            entry = FileEntry(path, kind)
        elif kind is EntryKind.SYMLINK:
            entry = FileEntry(path, kind, 0o777, link_target=draw(st.one_of(NAMES, st.just(b"/x" * 300))), **common)
        elif kind is EntryKind.DIRECTORY:
            entry = FileEntry(path, kind, 0o755, is_opaque=draw(st.booleans()), xattrs=draw(XATTRS), **common)
        else:
            device = (0, 0) if kind is EntryKind.FIFO else (draw(st.integers(0, 4095)), draw(st.integers(0, 1 << 20)))
            entry = FileEntry(path, kind, 0o600, device=device, **common)
        slots.append((entry, NO_CONTENT))
    return slots, data


def write_index(path, slots):
    with IndexWriter(path) as writer:
        for entry, ref in slots:
            writer.add(entry, ref)
        return writer.finish()


@given(trees())
def test_index_to_tar_to_index(tree):
    slots, data = tree
    assume(all(len(entry.path) < 4096 for entry, _ in slots))
    with tempfile.TemporaryDirectory() as directory, tempfile.TemporaryFile() as pack:
        pack.write(data)
        pack.flush()
        one = write_index(Path(directory, "one"), slots)
        stream = b"".join(write_tar(slots, lambda _, ref: ContentHandle(pack.fileno(), ref.offset), epoch=None))
        two = index_tar(io.BytesIO(stream), Path(directory, "two"))
        assert two.summary.layer_id == one.layer_id
        assert two.uncompressed_bytes == len(stream)


@given(layers())
def test_hard_links_survive_the_tar(slots):
    with tempfile.TemporaryDirectory() as directory, tempfile.TemporaryFile() as pack:
        pack.write(b"\0" * 4)
        pack.flush()
        content = {size: hashlib.sha256(bytes(size)).digest() for size in range(4)}
        slots = [
            (entry._replace(digest=content[entry.size]) if entry.kind is EntryKind.FILE else entry, ref)
            for entry, ref in slots
        ]
        one = write_index(Path(directory, "one"), slots)
        stream = b"".join(write_tar(slots, lambda _, ref: ContentHandle(pack.fileno(), ref.offset), epoch=None))
        assert index_tar(io.BytesIO(stream), Path(directory, "two")).summary.layer_id == one.layer_id


@given(trees())
def test_index_to_file_to_index(tree):
    slots, _ = tree
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "index")
        summary = write_index(path, slots)
        with LayerIndex(path) as index:
            assert list(index) == slots
            assert index.summary == summary
            index.verify()


@given(st.lists(st.binary(max_size=600), max_size=6))
def test_any_bytes_are_members_or_a_layer_error(pieces):
    try:
        for member in TarStream(iter([piece for piece in pieces if piece]), DEFAULT_LIMITS):
            assert member.size >= 0
    except LayerError as error:
        assert error.slug.startswith("tar-")  # noqa: PT017 - no error is fine too
