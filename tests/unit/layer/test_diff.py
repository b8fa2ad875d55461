from __future__ import annotations

import os
import stat
from hashlib import sha256
from typing import NamedTuple

import pytest

from jettison.errors import LayerError
from jettison.filetree import ContentKind, EntryKind, FileEntry, sort_key
from jettison.layer.diff import CopiedTree, DiffOptions, scan_upper
from jettison.layer.overlay_marks import DEVICE_XATTR, USER_MARKS

OLD = 1_500_000_000_000_000_000
DIRECTORY, FILE, WHITEOUT = EntryKind.DIRECTORY, EntryKind.FILE, EntryKind.WHITEOUT
ME = {"uid": os.geteuid(), "gid": os.getegid()}


class Item(NamedTuple):
    entry: FileEntry


class Tree:
    """A lower tree of a few entries."""

    def __init__(self, *entries):
        self.entries = {entry.path: entry for entry in entries}

    def lookup(self, path):
        return Item(self.entries[path]) if path in self.entries else None

    def children(self, path):
        found = [entry for entry in self.entries.values() if entry.path.rpartition(b"/")[0] == path]
        return (Item(entry) for entry in sorted(found, key=lambda entry: sort_key(entry.path)))


def a_file(path, content=b"", **fields):
    return FileEntry(
        path, FILE, size=len(content), digest=sha256(content).digest(), **{"mtime_ns": OLD, **ME, **fields}
    )


def a_directory(path, **fields):
    return FileEntry(path, DIRECTORY, 0o755, **{"mtime_ns": OLD, **ME, **fields})


def put(upper, path, content=b"", *, mode=0o644, mtime_ns=OLD):
    place = upper / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    place.chmod(mode)
    os.utime(place, ns=(mtime_ns, mtime_ns))
    return place


def settle(upper, mtime_ns=OLD):
    for directory, _, _ in os.walk(upper, topdown=False):
        os.chmod(directory, 0o755)
        os.utime(directory, ns=(mtime_ns, mtime_ns))


def scan(upper, lower=None, **options):
    return {
        entry.path: entry for entry, _ in scan_upper(upper, lower or Tree(), DiffOptions(marks=USER_MARKS, **options))
    }


@pytest.fixture
def upper(tmp_path):
    path = tmp_path / "upper"
    path.mkdir()
    return path


def test_new_files_come_in_order_with_digests_and_places(upper):
    put(upper, "a-b", b"1")
    put(upper, "a/x", b"2" * 200_000, mode=0o4711)
    settle(upper)
    found = list(scan_upper(upper, Tree(), DiffOptions(marks=USER_MARKS)))
    assert [entry.path for entry, _ in found] == [b"a", b"a/x", b"a-b"]
    entry, ref = found[1]
    assert (entry.mode, entry.size, entry.digest) == (0o4711, 200_000, sha256(b"2" * 200_000).digest())
    assert (ref.kind, ref.layer, ref.path) == (ContentKind.FS, "", b"a/x")


def test_many_large_files_keep_their_order_and_digests(upper):
    for number in range(300):
        put(upper, f"{number:03}", bytes([number % 256]) * (150_000 if number % 3 else 10))
    found = scan(upper)
    assert list(found) == sorted(found)
    assert all(
        found[b"%03d" % n].digest == sha256(bytes([n % 256]) * (150_000 if n % 3 else 10)).digest() for n in range(300)
    )


def test_what_equals_the_lower_is_dropped_from_stream_and_disk(upper):
    put(upper, "etc/same", b"x")
    settle(upper)
    assert scan(upper, Tree(a_directory(b"etc"), a_file(b"etc/same", b"x"))) == {}
    assert os.listdir(upper) == []


@pytest.mark.parametrize(
    "lower",
    [
        pytest.param(a_file(b"f", b"y"), id="content"),
        pytest.param(a_file(b"f", b"xx"), id="size"),
        pytest.param(a_file(b"f", b"x", mode=0o600), id="mode"),
        pytest.param(a_file(b"f", b"x", uid=54321), id="owner"),
        pytest.param(a_file(b"f", b"x", mtime_ns=OLD + 1), id="time"),
        pytest.param(a_file(b"f", b"x", xattrs=((b"user.a", b"b"),)), id="attribute"),
        pytest.param(a_directory(b"f"), id="kind"),
    ],
)
def test_any_difference_is_a_change(upper, lower):
    put(upper, "f", b"x")
    assert set(scan(upper, Tree(lower))) == {b"f"}


def test_unchanged_parents_of_a_change_are_listed(upper):
    put(upper, "a/b/new")
    settle(upper)
    assert list(scan(upper, Tree(a_directory(b"a"), a_directory(b"a/b")))) == [b"a", b"a/b", b"a/b/new"]


