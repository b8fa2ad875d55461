from __future__ import annotations

import os
import stat

import pytest
from tests.fakes.snapshots import ID_MODE, add_layer, materials_of

from jettison.digest import LayerId
from jettison.errors import LayerError
from jettison.filetree import NO_CONTENT, ContentKind, ContentRef, EntryKind, FileEntry
from jettison.layer.index import LayerIndex
from jettison.layer.overlay_marks import DEVICE_XATTR, marks_for
from jettison.snapshot.materialise import materialise
from jettison.store.root import open_store

OLD = 1_500_000_000_123_456_789
FILE, DIRECTORY = EntryKind.FILE, EntryKind.DIRECTORY
OWN = LayerId("sha256:" + "0" * 64)
PULLED = LayerId("sha256:" + "1" * 64)


@pytest.fixture
def store(tmp_path):
    with open_store(tmp_path / "store", id_mode=ID_MODE) as store:
        yield store


@pytest.fixture
def target(tmp_path):
    path = tmp_path / "fs"
    path.mkdir()
    return path


def a_file(path, size, **fields):
    return FileEntry(path, FILE, size=size, digest=bytes(32), **{"mtime_ns": OLD, **fields})


def in_blob(path, offset, size, **fields):
    return a_file(path, size, **fields), ContentRef(ContentKind.BLOB, PULLED, offset)


def test_pack_files_get_content_mode_and_time_whatever_the_umask(store, target):
    entries = [FileEntry(b"d", DIRECTORY, 0o1777, mtime_ns=OLD), FileEntry(b"d/f", FILE, 0o4755, mtime_ns=OLD),
               FileEntry(b"d/g", FILE, 0o444, mtime_ns=-5)]  # fmt: skip
    layer = add_layer(store, entries, {b"d/f": b"small", b"d/g": b"large" * 100_000})
    before = os.umask(0o077)
    try:
        with LayerIndex(store.layers.index_path(layer)) as index:
            materialise(layer, index, target, materials_of(store))
    finally:
        os.umask(before)
    assert (target / "d" / "f").read_bytes() == b"small"
    assert (target / "d" / "g").read_bytes() == b"large" * 100_000
    status = [(target / name).stat() for name in ("d", "d/f", "d/g")]
    assert [stat.S_IMODE(item.st_mode) for item in status] == [0o1777, 0o4755, 0o444]
    assert [item.st_mtime_ns for item in status] == [OLD, OLD, -5]


def test_blob_is_streamed_once_whatever_the_order(store, target):
    data = bytes(range(256)) * 40
    opened = []

    def open_blob(layer):
        opened.append(layer)
        return materials_of(store, blobs={PULLED: data}).open_blob(layer)

    materials = materials_of(store).__class__(layers=store.layers, open_blob=open_blob, id_mode=ID_MODE)
    tree = [
        in_blob(b"a", 5000, 2500),
        in_blob(b"b", 0, 10),
        in_blob(b"c", 5000, 2500, xattrs=((b"user.k", b"v"),)),
        in_blob(b"d", 9, 0),
    ]
    tree.append((FileEntry(b"e", EntryKind.HARD_LINK, link_target=b"a"), NO_CONTENT))
    materialise(OWN, tree, target, materials)
    assert opened == [PULLED]
    assert (target / "a").read_bytes() == (target / "c").read_bytes() == data[5000:7500]
    assert (target / "b").read_bytes() == data[:10]
    assert (target / "d").read_bytes() == b""
    assert os.getxattr(target / "c", "user.k") == b"v"
    assert (target / "e").stat().st_ino == (target / "a").stat().st_ino


@pytest.mark.parametrize(("offset", "size"), [(0, 101), (101, 1)])
def test_blob_that_is_too_short_is_refused(store, target, offset, size):
    with pytest.raises(LayerError) as caught:
        materialise(OWN, [in_blob(b"a", offset, size)], target, materials_of(store, blobs={PULLED: bytes(100)}))
    assert caught.value.slug == "layer-content"


def test_overlapping_files_of_a_blob_are_refused(store, target):
    with pytest.raises(LayerError):
        materialise(
            OWN, [in_blob(b"a", 0, 10), in_blob(b"b", 5, 10)], target, materials_of(store, blobs={PULLED: bytes(100)})
        )


class Trees:
    """Layers whose ``fs`` is one given directory."""

    def __init__(self, path):
        self.path = path

    def fs_path(self, layer_id):
        return self.path


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source"
    path.mkdir()
    (path / "f").write_bytes(b"data")
    (path / "f").chmod(0o640)
    os.utime(path / "f", ns=(OLD, OLD))
    return path


def of_source(path, **fields):
    return a_file(path, 4, **{"mode": 0o640, **fields}), ContentRef(ContentKind.FS, PULLED, path=b"f")


