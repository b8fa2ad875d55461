"""Where a thing came from: source files, spans in them, and the excerpt that shows a span to a person.

Owns positions in text; refuses to know what the text means. Text goes in, numbered lines and columns come out.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A text that people wrote, with the name under which they know it (``Dockerfile``, ``-``, ``ONBUILD of x``)."""

    name: str
    text: str = field(repr=False)
    line_starts: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        starts = [0]
        position = self.text.find("\n")
        while position != -1:
            starts.append(position + 1)
            position = self.text.find("\n", position + 1)
        object.__setattr__(self, "line_starts", tuple(starts))

    def position(self, offset: int) -> tuple[int, int]:
        """Return the 1-based line and column of a character offset."""
        line = bisect_right(self.line_starts, offset)
        return line, offset - self.line_starts[line - 1] + 1

    def line(self, number: int) -> str:
        """Return the text of a 1-based line without its line end."""
        start = self.line_starts[number - 1]
        end = self.line_starts[number] if number < len(self.line_starts) else len(self.text)
        return self.text[start:end].rstrip("\r\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A half-open range of characters ``[start, end)`` of a source file."""

    source: SourceFile
    start: int
    end: int

    @property
    def text(self) -> str:
        """The characters of the range."""
        return self.source.text[self.start : self.end]

    @property
    def line(self) -> int:
        """The 1-based line on which the range starts."""
        return self.source.position(self.start)[0]

    @property
    def column(self) -> int:
        """The 1-based column at which the range starts."""
        return self.source.position(self.start)[1]

    @property
    def last_line(self) -> int:
        """The 1-based line on which the last character of the range stands."""
        return self.source.position(max(self.start, self.end - 1))[0]

    def __str__(self) -> str:
        return f"{self.source.name}:{self.line}:{self.column}"


def nearest_name(wanted: str, known: frozenset[str] | tuple[str, ...] | list[str]) -> str | None:
    """Return the known name that a person most likely meant, or None if none is near.

    The distance is Damerau-Levenshtein without case; at most a third of the letters (at least one) may differ.
    """
    best: tuple[int, str] | None = None
    lowered = wanted.lower()
    for name in sorted(known):
        distance = _distance(lowered, name.lower())
        if distance <= max(1, len(name) // 3) and (best is None or distance < best[0]):
            best = (distance, name)
    return best[1] if best else None


def _distance(left: str, right: str) -> int:
    before_last: list[int] = []
    last = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        row = [i]
        for j, b in enumerate(right, 1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and left[i - 2] == b:
                cost = min(cost, before_last[j - 2] + 1)
            row.append(cost)
        before_last, last = last, row
    return last[-1]
