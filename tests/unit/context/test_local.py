from __future__ import annotations

import hashlib
import os

import pytest
from tests.fakes.copying import LATER_NS, a_context

from jettison.context.local import LocalContext
from jettison.errors import ContextError
from jettison.fastpath.statcache import StatCache
from jettison.filetree import EntryKind, sort_key
from jettison.guestpath import GuestPath


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "context"
    for path in ("src/main.c", "src/lib/util.c", "src-old/x", "README"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)
    (root / "src/lib/util.c").chmod(0o640)
    os.utime(root / "README", ns=(1, 123_456_789_000))
    return root


def test_entries_belong_to_root_and_keep_mode_size_and_time(tree):
    with a_context(tree) as context:
        found = context.lookup(b"README")
        assert found is not None
        entry = found[0]
        assert (entry.uid, entry.gid, entry.size, entry.mtime_ns) == (0, 0, 6, 123_456_789_000)
        assert entry.digest == b""
        assert context.lookup(b"src/lib/util.c")[0].mode == 0o640
        assert context.lookup(b"missing") is None


def test_walk_gives_the_subtree_in_order(tree):
    with a_context(tree) as context:
        found = [entry.path for entry, _, _ in context.walk(b"src")]
        assert found == [b"src", b"src/lib", b"src/lib/util.c", b"src/main.c"]
        everything = [entry.path for entry, _, _ in context.walk()]
        assert everything == sorted(everything, key=sort_key)
        assert b"src-old/x" in everything
        assert [entry.path for entry, _, _ in context.walk(b"src")] == found
        assert [entry.path for entry, _, _ in context.walk(b"src/lib")] == [b"src/lib", b"src/lib/util.c"]
        assert [entry.path for entry, _, _ in context.walk(b"README")] == [b"README"]


def test_only_what_was_asked_for_is_read(tree):
    with a_context(tree) as context:
        context.hash_below(b"src")
        reads = context.reads()
        assert set(reads.trees) == {b"src"}
        assert set(reads.digests) == {b"src/main.c", b"src/lib/util.c"}
        assert b"README" not in reads.paths


def test_digests_are_of_the_content(tree):
    with a_context(tree) as context:
        context.hash_below(b"")
        digests = {e.path: e.digest for e, _, _ in context.walk() if e.kind is EntryKind.FILE}
        assert digests == {
            p: hashlib.sha256(p).digest() for p in (b"src/main.c", b"src/lib/util.c", b"src-old/x", b"README")
        }


def test_large_and_small_files_hash_alike(tree):
    data = os.urandom(3 << 20)
    for number in range(3):
        (tree / f"large{number}").write_bytes(data + bytes([number]))
    with a_context(tree) as context:
        context.hash_below(b"")
        for number in range(3):
            entry = context.lookup(b"large%d" % number)[0]
            assert entry.digest == hashlib.sha256(data + bytes([number])).digest()


def test_unchanged_files_are_hashed_once_between_builds(tree, tmp_path):
    path = str(tmp_path / "cache")
    cache = StatCache(path)
    with a_context(tree, cache=cache) as context:
        context.hash_below(b"")
    cache.save()
    (tree / "README").write_text("new")
    again = StatCache(path)
    with a_context(tree, cache=again) as context:
        assert not again.is_dirty
        context.hash_below(b"src")
        assert not again.is_dirty
        context.hash_below(b"")
        assert again.is_dirty
        assert context.lookup(b"README")[0].digest == hashlib.sha256(b"new").digest()


def test_young_files_are_hashed_again(tree, tmp_path):
    cache = StatCache(str(tmp_path / "cache"))
    with LocalContext(tree, rules=None, cache=cache, clock_ns=lambda: 0) as context:
        context.hash_below(b"")
    assert len(cache) == 0


def test_ignored_files_are_absent(tree):
    with a_context(tree, ignore=b"src/lib\n") as context:
        assert context.lookup(b"src/lib/util.c") is None
        assert [entry.path for entry, _, _ in context.walk(b"src")] == [b"src", b"src/main.c"]
        pattern = context.hidden_by(b"src/lib/util.c")
        assert pattern is not None
        assert pattern.text == "src/lib"
        assert context.hidden_by(b"src/lib/none") is None
        assert context.hidden_by(b"README") is None


def test_symlinks_resolve_inside_the_context(tree):
    (tree / "abs").symlink_to("/src/lib")
    (tree / "up").symlink_to("../../../src")
    (tree / "src/back").symlink_to("../README")
    (tree / "loop").symlink_to("loop")
    with a_context(tree) as context:
        assert context.resolve(GuestPath("/abs/util.c")) == "/src/lib/util.c"
        assert context.resolve(GuestPath("/up/main.c")) == "/src/main.c"
        assert context.resolve(GuestPath("/src/back")) == "/README"
        assert context.resolve(GuestPath("/src/back"), follow_last=False) == "/src/back"
        assert context.resolve(GuestPath("/none/x/y")) == "/none/x/y"
        assert context.lookup(b"abs")[0].link_target == b"/src/lib"
        with pytest.raises(ContextError) as caught:
            context.resolve(GuestPath("/loop/x"))
        assert caught.value.slug == "context-link-loop"


