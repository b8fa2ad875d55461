"""Errors as text, to the last column."""

from __future__ import annotations

import pytest

from jettison.errors import Diagnostic, DockerfileError, GraphError, StepError
from jettison.render.diagnostic import render_diagnostic, render_error
from jettison.span import SourceFile, Span


def span_of(text: str, part: str, name: str = "Dockerfile") -> Span:
    source = SourceFile(name=name, text=text)
    start = text.index(part)
    return Span(source=source, start=start, end=start + len(part))


def test_error_shows_place_line_caret_and_hint() -> None:
    text = "FROM a AS build\n\nCOPY --from=bulid /out /app\n"
    error = GraphError(
        "no stage named 'bulid' comes before this COPY",
        slug="unknown-stage",
        span=span_of(text, "bulid"),
        hint="did you mean 'build' (line 1)?",
    )
    assert render_error(error) == (
        "error[unknown-stage]: no stage named 'bulid' comes before this COPY\n"
        "  --> Dockerfile:3:13\n"
        "   |\n"
        " 3 | COPY --from=bulid /out /app\n"
        "   |             ^^^^^\n"
        "   = hint: did you mean 'build' (line 1)?\n"
    )


def test_line_numbers_of_two_digits_keep_the_columns() -> None:
    text = "\n" * 11 + "RUN x\n"
    lines = render_diagnostic(Diagnostic(slug="s", message="m", span=span_of(text, "x"))).splitlines()
    assert lines[1:] == ["   --> Dockerfile:12:5", "    |", " 12 | RUN x", "    |     ^"]


def test_tabs_and_wide_characters_keep_the_caret_under_the_word() -> None:
    text = "RUN\t日本 bad\n"
    lines = render_diagnostic(Diagnostic(slug="s", message="m", span=span_of(text, "bad"))).splitlines()
    assert lines[3] == " 1 | RUN    日本 bad"
    assert lines[4] == "   | " + " " * (7 + 4 + 1) + "^^^"


def test_several_lines_are_shown_and_a_long_text_is_cut() -> None:
    text = "RUN a \\\n  b \\\n  c\n"
    lines = render_diagnostic(Diagnostic(slug="s", message="m", span=span_of(text, text.rstrip()))).splitlines()
    assert lines[3:] == [" 1 | RUN a \\", " 2 |   b \\", " 3 |   c", "   | ^^^"]
    long = "RUN " + "x \\\n" * 30 + "y\n"
    shown = render_diagnostic(Diagnostic(slug="s", message="m", span=span_of(long, long.rstrip()))).splitlines()
    assert shown[-2] == " . |"
    assert len(shown) < 15


def test_an_empty_span_still_has_a_caret() -> None:
    source = SourceFile(name="Dockerfile", text="")
    lines = render_diagnostic(Diagnostic(slug="s", message="m", span=Span(source=source, start=0, end=0))).splitlines()
    assert lines[-1] == "   | ^"


def test_all_diagnostics_of_a_file_are_shown() -> None:
    other = Diagnostic(slug="second", message="two")
    text = render_error(DockerfileError("one", slug="first", others=(other,)))
    assert text == "error[first]: one\n\nerror[second]: two\n"


def test_failed_step_shows_its_last_lines_and_where_the_log_is() -> None:
    error = StepError("'make' ended with exit code 2", tail=("cc -c a.c", "a.c:1: error"), log_path="/logs/3.log")
    assert render_error(error).endswith(
        "last 2 lines of the step:\n  cc -c a.c\n  a.c:1: error\nwhole log: /logs/3.log\n"
    )


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        pytest.param("\x1b[2Jgone", "gone", id="clear screen"),
        pytest.param("a\x1b]0;title\x07b", "ab", id="window title"),
        pytest.param("a\x00b\x7f", "a\\x00b\\x7f", id="control characters"),
        pytest.param("user\u202egnp.exe", "user\\u202egnp.exe", id="reordering"),
        pytest.param("\x9b31mred", "31mred", id="C1 introducer"),
        pytest.param("plain äöü 日本", "plain äöü 日本", id="ordinary text"),
    ],
)
def test_text_from_outside_cannot_steer_the_terminal(raw: str, shown: str) -> None:
    assert render_diagnostic(Diagnostic(slug="s", message=raw)) == f"error[s]: {shown}\n"
