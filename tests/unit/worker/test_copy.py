from __future__ import annotations

import hashlib
import os
from contextlib import contextmanager

import pytest
from tests.fakes.copying import (
    FROM_STAGE,
    NOW_NS,
    a_context,
    a_copy_op,
    a_dir,
    a_file,
    a_link,
    a_union,
    accounts_of,
    copy_files,
    no_blob,
)

from jettison.errors import ContextError, LayerError, StepError
from jettison.filetree import NO_CONTENT, ContentKind, ContentRef, EntryKind
from jettison.plan.ops import Owner
from jettison.worker.copy import FIXED_TIME_NS, Copy, write_copy
from jettison.worker.place import copy_facts, place
from jettison.worker.select import select


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "context"
    for path in ("one", "two", "dir/sub/deep", "dir/file", "dir2/file"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)
        (root / path).chmod(0o640)
        os.utime(root / path, ns=(0, 1_000_000_007))
    (root / "dir/sub").chmod(0o750)
    os.utime(root / "dir/sub", ns=(0, 1_000_000_009))
    (root / "dir/link").symlink_to("file")
    return root


@pytest.fixture
def work(tmp_path):
    path = tmp_path / "work"
    path.mkdir()
    return path


@pytest.fixture
def copy(tree, work):
    def run(*sources, layers=(), files=None, **others):
        with a_context(tree) as context:
            return copy_files(a_copy_op(*sources, **others), context, a_union(work, *layers), work, files=files)

    return run


def conflict_of(copy, *sources, **others):
    with pytest.raises(StepError) as caught:
        copy(*sources, **others)
    assert caught.value.slug == "copy-conflict"
    return caught.value


def test_file_to_a_name(copy):
    made = copy("one", dest="/a/b")
    assert list(made.entries) == [b"a", b"a/b"]
    entry = made.entries[b"a/b"]
    assert (entry.mode, entry.uid, entry.gid, entry.mtime_ns, entry.is_fresh) == (0o640, 0, 0, 1_000_000_007, False)
    assert made.content(b"a/b") == b"one"


def test_file_to_a_directory_by_slash_or_because_it_is_one(copy):
    assert b"a/one" in copy("one", dest="/a/").entries
    assert b"a/one" in copy("one", dest="/a", layers=[[a_dir(b"a")]]).entries
    assert list(copy("one", dest="/").entries) == [b"one"]


def test_made_directories_are_fresh_and_0755(copy):
    made = copy("one", dest="/a/b/").entries
    for path in (b"a", b"a/b"):
        assert (made[path].mode, made[path].uid, made[path].gid) == (0o755, 0, 0)
        assert (made[path].mtime_ns, made[path].is_fresh) == (NOW_NS, True)


def test_contents_of_a_directory_are_copied(copy):
    for dest in ("/app", "/app/"):
        made = copy("dir", dest=dest)
        assert list(made.entries) == [b"app", b"app/file", b"app/link", b"app/sub", b"app/sub/deep"]
        assert made.entries[b"app/link"].link_target == b"file"
        assert (made.entries[b"app/sub"].mode, made.entries[b"app/sub"].mtime_ns) == (0o750, 1_000_000_009)
        assert made.content(b"app/sub/deep") == b"dir/sub/deep"


def test_existing_parents_are_listed_as_they_are(copy):
    layers = [[a_dir(b"srv", 0o2775, 7, 8, 99), a_dir(b"srv/app", 0o700, 5, 6, 98)]]
    made = copy("dir", dest="/srv/app", layers=layers)
    assert made.entries[b"srv"] == layers[0][0][0]
    assert made.entries[b"srv/app"] == layers[0][1][0]


def test_parents_hide_nothing_even_if_opaque_below(copy):
    made = copy("one", dest="/a/", layers=[[a_dir(b"a", is_opaque=True)]])
    assert not made.entries[b"a"].is_opaque


def test_subdirectory_takes_the_metadata_of_the_source(copy):
    layers = [[a_dir(b"app/sub", 0o700, 5, 6), a_file(b"app/sub/old"), a_file(b"app/file", b"old")]]
    made = copy("dir", dest="/app", layers=layers)
    assert (made.entries[b"app/sub"].mode, made.entries[b"app/sub"].uid) == (0o750, 0)
    assert made.content(b"app/file") == b"dir/file"
    assert b"app/sub/old" not in made.entries


