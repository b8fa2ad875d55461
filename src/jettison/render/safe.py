"""Text from outside (logs, labels, names) made harmless for a terminal: control characters and bidirectional marks are shown.

Escape sequences go, a step's own colours too.
"""

from __future__ import annotations

import re

_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])|[\x80-\x9f]|\x1b")
_BAD = re.compile("[\x00-\x08\x0b-\x1f\x7f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def clean(text: str) -> str:
    """Return one or several lines of text without anything that moves a cursor, hides or reorders."""
    return _BAD.sub(_shown, _SEQUENCE.sub("", text))


def _shown(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
