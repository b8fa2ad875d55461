import hashlib
import io
import os
import shutil
import subprocess

import pytest

from jettison.errors import LayerError
from jettison.filetree import NO_CONTENT, ContentKind, ContentRef, EntryKind, FileEntry
from jettison.layer.handle import ContentHandle
from jettison.layer.index import IndexWriter, LayerIndex
from jettison.layer.read import index_tar
from jettison.layer.write import write_tar

LONG_ASCII = b"d/" + b"n" * 90
SPLIT = b"d/" + b"e" * 90 + b"/" + b"f" * 90
VERY_LONG = b"d/" + b"g" * 200


@pytest.fixture
def contents(tmp_path):
    """Keep contents in one file; give places in it and a function to open them."""

    class Contents:
        def __init__(self):
            self.fd = os.open(tmp_path / "pack", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
            self.at = 0

        def file(self, path, data=b"", **fields):
            ref = ContentRef(ContentKind.PACK, "", self.at) if data else NO_CONTENT
            os.pwrite(self.fd, data, self.at)
            self.at += len(data)
            return FileEntry(path, EntryKind.FILE, size=len(data), digest=hashlib.sha256(data).digest(), **fields), ref

        def open(self, entry, ref):
            return ContentHandle(self.fd, ref.offset)

        def open_copies(self, entry, ref):
            return ContentHandle(os.dup(self.fd), ref.offset, needs_close=True)

    contents = Contents()
    yield contents
    os.close(contents.fd)


def a_dir(path, **fields):
    return FileEntry(path, EntryKind.DIRECTORY, fields.pop("mode", 0o755), **fields), NO_CONTENT


def everything(contents):
    return [
        a_dir(b"", mtime_ns=10**9),
        a_dir(b"d", mode=0o1777, uid=5, gid=6, mtime_ns=3 * 10**9, xattrs=((b"user.d", b"1"),)),
        contents.file(b"d/a", b"hello", mode=0o4755, mtime_ns=17 * 10**17),
        (FileEntry(b"d/b", EntryKind.HARD_LINK, 0o4755, mtime_ns=17 * 10**17, link_target=b"d/a"), NO_CONTENT),
        a_dir(b"d/" + b"e" * 90),
        contents.file(SPLIT, b"x" * 513),
        contents.file(VERY_LONG, b"y" * 512),
        contents.file(b"d/" + "größe".encode(), b"z", uid=3_000_000, gid=(1 << 32) - 2),
        contents.file(LONG_ASCII, os.urandom(3 << 20)),
        contents.file(b"d/raw\xff\xfe", b"r", mtime_ns=-5 * 10**9),
        contents.file(b"d/xattrs", xattrs=((b"security.capability", bytes(range(20))), (b"user.empty", b""))),
        (FileEntry(b"dev", EntryKind.CHAR_DEVICE, 0o666, device=(1, 3)), NO_CONTENT),
        (FileEntry(b"disk", EntryKind.BLOCK_DEVICE, 0o660, device=(259, 1 << 18)), NO_CONTENT),
        (FileEntry(b"gone", EntryKind.WHITEOUT), NO_CONTENT),
        (FileEntry(b"link", EntryKind.SYMLINK, 0o777, link_target=b"/d/a", mtime_ns=10**18), NO_CONTENT),
        (FileEntry(b"long", EntryKind.SYMLINK, 0o777, link_target=b"t/" * 200), NO_CONTENT),
        a_dir(b"opaque", is_opaque=True),
        contents.file(b"opaque/in", b"i"),
        (FileEntry(b"pipe", EntryKind.FIFO, 0o600), NO_CONTENT),
    ]


def the_tar(slots, open_content, epoch=None):
    return b"".join(write_tar(slots, open_content, epoch=epoch))


@pytest.mark.parametrize("opener", ["open", "open_copies"])
def test_what_is_written_is_read_back(tmp_path, contents, opener):
    slots = everything(contents)
    with IndexWriter(tmp_path / "one") as writer:
        for entry, ref in slots:
            writer.add(entry, ref)
        summary = writer.finish()
    data = the_tar(slots, getattr(contents, opener))
    read = index_tar(io.BytesIO(data), tmp_path / "two")
    with LayerIndex(tmp_path / "two") as index:
        assert [entry for entry, _ in index] == [entry for entry, _ in slots]
        for entry, ref in index:
            if entry.size:
                assert hashlib.sha256(data[ref.offset : ref.offset + entry.size]).digest() == entry.digest
    assert read.summary.layer_id == summary.layer_id


def test_handles_are_closed(contents):
    before = len(os.listdir("/proc/self/fd"))
    the_tar(everything(contents), contents.open_copies)
    assert len(os.listdir("/proc/self/fd")) == before


def test_same_entries_same_bytes_whatever_the_chunks_of_content(contents):
    slots = everything(contents)
    assert the_tar(slots, contents.open) == the_tar(slots, contents.open_copies)


def test_bytes_are_pinned(contents):
    """A change here changes the DiffID of every layer: users see other digests for the same inputs."""
    slots = [slot for slot in everything(contents) if slot[0].path != LONG_ASCII]
    assert hashlib.sha256(the_tar(slots, contents.open)).hexdigest() == PINNED


PINNED = "2a74eefba9a2db5d4cc0effe2d55f58baee71ba74779b4d982f23cb078e5e2dc"


def times(data):
    found = {}
    for block in range(0, len(data), 512):
        head = data[block : block + 512]
        if head[257:262] == b"ustar":
            found[head[:100].rstrip(b"\0")] = int(head[136:147], 8)
    return found


def test_times_are_cut_to_whole_seconds(contents):
    slots = [contents.file(b"a", mtime_ns=1_999_999_999), contents.file(b"b", mtime_ns=2_000_000_000)]
    assert times(the_tar(slots, contents.open)) == {b"a": 1, b"b": 2}


def test_epoch_replaces_fresh_times_and_clamps_later_ones(contents):
    slots = [
        contents.file(b"fresh-early", mtime_ns=5, is_fresh=True),
        contents.file(b"fresh-late", mtime_ns=10**18, is_fresh=True),
        contents.file(b"late", mtime_ns=10**18),
        contents.file(b"old", mtime_ns=7 * 10**9),
    ]
    found = times(the_tar(slots, contents.open, epoch=1000))
    assert found == {b"fresh-early": 1000, b"fresh-late": 1000, b"late": 1000, b"old": 7}
    assert times(the_tar(slots, contents.open))[b"fresh-early"] == 0


def test_names_that_mean_deletions_are_refused(contents):
    for path in (b".wh.x", b".wh..wh..opq"):
        with pytest.raises(LayerError) as caught:
            the_tar([contents.file(path)], contents.open)
        assert caught.value.slug == "layer-whiteout-name"
    assert the_tar([a_dir(b"a.wh.b"), contents.file(b"a.wh.b/c")], contents.open)


def test_content_that_is_too_short_is_refused(contents):
    for size in (10, 3 << 20):
        entry, ref = contents.file(b"a", b"123")
        for opener in (contents.open, contents.open_copies):
            with pytest.raises(LayerError) as caught:
                the_tar([(entry._replace(size=size), ref)], opener)
            assert caught.value.slug == "layer-content"


def test_device_numbers_that_do_not_fit_are_refused(contents):
    entry = FileEntry(b"a", EntryKind.CHAR_DEVICE, device=(1 << 24, 0))
    with pytest.raises(LayerError) as caught:
        the_tar([(entry, NO_CONTENT)], contents.open)
    assert caught.value.slug == "layer-device"


def test_empty_layer_is_two_zero_blocks(contents):
    assert the_tar([], contents.open) == bytes(1024)


def listed(path):
    done = subprocess.run(
        ["tar", "--quoting-style=literal", "-tf", str(path)],
        capture_output=True,
        check=True,
        env={"LC_ALL": "C", "PATH": os.defpath},
    )
    assert done.stderr == b""
    return done.stdout.split(b"\n")[:-1]


@pytest.mark.skipif(not shutil.which("tar"), reason="needs tar")
def test_gnu_tar_accepts_everything(tmp_path, contents):
    slots = everything(contents)
    (tmp_path / "layer.tar").write_bytes(the_tar(slots, contents.open))
    expected = []
    for entry, _ in slots:
        name = entry.path + b"/" if entry.kind is EntryKind.DIRECTORY else entry.path
        expected.append({b"/": b"./", b"gone": b".wh.gone"}.get(name, name))
        if entry.is_opaque:
            expected.append(entry.path + b"/.wh..wh..opq")
    assert listed(tmp_path / "layer.tar") == expected


@pytest.mark.skipif(not shutil.which("tar"), reason="needs tar")
def test_gnu_tar_unpacks_contents_and_times(tmp_path, contents):
    slots = [
        slot for slot in everything(contents) if slot[0].kind not in {EntryKind.CHAR_DEVICE, EntryKind.BLOCK_DEVICE}
    ]
    (tmp_path / "layer.tar").write_bytes(the_tar(slots, contents.open))
    (tmp_path / "out").mkdir()
    subprocess.run(
        ["tar", "-xf", "layer.tar", "-C", "out", "--no-same-owner"],
        cwd=tmp_path,
        check=True,
        env={"LC_ALL": "C", "PATH": os.defpath},
    )
    for entry, _ in slots:
        path = os.fsencode(tmp_path / "out") + b"/" + entry.path
        if entry.kind is EntryKind.FILE:
            with open(path, "rb") as file:
                assert hashlib.sha256(file.read()).digest() == entry.digest
            assert os.stat(path).st_mtime_ns == entry.mtime_ns
    assert os.stat(tmp_path / "out/d/a").st_ino == os.stat(tmp_path / "out/d/b").st_ino
