import pytest

from jettison.digest import DiffId
from jettison.oci.assemble import assemble_config, match_history
from jettison.oci.config import HistoryEntry, ImageConfig
from jettison.oci.timestamp import clamp_time, format_time, parse_time
from jettison.platform import Platform

IDS = tuple(DiffId("sha256:" + digit * 64) for digit in "abc")
BASE = ImageConfig(
    platform=Platform(os="linux", architecture="amd64"),
    diff_ids=IDS[:1],
    history=(HistoryEntry(created="2030-01-01T00:00:00Z", created_by="base"),),
    created="2030-01-01T00:00:00Z",
)
NOW = "2026-11-23T06:00:00.5Z"


def test_layers_history_and_time_are_added():
    added = (
        HistoryEntry(created_by="ENV A=1", is_empty_layer=True),
        HistoryEntry(created="2026-01-01T00:00:00Z", created_by="COPY"),
    )
    made = assemble_config(BASE, diff_ids=IDS[:2], history=added, created=NOW)
    assert made.diff_ids == IDS[:2]
    assert [(line.created_by, line.created) for line in made.history] == [
        ("base", "2030-01-01T00:00:00Z"),
        ("ENV A=1", NOW),
        ("COPY", "2026-01-01T00:00:00Z"),
    ]
    assert made.created == NOW


def test_epoch_clamps_everything_but_the_lines_of_the_base():
    added = (HistoryEntry(created_by="new"), HistoryEntry(created="1999-01-01T00:00:00Z", is_empty_layer=True))
    made = assemble_config(BASE, diff_ids=IDS[:2], history=added, created=NOW, epoch=1_700_000_000)
    assert made.created == "2023-11-14T22:13:20Z"
    assert [line.created for line in made.history] == [
        "2030-01-01T00:00:00Z",
        "2023-11-14T22:13:20Z",
        "1999-01-01T00:00:00Z",
    ]


@pytest.mark.parametrize(
    ("empty", "count", "expected"),
    [("", 2, "LL"), ("LL", 2, "LL"), ("LLL", 1, "LEE"), ("ELE", 3, "ELELL"), ("LE", 0, "EE")],
)
def test_history_is_made_to_fit_the_layers(empty, count, expected):
    lines = match_history([HistoryEntry(is_empty_layer=mark == "E") for mark in empty], count, NOW)
    assert "".join("E" if line.is_empty_layer else "L" for line in lines) == expected
    assert all(line.created == NOW for line in lines[len(empty) :])


@pytest.mark.parametrize(
    ("text", "seconds", "nanoseconds"),
    [
        ("1970-01-01T00:00:00Z", 0, 0),
        ("2023-11-14T22:13:20.123456789Z", 1_700_000_000, 123_456_789),
        ("2023-11-14T23:13:20.5+01:00", 1_700_000_000, 500_000_000),
        ("2023-11-14T17:13:20-05:00", 1_700_000_000, 0),
        ("1969-12-31T23:59:59Z", -1, 0),
        ("0001-01-01T00:00:00Z", -62_135_596_800, 0),
        ("2016-12-31T23:59:60Z", 1_483_228_800, 0),
    ],
)
def test_times_are_read(text, seconds, nanoseconds):
    assert parse_time(text) == (seconds, nanoseconds)


def test_times_are_written():
    assert format_time(1_700_000_000) == "2023-11-14T22:13:20Z"
    assert format_time(1_700_000_000, 120_000_000) == "2023-11-14T22:13:20.12Z"
    assert format_time(-62_135_596_800) == "0001-01-01T00:00:00Z"
    with pytest.raises(ValueError):
        format_time(1 << 60)


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2023-13-01T00:00:00Z", "2023-01-01", "2023-01-01T00:00:00", "٢023-01-01T00:00:00Z"]
)
def test_what_is_no_time_is_refused_and_clamped(text):
    with pytest.raises(ValueError):
        parse_time(text)
    assert clamp_time(text, 5) == "1970-01-01T00:00:05Z"
    assert clamp_time(text, None) == text


def test_clamping_is_exact():
    assert clamp_time("1970-01-01T00:00:05Z", 5) == "1970-01-01T00:00:05Z"
    assert clamp_time("1970-01-01T00:00:05.000000001Z", 5) == "1970-01-01T00:00:05Z"
    assert clamp_time("1970-01-01T00:00:04.9Z", 5) == "1970-01-01T00:00:04.9Z"