def test_destination_symlinks_are_followed_inside_the_root(copy):
    layers = [
        [a_dir(b"real/dir"), a_link(b"abs", b"/real/dir"), a_link(b"up", b"../../../real"), a_link(b"f", b"real/new")]
    ]
    assert b"real/dir/one" in copy("one", dest="/abs/", layers=layers).entries
    assert b"real/dir/one" in copy("one", dest="/up/dir/", layers=layers).entries
    assert list(copy("one", dest="/f", layers=layers).entries) == [b"real", b"real/new"]


def test_symlink_with_the_name_of_the_file_is_replaced(copy):
    made = copy("one", dest="/d/", layers=[[a_link(b"d/one", b"/etc/passwd")]])
    assert made.entries[b"d/one"].kind is EntryKind.FILE


def test_file_over_directory_and_directory_over_file_are_refused(copy):
    conflict_of(copy, "one", dest="/d/", layers=[[a_dir(b"d/one")]])
    conflict_of(copy, "dir", dest="/d/", layers=[[a_dir(b"d/file")]])
    conflict_of(copy, "dir", dest="/d/", layers=[[a_dir(b"d/sub/deep")]])
    conflict_of(copy, "dir", dest="/d/", layers=[[a_file(b"d/sub")]])
    conflict_of(copy, "dir", dest="/d/", layers=[[a_link(b"d/sub", b"elsewhere"), a_dir(b"d/elsewhere")]])
    conflict_of(copy, "dir", dest="/d", layers=[[a_file(b"d")]])
    conflict_of(copy, "one", dest="/d/", layers=[[a_file(b"d")]])
    error = conflict_of(copy, "one", dest="/d/e/f", layers=[[a_file(b"d")]])
    assert error.message == "'/d' exists and is no directory"


def test_several_sources_need_a_directory(copy):
    error = conflict_of(copy, "one", "two", dest="/a")
    assert error.hint == "end the destination with a slash: '/a/'"
    conflict_of(copy, "*o*", dest="/a")
    assert list(copy("one", "two", dest="/a", layers=[[a_dir(b"a")]]).entries) == [b"a", b"a/one", b"a/two"]


def test_several_sources_merge_and_the_last_wins(copy):
    made = copy("dir", "dir2", "one", "two", dest="/a/")
    assert made.content(b"a/file") == b"dir2/file"
    assert made.content(b"a/sub/deep") == b"dir/sub/deep"
    assert made.content(b"a/two") == b"two"


def test_sources_that_conflict_among_themselves_are_refused(copy):
    conflict_of(copy, "dir", ("sub", b"heredoc"), dest="/a/")


def test_wildcard_without_match_makes_an_empty_layer(copy):
    made = copy("*.none", dest="/a/b/")
    assert made.summary.entry_count == 0


def test_heredoc_is_a_fresh_file_named_by_its_delimiter(copy):
    made = copy(("EOF", b"hello\n"), dest="/etc/")
    entry = made.entries[b"etc/EOF"]
    assert (entry.mode, entry.mtime_ns, entry.is_fresh) == (0o644, NOW_NS, True)
    assert made.content(b"etc/EOF") == b"hello\n"
    made = copy(("EOF", b""), dest="/etc/motd")
    assert made.entries[b"etc/motd"].digest == hashlib.sha256().digest()
    assert made.refs[b"etc/motd"] == NO_CONTENT


def test_chown_applies_to_all_and_to_made_directories(copy):
    files = {b"etc/passwd": b"app:x:10:20::/:\n", b"etc/group": b"web:x:30:\n"}
    layers = [[a_file(path, data) for path, data in files.items()]]
    made = copy("dir", dest="/srv/app", owner=Owner(user="app", group="web"), layers=layers, files=files)
    assert {(e.uid, e.gid) for p, e in made.entries.items() if p.startswith(b"srv")} == {(10, 30)}


def test_unknown_owner_is_an_error(copy):
    with pytest.raises(StepError) as caught:
        copy("one", dest="/a", owner=Owner(user="nobody-here"))
    assert caught.value.slug == "unknown-user"


def test_chmod_applies_to_files_and_directories_but_no_links(copy):
    made = copy("dir", dest="/n/app", mode=0o4711).entries
    assert {made[p].mode for p in (b"n", b"n/app", b"n/app/file", b"n/app/sub")} == {0o4711}
    assert made[b"n/app/link"].mode == 0o777


