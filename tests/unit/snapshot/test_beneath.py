from __future__ import annotations

import os

import pytest

from jettison.snapshot.beneath import open_beneath, open_by_walk


@pytest.fixture
def root_fd(tmp_path):
    (tmp_path / "root" / "a" / "b").mkdir(parents=True)
    (tmp_path / "root" / "a" / "b" / "file").write_bytes(b"inside")
    (tmp_path / "secret").write_bytes(b"outside")
    os.symlink("..", tmp_path / "root" / "up")
    os.symlink("a", tmp_path / "root" / "alias")
    os.symlink("file", tmp_path / "root" / "a" / "b" / "link")
    fd = os.open(tmp_path / "root", os.O_RDONLY | os.O_DIRECTORY)
    yield fd
    os.close(fd)


@pytest.fixture(params=[open_beneath, open_by_walk], ids=["openat2", "walk"])
def opening(request):
    return request.param


def test_file_below_is_opened(root_fd, opening):
    fd = opening(root_fd, b"a/b/file", os.O_RDONLY)
    assert os.read(fd, 99) == b"inside"
    assert not os.get_inheritable(fd)
    os.close(fd)


def test_empty_path_is_the_directory_itself(root_fd, opening):
    fd = opening(root_fd, b"")
    assert os.fstat(fd).st_ino == os.fstat(root_fd).st_ino
    os.close(fd)


@pytest.mark.parametrize(
    "path",
    [
        b"up/secret",
        b"alias/b/file",
        b"a/b/link",
        b"../secret",
        b"a/../../secret",
        b"/etc/passwd",
        b"a/b/file/x",
        b"missing/x",
    ],
)
@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_PATH])
def test_links_and_ways_out_are_refused(root_fd, opening, path, flags):
    with pytest.raises(OSError):
        opening(root_fd, path, flags)


def test_directory_symlink_is_refused(root_fd, opening):
    with pytest.raises(OSError):
        opening(root_fd, b"alias")
