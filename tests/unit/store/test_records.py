from __future__ import annotations

import sqlite3
import threading

import pytest

from jettison.errors import StoreError
from jettison.store.history import BuildEntry
from jettison.store.records import digests_in

A = "sha256:" + "a" * 64
B = "sha256:" + "b" * 64


def test_put_get_delete(store):
    assert store.records.get("k") is None
    store.records.put("k", b"one", b"pre")
    store.records.put("k", b"two", b"pre")
    assert store.records.get("k") == b"two"
    assert store.records.delete("k")
    assert not store.records.delete("k")
    assert store.records.get("k") is None


def test_records_outlive_the_store(store, reopen):
    store.records.put("k", b"\0\xff", b"")
    with reopen() as other:
        assert other.records.get("k") == b"\0\xff"


def test_items_are_sorted_and_complete_over_pages(store):
    for number in range(1_203):
        store.records.put(f"{number:05}", b"%d" % number, b"")
    assert list(store.records.items()) == [(f"{number:05}", b"%d" % number) for number in range(1_203)]


def test_find_preimages_matches_the_whole_prefix_newest_first(store):
    long = b"run\0" + b"x" * 100
    store.records.put("1", b"", long + b"1")
    store.records.put("2", b"", long + b"2")
    store.records.put("3", b"", b"copy")
    store.records.put("4", b"", b"run\xff\xff")
    assert [record.key for record in store.records.find_preimages(long)] == ["2", "1"]
    assert [record.key for record in store.records.find_preimages(b"run")] == ["4", "2", "1"]
    assert [record.key for record in store.records.find_preimages(b"")] == ["4", "3", "2", "1"]
    assert [record.key for record in store.records.find_preimages(b"run\xff\xff\xff")] == []
    assert [record.preimage for record in store.records.find_preimages(b"run", limit=1)] == [b"run\xff\xff"]


def test_created_comes_from_the_clock(store, reopen):
    with reopen(clock=lambda: 1_700_000_000.5) as other:
        other.records.put("k", b"", b"")
    assert [record.created for record in store.records.find_preimages(b"")] == [1_700_000_000.5]


def test_reading_counts_as_use(store):
    for key in ("a", "b", "c"):
        store.records.put(key, key.encode(), b"")
    store.records.get("a")
    assert [key for key, _ in store.records.newest_first()] == ["a", "c", "b"]


def test_digests_are_found_in_values_of_any_encoding(store):
    assert digests_in(f'{{"layer":"{A}"}}'.encode() + b"\x8cG" + B.encode() + b"\x94") == {A, B}
    assert digests_in(b"sha256:" + b"a" * 65) == frozenset()
    assert digests_in(b"") == frozenset()


def test_threads_have_connections_of_their_own(store):
    errors = []

    def work(number):
        try:
            for turn in range(20):
                store.records.put(f"{number}-{turn}", b"x", b"")
                assert store.records.get(f"{number}-{turn}") == b"x"
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(list(store.records.items())) == 120


def test_damaged_database_is_told_with_what_is_lost(root, reopen):
    with reopen():
        pass
    (root / "db.sqlite").write_bytes(b"this is no database at all" * 100)
    with reopen() as other, pytest.raises(StoreError) as caught:
        other.records.get("k")
    assert caught.value.slug == "store-database"
    assert str(root / "db.sqlite") in caught.value.hint
    assert "images stay" in caught.value.hint


def test_database_of_a_newer_version_is_refused(root, store, reopen):
    store.records.put("k", b"", b"")
    connection = sqlite3.connect(root / "db.sqlite")
    connection.execute("PRAGMA user_version = 2")
    connection.close()
    with reopen() as other, pytest.raises(StoreError) as caught:
        other.records.get("k")
    assert caught.value.slug == "store-database"


def test_history_lists_the_newest_first(store):
    entries = [
        BuildEntry(
            build_id=f"b{number}",
            started=float(number),
            seconds=1.5,
            status="succeeded",
            tags=("app:1", "app:2"),
            target="web",
            image_id=A,
            steps='[{"name":"RUN x"}]',
        )
        for number in range(3)
    ]
    for entry in entries:
        store.history.add_build(entry)
    assert store.history.list_builds() == entries[::-1]
    assert store.history.list_builds(limit=1) == [entries[2]]
    assert store.history.get_build("b1") == entries[1]
    assert store.history.get_build("none") is None
    assert store.history.remove_builds(["b0", "none"]) == 1
    assert len(store.history.list_builds()) == 2


def test_close_with_a_damaged_database_ends_the_lease_all_the_same(root, reopen):
    with reopen() as other:
        other.blobs.put_bytes(b"x")
        assert len(list((root / "locks" / "leases").iterdir())) == 1
    assert list((root / "locks" / "leases").iterdir()) == []
