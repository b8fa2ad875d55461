"""Shell patterns of ``${name#pattern}`` and its kin: ``*``, ``?`` and backslash escapes, nothing else.

Pattern and text go in, positions come out. Matching is a set of states in one integer, moved forward by one character at a
time: time grows with the length of the text alone, whatever the pattern, so no Dockerfile can make it explode.
"""

from __future__ import annotations

from dataclasses import dataclass

_ANY = ""


class PatternError(ValueError):
    """A backslash before a character that needs none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """A compiled pattern: one token a character (``""`` is any), and a bit for each place where a star stands."""

    tokens: tuple[str, ...]
    stars: int

    def reversed(self) -> Pattern:
        """Return the pattern that matches the reversed texts."""
        size = len(self.tokens)
        stars = sum(1 << (size - place) for place in range(size + 1) if self.stars >> place & 1)
        return Pattern(tokens=self.tokens[::-1], stars=stars)


def parse_pattern(text: str) -> Pattern:
    """Return the compiled pattern.

    A backslash before ``*``, ``?`` or a backslash makes it stand for itself; so too before ``}`` and ``/`` for the braces' sake.

    Raises:
        PatternError: a backslash stands before anything else, or at the end.

    """
    tokens: list[str] = []
    stars = 0
    position = 0
    while position < len(text):
        char = text[position]
        position += 1
        if char == "*":
            stars |= 1 << len(tokens)
        elif char == "?":
            tokens.append(_ANY)
        elif char == "\\":
            escaped = text[position : position + 1]
            if escaped not in {"*", "?", "\\", "}", "/"}:
                raise PatternError(char + escaped)
            tokens.append(escaped)
            position += 1
        else:
            tokens.append(char)
    return Pattern(tokens=tuple(tokens), stars=stars)


def match_prefix(pattern: Pattern, text: str, *, start: int = 0, is_longest: bool) -> int | None:
    """Return where the shortest or longest match that begins at ``start`` ends, or None."""
    masks, accept = _masks(pattern)
    wild = masks[_ANY]
    states = 1
    found = start if states & accept else None
    for position in range(start, len(text)):
        if not states or (found is not None and not is_longest):
            break
        states = _step(states, text[position], masks, wild, pattern.stars)
        if states & accept:
            found = position + 1
    return found


def remove_prefix(pattern: Pattern, text: str, *, is_longest: bool) -> str:
    """Return the text without its shortest or longest beginning that matches."""
    return text[match_prefix(pattern, text, is_longest=is_longest) or 0 :]


def remove_suffix(pattern: Pattern, text: str, *, is_longest: bool) -> str:
    """Return the text without its shortest or longest end that matches."""
    end = match_prefix(pattern.reversed(), text[::-1], is_longest=is_longest) or 0
    return text[: len(text) - end]


def find_matches(pattern: Pattern, text: str, *, is_all: bool) -> list[tuple[int, int]]:
    """Return the leftmost longest matches, in order and apart; at most one unless ``is_all``.

    An empty match that touches the end of the match before it does not count (as Go's regexp has it).
    """
    starts = _starts(pattern, text)
    matches: list[tuple[int, int]] = []
    position = 0
    last_end = -1
    while (start := starts.find(1, position)) != -1:
        end = match_prefix(pattern, text, start=start, is_longest=True)
        assert end is not None
        if end > start or end != last_end:
            matches.append((start, end))
            last_end = end
            if not is_all:
                break
        position = max(end, start + 1)
    return matches


def _starts(pattern: Pattern, text: str) -> bytes:
    """Return one byte for each position of the text: 1 where a match can begin."""
    backwards = pattern.reversed()
    masks, accept = _masks(backwards)
    wild = masks[_ANY]
    starts = bytearray(len(text) + 1)
    states = 1
    starts[len(text)] = bool(states & accept)
    for position in range(len(text) - 1, -1, -1):
        states = _step(states, text[position], masks, wild, backwards.stars) | 1
        starts[position] = bool(states & accept)
    return bytes(starts)


def _masks(pattern: Pattern) -> tuple[dict[str, int], int]:
    masks = {_ANY: 0}
    for place, token in enumerate(pattern.tokens):
        masks[token] = masks.get(token, 0) | 1 << place
    return masks, 1 << len(pattern.tokens)


def _step(states: int, char: str, masks: dict[str, int], wild: int, stars: int) -> int:
    moved = states & masks.get(char, 0)
    if char == "\n":  # neither * nor ? matches a line end
        return moved << 1
    return (moved | states & wild) << 1 | states & stars
