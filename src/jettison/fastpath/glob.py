"""One component of a path pattern, as Go's ``filepath.Match`` reads it: ``*``, ``?``, ``[...]`` and backslash.

Owns pattern syntax, for .dockerignore and for the sources of COPY; refuses whole paths (callers split at the slashes). A
pattern's text becomes tokens, tokens become a test of one name. No ``re``: its import costs more than matching a context.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    Token: TypeAlias = str | tuple[bool, tuple[tuple[str, str], ...]]
    Test: TypeAlias = Callable[[bytes], bool]

STAR = "*"
ANY = "?"
SLASH = "/"
"""These three strings stand for themselves only as whole tokens; a literal character is a token that starts with ``=``."""

_SPECIAL = frozenset("*?[\\")


class PatternSyntaxError(ValueError):
    """A pattern that Go's ``filepath.Match`` would call malformed."""


def has_wildcards(text: str) -> bool:
    """Tell whether the text holds an unescaped ``*``, ``?`` or ``[``."""
    is_escaped = False
    for character in text:
        if is_escaped:
            is_escaped = False
        elif character == "\\":
            is_escaped = True
        elif character in "*?[":
            return True
    return False


def tokenize(pattern: str) -> list[Token]:
    r"""Return the tokens of a pattern: literals (``=x``), ``*``, ``?``, ``/`` and classes (negated, ranges).

    Grammar: ``'[' ['^'] range+ ']'``, ``range: char | char '-' char``, ``char: any but '\', '-', ']' | '\' any``.

    Raises:
        PatternSyntaxError: an unclosed or empty class, or a backslash at the end.

    """
    if _SPECIAL.isdisjoint(pattern):
        return [SLASH if character == "/" else "=" + character for character in pattern]
    tokens: list[Token] = []
    position = 0
    while position < len(pattern):
        character = pattern[position]
        if character == "[":
            token, position = _read_class(pattern, position + 1)
            tokens.append(token)
            continue
        if character == "\\":
            position += 1
            if position == len(pattern):
                raise PatternSyntaxError("a backslash ends the pattern")
            character = pattern[position]
            tokens.append(SLASH if character == "/" else "=" + character)
        elif character in "*?/":
            tokens.append(character)
        else:
            tokens.append("=" + character)
        position += 1
    return tokens


def _read_class(pattern: str, position: int) -> tuple[Token, int]:
    is_negated = pattern[position : position + 1] == "^"
    position += is_negated
    ranges: list[tuple[str, str]] = []
    while not (ranges and pattern[position : position + 1] == "]"):
        low, position = _read_class_character(pattern, position)
        high = low
        if pattern[position : position + 1] == "-":
            high, position = _read_class_character(pattern, position + 1)
        ranges.append((low, high))
    return (is_negated, _merged(ranges)), position + 1


def _merged(ranges: list[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Return the same characters as ranges in order and apart; one whose ends are swapped holds none."""
    apart: list[tuple[str, str]] = []
    for low, high in sorted(ranges):
        if apart and low <= apart[-1][1]:
            apart[-1] = (apart[-1][0], max(high, apart[-1][1]))
        elif low <= high:
            apart.append((low, high))
    return tuple(apart)


def _read_class_character(pattern: str, position: int) -> tuple[str, int]:
    character = pattern[position : position + 1]
    if character == "\\":
        position += 1
        character = pattern[position : position + 1]
    elif character in {"-", "]"}:
        raise PatternSyntaxError("a character class has an empty or half range")
    if not character:
        raise PatternSyntaxError("a character class is not closed")
    return character, position + 1


def compile_component(tokens: list[Token]) -> bytes | Test:
    """Return the name itself when the tokens hold no wildcard, else a test of one name (bytes, without slash)."""
    if all(isinstance(token, str) and token[0] == "=" for token in tokens):
        return _literal(tokens)
    if all(isinstance(token, str) and token != ANY for token in tokens):
        pieces = _pieces_between_stars(tokens)
        if len(pieces) == 2:
            return _head_and_tail(pieces[0], pieces[1])
    frozen = tuple(tokens)
    return lambda name: _match(frozen, name.decode("utf-8", "surrogateescape"))


def _literal(tokens: list[Token]) -> bytes:
    return "".join(str(token)[1:] for token in tokens).encode("utf-8", "surrogateescape")


def _pieces_between_stars(tokens: list[Token]) -> list[bytes]:
    pieces: list[list[Token]] = [[]]
    was_star = False
    for token in tokens:
        if token == STAR:
            if not was_star:
                pieces.append([])
        else:
            pieces[-1].append(token)
        was_star = token == STAR
    return [_literal(piece) for piece in pieces]


def _head_and_tail(head: bytes, tail: bytes) -> Test:
    if not head and not tail:
        return lambda _name: True
    if not head:
        return lambda name: name.endswith(tail)
    if not tail:
        return lambda name: name.startswith(head)
    least = len(head) + len(tail)
    return lambda name: len(name) >= least and name.startswith(head) and name.endswith(tail)


def _match(tokens: tuple[Token, ...], name: str) -> bool:
    """Match greedily; on failure let the last star take one character more (linear space, at worst quadratic time)."""
    at = position = 0
    star = star_position = -1
    while position < len(name):
        if at < len(tokens) and tokens[at] == STAR:
            star, star_position = at, position
            at += 1
        elif at < len(tokens) and _match_one(tokens[at], name[position]):
            at += 1
            position += 1
        elif star >= 0:
            star_position += 1
            at, position = star + 1, star_position
        else:
            return False
    return all(token == STAR for token in tokens[at:])


def _match_one(token: Token, character: str) -> bool:
    if isinstance(token, str):
        return token == ANY or token == "=" + character
    is_negated, ranges = token
    place, beyond = 0, len(ranges)  # a search by halves: the ranges are sorted and apart
    while place < beyond:
        middle = (place + beyond) >> 1
        if ranges[middle][0] <= character:
            place = middle + 1
        else:
            beyond = middle
    return (place > 0 and character <= ranges[place - 1][1]) != is_negated
