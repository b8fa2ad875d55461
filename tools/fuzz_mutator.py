"""Bytes made wrong: flips, cuts, repetitions, splices and words of a dictionary, all drawn from one seeded generator."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

SIZE_MAX = 1 << 18
_BYTES = b"\x00\x01\x09\x0a\x0d\x20\x22\x24\x27\x2f\x5c\x7f\x80\xc0\xff"
_NUMBERS = (0, 1, 2, 7, 8, 127, 128, 255, 256, 511, 512, 65535, 65536, 1 << 31, (1 << 32) - 1, 1 << 32, (1 << 63) - 1, 1 << 63)
_BLOCK = 512


class Mutator:
    """Makes inputs out of inputs; the same generator state gives the same input."""

    def __init__(self, random: Random, words: Sequence[bytes]) -> None:
        self._random = random
        self._words = words
        self._steps: tuple[Callable[[bytearray, bytes], bytearray], ...] = (
            self._flip,
            self._set,
            self._cut,
            self._copy,
            self._repeat,
            self._insert_word,
            self._insert_word,
            self._replace_by_word,
            self._splice,
            self._insert_number,
            self._swap_lines,
            self._drop_line,
        )

    def mutate(self, data: bytes, other: bytes) -> bytes:
        """Return the data after a few steps; ``other`` is what splices take from."""
        result = bytearray(data)
        count = 1
        while count < 12 and self._random.random() < 0.6:
            count += 1
        for _ in range(count):
            result = self._random.choice(self._steps)(result, other)
        if self._random.random() < 0.05:
            result = result[: self._place(result)]
        return bytes(result[:SIZE_MAX])

    def _place(self, data: bytearray) -> int:
        return self._random.randrange(len(data) + 1)

    def _range(self, data: bytearray | bytes) -> slice:
        start = self._random.randrange(len(data) + 1)
        length = min(len(data) - start, int(self._random.paretovariate(0.5)))
        return slice(start, start + length)

    def _flip(self, data: bytearray, _other: bytes) -> bytearray:
        if data:
            data[self._random.randrange(len(data))] ^= 1 << self._random.randrange(8)
        return data

    def _set(self, data: bytearray, _other: bytes) -> bytearray:
        if data:
            data[self._random.randrange(len(data))] = self._random.choice((*_BYTES, self._random.randrange(256)))
        return data

    def _cut(self, data: bytearray, _other: bytes) -> bytearray:
        del data[self._range(data)]
        return data

    def _copy(self, data: bytearray, _other: bytes) -> bytearray:
        place = self._place(data)
        data[place:place] = data[self._range(data)]
        return data

    def _repeat(self, data: bytearray, _other: bytes) -> bytearray:
        piece = data[self._range(data)][:4096]
        if piece:
            room = min(SIZE_MAX - len(data), 1 << self._random.randrange(18))
            end = self._place(data)
            data[end:end] = piece * max(0, room // len(piece))
        return data

    def _insert_word(self, data: bytearray, _other: bytes) -> bytearray:
        place = self._place(data)
        data[place:place] = self._random.choice(self._words)
        return data

    def _replace_by_word(self, data: bytearray, _other: bytes) -> bytearray:
        data[self._range(data)] = self._random.choice(self._words)
        return data

    def _splice(self, data: bytearray, other: bytes) -> bytearray:
        if self._random.random() < 0.3:
            return data[: self._place(data)] + bytearray(other[self._random.randrange(len(other) + 1) :])
        data[self._range(data)] = other[self._range(other)]
        return data

    def _insert_number(self, data: bytearray, _other: bytes) -> bytearray:
        number = self._random.choice(_NUMBERS)
        texts = (b"%d" % number, b"-%d" % number, b"%o" % number, struct.pack("<Q", number), struct.pack(">Q", number))
        text = self._random.choice((*texts, struct.pack("<Q", number)[:4]))
        place = self._place(data)
        data[place : place + self._random.choice((0, len(text)))] = text
        return data

    def _swap_lines(self, data: bytearray, _other: bytes) -> bytearray:
        lines = data.split(b"\n")
        one, two = self._random.randrange(len(lines)), self._random.randrange(len(lines))
        lines[one], lines[two] = lines[two], lines[one]
        return bytearray(b"\n".join(lines))

    def _drop_line(self, data: bytearray, _other: bytes) -> bytearray:
        lines = data.split(b"\n")
        del lines[self._random.randrange(len(lines))]
        return bytearray(b"\n".join(lines))


def with_tar_checksums(data: bytes) -> bytes:
    """Return the tar with checksums that are right again, so that a reader looks further."""
    result = bytearray(data)
    at = 0
    while at + _BLOCK <= len(result):
        head = result[at : at + _BLOCK]
        if head[257:262] != b"ustar" and head[148:156].strip(b"\0 01234567"):
            at += _BLOCK
            continue
        if any(head):
            result[at + 148 : at + 156] = b"%06o\0 " % (sum(head) - sum(head[148:156]) + 256)
        digits = bytes(head[124:135]).strip(b"\0 ")
        size = int(digits, 8) if digits and not digits.strip(b"01234567") else 0
        at += _BLOCK + min(size, len(result)) + (-min(size, len(result)) % _BLOCK)
    return bytes(result)


def with_index_header(data: bytes) -> bytes:
    """Return the layer index with its size and checksum right again."""
    if len(data) < 160:
        return data
    head = bytearray(data[:124])
    struct.pack_into("<Q", head, 48, len(data))
    count, offsets_at = struct.unpack_from("<Q", head, 16)[0], struct.unpack_from("<Q", head, 40)[0]
    layers = struct.unpack_from("<I", head, 12)[0]
    if offsets_at + 8 * count + 32 * layers != len(data):  # the table's place moved with what was put in or cut
        struct.pack_into("<Q", head, 40, max(160, len(data) - 8 * min(count, len(data)) - 32 * min(layers, len(data))))
    return bytes(head[:-4]) + zlib.crc32(head[:-4]).to_bytes(4, "little") + data[124:]
