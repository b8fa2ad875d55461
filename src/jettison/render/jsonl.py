"""Events as one JSON object a line (``--progress rawjson``). The format is versioned by the first line's ``version``."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from jettison.events import Event

FORMAT_VERSION = 1


class JsonRenderer:
    """Writes one object per event: ``event`` is its type, the other keys its fields; bytes are text, replaced where not UTF-8."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._write({"event": "Format", "version": FORMAT_VERSION})

    def __call__(self, event: Event) -> None:
        """Write the event."""
        fields = {field.name: getattr(event, field.name) for field in dataclasses.fields(event)}
        self._write({"event": type(event).__name__, **fields})

    def close(self) -> None:
        """Nothing is held back."""

    def _write(self, value: dict[str, object]) -> None:
        self._stream.write(json.dumps(value, default=_as_text, separators=(",", ":")) + "\n")
        self._stream.flush()


def _as_text(value: object) -> str:
    assert isinstance(value, bytes), "events hold only JSON values and bytes"
    return value.decode("utf-8", "replace")
