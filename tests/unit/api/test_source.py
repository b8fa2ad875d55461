"""Which Dockerfile a request means, and which epoch."""

from __future__ import annotations

import subprocess

import pytest

from jettison.api.request import BuildRequest
from jettison.api.source import find_dockerfile, find_epoch, read_dockerfile
from jettison.errors import ContextError, DockerfileError, HostError, UsageError
from jettison.limits import DEFAULT_LIMITS, Limits


def request(context, **fields):
    return BuildRequest(context=context, **fields)


def test_the_usual_names_are_tried_in_order(tmp_path):
    (tmp_path / "dockerfile").write_text("FROM scratch\n")
    assert find_dockerfile(request(tmp_path)) == tmp_path / "dockerfile"
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    assert find_dockerfile(request(tmp_path)) == tmp_path / "Dockerfile"


def test_a_given_path_counts_from_the_caller_then_from_the_context(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    context = tmp_path / "context"
    context.mkdir()
    (context / "build.Dockerfile").write_text("FROM scratch\n")
    from pathlib import Path

    assert find_dockerfile(request(context, dockerfile=Path("build.Dockerfile"))) == context / "build.Dockerfile"
    (tmp_path / "build.Dockerfile").write_text("FROM scratch\n")
    assert find_dockerfile(request(context, dockerfile=Path("build.Dockerfile"))) == Path("build.Dockerfile")


def test_text_needs_no_file(tmp_path):
    given = request(tmp_path / "missing", dockerfile_text="FROM scratch\n")
    assert find_dockerfile(given) is None
    assert read_dockerfile(given, None, DEFAULT_LIMITS).source.name == "-"


@pytest.mark.parametrize(("path", "slug"), [(None, "no-dockerfile"), ("nope", "no-dockerfile")])
def test_a_missing_dockerfile_is_told(tmp_path, path, slug):
    with pytest.raises(ContextError) as caught:
        find_dockerfile(request(tmp_path, dockerfile=tmp_path / path if path else None))
    assert caught.value.slug == slug


def test_a_missing_context_is_told(tmp_path):
    with pytest.raises(ContextError) as caught:
        find_dockerfile(request(tmp_path / "nope"))
    assert "is not a directory" in caught.value.message


def test_a_dockerfile_that_is_no_text_or_too_large_is_refused(tmp_path):
    path = tmp_path / "Dockerfile"
    path.write_bytes(b"FROM scratch\n# caf\xe9\n")
    with pytest.raises(DockerfileError) as caught:
        read_dockerfile(request(tmp_path), path, DEFAULT_LIMITS)
    assert (caught.value.slug, caught.value.message.split()[:2]) == ("dockerfile-encoding", ["line", "2"])
    path.write_text("FROM scratch\n")
    assert read_dockerfile(request(tmp_path), path, Limits(dockerfile_bytes=13)).instructions
    with pytest.raises(DockerfileError) as caught:
        read_dockerfile(request(tmp_path), path, Limits(dockerfile_bytes=12))
    assert caught.value.slug == "dockerfile-too-large"
    with pytest.raises(ContextError):
        read_dockerfile(request(tmp_path), tmp_path, DEFAULT_LIMITS)


@pytest.mark.parametrize(
    ("fields", "environment", "epoch"),
    [
        ({}, {}, None),
        ({}, {"SOURCE_DATE_EPOCH": "5"}, 5),
        ({"source_date_epoch": 7}, {"SOURCE_DATE_EPOCH": "5"}, 7),
        ({"build_args": {"SOURCE_DATE_EPOCH": "9"}}, {"SOURCE_DATE_EPOCH": "5"}, 9),
        ({"build_args": {"SOURCE_DATE_EPOCH": None}}, {"SOURCE_DATE_EPOCH": "5"}, 5),
        ({"build_args": {"SOURCE_DATE_EPOCH": "context"}}, {}, None),
        ({"is_reproducible": True}, {"SOURCE_DATE_EPOCH": "5"}, 5),
    ],
)
def test_the_epoch_is_the_first_that_is_said(tmp_path, fields, environment, epoch):
    assert find_epoch(request(tmp_path, **fields), environment) == epoch


def test_an_epoch_that_is_no_number_is_refused(tmp_path):
    with pytest.raises(UsageError):
        find_epoch(request(tmp_path), {"SOURCE_DATE_EPOCH": "yesterday"})


def test_reproducible_takes_the_time_of_the_last_commit(tmp_path):
    with pytest.raises(HostError):
        find_epoch(request(tmp_path, is_reproducible=True), {})
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
        **{
            f"GIT_{who}_{what}": value
            for who in ("AUTHOR", "COMMITTER")
            for what, value in (("NAME", "n"), ("EMAIL", "e@x"), ("DATE", "1700000000 +0000"))
        },
    }
    for words in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "one"]):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True, env=environment)
    assert find_epoch(request(tmp_path, is_reproducible=True), {}) == 1_700_000_000
