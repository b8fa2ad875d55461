from __future__ import annotations

import os

import pytest
from tests.fakes.snapshots import ID_MODE, add_layer, entries_of, materials_of

from jettison.filetree import EntryKind, FileEntry
from jettison.snapshot.copytree import CopyDriver
from jettison.store.root import open_store

OLD = 1_500_000_000_000_000_000
FILE, DIRECTORY = EntryKind.FILE, EntryKind.DIRECTORY
OWNER = {"uid": 0, "gid": 0} if ID_MODE == "root" else {"uid": os.geteuid(), "gid": os.getegid()}


@pytest.fixture
def store(tmp_path):
    with open_store(tmp_path / "store", id_mode=ID_MODE) as store:
        yield store


@pytest.fixture
def driver(store):
    driver = CopyDriver(materials_of(store))
    yield driver
    driver.close()


@pytest.fixture
def chain(store):
    first = [
        FileEntry(b"d", DIRECTORY, 0o755, mtime_ns=OLD, **OWNER),
        FileEntry(b"d/f", FILE, 0o644, mtime_ns=OLD, **OWNER),
        FileEntry(b"d/link", EntryKind.HARD_LINK, 0o644, mtime_ns=OLD, link_target=b"d/f", **OWNER),
        FileEntry(b"e", DIRECTORY, 0o755, mtime_ns=OLD, **OWNER),
        FileEntry(b"e/f", FILE, 0o644, mtime_ns=OLD, **OWNER),
        FileEntry(b"gone", FILE, 0o644, **OWNER),
    ]
    contents = {b"d/f": b"one", b"e/f": b"two"}
    return [add_layer(store, first, contents), add_layer(store, [FileEntry(b"gone", EntryKind.WHITEOUT)])]


def commit(driver, rootfs):
    return driver.commit(rootfs, started_ns=0, is_reproducible=False)


def test_tree_is_the_union_with_its_hard_links(driver, chain):
    with driver.prepare(chain) as rootfs:
        assert sorted(os.listdir(rootfs.root)) == ["d", "e"]
        assert (rootfs.root / "d" / "f").stat().st_ino == (rootfs.root / "d" / "link").stat().st_ino
        assert (rootfs.root / "d").stat().st_mtime_ns == OLD


def test_writing_to_the_tree_never_reaches_a_layer(store, driver, chain):
    with driver.prepare(chain) as rootfs:
        (rootfs.root / "d" / "f").write_bytes(b"changed")
        layer = commit(driver, rootfs)
    with driver.prepare(chain) as rootfs:
        assert (rootfs.root / "d" / "f").read_bytes() == b"one"
    assert set(entries_of(store, layer.layer_id)) == {b"d", b"d/f", b"d/link"}


def test_only_changed_files_are_kept(store, driver, chain):
    with driver.prepare(chain) as rootfs:
        (rootfs.root / "e" / "new").write_bytes(b"new")
        layer = commit(driver, rootfs)
    found = [os.path.relpath(os.path.join(at, name), store.layers.fs_path(layer.layer_id))
             for at, names, files in os.walk(store.layers.fs_path(layer.layer_id)) for name in (*names, *files)]  # fmt: skip
    assert sorted(found) == ["e", "e/new"]


def test_directories_that_changed_places_are_told_apart(store, driver, chain):
    """Names, sizes and times of their files are equal: only the inodes of the directories differ."""
    with driver.prepare(chain) as rootfs:
        (rootfs.root / "d" / "link").unlink()
        (rootfs.root / "d").rename(rootfs.root / "t")
        (rootfs.root / "e").rename(rootfs.root / "d")
        (rootfs.root / "t").rename(rootfs.root / "e")
        layer = commit(driver, rootfs)
    entries = entries_of(store, layer.layer_id)
    assert entries[b"d/link"].kind is EntryKind.WHITEOUT
    fs = store.layers.fs_path(layer.layer_id)
    assert ((fs / "d" / "f").read_bytes(), (fs / "e" / "f").read_bytes()) == (b"two", b"one")


def test_file_with_its_time_set_back_is_seen(store, driver, chain):
    with driver.prepare(chain) as rootfs:
        (rootfs.root / "e" / "f").write_bytes(b"TWO")
        os.utime(rootfs.root / "e" / "f", ns=(OLD, OLD))
        layer = commit(driver, rootfs)
    assert b"e/f" in entries_of(store, layer.layer_id)


def test_deleted_directory_is_one_whiteout(store, driver, chain):
    with driver.prepare(chain) as rootfs:
        (rootfs.root / "e" / "f").unlink()
        (rootfs.root / "e").rmdir()
        layer = commit(driver, rootfs)
    assert {path: entry.kind for path, entry in entries_of(store, layer.layer_id).items()} == {b"e": EntryKind.WHITEOUT}


def test_stubs_are_removed(store, driver, chain):
    with driver.prepare(chain) as rootfs:
        (rootfs.root / "d" / "stub").write_bytes(b"")
        (rootfs.root / "proc").mkdir()
        layer = driver.commit(rootfs, started_ns=0, is_reproducible=False, stubs=(b"d/stub", b"proc"))
    assert layer.entry_count == 0
