"""Mounts read again with variables, and sizes."""

from __future__ import annotations

import pytest

from jettison.dockerfile.mounts import expand_mount, parse_size
from jettison.dockerfile.nodes import Mount, Run
from jettison.dockerfile.parser import parse_instruction
from jettison.errors import DockerfileError

VARIABLES = {
    "KIND": "cache",
    "DIR": "/root/.cache",
    "ID": "7",
    "HOW": "locked",
    "YES": "true",
    "BAD": "maybe",
    "SIZE": "1g",
}


def a_mount(text: str) -> Mount:
    run = parse_instruction(f"RUN --mount={text} x", "Dockerfile")
    assert isinstance(run, Run)
    return run.mounts[0]


def texts(mount: Mount) -> dict[str, str]:
    names = ("target", "source", "from_stage", "id", "mode", "uid", "gid", "size", "env")
    return {name: word.text for name in names if (word := getattr(mount, name)) is not None}


def test_variables_may_stand_in_every_option_but_from() -> None:
    mount = a_mount("type=$KIND,target=$DIR/$ID,uid=$ID,sharing=$HOW,ro=$YES,from=base")
    assert mount.has_variables
    assert mount.kind == "bind"
    final = expand_mount(mount, VARIABLES)
    assert (final.kind, final.sharing, final.is_read_only, final.has_variables) == ("cache", "locked", True, False)
    assert texts(final) == {"target": "/root/.cache/7", "uid": "7", "from_stage": "base"}


def test_required_of_a_secret_may_be_a_variable() -> None:
    assert expand_mount(a_mount("type=secret,id=a,required=$YES"), VARIABLES).is_required


@pytest.mark.parametrize(
    ("text", "slug", "shown"),
    [
        pytest.param("type=$BAD,target=/x", "mount-type", "$BAD", id="type"),
        pytest.param("type=$KIND,target=/x,sharing=$BAD", "mount-sharing", "$BAD", id="sharing"),
        pytest.param("target=/x,ro=$BAD", "mount-value", "$BAD", id="boolean"),
        pytest.param("type=cache,target=/x,mode=$BAD", "mount-value", "$BAD", id="mode"),
        pytest.param("type=$KIND,target=/x,size=$SIZE", "mount-option", "size=$SIZE", id="size of a cache"),
        pytest.param("type=$KIND,target=/x,env=A", "mount-option", "A", id="env of a cache"),
        pytest.param("type=$NONE,target=/x,uid=$ID", "mount-type", "$NONE", id="type is empty"),
        pytest.param("target=${ID", "unclosed-brace", "${ID", id="syntax"),
        pytest.param("type=secret,id=$NONE", "mount-secret-id", "type=secret,id=$NONE", id="secret without id"),
    ],
)
def test_expanded_options_are_judged(text: str, slug: str, shown: str) -> None:
    mount = a_mount(text)
    with pytest.raises(DockerfileError) as caught:
        expand_mount(mount, VARIABLES)
    assert caught.value.slug == slug
    assert caught.value.span
    assert caught.value.span.text == shown


def test_options_that_the_kind_forbids_are_refused_before_their_variables_are_known() -> None:
    with pytest.raises(DockerfileError) as caught:
        a_mount("target=/x,uid=$ID")
    assert caught.value.slug == "mount-option"


def test_error_of_a_quoted_mount_shows_the_whole() -> None:
    mount = a_mount("target='/x y',type=$BAD")
    with pytest.raises(DockerfileError) as caught:
        expand_mount(mount, VARIABLES)
    assert caught.value.span
    assert caught.value.span.text == "target='/x y',type=$BAD"


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0), ("4096", 4096), ("64m", 64 << 20), ("64MB", 64 << 20), ("1.5GiB", 3 << 29), ("1 k", 1024), ("2b", 2),
        ("1t", 1 << 40), ("1p", 1 << 50), (".5k", 512), ("1.k", 1024), ("", None), ("m", None), ("-1", None), ("1x", None),
        ("1ib", None), ("1mm", None), ("1e3", None), ("\u0661", None),
    ],
)  # fmt: skip
def test_sizes(text: str, size: int | None) -> None:
    assert parse_size(text) == size
