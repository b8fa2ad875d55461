"""Durations, signals, check options, pair words, JSON forms and logical lines."""

from __future__ import annotations

import pytest

from jettison.dockerfile.directives import CheckOptions, parse_check
from jettison.dockerfile.durations import parse_duration
from jettison.dockerfile.json_form import looks_like_json, parse_json_form
from jettison.dockerfile.lines import LineReader, LogicalLine, Passage
from jettison.dockerfile.pairs import split_pair_words
from jettison.dockerfile.signals import parse_signal
from jettison.dockerfile.statements import split_statement
from jettison.errors import DockerfileError
from jettison.span import SourceFile


def a_passage(text: str) -> Passage:
    """Return the text as a passage, also when it ends in an escape character."""
    line = LogicalLine(source=SourceFile(name="t", text=text), text=text, starts=(0,), origins=(0,), end=len(text))
    return Passage(line=line, text=text, start=0)


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("0", 0), ("30s", 30 * 10**9), ("1m30s", 90 * 10**9), ("1.5h", 5400 * 10**9), ("+2ms", 2_000_000), ("-1s", -(10**9)),
        ("1us", 1000), ("1\u00b5s", 1000), ("1\u03bcs2ns", 1002), (".5s", 5 * 10**8), ("1.s", 10**9), ("0.3ns", 0),
        ("", None), ("5", None), ("s", None), (".s", None), ("1d", None), ("1 s", None), ("--1s", None),
        ("9223372036s", 9223372036 * 10**9), ("2562048h", None), ("1" * 65 + "s", None), ("\u0661s", None),
    ],
)  # fmt: skip
def test_durations(text: str, duration: int | None) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("SIGTERM", 15), ("term", 15), ("9", 9), ("64", 64), ("SIGRTMIN", 34), ("rtmin+3", 37), ("RTMAX-1", 63), ("SIGPOLL", 29),
        ("0", None), ("65", None), ("99999", None), ("SIG", None), ("RTMIN-1", None), ("RTMAX+1", None), ("RTMIN+", None),
        ("RTMIN*0", None), ("RTMIN+100", None), ("RTMINX", None), ("\u0669", None), ("", None),
    ],
)  # fmt: skip
def test_signals(text: str, number: int | None) -> None:
    assert parse_signal(text) == number


@pytest.mark.parametrize(
    ("text", "options"),
    [
        pytest.param("", CheckOptions(), id="nothing"),
        pytest.param("skip=all", CheckOptions(skips_all=True), id="skip all"),
        pytest.param(
            " skip = A , B ; error = true ",
            CheckOptions(skipped=frozenset("AB"), is_error=True),
            id="blanks do not matter",
        ),
        pytest.param("experimental=all;error=F", CheckOptions(has_all_experimental=True), id="experimental"),
        pytest.param(
            "experimental=X;skip=Y", CheckOptions(experimental=frozenset("X"), skipped=frozenset("Y")), id="both"
        ),
    ],
)
def test_check_options(text: str, options: CheckOptions) -> None:
    assert parse_check(text) == options