def test_hard_links_are_files_of_their_own(tree):
    os.link(tree / "README", tree / "COPY")
    with a_context(tree) as context:
        assert {e.path: e.kind for e, _, _ in context.walk()}[b"COPY"] is EntryKind.FILE


def test_file_replaced_by_a_symlink_is_refused(tree, tmp_path):
    (tmp_path / "secret").write_text("secret")
    with a_context(tree) as context:
        list(context.walk())
        (tree / "README").unlink()
        (tree / "README").symlink_to(tmp_path / "secret")
        with pytest.raises(ContextError) as caught:
            context.hash_below(b"")
        assert caught.value.slug == "context-changed"


def test_directory_replaced_by_a_symlink_is_refused(tree, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "util.c").write_text("secret")
    with a_context(tree) as context:
        list(context.walk())
        os.rename(tree / "src/lib", tmp_path / "gone")
        (tree / "src/lib").symlink_to(outside)
        with pytest.raises(ContextError) as caught:
            context.hash_below(b"")
        assert caught.value.slug == "context-changed"


def test_file_changed_after_hashing_is_not_opened(tree):
    with a_context(tree) as context:
        context.hash_below(b"")
        (tree / "README").write_text("other")
        with pytest.raises(ContextError) as caught:
            context.open_file(b"README")
        assert caught.value.slug == "context-changed"


def test_file_changed_between_listing_and_hashing_is_taken_as_it_is_then(tree):
    with a_context(tree) as context:
        list(context.walk())
        (tree / "README").write_text("longer than before")
        context.hash_below(b"")
        entry = context.lookup(b"README")[0]
        assert entry.size == 18
        assert entry.digest == hashlib.sha256(b"longer than before").digest()
        os.close(context.open_file(b"README"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_unreadable_file_matters_only_when_selected(tree):
    (tree / "README").chmod(0)
    (tree / "src-old").chmod(0)
    try:
        with a_context(tree) as context:
            context.hash_below(b"src")
            for path in (b"README", b"src-old", b""):
                with pytest.raises(ContextError) as caught:
                    context.hash_below(path)
                assert caught.value.slug == "context-unreadable"
    finally:
        (tree / "src-old").chmod(0o755)


def test_missing_directory_is_an_error(tmp_path):
    with pytest.raises(ContextError, match="can't open the build context"):
        LocalContext(tmp_path / "none", rules=None, cache=None, clock_ns=lambda: LATER_NS)


def test_no_descriptor_is_left_open(tree):
    before = len(os.listdir("/proc/self/fd"))
    with a_context(tree) as context:
        context.hash_below(b"")
        list(context.walk())
    assert len(os.listdir("/proc/self/fd")) == before


def test_fifo_is_an_entry_without_content(tree):
    os.mkfifo(tree / "pipe", 0o600)
    with a_context(tree) as context:
        context.hash_below(b"")
        entry = context.lookup(b"pipe")[0]
    assert (entry.kind, entry.mode, entry.size, entry.digest) == (EntryKind.FIFO, 0o600, 0, b"")


@pytest.mark.parametrize("name", ["src/lib", "link"])
def test_what_vanishes_after_listing_is_an_error(tree, tmp_path, name):
    (tree / "link").symlink_to("README")
    with a_context(tree) as context:
        context.hash_below(b"")
        (tree / name).rename(tmp_path / "gone")
        with pytest.raises(ContextError) as caught:
            list(context.walk())
        assert caught.value.slug == "context-changed"
        with pytest.raises(ContextError):
            context.open_file(b"src/lib/none")


def test_directory_replaced_by_a_file_after_listing_is_an_error(tree, tmp_path):
    with a_context(tree) as context:
        context.hash_below(b"")
        (tree / "src/lib").rename(tmp_path / "gone")
        (tree / "src/lib").write_text("x")
        with pytest.raises(ContextError):
            list(context.walk())


def test_reads_hold_what_a_later_build_must_compare(tree):
    with a_context(tree, ignore=b"*.none\n") as context:
        context.lookup(b"missing/file")
        list(context.children(b""))
        list(context.walk(b"src"))
        reads = context.reads()
    assert reads.paths[b"missing/file"] is None
    assert set(reads.directories[b""]) == {b"README", b"src", b"src-old"}
    assert list(reads.trees[b"src"]) == [b"src/lib", b"src/lib/util.c", b"src/main.c"]
