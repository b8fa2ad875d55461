from __future__ import annotations

import os

import pytest

from jettison.store.trash import Trash, empty_trash


@pytest.fixture
def trash(tmp_path):
    (tmp_path / "trash").mkdir()
    return Trash(tmp_path / "trash")


def test_taken_tree_is_gone_at_once_and_removed_later(trash, tmp_path):
    (tmp_path / "tree" / "sub").mkdir(parents=True)
    (tmp_path / "tree" / "sub" / "file").write_bytes(b"x" * 10_000)
    assert trash.take(tmp_path / "tree")
    assert not (tmp_path / "tree").exists()
    assert not trash.take(tmp_path / "tree")
    emptied = empty_trash(trash.path)
    assert emptied.size_bytes >= 10_000
    assert emptied.left == 0
    assert os.listdir(trash.path) == []


def test_trees_without_any_right_are_removed(trash, tmp_path):
    (tmp_path / "tree" / "a" / "b").mkdir(parents=True)
    (tmp_path / "tree" / "a" / "b" / "file").write_text("")
    for path in (tmp_path / "tree" / "a" / "b", tmp_path / "tree" / "a", tmp_path / "tree"):
        path.chmod(0)
    assert trash.take(tmp_path / "tree")
    assert empty_trash(trash.path).left == 0
    assert os.listdir(trash.path) == []


def test_symlinks_are_removed_and_never_followed(trash, tmp_path):
    victim = tmp_path / "victim"
    victim.mkdir(mode=0o500)
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "directory").symlink_to(victim)
    (tmp_path / "tree" / "loop").symlink_to("loop")
    trash.take(tmp_path / "tree")
    os.symlink(victim, trash.path / "top")
    empty_trash(trash.path)
    assert os.listdir(trash.path) == []
    assert victim.stat().st_mode & 0o777 == 0o500


def test_trees_of_any_depth_are_removed_with_few_descriptors(trash):
    fd = os.open(trash.path, os.O_RDONLY)
    for _ in range(3_000):
        os.mkdir("d", dir_fd=fd)
        below = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    assert empty_trash(trash.path).left == 0
    assert os.listdir(trash.path) == []


def test_special_files_are_removed(trash):
    os.mkfifo(trash.path / "fifo")
    (trash.path / "\udcff\n").write_text("")
    assert empty_trash(trash.path).removed == 2


def test_bytes_of_a_file_with_other_names_are_not_counted(trash, tmp_path):
    (trash.path / "file").write_bytes(b"x" * 10_000)
    os.link(trash.path / "file", tmp_path / "other")
    assert empty_trash(trash.path).size_bytes == 0
    assert (tmp_path / "other").stat().st_size == 10_000
