from __future__ import annotations

import os

import pytest

from jettison.digest import Digest, digest_of
from jettison.errors import StoreError


def test_put_bytes_can_be_read_back(store):
    digest = store.blobs.put_bytes(b"hello")
    assert digest == digest_of(b"hello")
    assert store.blobs.has(digest)
    assert store.blobs.size(digest) == 5
    with store.blobs.open(digest) as file:
        assert file.read() == b"hello"
    assert list(store.blobs.digests()) == [digest]


def test_writer_takes_pieces_of_any_kind(store):
    with store.blobs.writer() as writer:
        assert writer.write(b"one") == 3
        writer.write(bytearray(b"two"))
        writer.write(memoryview(b"three"))
        assert writer.commit(digest_of(b"onetwothree")) == (digest_of(b"onetwothree"), 11)


def test_empty_blob_is_a_blob(store):
    assert store.blobs.size(store.blobs.put_bytes(b"")) == 0


def test_writer_that_is_not_committed_leaves_nothing(store, root):
    with store.blobs.writer() as writer:
        writer.write(b"x" * 100)
    with pytest.raises(ZeroDivisionError), store.blobs.writer() as writer:
        writer.write(bytes(3_000_000 // (len(list(store.blobs.digests())))))
    assert list(store.blobs.digests()) == []
    assert os.listdir(root / "tmp") == []


def test_commit_refuses_bytes_of_another_digest(store, root):
    with store.blobs.writer() as writer:
        writer.write(b"evil")
        with pytest.raises(StoreError) as caught:
            writer.commit(digest_of(b"good"))
    assert caught.value.slug == "blob-mismatch"
    assert not store.blobs.has(digest_of(b"good"))
    assert not store.blobs.has(digest_of(b"evil"))
    assert os.listdir(root / "tmp") == []


def test_storing_twice_keeps_the_first_file(store, root):
    digest = store.blobs.put_bytes(b"same")
    inode = store.blobs.path(digest).stat().st_ino
    assert store.blobs.put_bytes(b"same") == digest
    assert store.blobs.path(digest).stat().st_ino == inode
    assert os.listdir(root / "tmp") == []


def test_blob_has_a_fixed_mode_whatever_the_umask(store):
    before = os.umask(0o077)
    try:
        path = store.blobs.path(store.blobs.put_bytes(b"x"))
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o644
    store.sync()
    assert path.stat().st_mode & 0o777 == 0o444


@pytest.mark.parametrize(
    "text", ["", "../../etc/passwd", "sha256:../x", "sha512:" + "a" * 128, "sha256:" + "A" * 64, "sha256:" + "a" * 63]
)
def test_digests_that_are_none_never_become_paths(store, text):
    for call in (store.blobs.path, store.blobs.has, store.blobs.open, store.blobs.size):
        with pytest.raises(StoreError) as caught:
            call(Digest(text))
        assert caught.value.slug == "bad-digest"


def test_missing_blob_is_told_with_its_digest(store):
    with pytest.raises(StoreError) as caught:
        store.blobs.open(digest_of(b"absent"))
    assert caught.value.slug == "blob-missing"
    assert digest_of(b"absent") in caught.value.message


def test_removed_blob_is_gone_and_can_come_back(store):
    digest = store.blobs.put_bytes(b"x")
    store.sync()
    assert store.blobs.remove(digest)
    assert not store.blobs.has(digest)
    assert not store.blobs.remove(digest)
    assert store.blobs.put_bytes(b"x") == digest
    assert store.blobs.has(digest)


def test_stray_names_are_no_blobs(store, root):
    (root / "blobs" / "sha256" / "README").write_text("")
    assert list(store.blobs.digests()) == []