@pytest.mark.parametrize("text", ["skip", "error=maybe", "Skip=A", "skip=A;", ";"])
def test_wrong_check_options_are_refused(text: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        parse_check(text)
    assert caught.value.slug == "check-option"


@pytest.mark.parametrize(
    ("text", "escape", "words"),
    [
        ("a=b c", "\\", ["a=b", "c"]),
        ("a='b c' \"d e\"f", "\\", ["a='b c'", '"d e"f']),
        ('a="b \\" c" d', "\\", ['a="b \\" c"', "d"]),
        ("a=b\\ c\\'d e", "\\", ["a=b\\ c\\'d", "e"]),
        ("a='b\\' c", "\\", ["a='b\\'", "c"]),
        ("a=`  b=\\ c", "`", ["a=` ", "b=\\", "c"]),
        ("a='b c", "\\", ["a='b c"]),
        ('a="b c', "\\", ['a="b c']),
        ("a=b\\\\\\", "\\", ["a=b\\\\"]),
        ('a="b\\\\\\', "\\", ['a="b\\\\']),
        ("a='b\\\\", "\\", ["a='b\\\\"]),
        ("a=b\\\\", "\\", ["a=b\\\\"]),
        ("a='b'\\", "\\", ["a='b'"]),
        ("a \\\\\\", "\\", ["a", "\\\\"]),
    ],
)
def test_pair_words(text: str, escape: str, words: list[str]) -> None:
    assert [word.text for word in split_pair_words(a_passage(text), escape)] == words


def test_escape_alone_is_no_word() -> None:
    line = a_passage("x").line
    assert split_pair_words(Passage(line=line, text="\\", start=0), "\\") == []


@pytest.mark.parametrize(
    ("text", "args"),
    [
        ("[]", ()), ('["a", "b c"]', ("a", "b c")), ('[ "\\"x\\\\" ]', ('"x\\',)), ('["\\ud83d\\ude00"]', ("\U0001f600",)),
        ('["\\udc00"]', ("\ufffd",)), ("a", None), ('["a"', None), ('["a"] b', None), ("['a']", None), ("[Infinity]", None),
        ('["a\tb"]', None), ("[01]", None),
    ],
)  # fmt: skip
def test_json_forms(text: str, args: tuple[str, ...] | None) -> None:
    form = parse_json_form(a_passage(text))
    assert (form.args if form else None) == args


@pytest.mark.parametrize(
    "text", ["[1]", '["a", {}]', "[1e999999]", "[" + "9" * 5000 + "]", '["a", ["b"]]', "[null]", "[false]"]
)
def test_json_of_other_things_is_refused(text: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        parse_json_form(a_passage(text))
    assert caught.value.slug == "exec-not-strings"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("['a']", True), ('["a",]', True), ("[\u201ca\u201d]", True), ('[ "$a" ]', False), ("[-f x]", False)],
)
def test_what_looks_like_json(text: str, expected: bool) -> None:  # noqa: FBT001 - a table of expectations
    assert looks_like_json(text) is expected


@pytest.mark.parametrize(
    ("text", "escape", "flags", "rest"),
    [
        ("K --a --b=c d --e", "\\", ["--a", "--b=c"], "d --e"),
        ("K --a='b c'\"d e\"f g", "\\", ["--a=b cd ef"], "g"),
        ("K --a=\\$x\\ y '--b'", "\\", ["--a=$x y"], "'--b'"),
        ("K --a=\\x z", "`", ["--a=\\x"], "z"),
        ("K -- --a", "\\", [], "--a"),
        ("K -a --b", "\\", [], "-a --b"),
        ("K --a='x \\' y' z", "\\", ["--a=x ' y"], "z"),
        ("K --a='x", "\\", ["--a=x"], ""),
        ("K --a=x\\\\\\", "\\", ["--a=x\\"], ""),
        ("K --", "\\", [], ""),
        ("K", "\\", [], ""),
    ],
)
def test_flag_words(text: str, escape: str, flags: list[str], rest: str) -> None:
    statement = split_statement(a_passage(text).line, 0, escape)
    assert [flag.text for flag in statement.flags] == flags
    assert statement.rest.text == rest


def test_every_character_knows_its_place_across_continuations() -> None:
    source = SourceFile(name="t", text="\\\n RUN ab\\\n# c\n\n\\\ncd \\ \n  ef\nUSER x\n")
    reader = LineReader(source)
    line = reader.take_logical()
    assert line.text == " RUN abcd   ef"
    places = "".join(source.text[line.origin(offset)] for offset in range(len(line.text)))
    assert places == line.text
    assert line.span(5, 9).text == "ab\\\n# c\n\n\\\ncd"
    assert [span.line for span in line.empty_lines] == [4]
    assert reader.peek() == "USER x\n"
