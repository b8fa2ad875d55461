"""Errors as text: what, where with an excerpt and a caret, what to do.

::

    error[unknown-stage]: no stage named 'bulid' comes before this COPY
      --> Dockerfile:7:13
       |
     7 | COPY --from=bulid /out /app
       |             ^^^^^
       = hint: did you mean 'build' (line 3)?
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

from jettison.errors import StepError
from jettison.render.safe import clean

if TYPE_CHECKING:
    from jettison.errors import Diagnostic, JettisonError
    from jettison.span import Span

_EXCERPT_LINES = 8


def render_error(error: JettisonError) -> str:
    """Return the whole text of an error, with a final line end."""
    parts = [render_diagnostic(diagnostic) for diagnostic in error.diagnostics]
    if isinstance(error, StepError):
        parts.append(_step_lines(error))
    return "\n".join(part for part in parts if part)


def render_diagnostic(diagnostic: Diagnostic, *, level: str = "error") -> str:
    """Return the text of one fault, with a final line end."""
    lines = [f"{level}[{diagnostic.slug}]: {clean(diagnostic.message)}"]
    gutter = 3
    if diagnostic.span is not None:
        gutter, excerpt = _excerpt(diagnostic.span)
        lines.extend(excerpt)
    pad = " " * gutter
    lines.extend(f"{pad}= note: {clean(note)}" for note in diagnostic.notes)
    if diagnostic.hint:
        lines.append(f"{pad}= hint: {clean(diagnostic.hint)}")
    return "\n".join(lines) + "\n"


def _excerpt(span: Span) -> tuple[int, list[str]]:
    first, last = span.line, max(span.line, span.last_line)
    shown = list(range(first, min(last, first + _EXCERPT_LINES - 1) + 1))
    width = len(str(shown[-1]))
    pad = " " * (width + 2)
    lines = [f"{' ' * (width + 1)}--> {clean(span.source.name)}:{first}:{span.column}", f"{pad}|"]
    for number in shown:
        raw = span.source.line(number).replace("\t", "    ")
        lines.append(f" {number:>{width}} | {clean(raw)}".rstrip())
        if first == last:
            lines.append(f"{pad}| {_carets(span)}")
    if last > shown[-1]:
        lines.append(f" {'.' * width} |")
    if first != last:
        lines.append(f"{pad}| {'^' * _width(clean(span.source.line(shown[0])))}" if len(shown) == 1 else f"{pad}| ^^^")
    return width + 2, lines


def _carets(span: Span) -> str:
    line = span.source.line(span.line)
    before = clean(line[: span.column - 1].replace("\t", "    "))
    inside = clean(line[span.column - 1 : span.column - 1 + max(span.end - span.start, 1)].replace("\t", "    "))
    return " " * _width(before) + "^" * max(_width(inside), 1)


def _width(text: str) -> int:
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def _step_lines(error: StepError) -> str:
    lines: list[str] = []
    if error.tail:
        count = len(error.tail)
        lines.append(f"last {count} lines of the step:" if count > 1 else "last line of the step:")
        lines.extend(f"  {clean(line)}" for line in error.tail)
    if error.log_path:
        lines.append(f"whole log: {error.log_path}")
    return "\n".join(lines) + "\n" if lines else ""
