"""What a step writes: kept whole in its log, masked where it holds a secret, its last lines remembered for the error.

A secret may come in pieces; so as many bytes as the longest one less one are held back until the next piece or the end.
"""

from __future__ import annotations

import os
import selectors
from collections import deque
from typing import TYPE_CHECKING, Literal, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

_MASK = b"****"
_SHORTEST_SECRET = 4
_PIECE = 1 << 16


class StepLog:
    """The log file of one step and its last lines."""

    def __init__(self, path: Path, tail_lines: int) -> None:
        self.path = path
        self._tail: deque[bytes] = deque(maxlen=tail_lines)
        self._rest = b""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)

    def write(self, data: bytes) -> None:
        """Append a piece of output."""
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._tail.extend(lines)
        self._rest = self._rest[-_PIECE:]

    def tail(self) -> tuple[str, ...]:
        """Return the last lines as text."""
        lines = [*self._tail, self._rest] if self._rest else list(self._tail)
        shown = lines[-(self._tail.maxlen or 0) :]
        return tuple(line.rstrip(b"\r").rpartition(b"\r")[2].decode("utf-8", "replace") for line in shown)


class Masker:
    """Replaces secrets in a stream that comes in pieces."""

    def __init__(self, secrets: tuple[bytes, ...]) -> None:
        found = {secret for whole in secrets for secret in (whole, whole.strip()) if len(secret) >= _SHORTEST_SECRET}
        self._secrets = sorted(found, key=len, reverse=True)
        self._hold = max((len(secret) for secret in found), default=1) - 1
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """Return what may be shown now."""
        if not self._secrets:
            return data
        text = self._masked(self._held + data)
        keep = next((n for n in range(min(self._hold, len(text)), 0, -1) if self._may_begin(text[-n:])), 0)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def finish(self) -> bytes:
        """Return what was held back."""
        text, self._held = self._held, b""
        return text

    def _masked(self, text: bytes) -> bytes:
        for secret in self._secrets:
            text = text.replace(secret, _MASK)
        return text

    def _may_begin(self, end: bytes) -> bool:
        return any(secret.startswith(end) for secret in self._secrets)


def pump(
    stdout_fd: int,
    stderr_fd: int,
    secrets: tuple[bytes, ...],
    show: Callable[[Literal["stdout", "stderr"], bytes], None],
) -> None:
    """Read both descriptors to their ends and show each piece, masked; the descriptors are closed."""
    with selectors.DefaultSelector() as selector:
        names: tuple[tuple[int, Literal["stdout", "stderr"]], ...] = ((stdout_fd, "stdout"), (stderr_fd, "stderr"))
        for fd, name in names:
            selector.register(fd, selectors.EVENT_READ, (name, Masker(secrets)))
        while selector.get_map():
            for key, _ in selector.select():
                name, masker = key.data
                data = os.read(key.fd, _PIECE)
                shown = masker.feed(data) if data else masker.finish()
                if shown:
                    show(name, shown)
                if not data:
                    selector.unregister(key.fd)
                    os.close(key.fd)
