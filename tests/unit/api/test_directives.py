"""Directives: a syntax that is not ours is refused, checks choose which warnings count."""

from __future__ import annotations

import pytest

from jettison.api.directives import check_syntax, counted_warnings
from jettison.dockerfile.nodes import Dockerfile, ParseWarning
from jettison.dockerfile.parser import parse_dockerfile
from jettison.errors import DockerfileError
from jettison.span import SourceFile


def parsed(text: str) -> Dockerfile:
    return parse_dockerfile(SourceFile(name="Dockerfile", text=text + "FROM scratch\n"))


def warnings_of(dockerfile: Dockerfile, *rules: str) -> list[ParseWarning]:
    return [ParseWarning(rule=rule, message=f"about {rule}", span=dockerfile.instructions[0].span) for rule in rules]


@pytest.mark.parametrize(
    "name",
    [
        "docker/dockerfile:1",
        "docker/dockerfile:1.7-labs",
        "docker.io/docker/dockerfile@sha256:" + "a" * 64,
        "mirror.example:5000/x/dockerfile-upstream:master",
    ],
)
def test_dockerfile_frontends_of_any_registry_pass(name: str) -> None:
    check_syntax(parsed(f"# syntax={name}\n"), {})


def test_no_directive_passes() -> None:
    check_syntax(parsed(""), {})


def test_another_language_is_refused_at_its_line() -> None:
    with pytest.raises(DockerfileError) as caught:
        check_syntax(parsed("# syntax=someone/buildpack:2\n"), {})
    assert caught.value.slug == "unsupported-feature"
    assert caught.value.span is not None
    assert caught.value.span.line == 1


def test_the_build_argument_overrides_the_directive() -> None:
    check_syntax(parsed("# syntax=someone/buildpack:2\n"), {"BUILDKIT_SYNTAX": "dockerfile.v0"})
    with pytest.raises(DockerfileError) as caught:
        check_syntax(parsed("# syntax=docker/dockerfile:1\n"), {"BUILDKIT_SYNTAX": "someone/else"})
    assert caught.value.span is None


def test_skipped_rules_are_not_counted() -> None:
    dockerfile = parsed("# check=skip=A,B\n")
    assert [item.rule for item in counted_warnings(dockerfile, warnings_of(dockerfile, "A", "C", "B"), {})] == ["C"]
    everything = parsed("# check=skip=all;error=true\n")
    assert counted_warnings(everything, warnings_of(everything, "A"), {}) == []


def test_warnings_become_one_error_with_all_of_them() -> None:
    dockerfile = parsed("# check=error=true\n")
    with pytest.raises(DockerfileError) as caught:
        counted_warnings(dockerfile, warnings_of(dockerfile, "A", "B"), {})
    assert [item.message for item in caught.value.diagnostics] == ["A: about A", "B: about B"]
    assert counted_warnings(dockerfile, [], {}) == []


def test_the_build_argument_for_checks_wins() -> None:
    dockerfile = parsed("# check=error=true\n")
    found = counted_warnings(dockerfile, warnings_of(dockerfile, "A"), {"BUILDKIT_DOCKERFILE_CHECK": "skip=B"})
    assert [item.rule for item in found] == ["A"]
