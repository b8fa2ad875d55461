"""The words of ENV, LABEL and ARG: split at blanks, but quotes and escapes keep blanks inside a word.

A passage goes in, its words come out as written, quotes and escapes included. An escape character that ends the text is
dropped; a quote that does not close reaches to the end (expansion will complain about it).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from jettison.dockerfile.spaces import SPACES_CLASS

if TYPE_CHECKING:
    from jettison.dockerfile.lines import Passage


def _pattern(escape: str) -> re.Pattern[str]:
    mark = re.escape(escape)
    single = r"'[^']*+(?:'|\Z)"
    double = rf'"(?:{mark}[\s\S]|[^"{mark}])*+(?:"|{mark}?\Z)'
    return re.compile(rf"(?:{single}|{double}|{mark}(?:[\s\S]|\Z)|[^{SPACES_CLASS}'\"{mark}])++")


_PATTERNS = {escape: _pattern(escape) for escape in "\\`"}


def split_pair_words(passage: Passage, escape: str) -> list[Passage]:
    """Return the words of the passage, in order."""
    text = passage.text
    words = [passage.cut(found.start(), found.end()) for found in _PATTERNS[escape].finditer(text)]
    if words and _ends_in_open_escape(words[-1].text, escape):
        words[-1] = words[-1].cut(0, len(words[-1].text) - 1)
        if not words[-1].text:
            words.pop()
    return words


def _ends_in_open_escape(text: str, escape: str) -> bool:
    """Tell whether the last character is an escape that escapes nothing (and does not stand in single quotes)."""
    if not text.endswith(escape):
        return False
    position = 0
    quote = ""
    while position < len(text):
        char = text[position]
        if char == escape and quote != "'":
            position += 2
            continue
        if char == quote:
            quote = ""
        elif not quote and char in "'\"":
            quote = char
        position += 1
    return position > len(text)