def test_whiteouts_count_only_where_something_is_below(upper):
    (upper / "d").mkdir()
    for name in ("gone", "nothing"):
        os.mknod(upper / "d" / name, stat.S_IFCHR, 0)
    settle(upper)
    found = scan(upper, Tree(a_directory(b"d"), a_file(b"d/gone")))
    assert {path: entry.kind for path, entry in found.items()} == {b"d": DIRECTORY, b"d/gone": WHITEOUT}
    assert os.listdir(upper / "d") == ["gone"]
    assert (upper / "d").stat().st_mtime_ns == OLD


def test_whiteout_in_attribute_form_is_read(upper):
    place = put(upper, "gone")
    os.setxattr(place, USER_MARKS.whiteout, b"y")
    assert scan(upper, Tree(a_file(b"gone")))[b"gone"].kind is WHITEOUT


def test_mark_on_a_file_with_content_is_no_whiteout(upper):
    os.setxattr(put(upper, "f", b"data"), USER_MARKS.whiteout, b"y")
    found = scan(upper)[b"f"]
    assert (found.kind, found.xattrs) == (FILE, ())


def test_opaque_directory_becomes_whiteouts_all_the_way_down(upper):
    put(upper, "d/sub/new")
    os.setxattr(upper / "d", USER_MARKS.opaque, b"y")
    lower = Tree(a_directory(b"d"), a_file(b"d/a"), a_directory(b"d/sub"), a_file(b"d/sub/b"))
    kinds = {path: entry.kind for path, entry in scan(upper, lower).items()}
    assert kinds == {b"d": DIRECTORY, b"d/a": WHITEOUT, b"d/sub": DIRECTORY, b"d/sub/b": WHITEOUT, b"d/sub/new": FILE}
    assert "user.overlay.opaque" not in os.listxattr(upper / "d")
    assert stat.S_ISCHR((upper / "d" / "sub" / "b").lstat().st_mode)


def test_opaque_mark_of_a_new_directory_is_dropped(upper):
    (upper / "d").mkdir()
    os.setxattr(upper / "d", USER_MARKS.opaque, b"y")
    assert not scan(upper)[b"d"].is_opaque
    assert os.listxattr(upper / "d") == []


@pytest.mark.parametrize("mark", [USER_MARKS.redirect, USER_MARKS.metacopy])
def test_upper_that_is_no_plain_difference_is_refused(upper, mark):
    os.setxattr(put(upper, "f"), mark, b"/x")
    with pytest.raises(LayerError) as caught:
        scan(upper)
    assert caught.value.slug == "overlay-feature"


def test_attributes_of_content_are_kept_and_others_are_not(upper):
    place = put(upper, "f")
    for name in ("user.b", "user.a", "user.overlay.origin", "user.jettison.x"):
        os.setxattr(place, name, b"1")
    assert scan(upper)[b"f"].xattrs == ((b"user.a", b"1"), (b"user.b", b"1"))


def test_first_name_in_order_is_the_file_and_the_others_link_to_it(upper):
    os.link(put(upper, "z", b"x"), upper / "a")
    os.link(upper / "z", upper / "m")
    found = scan(upper)
    assert [(entry.kind, entry.link_target) for entry in found.values()] == [
        (FILE, b""), (EntryKind.HARD_LINK, b"a"), (EntryKind.HARD_LINK, b"a"),
    ]  # fmt: skip


def test_unchanged_file_with_a_new_name_stays_the_links_file(upper):
    os.link(put(upper, "a", b"x"), upper / "b")
    assert list(scan(upper, Tree(a_file(b"a", b"x")))) == [b"a", b"b"]


def test_symlinks_are_read_and_never_followed(upper, tmp_path):
    (tmp_path / "outside").mkdir()
    put(tmp_path, "outside/secret", b"x")
    os.symlink(tmp_path / "outside", upper / "link")
    found = scan(upper)
    assert list(found) == [b"link"]
    assert found[b"link"].link_target == os.fsencode(tmp_path / "outside")


def test_sockets_are_skipped_and_fifos_listed(upper):
    os.mkfifo(upper / "pipe")
    os.mknod(upper / "socket", stat.S_IFSOCK | 0o600)
    assert {path: entry.kind for path, entry in scan(upper).items()} == {b"pipe": EntryKind.FIFO}
    assert os.listdir(upper) == ["pipe"]


def test_single_id_mode_keeps_the_owner_recorded_below(upper):
    put(upper, "f", b"new")
    put(upper, "fresh")
    lower = Tree(a_file(b"f", b"old", uid=33, gid=44))
    found = scan(upper, lower, is_single_id=os.geteuid() == 0)
    if os.geteuid() == 0:
        assert (found[b"f"].uid, found[b"f"].gid) == (33, 44)
    assert found[b"fresh"].uid == os.geteuid()


