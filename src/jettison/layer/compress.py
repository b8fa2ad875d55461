"""Streams through hash and codec in one pass: DiffID, digest of the blob, both sizes.

The compressed bytes depend on the input, the codec, its level and its version, and on nothing else: the stream is cut into
blocks of a fixed size, whatever chunks it comes in, and each block is compressed alone (gzip: with the 32 KiB before it as
dictionary), so that the number of threads does not matter either. gzip is one member with a fixed header (no name, no time,
unknown system), zstd a row of frames with checksums. Hashes and codecs release the interpreter lock: they run in threads
while the caller's iterator makes the next block.
"""

from __future__ import annotations

import hashlib
import struct
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import zstandard
from zlib_ng import zlib_ng

from jettison.digest import DiffId, Digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from jettison.oci.blobs import ByteSink

Compression: TypeAlias = Literal["none", "gzip", "zstd"]
_GZIP_HEADER = bytes((0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF))
_GZIP_FINAL_BLOCK = b"\x03\x00"
_WINDOW_BYTES = 1 << 15
_OUTPUT_AHEAD = 4
_BLOCK_BYTES: dict[str, int] = {"none": 1 << 20, "gzip": 1 << 20, "zstd": 1 << 22}
_THREADS_MAX = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class CompressedLayer:
    """What came out: of the uncompressed stream and of the blob (the same if nothing was compressed)."""

    diff_id: DiffId
    uncompressed_bytes: int
    digest: Digest
    size_bytes: int


def compress_layer(
    chunks: Iterable[bytes], sink: ByteSink | None, *, compression: Compression, level: int, threads: int = 2
) -> CompressedLayer:
    """Send the stream, compressed, to the sink; return its identities and sizes.

    Without a sink nothing is compressed and ``digest`` is that of the stream. ``level`` is the codec's own. ``threads``
    (compressing ones) changes nothing but the time.
    """
    if sink is None:
        compression = "none"
    if compression == "none":
        return _pass_through(chunks, sink)
    encode: Callable[[bytes, bytes], bytes] = _deflate(level) if compression == "gzip" else _zstd(level)
    plain = _Tally(with_crc=compression == "gzip")
    with ExitStack() as stack:
        output = _Output(stack, sink)
        reader = stack.enter_context(_executor(1))
        pool = stack.enter_context(_executor(threads))
        if compression == "gzip":
            output.write(_GZIP_HEADER)
        waiting: deque[tuple[Future[None], Future[bytes]]] = deque()
        before = b""
        for block in cut_blocks(chunks, _BLOCK_BYTES[compression]):
            waiting.append((reader.submit(plain.add, block), pool.submit(encode, block, before)))
            before = block[-_WINDOW_BYTES:]
            while len(waiting) > 2 * threads:
                _take(waiting, output)
        while waiting:
            _take(waiting, output)
        if compression == "gzip":
            output.write(_GZIP_FINAL_BLOCK + struct.pack("<II", plain.crc, plain.size & 0xFFFFFFFF))
        packed = output.close()
    return CompressedLayer(
        diff_id=DiffId(plain.text), uncompressed_bytes=plain.size, digest=Digest(packed.text), size_bytes=packed.size
    )


def cut_blocks(chunks: Iterable[bytes], block_bytes: int) -> Iterator[bytes]:
    """Yield the same bytes in blocks of exactly that size; only the last may be shorter, none is empty."""
    pieces: list[bytes] = []
    length = 0
    for chunk in chunks:
        pieces.append(chunk)
        length += len(chunk)
        if length >= block_bytes:
            whole = b"".join(pieces)
            end = length - length % block_bytes
            for at in range(0, end, block_bytes):
                yield whole[at : at + block_bytes]
            pieces = [whole[end:]]
            length -= end
    if length:
        yield b"".join(pieces)


class _Tally:
    """Digest, size and (for gzip) checksum of what passed."""

    def __init__(self, *, with_crc: bool = False) -> None:
        self._hash = hashlib.sha256()
        self._with_crc = with_crc
        self.crc = 0
        self.size = 0

    def add(self, data: bytes) -> None:
        self._hash.update(data)
        self.size += len(data)
        if self._with_crc:
            self.crc = zlib_ng.crc32(data, self.crc)

    @property
    def text(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"


class _Output:
    """Writes to the sink and hashes in a thread of its own; at most a few pieces are under way."""

    def __init__(self, stack: ExitStack, sink: ByteSink | None) -> None:
        self._write = None if sink is None else sink.write
        self._tally = _Tally()
        self._thread = stack.enter_context(_executor(1))
        self._waiting: deque[Future[None]] = deque()

    def write(self, data: bytes) -> None:
        self._waiting.append(self._thread.submit(self._add, data))
        while len(self._waiting) > _OUTPUT_AHEAD:
            self._waiting.popleft().result()

    def close(self) -> _Tally:
        while self._waiting:
            self._waiting.popleft().result()
        return self._tally

    def _add(self, data: bytes) -> None:
        self._tally.add(data)
        if self._write is not None:
            self._write(data)


def _pass_through(chunks: Iterable[bytes], sink: ByteSink | None) -> CompressedLayer:
    with ExitStack() as stack:
        output = _Output(stack, sink)
        for block in chunks:
            output.write(block)
        tally = output.close()
    return CompressedLayer(
        diff_id=DiffId(tally.text), uncompressed_bytes=tally.size, digest=Digest(tally.text), size_bytes=tally.size
    )


def _take(waiting: deque[tuple[Future[None], Future[bytes]]], output: _Output) -> None:
    counted, encoded = waiting.popleft()
    counted.result()
    output.write(encoded.result())


def _executor(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=max(1, min(threads, _THREADS_MAX)), thread_name_prefix="compress")


def _deflate(level: int) -> Callable[[bytes, bytes], bytes]:
    """Return a function that deflates a block, given the window before it, up to a byte boundary."""

    def encode(block: bytes, before: bytes) -> bytes:
        packer = zlib_ng.compressobj(level, zlib_ng.DEFLATED, -15, 8, zlib_ng.Z_DEFAULT_STRATEGY, before)
        data: bytes = packer.compress(block) + packer.flush(zlib_ng.Z_SYNC_FLUSH)
        return data

    return encode


def _zstd(level: int) -> Callable[[bytes, bytes], bytes]:
    """Return a function that makes one frame of a block."""

    def encode(block: bytes, _before: bytes) -> bytes:
        return zstandard.ZstdCompressor(level=level, write_checksum=True, write_content_size=True).compress(block)

    return encode
