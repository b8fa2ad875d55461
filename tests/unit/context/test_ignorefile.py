from __future__ import annotations

import os

import pytest

from jettison.context.ignorefile import find_ignore_file
from jettison.errors import ContextError
from jettison.limits import DEFAULT_LIMITS, Limits


@pytest.fixture
def context(tmp_path):
    path = tmp_path / "context"
    path.mkdir()
    return path


def test_file_beside_the_dockerfile_wins(context, tmp_path):
    (context / ".dockerignore").write_text("a\n")
    dockerfile = tmp_path / "app.Dockerfile"
    (tmp_path / "app.Dockerfile.dockerignore").write_text("b\n")
    found = find_ignore_file(context, dockerfile, limits=DEFAULT_LIMITS)
    assert found.path == tmp_path / "app.Dockerfile.dockerignore"
    assert found.rules is not None
    assert found.rules.is_excluded(b"b")
    assert not found.rules.is_excluded(b"a")


def test_file_of_the_context_is_next(context):
    (context / ".dockerignore").write_text("a\n")
    found = find_ignore_file(context, context / "Dockerfile", limits=DEFAULT_LIMITS)
    assert found.path == context / ".dockerignore"
    assert found.candidates == (context / "Dockerfile.dockerignore", context / ".dockerignore")


def test_empty_file_beside_the_dockerfile_still_wins(context):
    (context / ".dockerignore").write_text("a\n")
    (context / "Dockerfile.dockerignore").write_text("")
    assert find_ignore_file(context, context / "Dockerfile", limits=DEFAULT_LIMITS).rules is None


def test_no_file_means_no_rules(context):
    found = find_ignore_file(context, None, limits=DEFAULT_LIMITS)
    assert (found.path, found.rules, found.data) == (None, None, b"")


def test_symlink_inside_the_context_is_fine(context):
    (context / "rules").write_text("a\n")
    (context / ".dockerignore").symlink_to("rules")
    assert find_ignore_file(context, None, limits=DEFAULT_LIMITS).rules is not None


def slug_of(context, limits=DEFAULT_LIMITS):
    with pytest.raises(ContextError) as caught:
        find_ignore_file(context, None, limits=limits)
    return caught.value.slug


def test_symlink_out_of_the_context_is_refused(context, tmp_path):
    (tmp_path / "secret").write_text("a\n")
    (context / ".dockerignore").symlink_to("../secret")
    assert slug_of(context) == "ignore-outside"


def test_dangling_symlink_fifo_and_large_file_are_refused(context):
    ignore = context / ".dockerignore"
    ignore.symlink_to("missing")
    assert slug_of(context) == "ignore-unreadable"
    ignore.unlink()
    os.mkfifo(ignore)
    assert slug_of(context) == "ignore-unreadable"
    ignore.unlink()
    ignore.write_text("a" * 11)
    assert slug_of(context, Limits(dockerfile_bytes=10)) == "ignore-unreadable"
    assert find_ignore_file(context, None, limits=Limits(dockerfile_bytes=11)).rules is not None


def test_malformed_line_is_named(context):
    (context / ".dockerignore").write_text("ok\na[\n")
    with pytest.raises(ContextError, match=r"line 2 of '.*\.dockerignore', 'a\[', is malformed") as caught:
        find_ignore_file(context, None, limits=DEFAULT_LIMITS)
    assert caught.value.slug == "ignore-syntax"
