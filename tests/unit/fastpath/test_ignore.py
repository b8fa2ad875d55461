from __future__ import annotations

import pytest

from jettison.fastpath.ignore import IgnoreSyntaxError, clean_pattern, parse_ignore


def hidden(text: str, *paths: str) -> list[str]:
    rules = parse_ignore(text.encode())
    return [] if rules is None else [path for path in paths if rules.is_excluded(path.encode())]


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        pytest.param("a", "a", True, id="literal"),
        pytest.param("a", "a/b/c", True, id="below-a-match"),
        pytest.param("a", "b/a", False, id="anchored"),
        pytest.param("/a", "a", True, id="leading-slash"),
        pytest.param("a/", "a", True, id="trailing-slash-matches-a-file-too"),
        pytest.param("./a//b/../c", "a/c", True, id="cleaned"),
        pytest.param("/", "a", False, id="root-alone-hides-nothing"),
        pytest.param(".", "a", False, id="dot-hides-nothing"),
        pytest.param("../a", "a", False, id="outside"),
        pytest.param("*", "a/b", True, id="star-hides-all"),
        pytest.param("*.md", "README.md", True, id="suffix"),
        pytest.param("*.md", "docs/README.md", False, id="star-stays-in-its-directory"),
        pytest.param("*/*.md", "docs/README.md", True, id="two-levels"),
        pytest.param("**/node_modules", "node_modules", True, id="deep-at-the-top"),
        pytest.param("**/node_modules", "a/b/node_modules/x", True, id="deep-below"),
        pytest.param("a/**", "a", False, id="trailing-deep-leaves-the-directory"),
        pytest.param("a/**", "a/b/c", True, id="trailing-deep"),
        pytest.param("a/**/z", "a/z", True, id="middle-deep-as-nothing"),
        pytest.param("a/**/z", "a/b/c/z", True, id="middle-deep"),
        pytest.param("a/**/z", "b/a/z", False, id="middle-deep-anchored"),
        pytest.param("**", "any/thing", True, id="deep-alone"),
        pytest.param("a**b", "ab", True, id="inner-deep-as-nothing"),
        pytest.param("a**b", "ax/y/b", True, id="inner-deep-over-directories"),
        pytest.param("a**b", "axb", False, id="inner-deep-wants-a-slash"),
        pytest.param("a**", "axyz/b", True, id="deep-suffix"),
        pytest.param("**foo", "x/afoo", True, id="bare-suffix"),
        pytest.param("**f?o", "x/afoo", False, id="bare-suffix-with-wildcard-is-no-suffix"),
        pytest.param("**\\foo", "x/afoo", False, id="bare-suffix-with-escape-is-no-suffix"),
        pytest.param("**/*.log", "a/b.log", True, id="deep-glob"),
        pytest.param("[a-c]x", "bx", True, id="class"),
        pytest.param("a\\*", "a*", True, id="escaped"),
        pytest.param("a\\*", "ab", False, id="escaped-is-literal"),
        pytest.param("#a", "#a", False, id="comment"),
        pytest.param(" #a", "#a", True, id="indented-hash-is-a-pattern"),
        pytest.param("\ufeffa", "a", True, id="byte-order-mark"),
        pytest.param("  a b \r\n", "a b", True, id="trimmed"),
        pytest.param("*\n!a", "a/b", False, id="re-included-directory"),
        pytest.param("*\n!a/b", "a/b", False, id="re-included-below-excluded"),
        pytest.param("*\n!a/b", "a/c", True, id="sibling-stays-hidden"),
        pytest.param("*\n! a", "a", False, id="blank-behind-exclamation"),
        pytest.param("*.md\n!README*.md\nREADME-secret.md", "README-secret.md", True, id="last-match-wins"),
        pytest.param("*.md\n!README*.md\nREADME-secret.md", "README-a.md", False, id="exception"),
        pytest.param("*.md\nREADME-secret.md\n!README*.md", "README-secret.md", False, id="order-matters"),
        pytest.param("!a\na", "a", True, id="exception-first"),
        pytest.param("a/b\n!a", "a/b", True, id="exception-is-only-asked-about-hidden-paths"),
        pytest.param("*\n!**/*.go", "a/b/c.go", False, id="deep-exception"),
        pytest.param("*\n!**/*.go", "a/b/c.rs", True, id="deep-exception-other"),
    ],
)
def test_pattern_file_hides_what_buildkit_hides(text, path, expected):
    assert bool(hidden(text, path)) is expected


@pytest.mark.parametrize(
    ("text", "path", "can_prune"),
    [
        ("a", "a", True),
        ("a\n!b", "a", True),
        ("a\n!a/b", "a", False),
        ("*\n!a/b", "c", True),
        ("*\n!a/b", "a/c", True),
        ("a\n!**/keep", "a", False),
        ("a\n!a", "a", False),
        ("*\n!a*/x", "abc", False),
        ("*\n!a*/x", "b", True),
    ],
)
def test_directory_is_pruned_only_when_no_exception_can_reach_below(text, path, can_prune):
    rules = parse_ignore(text.encode())
    assert rules is not None
    assert rules.state_of(path.encode()).can_prune is can_prune


def test_file_without_inclusions_hides_nothing():
    assert parse_ignore(b"# nothing\n\n!a\n") is None


def test_deciding_pattern_is_named_with_its_line():
    rules = parse_ignore(b"# comment\n*.md\n!a.md\nsecret\n")
    assert rules is not None
    pattern = rules.state_of(b"secret/x/y").last_match()
    assert pattern is not None
    assert (pattern.text, pattern.line) == ("secret", 4)


@pytest.mark.parametrize("line", ["!", "! ", "a[", "[]", "x\\"])
def test_malformed_lines_are_refused_with_their_number(line):
    with pytest.raises(IgnoreSyntaxError) as caught:
        parse_ignore(f"ok\n{line}\n".encode())
    assert caught.value.line == 2


def test_absurd_number_of_inner_stars_is_refused():
    with pytest.raises(IgnoreSyntaxError, match="too many"):
        parse_ignore(b"a**b" * 12)
    with pytest.raises(IgnoreSyntaxError, match="too many"):
        parse_ignore(b"a**b" * 30_000)


def test_a_line_may_be_as_long_as_the_file():
    rules = parse_ignore(b"a" * 500_000 + b"?\n" + b"b/" * 50_000 + b"c")
    assert rules is not None
    assert rules.is_excluded(b"a" * 500_001)
    assert rules.is_excluded(b"b/" * 50_000 + b"c")


def test_names_that_are_not_utf8_match_by_bytes():
    rules = parse_ignore(b"caf\xe9\n*.\xff\n")
    assert rules is not None
    assert rules.is_excluded(b"caf\xe9")
    assert rules.is_excluded(b"x.\xff")


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [("a/./b//c/", "a/b/c"), ("/..//a", "/a"), ("a/../..", ".."), ("./", "."), ("/", "/"), ("../../a", "../../a")],
)
def test_patterns_are_cleaned_as_go_does(text, cleaned):
    assert clean_pattern(text) == cleaned


def test_states_are_shared_between_equal_directories():
    rules = parse_ignore(b"**/*.log\n")
    assert rules is not None
    assert rules.state_of(b"a/b") is rules.state_of(b"c/d/e")
