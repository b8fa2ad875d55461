from __future__ import annotations

import os

import pytest

from jettison.context.chain import DirectoryChain


def read(chain, path):
    fd = chain.open_file(path)
    try:
        return os.read(fd, 100)
    finally:
        os.close(fd)


def open_descriptors():
    return len(os.listdir("/proc/self/fd"))


def test_files_are_found_in_any_order(tmp_path):
    paths = ["a/b/c", "a/b/d", "a/e", "f", "g/h/i/j"]
    for path in paths:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(path)
    before = open_descriptors()
    with DirectoryChain(tmp_path) as chain:
        for path in [*paths, *reversed(paths), "a/e", "g/h/i/j", "a/b/c"]:
            assert read(chain, path.encode()) == path.encode()
    assert open_descriptors() == before


def test_very_deep_paths_use_few_descriptors(tmp_path):
    names = ["d"] * 200
    (tmp_path / "/".join(names)).mkdir(parents=True)
    for depth in (200, 199, 70, 65, 64, 63, 5):
        (tmp_path / "/".join(names[:depth]) / "f").write_text(str(depth))
    before = open_descriptors()
    with DirectoryChain(tmp_path) as chain:
        for depth in (200, 199, 200, 64, 65, 200, 63, 5, 70):
            assert read(chain, b"d/" * depth + b"f") == str(depth).encode()
            assert open_descriptors() < before + 70


@pytest.mark.parametrize("path", [b"link/secret", b"dir/link", b"dir/../../x/secret"])
def test_symlinks_are_never_followed(tmp_path, path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    root = tmp_path / "root"
    (root / "dir").mkdir(parents=True)
    (root / "link").symlink_to(outside)
    (root / "dir/link").symlink_to(outside / "secret")
    with DirectoryChain(root) as chain, pytest.raises(OSError):
        read(chain, path)


def test_chain_goes_on_after_a_failure(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/f").write_text("f")
    with DirectoryChain(tmp_path) as chain:
        with pytest.raises(FileNotFoundError):
            chain.open_file(b"a/missing/f")
        assert read(chain, b"a/f") == b"f"
        with pytest.raises(FileNotFoundError):
            chain.open_file(b"x/y/z")
        assert read(chain, b"a/f") == b"f"


def test_fifo_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    with DirectoryChain(tmp_path) as chain:
        os.close(chain.open_file(b"fifo"))


def test_stat_and_links_are_read_in_place(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d/link").symlink_to("nowhere")
    with DirectoryChain(tmp_path) as chain:
        assert chain.read_link(b"d/link") == b"nowhere"
        assert chain.stat(b"d").st_ino == (tmp_path / "d").stat().st_ino
