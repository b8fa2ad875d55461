"""Heredocs: where an instruction's line announces them, and their bodies on the lines below.

Owns the word rules that decide whether ``<<EOF`` is a heredoc. They are those of BuildKit: a heredoc is a whole word of the
line (quotes and escapes respected, always with the backslash), and a line whose quotes or braces do not close has none.
Refuses to know which instructions may have heredocs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jettison.dockerfile.expander import name_end
from jettison.dockerfile.nodes import Heredoc
from jettison.dockerfile.spaces import SPACES
from jettison.errors import DockerfileError
from jettison.limits import DEFAULT_LIMITS
from jettison.span import Span

if TYPE_CHECKING:
    from jettison.dockerfile.lines import LineReader, LogicalLine

_ANNOUNCEMENT = re.compile(r"(\d*)<<(-?)\s*([^<]*)", re.ASCII)
_LEADING_TABS = re.compile(r"^\t+", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """A heredoc word; ``start`` and ``end`` are its place in the text of the logical line."""

    start: int
    end: int
    name: str
    is_expanded: bool
    strips_tabs: bool
    descriptor: int


class _Unbalanced(Exception):  # noqa: N818 - control flow inside this module, not an error for anybody
    """A quote or brace that does not close."""


def find_announcements(text: str) -> tuple[Announcement, ...] | None:
    """Return the heredoc words of a logical line, in order; None when quotes or braces do not close."""
    try:
        words = _split(text)
        return tuple(found for start, end in words if (found := _announcement(text, start, end)))
    except _Unbalanced:
        return None


def take_bodies(reader: LineReader, line: LogicalLine, announcements: tuple[Announcement, ...]) -> tuple[Heredoc, ...]:
    """Return the heredocs with their bodies, which the reader takes from the lines below.

    Raises:
        DockerfileError: ``unterminated-heredoc``.

    """
    return tuple(_take_body(reader, line, found) for found in announcements)


def strip_tabs(body: str) -> str:
    """Return the body without the tabs at the beginning of its lines."""
    return _LEADING_TABS.sub("", body)


def _take_body(reader: LineReader, line: LogicalLine, found: Announcement) -> Heredoc:
    start = reader.position
    span = line.span(found.start, found.end)
    indented = 0
    while not reader.is_at_end:
        offset, raw = reader.take()
        candidate = raw.rstrip("\r\n")
        if (candidate.lstrip("\t") if found.strips_tabs else candidate) == found.name:
            body = reader.text[start:offset]
            return Heredoc(
                name=found.name,
                body=strip_tabs(body) if found.strips_tabs else body,
                is_expanded=found.is_expanded,
                strips_tabs=found.strips_tabs,
                descriptor=found.descriptor,
                span=span,
                body_span=Span(source=reader.source, start=start, end=offset),
            )
        if not indented and candidate.strip(SPACES) == found.name:
            indented = reader.source.position(offset)[0]
    notes = (f"line {indented} holds it, but with blanks around it",) if indented else ()
    raise DockerfileError(
        f"the heredoc '{found.name}' does not end",
        slug="unterminated-heredoc",
        span=span,
        hint=f"end it by a line that holds '{found.name}' and nothing else; quote the '<<' if no heredoc is meant",
        notes=notes,
    )


def _announcement(text: str, start: int, end: int) -> Announcement | None:
    match = _ANNOUNCEMENT.fullmatch(text, start, end)
    if match is None:
        return None
    name, is_quoted = _unquote(match[3])
    if not name:
        return None
    return Announcement(
        start=start,
        end=end,
        name=name,
        is_expanded=not is_quoted,
        strips_tabs=bool(match[2]),
        descriptor=int(match[1][:9] or 0),
    )


def _unquote(text: str) -> tuple[str, bool]:
    """Return the delimiter without quotes and escapes, and whether any of it was quoted."""
    pieces: list[str] = []
    is_quoted = False
    position = 0
    while position < len(text):
        char = text[position]
        if char in "'\"":
            is_quoted = True
            end = _quote_end(text, position)
            inside = text[position + 1 : end - 1]
            pieces.append(inside if char == "'" else re.sub(r'\\(["$\\])', r"\1", inside))
            position = end
        else:
            position += char == "\\"
            pieces.append(text[position : position + 1])
            position += 1
    return "".join(pieces), is_quoted


def _split(text: str) -> list[tuple[int, int]]:
    """Return the places of the words of a line; blanks part them but in quotes, after an escape and right after ``<<``."""
    words: list[tuple[int, int]] = []
    start = -1
    position = 0
    while position < len(text):
        char = text[position]
        if char in SPACES:
            if start != -1:
                words.append((start, position))
                start = -1
            position += 1
            continue
        start = position if start == -1 else start
        position = _skip(text, position)
    if start != -1:
        words.append((start, min(position, len(text))))
    return words


def _skip(text: str, position: int) -> int:
    char = text[position]
    if char == "\\":
        return position + 2
    if char in "'\"":
        return _quote_end(text, position)
    if char == "$":
        return _variable_end(text, position)
    if char == "<" and text.startswith("<<", position):
        position += 2
        while position < len(text) and text[position] in SPACES:
            position += 1
        return position
    return position + 1


def _quote_end(text: str, position: int, depth: int = 0) -> int:
    """Return the place after the quote that closes the one at ``position``."""
    quote = text[position]
    position += 1
    while position < len(text):
        char = text[position]
        if char == quote:
            return position + 1
        if char == "$" and quote == '"':
            position = _variable_end(text, position, depth)
        else:
            position += 2 if char == "\\" and quote == '"' else 1
    raise _Unbalanced


def _variable_end(text: str, position: int, depth: int = 0) -> int:
    """Return the place after the ``$`` or the ``${...}`` at ``position``; refuses what is no valid substitution."""
    if text[position + 1 : position + 2] != "{":
        return position + 1
    start = position + 2
    end = name_end(text, start)
    operator = text[end : end + 2]
    if end == start or depth > DEFAULT_LIMITS.expansion_depth:
        raise _Unbalanced
    if operator.startswith("}"):
        return end + 1
    if operator in {":-", ":+", ":?", "//"}:
        end += 1
    elif operator[:1] not in {"-", "+", "?", "#", "%", "/"}:
        raise _Unbalanced
    if operator.startswith("/"):
        end = _stop(text, end + 1, "/", depth) - 1
    return _stop(text, end + 1, "}", depth)


def _stop(text: str, position: int, stop: str, depth: int) -> int:
    """Return the place after the first ``stop`` that is neither quoted, escaped nor in braces of its own."""
    while position < len(text):
        char = text[position]
        if char == stop:
            return position + 1
        if char == "\\":
            position += 2
        elif char in "'\"":
            position = _quote_end(text, position, depth + 1)
        elif char == "$":
            position = _variable_end(text, position, depth + 1)
        else:
            position += 1
    raise _Unbalanced
