from __future__ import annotations

import json
import os
import stat

import pytest

from jettison.errors import StoreError
from jettison.store.disk import boot_id, network_name
from jettison.store.ledger import Note
from jettison.store.root import container_lock, mount_lock, open_store


def test_open_makes_the_directories_with_private_modes_whatever_the_umask(root):
    before = os.umask(0o777)
    try:
        open_store(root, id_mode="single").close()
    finally:
        os.umask(before)
    assert stat.S_IMODE(root.stat().st_mode) == 0o700
    assert stat.S_IMODE((root / "blobs" / "sha256").stat().st_mode) == 0o700
    assert stat.S_IMODE((root / "store.json").stat().st_mode) == 0o644


def test_open_is_repeatable_and_two_stores_may_be_open(root):
    with open_store(root, id_mode="single") as one, open_store(root, id_mode="single") as other:
        digest = one.blobs.put_bytes(b"shared")
        assert other.blobs.has(digest)


def test_open_refuses_another_id_mode(root):
    open_store(root, id_mode="root").close()
    with pytest.raises(StoreError) as caught:
        open_store(root, id_mode="subids")
    assert caught.value.slug == "store-mode"
    assert caught.value.message == f"the store '{root}' was made in id mode 'root', this process runs in 'subids'"
    assert caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('{"version": 99, "id_mode": "single"}', id="newer-version"),
        pytest.param("", id="empty"),
        pytest.param("[]", id="not-an-object"),
        pytest.param("{}", id="no-version"),
    ],
)
def test_open_refuses_a_store_file_it_does_not_know(root, text):
    open_store(root, id_mode="single").close()
    (root / "store.json").write_text(text)
    with pytest.raises(StoreError) as caught:
        open_store(root, id_mode="single")
    assert caught.value.slug == "store-mode"


def test_open_refuses_a_directory_with_files_of_others(root):
    root.mkdir()
    (root / "thesis.tex").write_text("years of work")
    with pytest.raises(StoreError) as caught:
        open_store(root, id_mode="single")
    assert caught.value.slug == "store-foreign"
    assert "thesis.tex" in caught.value.message
    assert os.listdir(root) == ["thesis.tex"]


def test_open_goes_on_with_a_half_made_store(root):
    (root / "layers").mkdir(parents=True)
    with open_store(root, id_mode="single") as store:
        assert list(store.layers.ids()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_open_in_a_place_without_rights_names_it(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError) as caught:
        open_store(tmp_path / "root", id_mode="single")
    assert caught.value.slug == "store-access"


def test_open_below_a_file_is_a_store_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError):
        open_store(tmp_path / "file" / "root", id_mode="single")


@pytest.mark.parametrize(("magic", "name"), [(0x6969, "NFS"), (0xFF534D42, "CIFS"), (0xEF53, None), (0x01021994, None)])
def test_network_file_systems_are_known_by_their_magic_number(magic, name):
    assert network_name(magic) == name


def test_generation_changes_with_each_bump_and_survives_reopening(store, reopen):
    seen = {store.generation()}
    for _ in range(5):
        store.bump_generation()
        assert store.generation() not in seen
        seen.add(store.generation())
    with reopen() as other:
        assert other.generation() == store.generation()


def test_generation_of_a_damaged_file_is_zero(store, root):
    store.bump_generation()
    (root / "generation").write_bytes(b"")
    assert store.generation() == 0


@pytest.mark.parametrize("name", ["../x", "", ".", "..", "a/b", "a\0b", "-x", ".hidden", "x" * 129, "a\n"])
def test_directories_of_logs_and_containers_take_plain_names_only(store, name):
    for make in (store.log_dir, store.container_dir):
        with pytest.raises(StoreError) as caught:
            make(name)
        assert caught.value.slug == "bad-name"


def test_directories_of_logs_and_containers_are_made(store, root):
    assert store.log_dir("b-1") == root / "logs" / "b-1"
    assert store.log_dir("b-1").is_dir()
    assert store.container_dir("x" * 64).is_dir()


@pytest.mark.parametrize("cache_id", ["/root/.cache", "../../etc", "", "ä\udcff", "x" * 10_000])
def test_ids_of_cache_mounts_are_hashed_and_never_paths(store, root, cache_id):
    path = store.mount_path(cache_id)
    assert path.parent == root / "mounts"
    assert len(path.name) == 64
    assert mount_lock(path) == f"mount/{path.name}"


