"""Physical lines to logical lines: continuations joined, comment lines dropped, each character still knowing where it stood.

Owns the continuation rule (escape character, blanks, line end; not after another escape character), the byte bound of a
line and the way back from a character of the joined text to the source. Refuses to know instructions.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jettison.dockerfile.nodes import Word
from jettison.dockerfile.spaces import SPACES
from jettison.errors import Diagnostic
from jettison.limits import DEFAULT_LIMITS
from jettison.span import SourceFile, Span

if TYPE_CHECKING:
    from collections.abc import Iterator

BOM = "\ufeff"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogicalLine:
    """An instruction's text with its continuations joined.

    ``starts`` are the offsets in ``text`` at which its pieces begin, ``origins`` where these stand in the source.
    ``end`` is the offset in the source after the last character that counts; ``empty_lines`` are skipped blank lines inside.
    """

    source: SourceFile
    text: str
    starts: tuple[int, ...]
    origins: tuple[int, ...]
    end: int
    empty_lines: tuple[Span, ...] = ()

    def origin(self, offset: int) -> int:
        """Return where a character of the text stands in the source."""
        if len(self.starts) == 1:
            return self.origins[0] + offset
        piece = bisect_right(self.starts, offset) - 1
        return self.origins[piece] + offset - self.starts[piece]

    def span(self, start: int, end: int) -> Span:
        """Return the span of the source that holds the characters ``[start, end)`` of the text."""
        first = self.origin(start)
        return Span(source=self.source, start=first, end=self.origin(end - 1) + 1 if end > start else first)


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A part of a logical line; ``start`` is its offset there."""

    line: LogicalLine
    text: str
    start: int

    def cut(self, start: int, end: int | None = None) -> Passage:
        """Return the part ``[start, end)``."""
        return Passage(line=self.line, text=self.text[start:end], start=self.start + start)

    def strip(self) -> Passage:
        """Return the passage without blanks at both ends."""
        tail = self.text.lstrip(SPACES)
        return Passage(line=self.line, text=tail.rstrip(SPACES), start=self.start + len(self.text) - len(tail))

    def span(self, start: int = 0, end: int | None = None) -> Span:
        """Return the span of the part ``[start, end)``."""
        return self.line.span(self.start + start, self.start + (len(self.text) if end is None else end))

    def word(self) -> Word:
        """Return the passage as a word."""
        return Word(text=self.text, span=self.span())


class LineReader:
    """A reader over the physical lines of a source; ``position`` is the offset of the line to be read next."""

    def __init__(self, source: SourceFile) -> None:
        self.source = source
        self.text = source.text
        self.position = 1 if source.text.startswith(BOM) else 0
        self.escape = "\\"

    @property
    def is_at_end(self) -> bool:
        """Whether no line is left."""
        return self.position >= len(self.text)

    def peek(self) -> str:
        """Return the line to be read next, with its line end."""
        end = self.text.find("\n", self.position)
        return self.text[self.position :] if end == -1 else self.text[self.position : end + 1]

    def take(self) -> tuple[int, str]:
        """Return the offset and the text (with its line end) of the next line, and go beyond it."""
        start = self.position
        line = self.peek()
        self.position = start + len(line)
        return start, line

    def take_logical(self) -> LogicalLine:
        """Return the next logical line. The reader must stand on a line that is neither blank nor a comment."""
        start, line = self.take()
        line = line.rstrip("\r\n")
        stripped = line.lstrip(SPACES)
        origin = start + len(line) - len(stripped)
        body = self._without_continuation(stripped)
        if body is None:
            return LogicalLine(
                source=self.source,
                text=stripped,
                starts=(0,),
                origins=(origin,),
                end=origin + len(stripped.rstrip(SPACES)),
            )
        return self._take_continued(body, origin, origin + len(stripped.rstrip(SPACES)))

    def _take_continued(self, body: str, origin: int, end: int) -> LogicalLine:
        pieces = [body]
        starts = [0]
        origins = [origin]
        size = len(body)
        empty_lines: list[Span] = []
        is_continued = True
        while is_continued and not self.is_at_end:
            start, line = self.take()
            line = line.rstrip("\r\n")
            stripped = line.lstrip(SPACES)
            if stripped.startswith("#"):
                continue
            if not stripped:
                empty_lines.append(Span(source=self.source, start=start, end=start + len(line)))
                continue
            shortened = self._without_continuation(line)
            is_continued = shortened is not None
            piece = line if shortened is None else shortened
            end = start + len(line.rstrip(SPACES))
            if piece:
                pieces.append(piece)
                starts.append(size)
                origins.append(start)
                size += len(piece)
        if len(starts) > 1 and not body:  # the first line held the escape character alone
            del pieces[0], starts[0], origins[0]
        return LogicalLine(
            source=self.source,
            text="".join(pieces),
            starts=tuple(starts),
            origins=tuple(origins),
            end=end,
            empty_lines=tuple(empty_lines),
        )

    def _without_continuation(self, line: str) -> str | None:
        """Return the line without its continuation character and what follows it; None when it has none."""
        trimmed = line.rstrip(" \t")
        if not trimmed.endswith(self.escape) or trimmed[-2:-1] == self.escape:
            return None
        return trimmed[:-1]


def find_text_faults(source: SourceFile) -> Iterator[Diagnostic]:
    """Yield the faults of the bytes: a text or lines beyond the bounds, NUL characters."""
    text = source.text
    bound = DEFAULT_LIMITS.dockerfile_bytes
    if _is_longer(text, bound):
        yield Diagnostic(
            slug="dockerfile-too-large",
            message=f"the Dockerfile is larger than {bound} bytes",
            span=Span(source=source, start=0, end=0),
            hint="copy large content from files of the context",
        )
        return
    nul = text.find("\0")
    if nul != -1:
        yield Diagnostic(
            slug="nul-character",
            message="a NUL character in the Dockerfile",
            span=Span(source=source, start=nul, end=nul + 1),
            hint="save the file as UTF-8 text (an editor may have written UTF-16)",
        )
    bound = DEFAULT_LIMITS.dockerfile_line_bytes
    starts = source.line_starts
    for index, start in enumerate(starts):
        end = starts[index + 1] - 1 if index + 1 < len(starts) else len(text)
        if (end - start) * 4 > bound and _is_longer(text[start:end], bound):
            yield Diagnostic(
                slug="line-too-long",
                message=f"a line of more than {bound} bytes",
                span=Span(source=source, start=start, end=start + 1),
                hint="break the line, or copy the data from a file of the context",
            )


def _is_longer(text: str, bound: int) -> bool:
    return len(text) > bound or (len(text) * 4 > bound and len(text.encode("utf-8", "replace")) > bound)