@pytest.mark.parametrize(
    ("fields", "is_linked"),
    [
        pytest.param({}, True, id="equal"),
        pytest.param({"mode": 0o600}, False, id="mode"),
        pytest.param({"mtime_ns": OLD + 1}, False, id="time"),
        pytest.param({"xattrs": ((b"user.k", b"v"),)}, False, id="attribute"),
        pytest.param({"uid": 12}, ID_MODE == "single", id="owner"),
    ],
)
def test_files_of_other_layers_are_linked_only_when_all_metadata_is_equal(store, source, target, fields, is_linked):
    materials = materials_of(store).__class__(layers=Trees(source), open_blob=None, id_mode=ID_MODE)
    materialise(OWN, [of_source(b"x", **fields)], target, materials)
    assert (target / "x").read_bytes() == b"data"
    assert ((target / "x").stat().st_ino == (source / "f").stat().st_ino) is is_linked
    assert (source / "f").stat().st_mtime_ns == OLD


def test_content_that_has_changed_in_its_layer_is_refused(store, source, target):
    (source / "f").write_bytes(b"changed")
    with pytest.raises(LayerError) as caught:
        materialise(
            OWN,
            [of_source(b"x")],
            target,
            materials_of(store).__class__(layers=Trees(source), open_blob=None, id_mode=ID_MODE),
        )
    assert caught.value.slug == "layer-content"


@pytest.mark.parametrize("path", [b"link/f", b"../source/f", b"/etc/passwd"])
def test_content_is_never_read_through_a_symlink(store, source, target, path):
    os.symlink(".", source / "link")
    entry = (a_file(b"x", 4), ContentRef(ContentKind.FS, PULLED, path=path))
    with pytest.raises(LayerError):
        materialise(
            OWN, [entry], target, materials_of(store).__class__(layers=Trees(source), open_blob=None, id_mode=ID_MODE)
        )


def test_whiteouts_and_opaque_directories_are_overlay_marks(store, target):
    tree = [(FileEntry(b"d", DIRECTORY, 0o755, mtime_ns=OLD, is_opaque=True), NO_CONTENT),
            (FileEntry(b"d/gone", EntryKind.WHITEOUT), NO_CONTENT)]  # fmt: skip
    materialise(OWN, tree, target, materials_of(store))
    marks = marks_for(ID_MODE)
    status = (target / "d" / "gone").lstat()
    assert stat.S_ISCHR(status.st_mode)
    assert status.st_rdev == 0
    assert os.getxattr(target / "d", marks.opaque) == b"y"
    assert (target / "d").stat().st_mtime_ns == OLD


def test_attributes_that_are_no_content_are_not_written(store, target):
    xattrs = ((b"trusted.overlay.opaque", b"y"), (b"user.k", b"v"), (b"user.overlay.opaque", b"y"))
    materialise(OWN, [(FileEntry(b"d", DIRECTORY, 0o755, xattrs=xattrs), NO_CONTENT)], target, materials_of(store))
    assert [name for name in os.listxattr(target / "d") if not name.startswith("security.")] == ["user.k"]


def test_special_files_are_made_or_stand_for_themselves(store, target):
    tree = [
        (FileEntry(b"fifo", EntryKind.FIFO, 0o622, mtime_ns=OLD), NO_CONTENT),
        (FileEntry(b"link", EntryKind.SYMLINK, 0o777, mtime_ns=OLD, link_target=b"/nowhere"), NO_CONTENT),
        (FileEntry(b"null", EntryKind.CHAR_DEVICE, 0o666, mtime_ns=OLD, device=(1, 3)), NO_CONTENT),
    ]
    materialise(OWN, tree, target, materials_of(store))
    assert stat.S_IMODE((target / "fifo").lstat().st_mode) == 0o622
    assert os.readlink(target / "link") == "/nowhere"
    assert (target / "link").lstat().st_mtime_ns == OLD
    status = (target / "null").lstat()
    if stat.S_ISREG(status.st_mode):
        assert os.getxattr(target / "null", DEVICE_XATTR) == b"c:1:3"
    else:
        assert status.st_rdev == os.makedev(1, 3)
    assert stat.S_IMODE(status.st_mode) == 0o666


def test_index_with_a_link_as_directory_stays_inside(store, target, tmp_path):
    (tmp_path / "outside").mkdir()
    tree = [
        (FileEntry(b"d", EntryKind.SYMLINK, 0o777, link_target=os.fsencode(tmp_path / "outside")), NO_CONTENT),
        (a_file(b"d/f", 0), NO_CONTENT),
    ]
    with pytest.raises(LayerError) as caught:
        materialise(OWN, tree, target, materials_of(store))
    assert caught.value.slug == "layer-path"
    assert os.listdir(tmp_path / "outside") == []


@pytest.mark.parametrize("link", [b"missing", b"../outside", b"d/missing"])
def test_hard_link_to_nothing_of_its_layer_is_refused(store, target, tmp_path, link):
    (tmp_path / "outside").write_bytes(b"")
    with pytest.raises(LayerError) as caught:
        materialise(
            OWN, [(FileEntry(b"x", EntryKind.HARD_LINK, link_target=link), NO_CONTENT)], target, materials_of(store)
        )
    assert caught.value.slug == "layer-hard-link"
