"""The parser as a whole: triggers of images, bounds, places of many faults, laziness about what it need not know."""

from __future__ import annotations

import pickle

import pytest

from jettison.dockerfile.nodes import Copy, Dockerfile, From, Onbuild, Run, ShellForm, Trivia
from jettison.dockerfile.parser import KEYWORDS, parse_dockerfile, parse_instruction
from jettison.dockerfile.render import render_dockerfile
from jettison.errors import DockerfileError
from jettison.limits import DEFAULT_LIMITS
from jettison.span import SourceFile


def parse(text: str) -> Dockerfile:
    return parse_dockerfile(SourceFile(name="Dockerfile", text=text))


def refuse(text: str) -> DockerfileError:
    with pytest.raises(DockerfileError) as caught:
        parse(text)
    return caught.value


def test_trigger_of_an_image_is_one_instruction() -> None:
    run = parse_instruction("RUN <<E cat\n$x\nE", "ONBUILD of base")
    assert isinstance(run, Run)
    assert run.heredocs[0].body == "$x\n"
    assert str(run.keyword_span) == "ONBUILD of base:1:1"
    copy = parse_instruction("copy --from=a b c ", "ONBUILD of base")
    assert isinstance(copy, Copy)
    assert copy.dest.text == "c"


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        pytest.param("", "trigger-count", id="nothing"),
        pytest.param("# RUN a", "trigger-count", id="comment"),
        pytest.param("RUN a\nRUN b", "trigger-count", id="two"),
        pytest.param("FROM a", "onbuild-trigger", id="from"),
        pytest.param("ONBUILD RUN a", "onbuild-trigger", id="onbuild"),
        pytest.param("MAINTAINER me", "onbuild-trigger", id="maintainer"),
        pytest.param("RUNN a", "unknown-instruction", id="unknown"),
        pytest.param("RUN a\0", "nul-character", id="nul"),
        pytest.param("COPY a", "missing-destination", id="fault inside"),
    ],
)
def test_trigger_of_an_image_is_refused(text: str, slug: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        parse_instruction(text, "ONBUILD of base")
    assert caught.value.slug == slug


def test_trigger_escapes_by_backslash_whatever_its_dockerfile_said() -> None:
    run = parse_instruction("RUN a \\\nb", "t")
    assert isinstance(run, Run)
    assert isinstance(run.command, ShellForm)
    assert run.command.text == "a b"


def test_trigger_text_holds_the_heredoc_as_written() -> None:
    onbuild = parse("FROM a\nONBUILD COPY <<-A <<B /x/\n\t1\n\tA\n2\nB\nRUN z").instructions[1]
    assert isinstance(onbuild, Onbuild)
    assert onbuild.trigger == "COPY <<-A <<B /x/\n\t1\nA\n2\nB"
    again = parse_instruction(onbuild.trigger, "t")
    assert isinstance(again, Copy)
    assert [source.body for source in again.sources if hasattr(source, "body")] == ["1\n", "2\n"]


def test_faults_come_in_the_order_of_the_text_and_all_at_once() -> None:
    error = refuse("RUN a\nFROM x y\nCOPY a\nENV b\n")
    assert [fault.slug for fault in error.diagnostics] == [
        "instruction-before-from", "from-words", "missing-destination", "missing-value",
    ]  # fmt: skip
    assert error.slug == "instruction-before-from"


def test_file_too_large_is_refused_at_the_bound() -> None:
    bound = DEFAULT_LIMITS.dockerfile_bytes
    line = "#" + "x" * 1022 + "\n"
    text = "FROM a\n" + line * (bound // 1024)
    assert len(text) > bound
    assert refuse(text).slug == "dockerfile-too-large"
    assert parse(text[:bound]).instructions
    wide = "FROM a\n" + "# " + "é" * 500 + "\n" + ("# " + "é" * 511 + "\n") * (bound // 1024)
    assert refuse(wide).slug == "dockerfile-too-large"


def test_line_too_long_is_refused_past_the_bound() -> None:
    bound = DEFAULT_LIMITS.dockerfile_line_bytes
    assert parse("FROM a\nRUN " + "x" * (bound - 4) + "\n").instructions
    assert parse("FROM a\nRUN " + "x" * (bound - 4)).instructions
    error = refuse("FROM a\nRUN " + "x" * (bound - 3) + "\n# " + "é" * bound)
    assert [(fault.slug, fault.span and fault.span.line) for fault in error.diagnostics] == [
        ("line-too-long", 2), ("line-too-long", 3),
    ]  # fmt: skip
    assert refuse("FROM a\nRUN " + "é" * (bound // 2)).slug == "line-too-long"
    assert parse("FROM a\nRUN " + "é" * (bound // 2 - 2)).instructions


def test_dangling_continuation_behind_blanks_and_alone() -> None:
    assert refuse("FROM a\n  \\").slug == "dangling-continuation"
    assert refuse("FROM a\n\\\n   \\\n").slug == "dangling-continuation"


def test_wrong_directive_of_a_file_without_instructions_is_the_only_fault() -> None:
    assert [fault.slug for fault in refuse("# escape=x\n").diagnostics] == ["escape-directive"]


def test_comment_belongs_to_the_next_instruction_until_a_bare_hash() -> None:
    first, second = parse("# a\n\n  #b \nFROM x\n# c\n#\n# d\nRUN y\n").instructions
    assert first.comments == ("a", "b")
    assert second.comments == ("d",)


def test_ast_goes_through_pickle_and_compares() -> None:
    dockerfile = parse("FROM a AS b\nRUN --mount=type=ssh x\n")
    assert pickle.loads(pickle.dumps(dockerfile)) == dockerfile


def test_rewritten_items_render_from_their_own_sources() -> None:
    old = parse("FROM a\nRUN b\n")
    new = parse("FROM c\n")
    mixed = Dockerfile(source=old.source, items=(new.items[0], *old.items[1:]), directives=(), instructions=())
    assert isinstance(new.items[0], From)
    assert isinstance(old.items[1], Trivia)
    assert render_dockerfile(mixed) == "FROM c\nRUN b\n"


@pytest.mark.parametrize("keyword", KEYWORDS)
def test_every_instruction_refuses_flags_it_does_not_know(keyword: str) -> None:
    inner = "RUN " if keyword == "ONBUILD" else ""
    error = refuse(f"FROM a\n{keyword} --no-such-flag {inner}x y\n")
    assert error.slug == "unknown-flag"
    assert error.span
    assert error.span.text == "--no-such-flag"


@pytest.mark.parametrize("keyword", KEYWORDS)
def test_keywords_have_no_case(keyword: str) -> None:
    arguments = {"FROM": "x", "SHELL": '["x"]', "HEALTHCHECK": "NONE", "ONBUILD": "run x", "STOPSIGNAL": "9"}
    text = f"FROM a\n{keyword.capitalize()} {arguments.get(keyword, 'x y')}\n"
    assert parse(text).instructions[1].keyword == keyword


def test_heredocs_of_a_refused_instruction_are_not_read_as_instructions() -> None:
    error = refuse("FROM a\nCOPY --foo <<E /x\nnot an instruction\nE\nRUN --network=x <<E\nnor this\nE\n")
    assert [fault.slug for fault in error.diagnostics] == ["unknown-flag", "run-network"]


def test_many_nested_brackets_are_an_error_not_a_crash() -> None:
    assert refuse("FROM a\nRUN " + "[" * 30_000 + "\\\n" + "[" * 30_000).slug == "exec-not-strings"


def test_only_run_copy_and_add_have_heredocs() -> None:
    cmd, env = parse("FROM a\nCMD cat <<E\nENV a=<<E\n").instructions[1:]
    assert (cmd.span.text, env.span.text) == ("CMD cat <<E", "ENV a=<<E")
