"""Which words of a line announce a heredoc."""

from __future__ import annotations

import pytest

from jettison.dockerfile.heredocs import find_announcements, strip_tabs


def names(line: str) -> list[str] | None:
    found = find_announcements(line)
    return None if found is None else [announcement.name for announcement in found]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param("RUN  <<E", ["E"], id="plain"),
        pytest.param("RUN <<-E 2<<F ", ["E", "F"], id="two"),
        pytest.param("RUN << E", ["E"], id="blank after the arrows"),
        pytest.param("RUN <<- E", [], id="blank after the dash"),
        pytest.param("RUN a<<E", [], id="inside a word"),
        pytest.param("RUN cat <<<E", [], id="here string"),
        pytest.param("RUN <E <<", [], id="no name"),
        pytest.param('RUN <<""', [], id="empty name"),
        pytest.param('RUN <<"a b"c', ["a bc"], id="partly quoted"),
        pytest.param('RUN <<\'a\\b\' <<"c\\"\\d"', ["a\\b", 'c"\\d'], id="escapes in quotes"),
        pytest.param("RUN '<<A' \"<<B\" \\<<C", [], id="quoted arrows"),
        pytest.param("RUN ${x:-<<A} <<B", ["B"], id="inside braces"),
        pytest.param(
            "RUN $x $( ${x} ${x#a} ${x##\\}} ${x%'}'} ${x/a/b} ${x//\"}\"/$y} ${x+${y}} <<B", ["B"], id="all braces"
        ),
        pytest.param('RUN "a ${x:-"b"} \\" $y" <<B', ["B"], id="braces in quotes"),
        pytest.param("RUN <<$X", ["$X"], id="dollar in the name"),
        pytest.param("RUN it's <<E", None, id="open single quote"),
        pytest.param('RUN "a <<E', None, id="open double quote"),
        pytest.param("RUN ${x:0:3} <<E", None, id="unknown operator with colon"),
        pytest.param("RUN ${x^} <<E", None, id="unknown operator"),
        pytest.param("RUN ${} <<E", None, id="no name in braces"),
        pytest.param("RUN ${x <<E", None, id="open brace"),
        pytest.param("RUN ${x/a} <<E", None, id="open pattern"),
        pytest.param("RUN " + "${x:-" * 100 + "}" * 100 + " <<E", None, id="too deep"),
        pytest.param("RUN a\\", [], id="escape at the end"),
    ],
)
def test_find_announcements(line: str, expected: list[str] | None) -> None:
    assert names(line) == expected


def test_quotes_stop_expansion_but_a_backslash_does_not() -> None:
    found = find_announcements("RUN <<A <<'B' <<C\"\" <<\\D 12<<-E") or ()
    assert [(a.name, a.is_expanded, a.strips_tabs, a.descriptor) for a in found] == [
        ("A", True, False, 0), ("B", False, False, 0), ("C", False, False, 0), ("D", True, False, 0), ("E", True, True, 12),
    ]  # fmt: skip


def test_tabs_are_stripped_from_every_line() -> None:
    assert strip_tabs("\ta\n\t\t b\n c\t\n") == "a\n b\n c\t\n"
