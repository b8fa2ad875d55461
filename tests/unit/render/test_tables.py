"""Byte counts, ages and columns as people read them."""

from __future__ import annotations

import pytest

from jettison.render.tables import age, size, table


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0B"),
        (999, "999B"),
        (1000, "1.00kB"),
        (12_345, "12.3kB"),
        (999_999_999, "1000MB"),
        (5_000_000_000, "5.00GB"),
        (10**18, "1000PB"),
    ],
)
def test_size_has_three_digits(count: int, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0 seconds ago"),
        (1, "1 second ago"),
        (119, "119 seconds ago"),
        (120, "2 minutes ago"),
        (7200, "2 hours ago"),
        (86400 * 3, "3 days ago"),
        (86400 * 30, "4 weeks ago"),
        (86400 * 90, "3 months ago"),
        (86400 * 365 * 3, "3 years ago"),
    ],
)
def test_age_is_told_in_one_unit(seconds: int, text: str) -> None:
    assert age(1000.0, 1000.0 + seconds) == text


def test_age_of_an_unknown_time() -> None:
    assert age(None, 5.0) == "N/A"


def test_table_aligns_and_cleans() -> None:
    assert table(("A", "LONG"), [("x" * 5, "1"), ("y\x1b[2J", "2")]) == "A       LONG\nxxxxx   1\ny       2\n"
