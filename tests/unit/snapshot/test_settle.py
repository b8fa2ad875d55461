import io

import pytest
from tests.fakes.layers import a_union
from tests.fakes.tars import directory, hard_link, member, tar
from tests.unit.snapshot.test_union import a_dir, a_file, a_link

from jettison.errors import LayerError
from jettison.filetree import ContentKind, EntryKind, FileEntry
from jettison.layer.index import LayerIndex
from jettison.layer.read import index_tar
from jettison.snapshot.settle import settle_layer
from jettison.snapshot.union import Union

BELOW = [
    a_dir(b"data", mode=0o700, uid=7, xattrs=((b"user.a", b"1"),)),
    a_link(b"lib", b"usr/lib"),
    a_link(b"lost", b"nowhere"),
    a_file(b"plain"),
    a_dir(b"tmp", mode=0o1777),
    a_dir(b"usr", mode=0o751),
    a_dir(b"usr/lib", mode=0o711),
    a_file(b"usr/lib/old"),
]


@pytest.fixture
def settle(tmp_path):
    def run(*members):
        read = index_tar(io.BytesIO(tar(*members)), tmp_path / "pulled")
        layer_id = read.summary.layer_id
        with a_union(tmp_path, [BELOW]) as below, LayerIndex(tmp_path / "pulled") as index:
            summary = settle_layer(layer_id, index, below, tmp_path / "settled")
            if summary is None:
                assert not (tmp_path / "settled").exists()
                return None
            assert summary.foreign_layers in {(), (layer_id,)}
            with LayerIndex(tmp_path / "settled") as settled:
                settled.verify()
                run.places = {entry.path: ref for entry, ref in settled}
                run.old = {entry.path: ref for entry, ref in index}
                whole = Union([(below.layer_ids[0], below._indexes[0]), (summary.layer_id, settled)])
                run.tree = {slot.entry.path: slot.entry for slot in whole.walk()}
                return {entry.path: entry for entry, _ in settled}

    return run


def test_layer_that_lists_its_directories_is_left_alone(settle):
    assert settle(directory(b"tmp"), member(b"tmp/x"), member(b"top")) is None


def test_layer_with_directories_of_its_own_is_left_alone(settle):
    assert settle(member(b"new/x")) is None


def test_unlisted_directory_keeps_the_metadata_it_has_below(settle):
    found = settle(member(b"tmp/x", b"1"), member(b"data/deep/y"))
    assert found[b"tmp"] == BELOW[4][0]
    assert found[b"data"] == BELOW[0][0]
    assert found[b"data/deep"] == FileEntry(b"data/deep", EntryKind.DIRECTORY, 0o755)
    assert settle.places[b"tmp/x"].kind is ContentKind.BLOB
    assert settle.places[b"tmp/x"].offset == settle.old[b"tmp/x"].offset
    assert settle.places[b"tmp/x"].layer


def test_files_below_a_symlink_land_where_it_leads(settle):
    found = settle(member(b"lib/new", b"1"), member(b"lib/sub/deep"), member(b"a"), member(b"zz"))
    assert set(found) == {b"a", b"usr", b"usr/lib", b"usr/lib/new", b"usr/lib/sub", b"usr/lib/sub/deep", b"zz"}
    assert (found[b"usr"].mode, found[b"usr/lib"].mode) == (0o751, 0o711)
    assert settle.tree[b"lib"].kind is EntryKind.SYMLINK
    assert b"usr/lib/old" in settle.tree


def test_files_below_a_dangling_symlink_make_what_it_names(settle):
    assert set(settle(member(b"lost/x"))) == {b"nowhere", b"nowhere/x"}


def test_real_path_in_the_same_tar_counts(settle):
    found = settle(
        directory(b"usr"), directory(b"usr/lib", mode=0o700), member(b"usr/lib/x", b"real"), member(b"lib/x", b"moved")
    )
    assert found[b"usr/lib"].mode == 0o700
    assert found[b"usr/lib/x"].size == 4


def test_symlink_that_the_layer_deletes_is_not_followed(settle):
    assert settle(member(b".wh.lib"), member(b"lib/x")) is None


def test_listed_directory_replaces_a_symlink(settle):
    assert settle(directory(b"lib"), member(b"lib/x")) is None


def test_hard_links_of_moved_files_stay_together(settle):
    found = settle(member(b"lib/f", b"x"), hard_link(b"opt", b"lib/f"), hard_link(b"zz", b"lib/f"))
    assert found[b"opt"].kind is EntryKind.FILE
    assert found[b"usr/lib/f"].link_target == b"opt"
    assert found[b"zz"].link_target == b"opt"
    assert settle.places[b"opt"].offset == 512


def test_deletions_move_too(settle):
    found = settle(member(b"lib/.wh.old"))
    assert found[b"usr/lib/old"].kind is EntryKind.WHITEOUT
    assert b"usr/lib/old" not in settle.tree


def test_files_below_a_file_are_refused(settle):
    with pytest.raises(LayerError) as caught:
        settle(member(b"plain/x"))
    assert caught.value.slug == "layer-parent"
