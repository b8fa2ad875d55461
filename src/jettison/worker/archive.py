"""Whether a file is an archive that ADD would extract: told by content, never by name.

Owns the judgement; refuses to extract. As BuildKit has it, a file counts when it is, or decompresses to, something that
starts with a valid tar header; a compressed file that holds no tar is copied like any other.
"""

from __future__ import annotations

import os
from itertools import islice
from typing import TYPE_CHECKING

from jettison.errors import ContextError, LayerError
from jettison.layer.decompress import codec_of, read_plain

if TYPE_CHECKING:
    from jettison.context.local import LocalContext

_BLOCK = 512
_LOOKED_AT_BYTES = 1 << 20
_CHECKSUM = slice(148, 156)


class _Head:
    """The first bytes of a descriptor as a byte source."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._left = _LOOKED_AT_BYTES

    def read(self, size: int, /) -> bytes:
        """Return up to that many bytes, none at the end."""
        data = os.read(self._descriptor, min(size, self._left))
        self._left -= len(data)
        return data


def refuse_archive(context: LocalContext, path: bytes) -> None:
    """Raise ContextError ``unsupported-feature`` when ADD would have to extract this file of the context."""
    descriptor = context.open_file(path)
    try:
        is_found = is_archive(descriptor)
    finally:
        os.close(descriptor)
    if is_found:
        shown = path.decode("utf-8", "backslashreplace")
        raise ContextError(
            f"ADD would extract the archive {shown!r}; extraction comes in a later release",
            slug="unsupported-feature",
            hint=f"extract it in a RUN: RUN --mount=type=bind,source={shown},target=/tmp/archive tar -xf /tmp/archive -C <dir>",
        )


def is_archive(descriptor: int) -> bool:
    """Tell whether a file, read from its start on, is a tar, plain or compressed with gzip, bzip2, xz or zstd."""
    head = os.pread(descriptor, _BLOCK, 0)
    if codec_of(head) == "none":
        return is_tar_header(head)
    data = b""
    try:
        for piece in islice(read_plain(_Head(descriptor)), 64):
            data += piece
            if len(data) >= _BLOCK:
                break
    except LayerError:
        return is_tar_header(data)
    return is_tar_header(data)


def is_tar_header(block: bytes) -> bool:
    """Tell whether the first 512 bytes are a tar header with a right checksum (signed or unsigned sum; POSIX ustar)."""
    block = block[:_BLOCK]
    field = block[_CHECKSUM].strip(b" \0")
    if len(block) < _BLOCK or not field or not all(48 <= digit <= 55 for digit in field):
        return False
    blanked = block[:148] + b" " * 8 + block[156:]
    expected = int(field, 8)
    return expected in {sum(blanked), sum(byte - 256 if byte > 127 else byte for byte in blanked)}
