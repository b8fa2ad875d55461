"""The walk below a descriptor needs no rights, so it is tested on plain directories."""

from __future__ import annotations

import os

import pytest

from jettison.sandbox.room import walk


@pytest.fixture
def root(tmp_path):
    (tmp_path / "root/a/b").mkdir(parents=True)
    (tmp_path / "root/a/file").write_text("x")
    (tmp_path / "outside").mkdir()
    descriptor = os.open(tmp_path / "root", os.O_PATH | os.O_CLOEXEC)
    yield tmp_path / "root", descriptor
    os.close(descriptor)


def found(root, path, **options):
    descriptor = walk(root[1], path, **options)
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


@pytest.mark.parametrize(
    ("links", "path", "expected"),
    [
        ({}, b"/a/b", "a/b"),
        ({}, b"a/./b/../b/", "a/b"),
        ({}, b"../../../a", "a"),
        ({}, b"/", ""),
        ({"l": "/a/b"}, b"l", "a/b"),
        ({"l": "a"}, b"l/b", "a/b"),
        ({"l": "../../../../outside/../a"}, b"l", None),
        ({"l": "../../../../../a"}, b"l/b", "a/b"),
        ({"a/l": ".."}, b"a/l/a", "a"),
        ({"l": "m", "m": "/a"}, b"l/file", "a/file"),
    ],
)
def test_paths_are_resolved_inside(root, links, path, expected):
    for name, text in links.items():
        os.symlink(text, root[0] / name)
    if expected is None:
        with pytest.raises(FileNotFoundError):
            found(root, path)
    else:
        assert found(root, path) == str(root[0] / expected).rstrip("/")


def test_missing_parts_are_made_in_order(root):
    made = []

    def make(parent, name, key, *, makes_directory):
        made.append((key, makes_directory))
        if makes_directory:
            os.mkdir(name, dir_fd=parent)
        else:
            os.close(os.open(name, os.O_CREAT | os.O_WRONLY, dir_fd=parent))

    os.symlink("/new/place", root[0] / "l")
    assert found(root, b"/l/file", make=make, makes_directory=False) == str(root[0] / "new/place/file")
    assert made == [(b"new", True), (b"new/place", True), (b"new/place/file", False)]


def test_loops_and_files_on_the_way_are_refused(root):
    os.symlink("m", root[0] / "l")
    os.symlink("l", root[0] / "m")
    with pytest.raises(OSError, match="symbolic links"):
        walk(root[1], b"l")
    with pytest.raises(NotADirectoryError):
        walk(root[1], b"a/file/x")


def test_no_descriptor_leaks(root):
    before = len(os.listdir("/proc/self/fd"))
    for path in (b"a/b", b"nonesuch", b"../a/file"):
        try:
            os.close(walk(root[1], path))
        except FileNotFoundError:
            continue
    assert len(os.listdir("/proc/self/fd")) == before
