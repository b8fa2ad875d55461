from __future__ import annotations

import os
import socket
import stat

import pytest

from jettison.fastpath.ignore import parse_ignore
from jettison.fastpath.walk import list_directory, look_up, walk_tree
from jettison.filetree import sort_key


@pytest.fixture
def tree(tmp_path):
    for path in ("a/b/c.txt", "a/b.txt", "a-x/y", "a.txt", "z/keep.txt", "z/drop.txt", "empty/.k"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(path)
    (tmp_path / "empty/.k").unlink()
    (tmp_path / "link").symlink_to("a")
    return tmp_path


def paths(root, ignore=b"", start=b""):
    return list(walk_tree(os.fsencode(root), parse_ignore(ignore), start))


def test_walk_lists_everything_in_sort_order_and_follows_no_link(tree):
    found = paths(tree)
    assert found == sorted(found, key=sort_key)
    assert set(found) == {
        *(b"a", b"a/b", b"a/b/c.txt", b"a/b.txt", b"a-x", b"a-x/y", b"a.txt"),
        *(b"z", b"z/keep.txt", b"z/drop.txt", b"empty", b"link"),
    }


def test_facts_of_files_and_directories(tree):
    found = walk_tree(os.fsencode(tree))
    status = (tree / "a.txt").lstat()
    assert found[b"a.txt"] == (
        *(status.st_mode, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev),
    )
    assert found[b"a"] == ((tree / "a").stat().st_mode,)
    assert stat.S_ISLNK(found[b"link"][0])


def test_adding_an_ignored_file_changes_no_facts(tree):
    rules = parse_ignore(b"**/*.swp\n")
    before = walk_tree(os.fsencode(tree), rules)
    (tree / "a/.x.swp").write_text("editor")
    assert walk_tree(os.fsencode(tree), rules) == before


def test_excluded_directory_appears_only_with_something_below(tree):
    assert paths(tree, b"*\n!z/keep.txt\n!a/none\n") == [b"z", b"z/keep.txt"]
    assert paths(tree, b"**\n!**/c.txt\n") == [b"a", b"a/b", b"a/b/c.txt"]


def test_walk_from_a_start_uses_the_rules_above_it(tree):
    assert paths(tree, b"z/drop.txt\n", b"z") == [b"z/keep.txt"]
    assert paths(tree, b"z\n", b"z") == []
    assert paths(tree, b"", b"missing") == []


def test_sockets_are_left_out_and_fifos_are_not(tree, monkeypatch):
    os.mkfifo(tree / "fifo")
    monkeypatch.chdir(tree)  # the path of a socket is short
    server = socket.socket(socket.AF_UNIX)
    server.bind("sock")
    server.close()
    found = walk_tree(os.fsencode(tree))
    assert b"sock" not in found
    assert stat.S_ISFIFO(found[b"fifo"][0])


@pytest.mark.skipif(os.geteuid() == 0, reason="root lists every directory")
def test_directory_that_cannot_be_listed_is_told_by_its_errno(tree):
    (tree / "a").chmod(0)
    try:
        assert len(walk_tree(os.fsencode(tree))[b"a"]) == 2
        assert walk_tree(os.fsencode(tree), None, b"a") == {b"a": (stat.S_IFDIR, 13)}
    finally:
        (tree / "a").chmod(0o755)


def test_listing_one_directory(tree):
    root = os.fsencode(tree)
    assert list(list_directory(root)) == [b"a", b"a-x", b"a.txt", b"empty", b"link", b"z"]
    assert list(list_directory(root, parse_ignore(b"*\n!z/keep.txt\n"))) == [b"z"]
    assert list(list_directory(root, None, b"a.txt")) == []


def test_looking_up_one_path(tree):
    root = os.fsencode(tree)
    assert look_up(root, None, b"a/b/c.txt") == walk_tree(root)[b"a/b/c.txt"]
    assert look_up(root, None, b"link/b.txt") is None
    assert look_up(root, None, b"nothing/here") is None
    assert look_up(root, parse_ignore(b"a\n"), b"a/b.txt") is None
    assert look_up(root, parse_ignore(b"*\n!z/keep.txt\n"), b"z") is not None
    assert look_up(root, parse_ignore(b"*\n!z/none\n"), b"z") is None


def test_very_deep_tree_is_no_problem(tmp_path):
    fd = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1200):
        os.mkdir("d", dir_fd=fd)
        deeper = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = deeper
    os.close(fd)
    found = walk_tree(os.fsencode(tmp_path))
    for depth in range(1200, 0, -1):  # pytest's own clean-up is recursive
        os.rmdir(tmp_path / "/".join(["d"] * depth))
    assert len(found) == 1200
