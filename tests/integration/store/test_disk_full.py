"""A full disk is one error that names the place and the way out; what was finished before stays."""

from __future__ import annotations

import ctypes
import errno
import os
import resource
from contextlib import suppress

import pytest

from jettison.digest import LayerId, digest_of
from jettison.errors import StoreError
from jettison.store.gc import CollectPolicy, collect
from jettison.store.root import open_store
from jettison.store.usage import usage

_libc = ctypes.CDLL(None, use_errno=True)


@pytest.fixture
def small_disk(tmp_path):
    path = tmp_path / "disk"
    path.mkdir()
    if _libc.mount(b"tmpfs", os.fsencode(path), b"tmpfs", 0, b"size=2m") != 0:
        code = ctypes.get_errno()
        assert code in (errno.EPERM, errno.EACCES, errno.ENOSYS)
        pytest.skip("needs the right to mount a tmpfs")
    yield path
    _libc.umount2(os.fsencode(path), 2)


def test_full_disk_is_told_and_nothing_half_done_stays(small_disk):
    root = small_disk / "root"
    with open_store(root, id_mode="single") as store:
        kept = store.blobs.put_bytes(b"kept")
        with store.blobs.writer() as writer, pytest.raises(StoreError) as caught:
            writer.write(bytes(5 << 20))
        error = caught.value
        assert error.slug == "disk-full"
        assert str(root) in error.message
        assert "--root" in error.hint
        assert "prune" in error.hint
        assert os.listdir(root / "tmp") == []
        assert set(store.blobs.digests()) == {kept}
        store.sync()
        collect(store)
        assert store.blobs.has(kept)


def test_full_disk_at_every_other_write_is_told_too(small_disk):
    root = small_disk / "root"
    with open_store(root, id_mode="single") as store:
        store.records.put("k", b"", b"")
        layer = LayerId(digest_of(b"layer"))
        with store.layers.stage() as staged:
            (staged.path / "index").write_bytes(b"")
            _fill(small_disk)
            with pytest.raises(StoreError) as caught:
                store.layers.commit(staged, layer, depends_on=(layer,))
            assert caught.value.slug == "disk-full"
        assert list(store.layers.ids()) == []
        with pytest.raises(StoreError) as caught:
            store.blobs.put_bytes(b"x" * 10_000)
        assert caught.value.slug == "disk-full"
        with pytest.raises(StoreError) as caught:
            store.records.put("big", bytes(5_000_000), b"")
        assert caught.value.slug == "disk-full"
        (small_disk / "filler").unlink()
        assert store.records.get("k") == b""
        store.records.put("k", b"again", b"")
        assert store.blobs.put_bytes(b"x" * 10_000)


def test_prune_works_on_a_full_disk(small_disk):
    root = small_disk / "root"
    with open_store(root, id_mode="single") as store:
        store.blobs.put_bytes(bytes(500_000))
        store.sync()
    with open_store(root, id_mode="single") as store:
        used = usage(store).blobs.size_bytes
        _fill(small_disk, spare=64 << 10)
        collected = collect(store, CollectPolicy(keep_cache=False))
        assert collected.size_bytes >= used
        assert store.blobs.put_bytes(bytes(200_000))


def test_limit_on_the_size_of_files_is_told(tmp_path):
    with open_store(tmp_path / "root", id_mode="single") as store:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
        try:
            with store.blobs.writer() as writer, pytest.raises(StoreError) as caught:
                writer.write(bytes(3 << 20))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert caught.value.slug == "disk-full"
        assert "ulimit" in caught.value.hint
        assert os.listdir(tmp_path / "root" / "tmp") == []


def _fill(path, spare=0):
    with open(path / "filler", "wb", buffering=0) as file:
        with suppress(OSError):
            while True:
                file.write(bytes(4096))
        file.truncate(max(0, file.tell() - spare))
