"""Text from outside (logs, labels, names) made harmless for a terminal: control characters and bidirectional marks are shown.

Colours of a step's own output (SGR sequences) may stay where the reader is a terminal; every other escape sequence goes.
"""

from __future__ import annotations

import re

_SGR = re.compile(r"\x1b\[[0-9;:]*m")
_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])|[\x80-\x9f]|\x1b")
_BAD = re.compile("[\x00-\x08\x0b-\x1f\x7f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def clean(text: str) -> str:
    """Return one or several lines of text without anything that moves a cursor, hides or reorders."""
    return _BAD.sub(_shown, _SEQUENCE.sub("", text))


def clean_keeping_colour(text: str) -> str:
    """Return the text like ``clean``, but with colour sequences, reset at the end."""
    parts: list[str] = []
    position = 0
    for match in _SGR.finditer(text):
        parts.append(clean(text[position : match.start()]))
        parts.append(match.group())
        position = match.end()
    if not parts:
        return clean(text)
    parts.append(clean(text[position:]))
    return "".join(parts) + "\x1b[0m"


def _shown(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
