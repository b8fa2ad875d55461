"""Every spelling of a reference means the same image."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jettison.reference import parse_reference

PARTS = st.sampled_from(["library", "docker.io", "index.docker.io", "localhost", "gcr.io", "a", "b_c", "x.y", "a--b"])
NAMES = st.lists(PARTS, min_size=1, max_size=4).map("/".join)
TAGS = st.sampled_from(["", ":v1", "@sha256:" + "0" * 64, ":v1@sha256:" + "0" * 64])


@given(NAMES, TAGS)
def test_full_and_short_spelling_mean_the_same(name, tag):
    reference = parse_reference(name + tag)
    assert parse_reference(str(reference)) == reference
    assert parse_reference(reference.familiar) == reference


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("docker.io/library/node:22", "node:22"),
        ("docker.io/me/app", "me/app:latest"),
        ("library/gcr.io/a/b", "library/gcr.io/a/b:latest"),
        ("docker.io/x.y/b", "docker.io/x.y/b:latest"),
        ("docker.io/localhost/b", "docker.io/localhost/b:latest"),
        ("gcr.io/library/a", "gcr.io/library/a:latest"),
    ],
)
def test_short_spelling_is_short_only_where_it_is_clear(text, short):
    assert parse_reference(text).familiar == short
