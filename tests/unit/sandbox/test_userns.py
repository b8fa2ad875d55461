from __future__ import annotations

import pytest

from jettison.sandbox.userns import HostIds, IdRange, id_map, parse_ranges, pick_id_mode

RANGE = (IdRange(start=100_000, count=65_536),)


def test_ranges_are_found_by_name_and_by_number():
    text = "# comment\nann:100000:65536\n1000:300000:10\nbob:1:2\nann:x:1\nann:5\nann:7:0\n"
    assert parse_ranges(text, name="ann", uid=1000) == (*RANGE, IdRange(start=300_000, count=10))
    assert parse_ranges(text, name="", uid=7) == ()


def test_map_of_an_ordinary_user_starts_with_itself():
    ranges = (IdRange(start=100_000, count=10), IdRange(start=500_000, count=5))
    assert id_map(1000, ranges, is_root=False) == ((0, 1000, 1), (1, 100_000, 10), (11, 500_000, 5))


def test_map_of_a_contained_root_keeps_the_numbers():
    assert id_map(0, (IdRange(start=0, count=65_536),), is_root=True) == ((0, 0, 65_536),)


@pytest.mark.parametrize(
    ("ids", "mode"),
    [
        pytest.param(HostIds(uid=0, gid=0, has_admin=True), "root", id="root"),
        pytest.param(HostIds(uid=0, gid=0, uid_ranges=RANGE, gid_ranges=RANGE), "subids", id="root without rights"),
        pytest.param(
            HostIds(uid=0, gid=0, uid_ranges=RANGE, gid_ranges=RANGE, has_admin=True, is_initial_namespace=False),
            "subids",
            id="root of a namespace",
        ),
        pytest.param(HostIds(uid=5, gid=5, uid_ranges=RANGE, gid_ranges=RANGE), "subids", id="user with ranges"),
        pytest.param(HostIds(uid=5, gid=5, uid_ranges=RANGE), "single", id="user with half the ranges"),
        pytest.param(HostIds(uid=5, gid=5), "single", id="user without"),
    ],
)
def test_mode_is_the_best_that_the_ids_allow(ids, mode):
    assert pick_id_mode(ids) == mode
