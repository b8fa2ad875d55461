import pytest
from tests.fakes.layers import a_union

from jettison.errors import LayerError
from jettison.filetree import NO_CONTENT, ContentKind, ContentRef, EntryKind, FileEntry
from jettison.guestpath import GuestPath
from jettison.snapshot.union import Union


def a_dir(path, **fields):
    return FileEntry(path, EntryKind.DIRECTORY, fields.pop("mode", 0o755), **fields), NO_CONTENT


def a_file(path, size=1, **fields):
    return FileEntry(path, EntryKind.FILE, size=size, digest=bytes(32), **fields), ContentRef(ContentKind.BLOB, "", 512)


def a_link(path, target):
    return FileEntry(path, EntryKind.SYMLINK, 0o777, link_target=target), NO_CONTENT


def gone(path):
    return FileEntry(path, EntryKind.WHITEOUT), NO_CONTENT


def paths(slots):
    return [slot.entry.path for slot in slots]


BASE = [a_dir(b"d", mode=0o700), a_file(b"d/a"), a_dir(b"d/s"), a_file(b"d/s/x"), a_file(b"f")]


@pytest.mark.parametrize(
    ("upper", "expected"),
    [
        pytest.param([], [b"d", b"d/a", b"d/s", b"d/s/x", b"f"], id="nothing"),
        pytest.param([a_dir(b"d"), gone(b"d/a")], [b"d", b"d/s", b"d/s/x", b"f"], id="file-deleted"),
        pytest.param([gone(b"d")], [b"f"], id="tree-deleted"),
        pytest.param([a_file(b"d")], [b"d", b"f"], id="tree-becomes-file"),
        pytest.param([a_link(b"d", b"f")], [b"d", b"f"], id="tree-becomes-symlink"),
        pytest.param([a_dir(b"d", is_opaque=True), a_file(b"d/n")], [b"d", b"d/n", b"f"], id="opaque"),
        pytest.param(
            [a_dir(b"f"), a_file(b"f/n")], [b"d", b"d/a", b"d/s", b"d/s/x", b"f", b"f/n"], id="file-becomes-tree"
        ),
        pytest.param([a_dir(b"", is_opaque=True), a_file(b"n")], [b"", b"n"], id="opaque-root"),
        pytest.param([gone(b"nothing")], [b"d", b"d/a", b"d/s", b"d/s/x", b"f"], id="deletion-of-nothing"),
    ],
)
def test_upper_layer_over_a_base(tmp_path, upper, expected):
    with a_union(tmp_path, [BASE, upper]) as union:
        assert paths(union.walk()) == expected
        for path in (b"d", b"d/a", b"d/s/x", b"f", b"f/n", b"n"):
            assert (union.lookup(path) is not None) == (path in expected)


def test_deleted_tree_that_comes_back_is_empty(tmp_path):
    with a_union(tmp_path, [BASE, [gone(b"d")], [a_dir(b"d"), a_file(b"d/new")]]) as union:
        assert paths(union.walk(b"d")) == [b"d", b"d/new"]
        assert paths(union.children(b"d")) == [b"d/new"]


def test_directories_merge_with_the_topmost_metadata(tmp_path):
    with a_union(tmp_path, [BASE, [a_dir(b"d", mode=0o711), a_file(b"d/b")]]) as union:
        found = union.lookup(b"d")
        assert (found.entry.mode, found.layer) == (0o711, 1)
        assert paths(union.children(b"d")) == [b"d/a", b"d/b", b"d/s"]


def test_places_name_their_layer(tmp_path):
    foreign = "sha256:" + "12" * 32
    kept = (a_file(b"e")[0], ContentRef(ContentKind.FS, foreign, 0, b"e"))
    with a_union(tmp_path, [BASE, [kept]]) as union:
        assert union.lookup(b"f").ref == ContentRef(ContentKind.BLOB, union.layer_ids[0], 512)
        assert union.lookup(b"e").ref.layer == foreign
        assert {slot.ref.layer for slot in union.walk() if slot.ref.kind} == {union.layer_ids[0], foreign}