def test_reproducible_context_entries_have_a_fixed_fresh_time(copy):
    made = copy("dir", ("E", b"x"), dest="/a/", is_reproducible=True).entries
    assert {(e.mtime_ns, e.is_fresh) for e in made.values()} == {(FIXED_TIME_NS, True)}


def test_reproducible_stage_entries_keep_their_time(work):
    source = a_union(work, [a_file(b"out/f", mtime_ns=3), a_file(b"out/g", mtime_ns=4, is_fresh=True)])
    op = a_copy_op("/out", dest="/a/", root=FROM_STAGE, is_reproducible=True)
    made = copy_files(op, source, a_union(work), work).entries
    assert (made[b"a/f"].mtime_ns, made[b"a/f"].is_fresh) == (3, False)
    assert (made[b"a/g"].mtime_ns, made[b"a/g"].is_fresh) == (4, True)
    assert (made[b"a"].mtime_ns, made[b"a"].is_fresh) == (FIXED_TIME_NS, True)


def test_stage_files_are_referred_to_with_their_owner_and_xattrs(work):
    xattrs = ((b"security.capability", b"\1"),)
    source = a_union(work, [a_file(b"out/f", uid=5, gid=6, xattrs=xattrs), a_file(b"out/empty", b"")])
    made = copy_files(a_copy_op("/out", dest="/a/", root=FROM_STAGE), source, a_union(work), work)
    layer = source.layer_ids[0]
    assert made.refs[b"a/f"] == ContentRef(ContentKind.FS, layer, 0, b"out/f")
    assert made.summary.foreign_layers == (layer,)
    assert (made.entries[b"a/f"].uid, made.entries[b"a/f"].gid, made.entries[b"a/f"].xattrs) == (5, 6, xattrs)
    assert made.refs[b"a/empty"] == NO_CONTENT
    assert made.pack == b""


def test_devices_and_fifos_of_a_stage_are_made_again(work):
    device = a_dir(b"x")[0]._replace(path=b"out/null", kind=EntryKind.CHAR_DEVICE, device=(1, 3), mode=0o666)
    fifo = a_dir(b"x")[0]._replace(path=b"out/pipe", kind=EntryKind.FIFO)
    source = a_union(work, [(device, NO_CONTENT), (fifo, NO_CONTENT)])
    made = copy_files(a_copy_op("/out", dest="/a/", root=FROM_STAGE), source, a_union(work), work).entries
    assert (made[b"a/null"].kind, made[b"a/null"].device) == (EntryKind.CHAR_DEVICE, (1, 3))
    assert made[b"a/pipe"].kind is EntryKind.FIFO


def hard_link(path, target):
    return a_link(path, target, kind=EntryKind.HARD_LINK)


def test_hard_links_among_copied_files_are_kept(work):
    source = a_union(work, [a_file(b"out/a"), hard_link(b"out/b", b"out/a"), hard_link(b"out/c", b"out/a")])
    made = copy_files(a_copy_op("/out", dest="/x/y/", root=FROM_STAGE), source, a_union(work), work).entries
    assert made[b"x/y/a"].kind is EntryKind.FILE
    assert [made[b"x/y/" + name].link_target for name in (b"b", b"c")] == [b"x/y/a", b"x/y/a"]


def test_hard_link_to_a_file_outside_the_selection_becomes_the_file(work):
    source = a_union(work, [a_file(b"a"), hard_link(b"out/b", b"a"), hard_link(b"out/c", b"a")])
    made = copy_files(a_copy_op("/out", dest="/x/", root=FROM_STAGE), source, a_union(work), work)
    assert made.entries[b"x/b"].kind is EntryKind.FILE
    assert made.refs[b"x/b"].path == b"a"
    assert made.entries[b"x/c"].link_target == b"x/b"
    single = copy_files(a_copy_op("/out/c", dest="/x", root=FROM_STAGE), source, a_union(work), work)
    assert single.entries[b"x"].kind is EntryKind.FILE


def test_hard_link_whose_file_another_source_replaces_keeps_its_content(work):
    source = a_union(
        work,
        [a_file(b"p/a", b"old"), hard_link(b"p/b", b"p/a"), hard_link(b"p/c", b"p/a"), a_file(b"q/a", b"new")],
    )
    made = copy_files(a_copy_op("/p", "/q", dest="/x/", root=FROM_STAGE), source, a_union(work), work)
    assert made.refs[b"x/a"].path == b"q/a"
    assert made.entries[b"x/b"].kind is EntryKind.FILE
    assert made.refs[b"x/b"].path == b"p/a"
    assert made.entries[b"x/c"].link_target == b"x/b"


