"""How steps are shown: ``[build 2/5] RUN npm ci``, as in BuildKit's plain log. Nothing here is hashed.

Owns the text of an instruction on one line (continuations joined, comments dropped), its variables filled in for the reader,
and the numbering. Data flows from an instruction and its scope to a name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jettison.dockerfile.nodes import AnyInstruction, Copy, Run, Word, Workdir
from jettison.dockerfile.words import expand
from jettison.errors import DockerfileError

if TYPE_CHECKING:
    from collections.abc import Mapping

_VARIABLE = re.compile(r"\$(?:\{(?P<braced>[A-Za-z_]\w*)(?P<default>:?-[^{}$]*)?\}|(?P<plain>[A-Za-z_]\w*))", re.ASCII)


@dataclass(slots=True, kw_only=True)
class StepCounter:
    """Numbers the steps of one stage; ``label`` is empty where the file has one stage alone."""

    label: str
    total: int
    last: int = 0

    def name(self, text: str, *, is_trigger: bool = False) -> str:
        """Return the next step's name; the numbers are as wide as the total."""
        self.last += 1
        width = len(str(self.total))
        stage = f"{self.label} " if self.label else ""
        return f"[{stage}{self.last:>{width}}/{self.total}] {'ONBUILD ' if is_trigger else ''}{text}"


def makes_layer(instruction: AnyInstruction) -> bool:
    """Tell whether the instruction counts as a step of its stage."""
    return isinstance(instruction, Copy | Run | Workdir)


def join_lines(instruction: AnyInstruction, *, escape: str) -> str:
    """Return the instruction on one line as written: flags kept, continuations joined, comments and heredoc bodies dropped."""
    span = instruction.span
    lines = span.source.text[max(span.start, instruction.keyword_span.start) : span.end].split("\n")
    continuation = re.compile(rf"(^|[^{re.escape(escape)}]){re.escape(escape)}[ \t]*$")
    joined: list[str] = []
    for number, whole in enumerate(lines):
        line = whole.rstrip("\r")
        if number > 0 and (not line.strip() or line.lstrip().startswith("#")):
            continue
        match = continuation.search(line)
        joined.append(line[: match.end(1)] if match else line)
        if not match:
            break
    return "".join(joined).strip()


def show_expanded(line: str, variables: Mapping[str, str], word: Word, *, escape: str) -> str:
    """Return the line of a COPY or WORKDIR with variables replaced and quotes removed; as written if that fails."""
    try:
        text = expand(Word(text=line, span=word.span), variables, escape=escape).text
    except DockerfileError:
        text = line
    return _upper_first(text)


def show_run(line: str, variables: Mapping[str, str], *, escape: str) -> str:
    """Return the line of a RUN with known variables replaced, unknown ones and quotes kept; as written if a quote is open."""
    pieces: list[str] = []
    position = 0
    quote = ""
    while position < len(line):
        text = char = line[position]
        size = 1
        match = _VARIABLE.match(line, position) if quote != "'" else None
        if match:
            text, size = _show_variable(match, variables), len(match[0])
        elif char == escape and quote != "'":
            following = line[position + 1 : position + 2]
            if not quote or following in {'"', "$", escape}:
                text, size = following, 2
        elif char == quote:
            quote = ""
        elif not quote and char in "'\"":
            quote = char
        pieces.append(text)
        position += size
    return _upper_first(line if quote else "".join(pieces))


def summarize(body: str) -> str:
    """Return the first line of a heredoc's body, with dots if there are more."""
    first, newline, _ = body.strip().replace("\r\n", "\n").partition("\n")
    return first + "..." if newline else first


def _show_variable(match: re.Match[str], variables: Mapping[str, str]) -> str:
    name = match["braced"] or match["plain"]
    value = variables.get(name)
    if value is None:
        return match[0]
    default = match["default"]
    if default is not None and default.startswith(":") and not value:
        return default[2:]
    return value


def _upper_first(text: str) -> str:
    first, blank, rest = text.partition(" ")
    return first.upper() + blank + rest
