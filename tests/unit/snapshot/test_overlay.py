from __future__ import annotations

import os
import stat

import pytest
from tests.fakes.snapshots import ID_MODE, add_layer, entries_of, materials_of

from jettison.digest import LayerId
from jettison.errors import HostError, StoreError
from jettison.filetree import EntryKind, FileEntry
from jettison.snapshot.overlay import OverlayDriver
from jettison.store.root import open_store

FILE, DIRECTORY = EntryKind.FILE, EntryKind.DIRECTORY


@pytest.fixture
def store(tmp_path):
    with open_store(tmp_path / "store", id_mode=ID_MODE) as store:
        yield store


@pytest.fixture
def driver(store):
    driver = OverlayDriver(materials_of(store), store.locks)
    yield driver
    driver.close()


def test_lowers_are_the_layers_with_entries_topmost_first(store, driver):
    first, empty, last = (
        add_layer(store, entries) for entries in ([FileEntry(b"a", FILE)], [], [FileEntry(b"b", FILE)])
    )
    with driver.prepare([first, empty, last]) as rootfs:
        assert rootfs.lowers == (store.layers.fs_path(last), store.layers.fs_path(first))
        assert rootfs.root is None
        assert (rootfs.lowers[1] / "a").exists()


def test_no_layers_give_one_empty_lower(driver):
    with driver.prepare([]) as rootfs:
        assert [os.listdir(path) for path in rootfs.lowers] == [[]]
        assert stat.S_IMODE(rootfs.upper.stat().st_mode) == 0o755


def test_nothing_shows_below_an_opaque_root(store, driver):
    below = add_layer(store, [FileEntry(b"a", FILE)])
    above = add_layer(store, [FileEntry(b"", DIRECTORY, 0o755, is_opaque=True), FileEntry(b"b", FILE)])
    with driver.prepare([below, above]) as rootfs:
        assert rootfs.lowers == (store.layers.fs_path(above),)


def test_upper_has_the_metadata_of_the_root(store, driver):
    root = FileEntry(b"", DIRECTORY, 0o1751, mtime_ns=5, xattrs=((b"user.k", b"v"),))
    chain = [add_layer(store, [root]), add_layer(store, [FileEntry(b"b", FILE)])]
    with driver.prepare(chain) as rootfs:
        status = rootfs.upper.stat()
        assert (stat.S_IMODE(status.st_mode), status.st_mtime_ns) == (0o1751, 5)
        assert os.getxattr(rootfs.upper, "user.k") == b"v"


def test_committed_upper_is_the_layers_directory(store, driver):
    with driver.prepare([]) as rootfs:
        staged = rootfs.staged.path
        (rootfs.upper / "new").write_bytes(b"x")
        layer = driver.commit(rootfs, started_ns=0, is_reproducible=False)
    assert (layer.entry_count, layer.size_bytes) == (1, 1)
    assert store.layers.has_fs(layer.layer_id)
    assert (store.layers.fs_path(layer.layer_id) / "new").read_bytes() == b"x"
    assert set(os.listdir(store.layers.path(layer.layer_id))) >= {"index", "fs"}
    assert not staged.exists()


def test_same_changes_give_one_layer(store, driver):
    layers = []
    for _ in range(2):
        with driver.prepare([]) as rootfs:
            (rootfs.upper / "new").write_bytes(b"x")
            os.utime(rootfs.upper / "new", ns=(7, 7))
            layers.append(driver.commit(rootfs, started_ns=0, is_reproducible=False))
    assert layers[0] == layers[1]
    assert entries_of(store, layers[0].layer_id)[b"new"].mtime_ns == 7


def test_times_alone_leave_the_content_digest(driver):
    digests = set()
    for mtime in (7, 8):
        with driver.prepare([]) as rootfs:
            (rootfs.upper / "new").write_bytes(b"x")
            os.utime(rootfs.upper / "new", ns=(mtime, mtime))
            digests.add(driver.commit(rootfs, started_ns=0, is_reproducible=False).content_digest)
    assert len(digests) == 1


def test_abandoned_root_file_system_leaves_nothing(store, driver):
    with driver.prepare([]) as rootfs:
        staged = rootfs.staged.path
    assert not staged.exists()
    assert list(store.layers.ids()) == []


def test_missing_layer_is_named(driver):
    with pytest.raises(StoreError) as caught:
        driver.prepare([LayerId("sha256:" + "0" * 64)])
    assert caught.value.slug == "layer-missing"


def test_more_layers_than_the_kernel_stacks_are_refused(store, driver):
    layer = add_layer(store, [FileEntry(b"a", FILE)])
    assert len(driver.lowers([layer] * 500)) == 500
    with pytest.raises(HostError) as caught:
        driver.lowers([layer] * 501)
    assert caught.value.slug == "host-layer-limit"


def test_broken_layer_is_not_installed(store, driver):
    layer = add_layer(store, [FileEntry(b"a", FILE)], {b"a": b"content"})
    store.layers.pack_path(layer).write_bytes(b"")
    with pytest.raises(StoreError):
        driver.ensure_fs([layer])
    assert not store.layers.has_fs(layer)
