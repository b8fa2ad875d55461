from __future__ import annotations

import os

import pytest

from jettison.reference import parse_reference
from jettison.store.gc import CollectPolicy, collect, sweep
from jettison.store.history import BuildEntry
from jettison.store.images import KnownBlob
from jettison.store.root import mount_lock
from jettison.store.usage import usage

NO_CACHE = CollectPolicy(keep_cache=False, keep_untagged=False)


@pytest.fixture
def fill(reopen, add_layer, add_image):
    """Fill the store and close it, so that no lease is alive."""

    def filling():
        with reopen() as store:
            blob = store.blobs.put_bytes(b"blob" * 1000)
            stray = store.blobs.put_bytes(b"stray")
            held = store.blobs.put_bytes(b"content of base")
            base = add_layer(store, "base", size=10_000, blobs=(held,))
            top = add_layer(store, "top", depends_on=(base,))
            untagged = add_layer(store, "untagged")
            cached = add_layer(store, "cached", size=50_000)
            lost = add_layer(store, "lost")
            known = KnownBlob(digest=blob, size_bytes=4000, media_type="x")
            app = add_image(store, "app", top, blobs=(known,))
            old = add_image(store, "old", untagged)
            store.sync()
            store.images.tag(parse_reference("app"), app.image_id)
            store.records.put("key", b"result " + cached.encode(), b"pre")
            return {
                "blob": blob,
                "stray": stray,
                "held": held,
                "base": base,
                "top": top,
                "untagged": untagged,
                "cached": cached,
                "lost": lost,
                "app": app.image_id,
                "old": old.image_id,
            }

    return filling


def _present(store, names):
    things = {*store.layers.ids(), *store.blobs.digests(), *store.images.ids()}
    return {name for name, digest in names.items() if digest in things}


def test_collect_removes_only_what_nothing_reaches(store, fill, root):
    names = fill()
    collected = collect(store)
    assert _present(store, names) == {"blob", "held", "base", "top", "untagged", "cached", "app", "old"}
    assert {removal.name for removal in collected.removals} == {names["stray"], names["lost"]}
    assert all(removal.reason for removal in collected.removals)
    assert collected.size_bytes > 0
    assert collected.left == 0
    assert os.listdir(root / "trash") == []


def test_collect_without_cache_keeps_tagged_images_whole(store, fill):
    names = fill()
    collect(store, NO_CACHE)
    assert _present(store, names) == {"blob", "held", "base", "top", "app"}
    assert store.records.get("key") is None


def test_collect_of_an_untagged_image_takes_its_layers(store, fill):
    names = fill()
    store.images.untag(parse_reference("app"))
    collect(store, NO_CACHE)
    assert _present(store, names) == set()


def test_dry_run_says_the_same_and_does_nothing(store, fill):
    names = fill()
    before = store.generation()
    told = collect(store, CollectPolicy(keep_cache=False, keep_untagged=False, is_dry_run=True))
    assert _present(store, names) == set(names)
    assert store.generation() == before
    assert told.removals == collect(store, NO_CACHE).removals


def test_what_an_open_store_looked_at_stays(store, fill, reopen):
    names = fill()
    with reopen() as other:
        assert other.layers.has(names["lost"])
        assert other.layers.has(names["cached"])
        assert other.blobs.has(names["stray"])
        assert other.images.get(names["old"])
        collect(store, NO_CACHE)
        assert _present(store, names) == set(names)
    collect(store, NO_CACHE)
    assert _present(store, names) == {"blob", "held", "base", "top", "app"}


def test_what_an_open_store_looked_for_in_vain_stays_when_it_comes(store, reopen, add_layer):
    with reopen() as other:
        layer = add_layer(other, "late")
        collect(store, NO_CACHE)
        assert other.layers.has(layer)


def test_own_lease_counts_too(store, add_layer):
    layer = add_layer(store, "mine")
    collect(store, NO_CACHE)
    assert store.layers.has(layer)


def test_containers_keep_what_their_records_name(store, fill):
    names = fill()
    (store.container_dir("c1") / "container.json").write_text(
        f'{{"image": "{names["old"]}", "top": "{names["lost"]}"}}'
    )
    collect(store, NO_CACHE)
    assert {"old", "untagged", "lost"} <= _present(store, names)


def test_generation_changes_only_when_something_went(store, fill):
    fill()
    before = store.generation()
    collect(store)
    after = store.generation()
    assert after != before
    collect(store)
    assert store.generation() == after


def test_staging_of_the_living_stays_and_of_the_dead_goes(store, root, reopen):
    (root / "tmp" / ("0" * 16 + "-dead")).mkdir()
    (root / "tmp" / "strange").write_text("")
    with reopen() as other, other.layers.stage() as staged, other.blobs.writer() as writer:
        assert sweep(store) == 2
        writer.write(b"x")
        assert writer.commit()
        assert staged.path.is_dir()
    assert sweep(store) == 0
    assert os.listdir(root / "tmp") == []


