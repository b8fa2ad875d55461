from __future__ import annotations

import pytest

from jettison.fastpath.glob import PatternSyntaxError, compile_component, has_wildcards, tokenize


def matches(pattern: str, name: str) -> bool:
    test = compile_component(tokenize(pattern))
    raw = name.encode("utf-8", "surrogateescape")
    return raw == test if isinstance(test, bytes) else test(raw)


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("abc", "abc", True),
        ("*", "abc", True),
        ("*", "", True),
        ("*c", "abc", True),
        ("a*", "a", True),
        ("a*", "ba", False),
        ("ab*ba", "aba", False),
        ("a*b*c", "a1b2c", True),
        ("a*b*c", "a1c2b", False),
        ("a*a*a*a*b", "a" * 60, False),
        ("ab[c]", "abc", True),
        ("ab[b-d]", "abc", True),
        ("ab[e-g]", "abc", False),
        ("ab[^c]", "abc", False),
        ("ab[^e-g]", "abc", True),
        ("a\\*b", "a*b", True),
        ("a\\*b", "ab", False),
        ("a?b", "a☺b", True),
        ("a[^a]b", "a☺b", True),
        ("a???b", "a☺b", False),
        ("[a-ζ]*", "β", True),
        ("[\\]a]", "]", True),
        ("[\\-]", "-", True),
        ("[x\\-]", "-", True),
        ("[!a]", "!", True),
        ("[c-em-pa-dx]", "e", True),
        ("[c-em-pa-dx]", "f", False),
        ("[a-zc-d]", "y", True),
        ("[z-a]", "m", False),
        ("[^z-a]", "m", True),
        ("[z-am]", "m", True),
        pytest.param(
            "*[" + "".join(map(chr, range(0x4E00, 0x9000))) + "a" * 100_000 + "]b", "a" * 255, False, id="huge-class"
        ),
        ("*.js", ".js", True),
        ("a?", "a\udcff", True),
    ],
)
def test_one_component_matches_as_go_filepath_match(pattern, name, expected):
    assert matches(pattern, name) is expected


@pytest.mark.parametrize("pattern", ["[", "[]", "[a", "[a-", "[a-]", "[-]", "[-x]", "[x-]", "[^", "[]a]", "a\\", "[\\"])
def test_malformed_patterns_are_refused(pattern):
    with pytest.raises(PatternSyntaxError):
        tokenize(pattern)


@pytest.mark.parametrize(
    ("text", "expected"), [("a*", True), ("a\\*", False), ("a[b]", True), ("a\\[?", True), ("plain", False)]
)
def test_only_unescaped_wildcards_count(text, expected):
    assert has_wildcards(text) is expected
