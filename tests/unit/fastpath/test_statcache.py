from __future__ import annotations

import marshal

import pytest

from jettison.fastpath.statcache import StatCache, is_racy

FACTS = (0o100644, 3, 1_000_000_000_123_456_789, 1_000_000_000_123_456_789, 11, 22)
LONG_AFTER = FACTS[3] + 10**10
DIGEST = b"d" * 32


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "cache")


def filled(path):
    cache = StatCache(path)
    cache.put(b"a", FACTS, DIGEST, began_ns=LONG_AFTER)
    cache.save()
    return path


def test_digest_survives_while_all_facts_are_the_same(path):
    cache = StatCache(filled(path))
    assert cache.get(b"a", FACTS) == DIGEST
    for at in range(6):
        changed = tuple(value + (index == at) for index, value in enumerate(FACTS))
        assert cache.get(b"a", changed) is None
    assert cache.get(b"b", FACTS) is None


def test_missing_file_is_an_empty_cache(path):
    assert len(StatCache(path)) == 0


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda data: b"", id="empty"),
        pytest.param(lambda data: data[:-1], id="truncated"),
        pytest.param(lambda data: data[:-1] + bytes([data[-1] ^ 1]), id="bit-flip"),
        pytest.param(lambda data: data.replace(b"cpython-", b"cpython-9"), id="other-python"),
        pytest.param(lambda data: b"garbage" * 100, id="garbage"),
        pytest.param(lambda data: data[:40], id="header-only"),
    ],
)
def test_damaged_file_counts_as_empty(path, damage):
    filled(path)
    with open(path, "rb") as file:
        data = file.read()
    with open(path, "wb") as file:
        file.write(damage(data))
    assert len(StatCache(path)) == 0


def test_file_that_holds_no_dictionary_counts_as_empty(path):
    from jettison.fastpath import statcache

    payload = marshal.dumps([1, 2])
    with open(path, "wb") as file:
        file.write(statcache._HEADER + statcache.sha256(payload).digest() + payload)
    assert len(StatCache(path)) == 0


@pytest.mark.parametrize(
    ("after_ns", "expected"), [(0, True), (100_000_000, True), (100_000_001, False), (-(10**12), True)]
)
def test_file_written_within_the_clock_tick_before_reading_is_racy(after_ns, expected):
    assert is_racy(FACTS, FACTS[3] + after_ns) is expected


def test_whole_seconds_mean_a_coarse_clock():
    facts = (0o100644, 3, 5_000_000_000, 5_000_000_000, 1, 1)
    assert is_racy(facts, 7_000_000_000)
    assert not is_racy(facts, 7_200_000_000)


def test_racy_file_is_not_kept_and_replaces_an_older_digest(path):
    cache = StatCache(filled(path))
    cache.put(b"a", FACTS, b"e" * 32, began_ns=FACTS[3])
    assert cache.get(b"a", FACTS) is None
    cache.save()
    assert StatCache(path).get(b"a", FACTS) is None


def test_nothing_new_writes_nothing(path, tmp_path):
    cache = StatCache(filled(path))
    (tmp_path / "cache").unlink()
    cache.save()
    assert not (tmp_path / "cache").exists()


def test_files_that_are_gone_are_forgotten(path):
    cache = StatCache(filled(path))
    cache.forget_all_but({b"b"})
    assert cache.is_dirty
    assert len(cache) == 0


def test_save_leaves_no_other_file_and_is_private(path, tmp_path):
    filled(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["cache"]
    assert (tmp_path / "cache").stat().st_mode & 0o777 == 0o600


def test_failed_save_leaves_no_temporary_file(tmp_path):
    (tmp_path / "cache").mkdir()
    cache = StatCache(str(tmp_path / "cache"))
    cache.put(b"a", FACTS, DIGEST, began_ns=LONG_AFTER)
    with pytest.raises(OSError):
        cache.save()
    assert [entry.name for entry in tmp_path.iterdir()] == ["cache"]
