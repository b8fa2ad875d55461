"""The automaton and the pruning walk against a naive reading of the rules: one regular expression per pattern."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from jettison.fastpath.ignore import clean_pattern, parse_ignore
from jettison.fastpath.walk import look_up, walk_tree

NAMES = st.sampled_from(["a", "b", "ab", "a.b", "b.a", "c"])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
PIECES = st.sampled_from(["a", "b", "c", ".", "*", "**", "**/", "/", "?", "[ab]", "[^a]", "\\a"])
PATTERNS = st.lists(PIECES, min_size=1, max_size=6).map("".join)
LINES = st.lists(st.tuples(st.booleans(), PATTERNS), min_size=1, max_size=5)


def to_expression(pattern: str) -> str:
    """Translate as the reference matcher describes it."""
    if re.fullmatch(r"\*\*[^*?\[\]\\]+", pattern) and not pattern.startswith("**/"):
        return ".*" + re.escape(pattern[2:])
    made, at = "", 0
    while at < len(pattern):
        rest = pattern[at:]
        if rest.startswith("**"):
            at += 3 if rest.startswith("**/") else 2
            made += ".*" if at >= len(pattern) else "(.*/)?"
        elif rest[0] == "*":
            made, at = made + "[^/]*", at + 1
        elif rest[0] == "?":
            made, at = made + "[^/]", at + 1
        elif rest[0] == "\\":
            made, at = made + re.escape(rest[1]), at + 2
        elif rest[0] == "[":
            end = rest.index("]") + 1
            made, at = made + rest[:end].replace("[^", "[^/"), at + end
        else:
            made, at = made + re.escape(rest[0]), at + 1
    return made


class Model:
    def __init__(self, lines):
        self.patterns = []
        for is_exception, text in lines:
            cleaned = clean_pattern(text)
            cleaned = cleaned[1:] if len(cleaned) > 1 and cleaned[0] == "/" else cleaned
            self.patterns.append((is_exception, re.compile(to_expression(cleaned))))

    def is_excluded(self, path):
        parts = path.split("/")
        above = [False] * len(self.patterns)
        hidden = False
        for depth in range(1, len(parts) + 1):
            here, hidden = [False] * len(self.patterns), False
            for at, (is_exception, expression) in enumerate(self.patterns):
                match = above[at]
                if not match:
                    if is_exception != hidden:
                        continue
                    match = expression.fullmatch("/".join(parts[:depth])) is not None
                here[at] = match
                if match:
                    hidden = not is_exception
            above = here
        return hidden


def text_of(lines):
    return "\n".join(("!" if is_exception else "") + text for is_exception, text in lines).encode()


@settings(max_examples=400, deadline=None)
@given(LINES, st.lists(PATHS, min_size=1, max_size=12))
def test_automaton_gives_the_verdicts_of_the_model(lines, paths):
    rules = parse_ignore(text_of(lines))
    model = Model(lines)
    for path in paths:
        assert (rules is not None and rules.is_excluded(path.encode())) == model.is_excluded(path), path


@settings(max_examples=60, deadline=None)
@given(LINES, st.sets(PATHS, max_size=15))
def test_pruning_walk_finds_exactly_what_is_visible(lines, paths):
    model = Model(lines)
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for path in sorted(paths, reverse=True):
            target = root / path
            if not target.exists() and not any(parent.is_file() for parent in target.parents):
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text("x")
        everything = [str(path.relative_to(root)) for path in root.rglob("*")]
        shown = {path for path in everything if not model.is_excluded(path)}
        expected = set(shown)
        for path in shown:
            expected |= {str(parent) for parent in Path(path).parents if str(parent) != "."}
        rules = parse_ignore(text_of(lines))
        found = {path.decode() for path in walk_tree(os.fsencode(root), rules)}
        assert found == expected
        for path in everything:
            assert (look_up(os.fsencode(root), rules, path.encode()) is not None) == (path in expected)