def test_lock_of_a_container_carries_its_id():
    assert container_lock("abc") == "container/abc"


def test_what_was_not_synced_is_dropped_after_a_reboot(root, store, reopen, add_layer):
    synced = add_layer(store, "synced")
    blob = store.blobs.put_bytes(b"synced")
    store.sync()
    lost = add_layer(store, "lost")
    lost_blob = store.blobs.put_bytes(b"lost")
    generation = store.generation()
    _reboot(root)
    with reopen() as other:
        assert other.layers.has(synced)
        assert other.blobs.has(blob)
        assert not other.layers.has(lost)
        assert not other.blobs.has(lost_blob)
        assert not other.layers.path(lost).exists()
        assert not other.blobs.path(lost_blob).exists()
        assert other.generation() != generation
        assert os.listdir(root / "unsynced") == []


def test_what_lost_its_note_in_a_power_cut_is_not_trusted_either(root, store, reopen, add_layer):
    lost = add_layer(store, "lost")
    lost_blob = store.blobs.put_bytes(b"lost")
    for path in (root / "unsynced").glob("*/*"):
        path.unlink()
    with reopen() as other:
        assert not other.layers.has(lost)
        assert not other.blobs.has(lost_blob)
        assert lost not in set(other.layers.ids())
        assert lost_blob not in set(other.blobs.digests())


def test_what_a_power_cut_spoilt_is_replaced_by_the_next_writer(root, store, add_layer):
    layer = add_layer(store, "lost")
    blob = store.blobs.put_bytes(b"lost")
    for path in (root / "unsynced").glob("*/*"):
        path.unlink()
    store.layers.index_path(layer).write_bytes(b"")
    store.blobs.path(blob).write_bytes(b"")
    assert add_layer(store, "lost") == layer
    assert store.blobs.put_bytes(b"lost") == blob
    assert store.layers.index_path(layer).read_bytes() == b"lost"
    assert store.blobs.path(blob).read_bytes() == b"lost"


def test_materialised_tree_of_a_synced_layer_is_dropped_alone(root, store, reopen, add_layer):
    layer = add_layer(store, "base")
    store.sync()
    with store.layers.stage() as staged:
        (staged.path / "tree").mkdir()
        (staged.path / "tree" / "file").write_text("")
        store.layers.install_fs(layer, staged.path / "tree")
    assert store.layers.has_fs(layer)
    _reboot(root)
    with reopen() as other:
        assert other.layers.has(layer)
        assert not other.layers.has_fs(layer)
        assert not other.layers.fs_path(layer).exists()


def test_sync_makes_all_kinds_last_over_a_reboot(root, store, reopen, add_layer, add_image):
    layer = add_layer(store, "one", has_fs=True)
    record = add_image(store, "app", layer)
    with store.layers.stage() as staged:
        other_layer = add_layer(store, "two")
        (staged.path / "tree").mkdir()
        store.layers.install_fs(other_layer, staged.path / "tree")
    store.sync()
    store.sync()
    _reboot(root)
    with reopen() as other:
        assert other.layers.has_fs(layer)
        assert other.layers.has_fs(other_layer)
        assert other.images.get(record.image_id) == record


def test_boot_id_is_the_same_in_one_boot():
    assert boot_id() == boot_id()


def test_store_file_names_version_and_mode(root, store):
    assert json.loads((root / "store.json").read_text()) == {"version": 1, "id_mode": "single"}


def _reboot(root):
    for path in (root / "unsynced").iterdir():
        path.rename(root / "unsynced" / "an-earlier-boot")


def test_sync_leaves_the_note_of_a_thing_that_is_still_to_come(store, add_layer):
    store.core.ledger.note(Note("layer", "a" * 64))
    store.core.ledger.note(Note("blob", "b" * 64))
    add_layer(store, "other")
    store.sync()
    assert set(store.core.ledger.pending()) == {Note("layer", "a" * 64), Note("blob", "b" * 64)}


def test_a_sync_between_two_looks_does_not_hide_a_thing(store):
    note = Note("layer", "a" * 64)
    answers = iter([False, True])
    assert store.core.ledger.is_trusted(note, lambda: next(answers))
    assert not store.core.ledger.is_trusted(note, lambda: False)
