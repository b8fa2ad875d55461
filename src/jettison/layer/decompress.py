"""Compressed streams back to bytes: the codec is told by the content, never by a name or media type.

Owns bounds on memory: whatever a hostile stream says, little is inflated at once, and zstd windows and xz dictionaries have a
ceiling. Between and after members only a padding of zeros is allowed, as gzip has it. The source is read to its very end, so
that its digest can be taken on the way.
"""

from __future__ import annotations

import bz2
import lzma
from typing import TYPE_CHECKING, Protocol

import zstandard
from zlib_ng import zlib_ng

from jettison.errors import LayerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jettison.oci.blobs import ByteSource

PIECE_BYTES = 1 << 18
_INPUT_BYTES = 1 << 16
_SMALL_INPUT_BYTES = 1 << 12
_ZSTD_INPUT_BYTES = 1 << 10
_ZSTD_WINDOW_MAX = 1 << 27
_XZ_MEMORY_MAX = 1 << 27
_GZIP = b"\x1f\x8b\x08"
_ZSTD = b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPABLE = tuple(bytes((0x50 | low, 0x2A, 0x4D, 0x18)) for low in range(16))
_BZIP2 = b"BZh"
_XZ = b"\xfd7zXZ\0"
_ZLIB_FAULT: type[Exception] = zlib_ng.error  # type: ignore[assignment]  # its stub takes the class for an instance
_FAULTS: tuple[type[Exception], ...] = (_ZLIB_FAULT, zstandard.ZstdError, lzma.LZMAError, OSError, EOFError, ValueError)


def read_plain(source: ByteSource) -> Iterator[bytes]:
    """Yield the uncompressed bytes of the source in pieces of at most 256 KiB, none empty.

    gzip (any number of members), zstd (any number of frames), bzip2 and xz are recognised by their first bytes; anything
    else passes as it is.

    Raises:
        LayerError: ``layer-compression``: damaged or truncated data, or a window larger than 128 MiB.

    """
    start = b""
    while len(start) < 6:
        data = source.read(_INPUT_BYTES)
        if not data:
            break
        start += data
    codec = codec_of(start)
    replay = _Replay(start, source)
    if codec == "none":
        yield from _pieces(replay)
        return
    try:
        yield from _CODECS[codec](replay)
    except LayerError:
        raise
    except _FAULTS as error:
        raise LayerError(
            f"the {codec} stream is damaged ({error})",
            slug="layer-compression",
            hint="fetch or make the archive again; if that does not help, its source is broken",
        ) from error


def codec_of(start: bytes) -> str:
    """Return how a stream with these first bytes is compressed: gzip, zstd, bzip2, xz or none."""
    if start.startswith(_GZIP):
        return "gzip"
    if start.startswith((_ZSTD, *_ZSTD_SKIPPABLE)):
        return "zstd"
    if start.startswith(_BZIP2) and start[3:4].isdigit():
        return "bzip2"
    if start.startswith(_XZ):
        return "xz"
    return "none"


class _Replay:
    """The source again from its start; errors of the source itself pass unchanged."""

    def __init__(self, start: bytes, source: ByteSource) -> None:
        self._start = start
        self._source = source

    def read(self, size: int = -1) -> bytes:
        wanted = size if size > 0 else _INPUT_BYTES
        if self._start:
            data, self._start = self._start[:wanted], self._start[wanted:]
            return data
        try:
            return self._source.read(wanted)
        except _FAULTS as error:
            raise LayerError(f"the stream can't be read ({error})", slug="layer-stream") from error


def _pieces(source: _Replay) -> Iterator[bytes]:
    while data := source.read(PIECE_BYTES):
        yield data


def _gunzip(source: _Replay) -> Iterator[bytes]:
    data = source.read(_INPUT_BYTES)
    at, step = 0, _INPUT_BYTES
    while True:
        member = zlib_ng.decompressobj(31)
        while not member.eof:
            if at == len(data):
                data, at = source.read(_INPUT_BYTES), 0
                if not data:
                    raise _truncated("gzip")
            piece: bytes = data[at : at + step]
            at += len(piece)
            is_full = True
            while (piece or is_full) and not member.eof:
                plain: bytes = member.decompress(piece, PIECE_BYTES)
                if plain:
                    yield plain
                piece = member.unconsumed_tail
                is_full = len(plain) == PIECE_BYTES
        at -= len(member.unused_data)
        step = _SMALL_INPUT_BYTES  # a row of small members must not copy the rest of the input for each
        data, at = _skip_zeros(source, data, at)
        if not data:
            return


def _skip_zeros(source: _Replay, data: bytes, at: int) -> tuple[bytes, int]:
    """Return the input and the position of the next member, no input at the end; zeros in between are padding."""
    while at == len(data) or not data[at]:
        rest = data[at:].lstrip(b"\0")
        data, at = rest or source.read(_INPUT_BYTES), 0
        if not data:
            break
    return data, at


def _unzstd(source: _Replay) -> Iterator[bytes]:
    # One input of this size can make 32 MiB at the very most: 256 blocks that repeat one byte 128 Ki times.
    data, at = b"", 0
    while True:
        frame = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_MAX).decompressobj()
        is_begun = False
        while not frame.eof:
            if at == len(data):
                data, at = source.read(_INPUT_BYTES), 0
                if not data and is_begun:
                    raise _truncated("zstd")
                if not data:
                    return
            piece = data[at : at + _ZSTD_INPUT_BYTES]
            at += len(piece)
            is_begun = True
            plain = frame.decompress(piece)
            for start in range(0, len(plain), PIECE_BYTES):
                yield plain[start : start + PIECE_BYTES]
        at -= len(frame.unused_data)


def _by_stream(name: str, make: Callable[[], _Decompressor]) -> Callable[[_Replay], Iterator[bytes]]:
    """Return a reader for a codec of the standard library; streams may follow each other."""

    def read(source: _Replay) -> Iterator[bytes]:
        data = b""
        while True:
            data, _ = _skip_zeros(source, data, 0)
            if not data:
                return
            stream = make()
            while not stream.eof:
                if stream.needs_input and not data:
                    data = source.read(_SMALL_INPUT_BYTES)
                    if not data:
                        raise _truncated(name)
                plain = stream.decompress(data, PIECE_BYTES)
                data = b""
                if plain:
                    yield plain
            data = stream.unused_data

    return read


class _Decompressor(Protocol):
    """What bz2 and lzma have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


_CODECS: dict[str, Callable[[_Replay], Iterator[bytes]]] = {
    "gzip": _gunzip,
    "zstd": _unzstd,
    "bzip2": _by_stream("bzip2", bz2.BZ2Decompressor),
    "xz": _by_stream("xz", lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY_MAX)),
}


def _truncated(codec: str) -> LayerError:
    return LayerError(
        f"the {codec} stream ends too early",
        slug="layer-compression",
        hint="fetch or make the archive again; if that does not help, its source is broken",
    )
