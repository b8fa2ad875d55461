"""Bytes made wrong: flips, cuts, repetitions, splices and words of a dictionary, all drawn from one seeded generator."""

from __future__ import annotations

import json
import struct
import zlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

SIZE_MAX = 1 << 18
_BYTES = b"\x00\x01\x09\x0a\x0d\x20\x22\x24\x27\x2f\x5c\x7f\x80\xc0\xff"
_NUMBERS = (
    0,
    1,
    2,
    7,
    8,
    127,
    128,
    255,
    256,
    511,
    512,
    65535,
    65536,
    1 << 31,
    (1 << 32) - 1,
    1 << 32,
    (1 << 63) - 1,
    1 << 63,
)
_BLOCK = 512
_TAR_FIELDS = (
    (0, 100),
    (100, 8),
    (108, 8),
    (116, 8),
    (124, 12),
    (136, 12),
    (156, 1),
    (157, 100),
    (257, 8),
    (329, 8),
    (337, 8),
    (345, 155),
)
_TAR_VALUES = (
    *(
        b"",
        b"a",
        b"a/b",
        b"a/",
        b"bin",
        b"lib",
        b"bin/a",
        b"../x",
        b"/",
        b"./",
        b".wh.a",
        b"a/.wh..wh..opq",
        b".wh..wh.plnk/x",
        b"\xff",
    ),
    *(
        b"0000000\0",
        b"0000001\0",
        b"7777777\0",
        b"00000000000\0",
        b"00000001000\0",
        b"77777777777\0",
        b"\x80" + bytes(11),
        b"\xff" * 12,
    ),
    *(b"\x80\0\0\0\0\0\0\1\0\0\0\0", b"        ", b"-1", b"8", *(bytes((letter,)) for letter in b"01234567gxLKSVD\0")),
)
_JSON_VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        -1,
        1,
        2,
        1 << 63,
        10**30,
        1.5,
        float("inf"),
        1e300,
        "",
        "a",
        "a:b",
        "\ud800",
        "\0",
        "../a",
        "/a",
        "a" * 300,
    ),
    *(
        [],
        [[]],
        {},
        {"": None},
        [None],
        ["a", "a"],
        [1],
        {"a": {}},
        {"os": "linux", "architecture": "arm64"},
        "sha256:" + "0" * 64,
    ),
    *(
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "@config@",
        "@manifest@",
        "@layer@",
    ),
    *("@layer-size@", "@config-size@", "@manifest-size@", "config.json", "layer.tar", "blobs/sha256/x", "index.json"),
)


class Mutator:
    """Makes inputs out of inputs; the same generator state gives the same input."""

    def __init__(self, random: Random, words: Sequence[bytes], shape: str = "") -> None:
        self._random = random
        self._words = words
        self._by_shape = {"json": self._change_json, "tar": self._change_tar}.get(shape)
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
        if self._by_shape is not None and self._random.random() < 0.6:
            return self._by_shape(data)[:SIZE_MAX]
        result = bytearray(data)
        count = 1
        while count < 12 and self._random.random() < 0.6:
            count += 1
        for _ in range(count):
            result = self._random.choice(self._steps)(result, other)
        if self._random.random() < 0.05:
            result = result[: self._place(result)]
        return bytes(result[:SIZE_MAX])

    def _change_json(self, data: bytes) -> bytes:
        """Change values in one of the documents (0xFE stands between them); the syntax stays right."""
        parts = data.split(b"\xfe")
        for _ in range(self._random.randrange(1, 4)):
            number = self._random.randrange(len(parts))
            try:
                document = json.loads(parts[number])
            except (ValueError, RecursionError):
                continue
            text = json.dumps(self._changed(document)).replace("Infinity", "1e999")
            parts[number] = text.encode()
        return b"\xfe".join(parts)

    def _changed(self, value: Any) -> Any:
        if not value or not isinstance(value, dict | list) or self._random.random() < 0.15:
            return self._random.choice(_JSON_VALUES)
        if isinstance(value, list):
            number = self._random.randrange(len(value))
            changed = [self._changed(item) if at == number else item for at, item in enumerate(value)]
            return changed * self._random.choice((1, 1, 1, 2, 600)) if len(changed) < 4 else changed
        key = self._random.choice(sorted(value))
        step = self._random.random()
        if step < 0.1:
            return {name: item for name, item in value.items() if name != key}
        if step < 0.2:
            return value | {
                self._random.choice(("a", "", "config", "layers", "manifests", "\ud800", *value)): value[key]
            }
        return value | {key: self._changed(value[key])}

    def _change_tar(self, data: bytes) -> bytes:
        """Overwrite fields of headers, and move, double or drop blocks."""
        blocks = [bytearray(data[at : at + _BLOCK]) for at in range(0, len(data), _BLOCK)]
        for _ in range(self._random.randrange(1, 5)):
            number = self._random.randrange(len(blocks)) if blocks else 0
            step = self._random.random()
            if not blocks or step < 0.1:
                blocks.insert(number, bytearray(_BLOCK))
            elif step < 0.2:
                del blocks[number]
            elif step < 0.35:
                count = self._random.choice((1, 2, 3))
                place = self._random.randrange(len(blocks) + 1)
                blocks[place:place] = [bytearray(block) for block in blocks[number : number + count]]
            else:
                heads = [at for at, block in enumerate(blocks) if block[257:262] == b"ustar"]
                head = blocks[self._random.choice(heads)] if heads else blocks[number]
                start, length = self._random.choice(_TAR_FIELDS)
                head[start : start + length] = self._random.choice(_TAR_VALUES)[:length].ljust(length, b"\0")
        return b"".join(blocks)

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