def test_placeholder_of_a_device_stays_the_device_it_is_below(upper):
    os.setxattr(put(upper, "null", mode=0o600), DEVICE_XATTR, b"c:1:3")
    device = FileEntry(b"null", EntryKind.CHAR_DEVICE, 0o666, device=(1, 3), mtime_ns=OLD, **ME)
    found = scan(upper, Tree(device))[b"null"]
    assert (found.kind, found.device, found.mode) == (EntryKind.CHAR_DEVICE, (1, 3), 0o600)


def test_step_can_not_conjure_up_a_device(upper):
    os.setxattr(put(upper, "disk"), DEVICE_XATTR, b"b:8:0")
    assert scan(upper)[b"disk"].kind is FILE


def test_only_empty_stubs_of_the_step_are_removed(upper):
    put(upper, "etc/hosts")
    put(upper, "etc/used", b"content")
    put(upper, "etc/own")
    (upper / "run" / "x").mkdir(parents=True)
    settle(upper, OLD + 5)
    stubs = frozenset({b"etc/hosts", b"etc/used", b"run", b"run/x"})
    found = scan(upper, Tree(a_directory(b"etc"), a_file(b"etc/kept")), stubs=stubs)
    assert list(found) == [b"etc", b"etc/own", b"etc/used"]
    assert found[b"etc"].mtime_ns == OLD + 5


def test_directory_changed_only_by_stubs_gets_its_time_back(upper):
    put(upper, "etc/hosts")
    put(upper, "etc/deep/changed", b"x")
    settle(upper)
    os.utime(upper / "etc", ns=(1, OLD + 99))
    lower = Tree(a_directory(b"etc"), a_directory(b"etc/deep"))
    found = scan(upper, lower, stubs=frozenset({b"etc/hosts"}))
    assert list(found) == [b"etc", b"etc/deep", b"etc/deep/changed"]
    assert found[b"etc"].mtime_ns == OLD == (upper / "etc").stat().st_mtime_ns


def test_stub_that_became_a_symlink_stays_and_nothing_outside_is_touched(upper, tmp_path):
    victim = tmp_path / "victim"
    victim.mkdir()
    put(victim, "hosts")
    os.symlink(victim, upper / "etc")
    assert list(scan(upper, stubs=frozenset({b"etc", b"etc/hosts"}))) == [b"etc"]
    assert (victim / "hosts").exists()


def test_files_as_young_as_the_step_are_fresh(upper):
    put(upper, "new", mtime_ns=OLD + 20_000_000)
    put(upper, "tick", mtime_ns=OLD - 5_000_000)
    put(upper, "old", mtime_ns=OLD - 20_000_000)
    found = scan(upper, fresh_since_ns=OLD)
    assert [path for path, entry in found.items() if entry.is_fresh] == [b"new", b"tick"]


def test_fresh_file_of_an_earlier_step_stays_fresh(upper):
    put(upper, "f", mode=0o600)
    assert scan(upper, Tree(a_file(b"f", is_fresh=True)), fresh_since_ns=1 << 62)[b"f"].is_fresh


def test_deep_tree_needs_few_descriptors(upper):
    path = upper
    for _ in range(700):
        path = path / "d"
        path.mkdir()
    put(path, "f", b"x")
    assert len(scan(upper)) == 701


def test_path_beyond_path_max_is_refused(upper):
    fd = os.open(upper, os.O_RDONLY)
    for _ in range(25):
        os.mkdir("x" * 200, dir_fd=fd)
        below = os.open("x" * 200, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    with pytest.raises(LayerError) as caught:
        scan(upper)
    assert caught.value.slug == "layer-path-too-long"


def test_whole_tree_lacks_what_was_deleted(upper):
    put(upper, "kept", b"x")
    made = CopiedTree(made_ns=0, inodes={})
    found = scan(upper, Tree(a_file(b"kept", b"x"), a_file(b"gone")), copied=made)
    assert {path: entry.kind for path, entry in found.items()} == {b"gone": WHITEOUT}


def test_untouched_copy_is_not_read(upper):
    put(upper, "kept", b"other content that would differ")
    made = CopiedTree(made_ns=1 << 62, inodes={b"": upper.stat().st_ino})
    assert scan(upper, Tree(a_file(b"kept", b"x")), copied=made) == {}


def test_files_of_a_directory_that_was_moved_are_read(upper):
    put(upper, "d/f", b"new")
    settle(upper)
    made = CopiedTree(made_ns=1 << 62, inodes={b"": upper.stat().st_ino, b"d": 1})
    found = scan(upper, Tree(a_directory(b"d"), a_file(b"d/f", b"old")), copied=made)
    assert found[b"d/f"].digest == sha256(b"new").digest()