def test_files_of_dead_leases_go(store, root):
    (root / "locks" / "leases" / ("0" * 16)).write_text("junk")
    collect(store)
    assert not (root / "locks" / "leases" / ("0" * 16)).exists()


def test_cap_drops_the_least_recently_used_first(store, reopen, add_layer):
    with reopen() as other:
        for name in ("a", "b", "c", "d"):
            layer = add_layer(other, name, size=1 << 20)
            other.records.put(name, layer.encode(), b"")
        other.records.get("a")
    fixed = usage(store).size_bytes - 4 * (1 << 20)
    collected = collect(store, CollectPolicy(max_bytes=fixed + 2 * (1 << 20) + (1 << 19)))
    assert sorted(key for key, _ in store.records.items()) == ["a", "d"]
    assert not collected.is_over_cap
    assert len(list(store.layers.ids())) == 2
    assert usage(store).size_bytes <= fixed + 2 * (1 << 20) + (1 << 19)


def test_cap_takes_mounts_of_nobody_and_says_when_it_is_not_enough(store, fill):
    names = fill()
    free, used = store.mount_path("free"), store.mount_path("used")
    for path in (free, used):
        path.mkdir()
        (path / "file").write_bytes(b"x" * 100_000)
    with store.locks.shared(mount_lock(used)):
        collected = collect(store, CollectPolicy(max_bytes=1))
    assert collected.is_over_cap
    assert collected.kept_bytes > 1
    assert not free.exists()
    assert used.exists()
    assert _present(store, names) == {"blob", "held", "base", "top", "app"}


def test_cap_that_is_kept_removes_nothing_reachable(store, fill):
    names = fill()
    collected = collect(store, CollectPolicy(max_bytes=1 << 40))
    assert _present(store, names) == {"blob", "held", "base", "top", "untagged", "cached", "app", "old"}
    assert 0 < collected.kept_bytes < 1 << 40
    assert not collected.is_over_cap


def test_mounts_go_on_request(store):
    store.mount_path("x").mkdir()
    assert collect(store).removals == ()
    assert store.mount_path("x").exists()
    collect(store, CollectPolicy(keep_mounts=False))
    assert not store.mount_path("x").exists()


def test_old_builds_and_their_logs_go_on_request(store):
    for number in range(4):
        store.history.add_build(BuildEntry(build_id=f"b{number}", started=number, seconds=1.0, status="succeeded"))
        (store.log_dir(f"b{number}") / "1.log").write_text("output")
    collect(store)
    assert len(store.history.list_builds()) == 4
    collect(store, CollectPolicy(keep_builds=2))
    assert [entry.build_id for entry in store.history.list_builds()] == ["b3", "b2"]
    assert sorted(os.listdir(store.path / "logs")) == ["b2", "b3"]


def test_remains_of_a_power_cut_go(store, fill, root):
    names = fill()
    (store.layers.path(names["lost"]) / "synced").unlink()
    store.blobs.path(names["stray"]).chmod(0o644)
    (store.layers.path(names["cached"]) / "synced").unlink()
    reasons = {removal.reason for removal in collect(store).removals}
    assert reasons == {"it is not whole (the machine went down before it was on the disk)"}
    assert _present(store, names) == {"blob", "held", "base", "top", "untagged", "app", "old"}
    assert not store.layers.path(names["cached"]).exists()


def test_usage_tells_the_kinds_apart(store, fill, root):
    fill()
    (store.log_dir("b") / "1.log").write_bytes(b"x" * 10_000)
    store.mount_path("m").mkdir()
    (store.mount_path("m") / "f").write_bytes(b"x" * 20_000)
    (root / "trash" / "f").write_bytes(b"x" * 30_000)
    told = usage(store)
    assert told.images.count == 2
    assert told.build_cache.count == 1
    assert told.build_cache.size_bytes >= 50_000
    assert told.blobs.count == 3
    assert told.logs.size_bytes >= 10_000
    assert told.cache_mounts.reclaimable_bytes >= 20_000
    assert told.unfinished.reclaimable_bytes >= 30_000
    assert told.layer_count == 5
    assert told.size_bytes == sum(category.size_bytes for category in told.categories)
    assert 0 < told.reclaimable_bytes < told.size_bytes


def test_usage_counts_a_shared_file_once(store, add_layer):
    one, two = add_layer(store, "one", size=1 << 20), add_layer(store, "two")
    os.link(store.layers.pack_path(one), store.layers.pack_path(two))
    assert usage(store).build_cache.size_bytes < 2 * (1 << 20)
