"""Parse and render: any text that parses comes back as it was, any other gives an error with places in the text."""

from __future__ import annotations

import contextlib
import re
from itertools import pairwise
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from jettison.dockerfile.nodes import Dockerfile, Word
from jettison.dockerfile.parser import KEYWORDS, parse_dockerfile
from jettison.dockerfile.patterns import PatternError, find_matches, match_prefix, parse_pattern
from jettison.dockerfile.render import render_dockerfile
from jettison.dockerfile.words import expand
from jettison.errors import DockerfileError
from jettison.span import SourceFile, Span

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "dockerfile"
CORPUS = [path.read_bytes().decode("utf-8", "surrogateescape") for path in sorted(GOLDEN.glob("**/Dockerfile"))]
CORPUS = [text for text in CORPUS if len(text) < 10_000]

WORDS = st.sampled_from(
    [
        "a", "b=c", "/x", "$A", "${A:-b}", '"q r"', "'s", "\\", "\\\\", "`", "<<E", "<<-'E'", "--from=a", "--", '["a", "b"]', "[",
        "--mount=type=cache,target=/a", "AS", "#", "=", "CMD", "NONE", "RUN", "\u00a0", "é", "\t", "$", "${", "E", ",",
    ]
)  # fmt: skip
LINE_KEYWORDS = st.sampled_from([*KEYWORDS, "run"])
ENDS = st.sampled_from(["\n", "\r\n", "\\\n", " \\ \n", "\n\n", "\nE\n", "\n# c\n", "`\n", ""])
LINES = st.builds(
    lambda keyword, words, end: " ".join([keyword, *words]) + end, LINE_KEYWORDS, st.lists(WORDS, max_size=4), ENDS
)
HEADS = st.sampled_from(["FROM a\n", "# escape=`\nFROM a\r\n", "\ufeffFROM a AS b\n", "# c\n\n", ""])
TEXTS = st.builds(lambda head, lines: head + "".join(lines), HEADS, st.lists(LINES, max_size=6))


@st.composite
def mutated(draw: st.DrawFn) -> str:
    text = draw(st.sampled_from(CORPUS))
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(text)))
        length = draw(st.integers(0, 5))
        text = text[:place] + draw(st.one_of(WORDS, ENDS, st.text(max_size=3))) + text[place + length :]
    return text.replace("\n", "\r\n") if draw(st.booleans()) else text


def check_cover(dockerfile: Dockerfile) -> None:
    text = dockerfile.source.text
    assert render_dockerfile(dockerfile) == text
    assert all(left.span.end == right.span.start for left, right in pairwise(dockerfile.items))
    assert not dockerfile.items or dockerfile.items[0].span.start == 0
    for instruction in dockerfile.instructions:
        assert instruction in dockerfile.items
        assert instruction.keyword_span.text.upper() == instruction.keyword
        assert instruction.span.text.strip() == instruction.span.text
        assert instruction.span.start == instruction.keyword_span.start


@given(st.one_of(TEXTS, mutated(), st.text(max_size=60)))
@settings(max_examples=300, deadline=None)
@example("FROM a\nRUN <<E\n\n\nE")
@example("FROM a\nCMD x \\\n# c\n")
def test_any_text_parses_to_its_own_items_or_fails_with_places(text: str) -> None:
    source = SourceFile(name="Dockerfile", text=text)
    try:
        dockerfile = parse_dockerfile(source)
    except DockerfileError as error:
        starts = []
        for fault in error.diagnostics:
            assert fault.span is not None
            assert 0 <= fault.span.start <= fault.span.end <= len(text)
            assert fault.hint
            starts.append(fault.span.start)
        assert starts == sorted(starts)
        return
    check_cover(dockerfile)
    again = parse_dockerfile(SourceFile(name="Dockerfile", text=render_dockerfile(dockerfile)))
    assert again == dockerfile


@given(st.sampled_from(CORPUS), st.integers(0, 400))
@settings(max_examples=100, deadline=None)
def test_a_file_cut_anywhere_never_breaks_the_parser(text: str, place: int) -> None:
    cut = text[:place]
    with contextlib.suppress(DockerfileError):
        check_cover(parse_dockerfile(SourceFile(name="Dockerfile", text=cut)))


@given(
    st.lists(
        st.sampled_from(
            ["a", " ", "$A", "${A}", "${B:-", "}", "'", '"', "\\", "`", "${A#", "*", "?", "/", "${A//", "%", "$"]
        )
    ),
    st.sampled_from("\\`"),
)
@settings(max_examples=300, deadline=None)
def test_expansion_gives_text_or_an_error_inside_the_word(parts: list[str], escape: str) -> None:
    text = "".join(parts)
    span = Span(source=SourceFile(name="t", text=f"ENV a={text}"), start=6, end=6 + len(text))
    try:
        expansion = expand(Word(text=text, span=span), {"A": "x/y*z"}, escape=escape)
    except DockerfileError as error:
        place = error.span
    else:
        place = span
        assert all(word and word in expansion.text for word in expansion.words)
        assert "A" not in expansion.undefined
    assert place is not None
    assert span.start <= place.start <= place.end <= span.end


def regular(pattern: str, *, greedy: bool) -> re.Pattern[str]:
    """Return the pattern as a regular expression, for comparison on short texts."""
    out, position = "", 0
    while position < len(pattern):
        char = pattern[position]
        if char == "\\":
            position += 1
            char = re.escape(pattern[position])
        else:
            char = {"*": ".*" if greedy else ".*?", "?": "."}.get(char) or re.escape(char)
        out += char
        position += 1
    return re.compile(out)


PATTERN_TEXTS = st.text(alphabet="ab*?\\}/", max_size=6)


@given(PATTERN_TEXTS, st.text(alphabet="ab*\n", max_size=10))
@settings(max_examples=400, deadline=None)
def test_patterns_match_as_regular_expressions_do(pattern: str, text: str) -> None:
    try:
        compiled = parse_pattern(pattern)
    except PatternError:
        assert "\\" in pattern
        return
    for is_longest in (False, True):
        found = regular(pattern, greedy=is_longest).match(text)
        assert match_prefix(compiled, text, is_longest=is_longest) == (found.end() if found else None)
    assert [text[start:end] for start, end in find_matches(compiled, text, is_all=False)] == [
        found[0] for found in [regular(pattern, greedy=True).search(text)] if found
    ]