def blob_union(work, contents):
    blob = b"".join(contents.values())
    slots, offset = [], 0
    for path, data in contents.items():
        entry, _ = a_file(path, data)
        slots.append((entry, ContentRef(ContentKind.BLOB, "", offset)))
        offset += len(data)
    return a_union(work, slots), blob


def opener(blob, opened):
    @contextmanager
    def open_blob(layer_id):
        opened.append(layer_id)
        yield (blob[at : at + 5] for at in range(0, len(blob), 5))

    return open_blob


def test_files_of_a_pulled_blob_are_taken_out_in_one_pass(work):
    contents = {b"d/z": b"first of the blob", b"d/a": b"second", b"d/m/n": b"third of it", b"e": b"not wanted"}
    source, blob = blob_union(work, contents)
    opened = []
    op = a_copy_op("/d", "/d/a", dest="/x/", root=FROM_STAGE)
    made = copy_files(op, source, a_union(work), work, open_blob=opener(blob, opened))
    assert opened == [source.layer_ids[0]]
    assert made.summary.foreign_layers == ()
    assert {p: made.content(b"x/" + p[2:]) for p in (b"d/z", b"d/a", b"d/m/n")} == {
        p: d for p, d in contents.items() if p != b"e"
    }


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-3], lambda b: b.replace(b"second", b"SECOND")], ids=["short", "other"]
)
def test_damaged_blob_is_an_error_and_leaves_nothing(work, damage):
    source, blob = blob_union(work, {b"d/z": b"first", b"d/a": b"second"})
    with pytest.raises(LayerError) as caught:
        copy_files(
            a_copy_op("/d", dest="/x/", root=FROM_STAGE),
            source,
            a_union(work),
            work,
            open_blob=opener(damage(blob), []),
        )
    assert caught.value.slug == "layer-content"
    staged = next(path for path in work.iterdir() if path.name.startswith("staged"))
    assert list(staged.iterdir()) == []


def test_equal_contents_are_packed_once(copy, tree):
    (tree / "dir/same").write_text("dir/file")
    made = copy("dir", dest="/a/")
    assert made.refs[b"a/same"] == made.refs[b"a/file"]
    assert made.pack.count(b"dir/file") == 1


def test_file_that_changes_between_selection_and_copy_is_an_error(tree, work):
    op = a_copy_op("dir", dest="/a/")
    with a_context(tree) as context:
        dest = a_union(work)
        selection = select(op, context)
        placement = place(op, selection, dest, accounts_of(dest))
        (tree / "dir/file").write_text("other contents")
        with pytest.raises(ContextError) as caught:
            write_copy(Copy(op=op, selection=selection, placement=placement, now_ns=1, open_blob=no_blob), work)
    assert caught.value.slug == "context-changed"
    assert not (work / "index").exists()
    assert not (work / "pack").exists()


def test_facts_hold_what_the_destination_contributes(tree, work):
    op = a_copy_op("dir", dest="/srv/app/")
    with a_context(tree) as context:
        selection = select(op, context)

        def facts(*slots, owner=None):
            dest = a_union(work, list(slots))
            chosen = a_copy_op("dir", dest="/srv/app/", owner=owner)
            return copy_facts(chosen, selection, dest, accounts_of(dest))

        base = facts(a_dir(b"srv"))
        assert facts(a_dir(b"srv", mtime_ns=77), a_file(b"other")) == base
        assert facts(a_dir(b"srv"), a_dir(b"srv/app"), a_file(b"srv/app/x")) != base
        different = {
            base,
            facts(),
            facts(a_dir(b"srv", 0o700)),
            facts(a_dir(b"srv", uid=1)),
            facts(a_dir(b"srv", xattrs=((b"user.x", b"1"),))),
            facts(a_dir(b"srv"), a_dir(b"srv/app")),
            facts(a_dir(b"srv"), a_link(b"srv/app", b"/opt")),
            facts(a_dir(b"srv"), owner=Owner(user="3")),
        }
        assert len(different) == 8
    assert op.dest == "/srv/app"


def test_umask_does_not_matter(copy):
    old = os.umask(0o077)
    try:
        made = copy("dir", dest="/a/")
    finally:
        os.umask(old)
    assert made.entries[b"a"].mode == 0o755
