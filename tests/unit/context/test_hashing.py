from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import threading

import pytest
from tests.fakes.copying import LATER_NS, a_context

from jettison.context.hashing import Hasher, refused
from jettison.errors import ContextError
from jettison.fastpath.walk import walk_tree

LARGE = b"l" * (1 << 19)


def hasher_of(directory):
    return Hasher(directory, None, lambda: LATER_NS), list(walk_tree(os.fsencode(directory)).items())


@pytest.mark.parametrize("missing", ["small0", "large0", "large3"])
def test_error_of_either_thread_reaches_the_caller(tmp_path, missing):
    for number in range(4):
        (tmp_path / f"small{number}").write_text("s")
        (tmp_path / f"large{number}").write_bytes(LARGE)
    hasher, files = hasher_of(tmp_path)
    (tmp_path / missing).unlink()
    before = threading.active_count()
    with pytest.raises(ContextError) as caught:
        hasher.hash_files(files)
    assert caught.value.slug == "context-changed"
    assert missing in caught.value.message
    assert threading.active_count() == before


def test_files_that_became_other_things_are_refused(tmp_path):
    (tmp_path / "f").write_text("x")
    hasher, files = hasher_of(tmp_path)
    (tmp_path / "f").unlink()
    os.mkfifo(tmp_path / "f")
    with pytest.raises(ContextError) as caught:
        hasher.hash_files(files)
    assert caught.value.slug == "context-changed"


def test_newer_facts_are_told(tmp_path):
    (tmp_path / "f").write_text("x")
    (tmp_path / "g").write_text("x")
    hasher, files = hasher_of(tmp_path)
    (tmp_path / "f").write_bytes(LARGE * 3)
    newer = hasher.hash_files(files)
    assert [path for path, _ in newer] == [b"f"]
    assert newer[0][1] == walk_tree(os.fsencode(tmp_path))[b"f"]
    assert hasher.digests[b"f"] == hashlib.sha256(LARGE * 3).digest()


def test_nothing_outside_is_ever_hashed_while_a_directory_is_swapped(tmp_path):
    """A second thread keeps replacing a directory by a symlink to one outside (CVE-2021-30465 and its kin)."""
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "f").write_text("canary")
    root = tmp_path / "context"
    (root / "d").mkdir(parents=True)
    (root / "d/f").write_text("public")
    (root / "link").symlink_to(secret)
    is_over = threading.Event()

    def swap():
        while not is_over.is_set():
            os.rename(root / "d", root / "kept")
            os.rename(root / "link", root / "d")
            os.rename(root / "d", root / "link")
            os.rename(root / "kept", root / "d")

    swapper = threading.Thread(target=swap)
    swapper.start()
    canary = hashlib.sha256(b"canary").digest()
    try:
        for _ in range(300):
            with a_context(root) as context:
                with contextlib.suppress(ContextError):
                    context.hash_below(b"")
                    context.hash_below(b"d/f")
                assert canary not in context.reads().digests.values()
    finally:
        is_over.set()
        swapper.join()


@pytest.mark.parametrize(
    ("number", "slug"),
    [(errno.ENOENT, "context-changed"), (errno.ELOOP, "context-changed"), (errno.EIO, "context-unreadable")],
)
def test_errors_of_system_calls_are_told_apart(number, slug):
    error = refused(b"some/\xff\x1bfile", OSError(number, "x"))
    assert error.slug == slug
    assert "'some/\\xff\\x1bfile'" in error.message
