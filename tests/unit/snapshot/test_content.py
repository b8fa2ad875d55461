import gzip
import hashlib
import io
import os
from types import SimpleNamespace

import pytest
from tests.fakes.tars import member, tar

from jettison.digest import LayerId, digest_of
from jettison.errors import LayerError
from jettison.filetree import NO_CONTENT, ContentKind, ContentRef, EntryKind, FileEntry
from jettison.layer.index import LayerIndex
from jettison.layer.read import index_tar
from jettison.layer.write import write_tar
from jettison.snapshot.content import ContentReader, blob_of

LAYER = LayerId("sha256:" + "1" * 64)


@pytest.fixture
def store(tmp_path):
    blobs = {}

    def open_blob(digest):
        return io.BytesIO(blobs[digest])

    layers = SimpleNamespace(
        path=lambda layer_id: tmp_path / layer_id.hex,
        pack_path=lambda layer_id: tmp_path / layer_id.hex / "pack",
        fs_path=lambda layer_id: tmp_path / layer_id.hex / "fs",
    )
    (tmp_path / LAYER.hex / "fs" / "d").mkdir(parents=True)
    return SimpleNamespace(
        layers=layers, blobs=SimpleNamespace(open=open_blob), data=blobs, directory=tmp_path / LAYER.hex
    )


def a_file(path, size):
    return FileEntry(path, EntryKind.FILE, size=size, digest=bytes(32))


def test_pack(store):
    (store.directory / "pack").write_bytes(b"0123456789")
    with ContentReader(store) as reader:
        assert reader.read_bytes(a_file(b"a", 3), ContentRef(ContentKind.PACK, LAYER, 4), 10) == b"456"
        assert reader.open(a_file(b"a", 3), ContentRef(ContentKind.PACK, LAYER, 4)).offset == 4


def test_directory(store):
    (store.directory / "fs/d/f").write_bytes(b"hello")
    (store.directory / "fs/top").write_bytes(b"top")
    with ContentReader(store) as reader:
        for _ in range(2):
            assert reader.read_bytes(a_file(b"other", 5), ContentRef(ContentKind.FS, LAYER, 0, b"d/f"), 10) == b"hello"
            assert reader.read_bytes(a_file(b"top", 3), ContentRef(ContentKind.FS, LAYER, 0, b"top"), 10) == b"top"


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_blob_in_any_order(store, tmp_path, compress):
    contents = {b"f%d" % number: os.urandom(100_000 + number) for number in range(10)}
    blob = compress(tar(*(member(path, data) for path, data in contents.items())))
    store.data[digest_of(blob)] = blob
    (store.directory / "blob").write_text(digest_of(blob) + "\n")
    index_tar(io.BytesIO(blob), tmp_path / "index")
    with LayerIndex(tmp_path / "index") as index, ContentReader(store) as reader:
        slots = list(index)
        for entry, ref in slots[::-1] + slots:
            assert reader.read_bytes(entry, ref._replace(layer=LAYER), 1 << 20) == contents[entry.path]
        whole = b"".join(write_tar(index, reader.for_layer(LAYER), epoch=None))
    assert hashlib.sha256(whole).digest()
    assert index_tar(io.BytesIO(whole), tmp_path / "again").summary.content_digest
    assert sorted(os.listdir(store.directory)) == ["blob", "fs"]


def test_empty_files_need_no_content(store):
    with ContentReader(store) as reader:
        assert reader.read_bytes(a_file(b"a", 0), NO_CONTENT, 0) == b""


def test_limit_is_at_the_bound(store):
    (store.directory / "pack").write_bytes(b"0123456789")
    with ContentReader(store) as reader:
        ref = ContentRef(ContentKind.PACK, LAYER, 0)
        assert len(reader.read_bytes(a_file(b"a", 10), ref, 10)) == 10
        with pytest.raises(LayerError) as caught:
            reader.read_bytes(a_file(b"a", 10), ref, 9)
    assert caught.value.slug == "file-too-large"


def test_content_that_is_not_there_is_an_error(store):
    (store.directory / "pack").write_bytes(b"0123456789")
    (store.directory / "fs/link").symlink_to("/etc/passwd")
    (store.directory / "fs/out").symlink_to("/etc")
    os.mkfifo(store.directory / "fs/pipe")
    places = [
        ContentRef(ContentKind.PACK, LAYER, 8),
        ContentRef(ContentKind.PACK, "sha256:" + "2" * 64, 0),
        ContentRef(ContentKind.FS, LAYER, 0, b"missing"),
        ContentRef(ContentKind.FS, LAYER, 0, b"link"),
        ContentRef(ContentKind.FS, LAYER, 0, b"out/passwd"),
        ContentRef(ContentKind.FS, LAYER, 0, b"../pack"),
        ContentRef(ContentKind.FS, LAYER, 0, b"pipe"),
        ContentRef(ContentKind.FS, LAYER, 0, b"d"),
        ContentRef(ContentKind.BLOB, LAYER, 0),
        NO_CONTENT,
    ]
    with ContentReader(store) as reader:
        for ref in places:
            with pytest.raises(LayerError) as caught:
                reader.read_bytes(a_file(b"a", 5), ref, 10)
            assert caught.value.slug == "layer-content"


def test_blob_that_ends_early_is_an_error(store):
    blob = tar(member(b"a", b"x"))
    store.data[digest_of(blob)] = blob
    (store.directory / "blob").write_text(digest_of(blob))
    with ContentReader(store) as reader, pytest.raises(LayerError) as caught:
        reader.read_bytes(a_file(b"a", 10), ContentRef(ContentKind.BLOB, LAYER, len(blob)), 10)
    assert caught.value.slug == "layer-content"


def test_note_of_the_blob_must_be_a_digest(store):
    (store.directory / "blob").write_text("../../etc/passwd")
    with pytest.raises(LayerError):
        blob_of(store.directory)


def test_closing_closes_every_descriptor(store):
    (store.directory / "pack").write_bytes(b"0123456789")
    (store.directory / "fs/top").write_bytes(b"top")
    before = len(os.listdir("/proc/self/fd"))
    with ContentReader(store) as reader:
        reader.read_bytes(a_file(b"a", 3), ContentRef(ContentKind.PACK, LAYER, 4), 10)
        reader.read_bytes(a_file(b"top", 3), ContentRef(ContentKind.FS, LAYER, 0, b"top"), 10)
    assert len(os.listdir("/proc/self/fd")) == before