def test_hard_links_show_their_file(tmp_path):
    link = (FileEntry(b"z", EntryKind.HARD_LINK, link_target=b"f"), NO_CONTENT)
    with a_union(tmp_path, [[a_file(b"f", size=5, uid=9), link], [gone(b"f")]]) as union:
        found = union.lookup(b"z")
        assert (found.entry.path, found.entry.kind, found.entry.size, found.entry.uid) == (b"z", EntryKind.FILE, 5, 9)
        assert found.ref.layer == union.layer_ids[0]
        assert [entry.kind for entry, _ in union.flatten()] == [EntryKind.FILE]


def test_hard_link_to_nothing_is_an_error(tmp_path):
    with a_union(tmp_path, [[(FileEntry(b"z", EntryKind.HARD_LINK, link_target=b"f"), NO_CONTENT)]]) as union:
        with pytest.raises(LayerError) as caught:
            union.lookup(b"z")
        assert caught.value.slug == "layer-index-corrupt"


def test_nothing_is_found_through_a_symlink(tmp_path):
    with a_union(tmp_path, [[*BASE, a_link(b"l", b"d")]]) as union:
        assert union.lookup(b"l").entry.kind is EntryKind.SYMLINK
        assert union.lookup(b"l/a") is None
        assert list(union.children(b"l")) == []
        assert paths(union.walk(b"l")) == [b"l"]
        assert list(union.walk(b"l/a")) == []


def test_empty_union():
    union = Union([])
    assert union.lookup(b"a") is None
    assert list(union.walk()) == []
    assert list(union.children(b"")) == []
    assert union.resolve(GuestPath("/a/b")) == "/a/b"


LINKS = [
    a_link(b"abs", b"/usr/lib"),
    a_link(b"chain", b"abs"),
    a_link(b"climb", b"../../../etc"),
    a_link(b"dangling", b"nowhere/x"),
    a_dir(b"etc"),
    a_file(b"etc/f"),
    a_link(b"loop", b"loop"),
    a_link(b"root", b"/"),
    a_dir(b"usr"),
    a_dir(b"usr/lib"),
    a_link(b"usr/lib/up", b"../../etc/./f"),
    a_link(b"usr/out", b"/../../etc/"),
]


@pytest.mark.parametrize(
    ("path", "whole", "parents"),
    [
        ("/etc/f", "/etc/f", "/etc/f"),
        ("/", "/", "/"),
        ("/abs/x/y", "/usr/lib/x/y", "/usr/lib/x/y"),
        ("/chain/up", "/etc/f", "/usr/lib/up"),
        ("/abs", "/usr/lib", "/abs"),
        ("/climb/f", "/etc/f", "/etc/f"),
        ("/usr/out", "/etc", "/usr/out"),
        ("/dangling/y", "/nowhere/x/y", "/nowhere/x/y"),
        ("/root/root/root/etc", "/etc", "/etc"),
        ("/etc/f/below", "/etc/f/below", "/etc/f/below"),
        ("/missing/abs", "/missing/abs", "/missing/abs"),
    ],
)
def test_symlinks_are_followed_inside_the_root(tmp_path, path, whole, parents):
    with a_union(tmp_path, [LINKS]) as union:
        assert union.resolve(GuestPath(path)) == whole
        assert union.resolve(GuestPath(path), follow_last=False) == parents


def test_symlink_loops_are_refused(tmp_path):
    with a_union(tmp_path, [LINKS]) as union:
        with pytest.raises(LayerError) as caught:
            union.resolve(GuestPath("/loop/x"))
        assert caught.value.slug == "symlink-loop"
        assert union.resolve(GuestPath("/loop"), follow_last=False) == "/loop"


def test_many_directories_do_not_fill_the_cache(tmp_path):
    layer = [a_dir(b"a"), *(a_dir(b"a/%05d" % number) for number in range(5000))]
    with a_union(tmp_path, [layer]) as union:
        assert all(union.lookup(b"a/%05d/x" % number) is None for number in range(5000))
        assert len(union._floors) < 5000
        assert union.lookup(b"a/00001") is not None
