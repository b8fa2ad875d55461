"""A logical line taken apart: keyword, flag words and the rest, before anybody asks what the instruction means.

Owns the rules for flag words (they come first, start with ``--``, end at ``--``; quotes and escapes inside are removed) and
the collecting of faults, so that one pass reports all of them. Refuses to know which flags exist: see ``flags``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jettison.dockerfile.json_form import JsonForm, parse_json_form
from jettison.dockerfile.lines import Passage
from jettison.dockerfile.nodes import Word
from jettison.dockerfile.spaces import BLANKS_CLASS, SPACES
from jettison.errors import Diagnostic, DockerfileError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jettison.dockerfile.lines import LogicalLine
    from jettison.dockerfile.nodes import Heredoc, ParseWarning
    from jettison.span import Span

_KEYWORD = re.compile(f"[^{BLANKS_CLASS}]+")
_SIMPLE_FLAG = re.compile(r"--[\w/.,:=@+$\-]*+(?=[\t ]|\Z)", re.ASCII)
_WORD = re.compile(f"[^{BLANKS_CLASS}]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagText:
    """A flag as text without its quotes; ``places`` tells where each character stands in the logical line."""

    text: str
    places: Sequence[int]
    line: LogicalLine
    start: int
    end: int

    def cut(self, start: int, end: int | None = None) -> FlagText:
        """Return the part ``[start, end)``."""
        text = self.text[start:end]
        places = self.places[start:end]
        first = places[0] if places else (self.places[start - 1] + 1 if 0 < start <= len(self.places) else self.start)
        return FlagText(
            text=text,
            places=places,
            line=self.line,
            start=first,
            end=places[-1] + 1 if places else first,
        )

    def span(self) -> Span:
        """Return the span of the text, with quotes in it."""
        return self.line.span(self.start, self.end)

    def word(self) -> Word:
        """Return the text as a word."""
        return Word(text=self.text, span=self.span())


@dataclass(slots=True, kw_only=True)
class Statement:
    """One instruction in parts, and the place where its faults are collected. ``keyword`` is upper case."""

    line: LogicalLine
    escape: str
    keyword: str
    keyword_span: Span
    flags: tuple[FlagText, ...]
    rest: Passage
    comments: tuple[str, ...] = ()
    span: Span
    heredocs: tuple[Heredoc, ...] = ()
    has_unbalanced_quotes: bool = False
    faults: list[Diagnostic] = field(default_factory=list)
    warnings: list[ParseWarning] = field(default_factory=list)
    json: JsonForm | None = None

    def report(self, slug: str, message: str, span: Span | None = None, *, hint: str) -> None:
        """Collect a fault after which parsing of this instruction can go on."""
        self.faults.append(Diagnostic(slug=slug, message=message, span=span or self.keyword_span, hint=hint))

    def refusal(self, slug: str, message: str, span: Span | None = None, *, hint: str) -> DockerfileError:
        """Return the error that ends the parsing of this instruction; the parser collects it."""
        return DockerfileError(message, slug=slug, span=span or self.keyword_span, hint=hint)

    def words(self) -> list[Passage]:
        """Return the rest, split at blanks; quotes and escapes mean nothing here."""
        return [self.rest.cut(found.start(), found.end()) for found in _WORD.finditer(self.rest.text)]


def split_statement(line: LogicalLine, start: int, escape: str) -> Statement:
    """Return the keyword, flags and rest of a logical line from an offset on."""
    whole = Passage(line=line, text=line.text[start:], start=start).strip()
    found = _KEYWORD.match(whole.text)
    end = found.end() if found else 0
    flags, after = _split_flags(whole, end, escape)
    rest = whole.cut(after).strip()
    return Statement(
        line=line,
        escape=escape,
        keyword=whole.text[:end].upper(),
        keyword_span=whole.span(0, end),
        flags=flags,
        rest=rest,
        span=whole.span(),
    )


def read_json(statement: Statement) -> None:
    """Set ``statement.json`` when the rest is a JSON array of strings; a wrong array is collected as a fault."""
    try:
        statement.json = parse_json_form(statement.rest)
    except DockerfileError as error:
        statement.faults.extend(error.diagnostics)


def _split_flags(whole: Passage, position: int, escape: str) -> tuple[tuple[FlagText, ...], int]:
    text = whole.text
    flags: list[FlagText] = []
    while True:
        while position < len(text) and text[position] in SPACES:
            position += 1
        if not text.startswith("--", position):
            return tuple(flags), position
        flag = _read_flag(whole, position, escape)
        position = flag.end - whole.start
        if flag.text == "--":
            return tuple(flags), position
        flags.append(flag)


def _read_flag(whole: Passage, start: int, escape: str) -> FlagText:
    text = whole.text
    simple = _SIMPLE_FLAG.match(text, start)
    if simple:
        return FlagText(
            text=simple[0],
            places=range(whole.start + start, whole.start + simple.end()),
            line=whole.line,
            start=whole.start + start,
            end=whole.start + simple.end(),
        )
    chars: list[str] = []
    places: list[int] = []
    quote = ""
    position = start
    while position < len(text):
        char = text[position]
        if not quote and char in SPACES:
            break
        if char == escape and position + 1 < len(text):
            position += 1
            chars.append(text[position])
            places.append(whole.start + position)
        elif char == quote:
            quote = ""
        elif not quote and char in "'\"":
            quote = char
        elif char != escape:
            chars.append(char)
            places.append(whole.start + position)
        position += 1
    return FlagText(
        text="".join(chars),
        places=tuple(places),
        line=whole.line,
        start=whole.start + start,
        end=whole.start + position,
    )
