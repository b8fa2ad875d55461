"""Tars made member by member, as honest or as wrong as a test wants them."""

from __future__ import annotations

import io


def octal(number, width):
    return b"%0*o\0" % (width - 1, number)


def base_256(number, width):
    return number.to_bytes(width, "big", signed=True) if number < 0 else b"\x80" + number.to_bytes(width - 1, "big")


def header(name, kind=b"0", *, size=0, mode=0o644, uid=0, gid=0, mtime=0, link=b"", **raw):
    """Return one header block; ``raw`` replaces fields (size_field, mtime_field, checksum, magic, prefix, device)."""
    head = b"".join(
        (
            name.ljust(100, b"\0")[:100],
            octal(mode, 8),
            raw.get("uid_field", octal(uid, 8)),
            octal(gid, 8),
            raw.get("size_field", octal(size, 12)),
            raw.get("mtime_field", octal(mtime, 12)),
            b" " * 8,
            kind,
            link.ljust(100, b"\0")[:100],
            raw.get("magic", b"ustar\x0000"),
            bytes(64),
            b"".join(octal(number, 8) for number in raw.get("device", (0, 0))),
            raw.get("prefix", b"").ljust(167, b"\0"),
        )
    )
    return head[:148] + raw.get("checksum", b"%06o\0 " % sum(head)) + head[156:]


def padded(data):
    return data + bytes(-len(data) % 512)


def member(name, data=b"", kind=b"0", **fields):
    fields.setdefault("size", len(data))
    return header(name, kind, **fields) + padded(data)


def directory(name, **fields):
    return member(name, kind=b"5", mode=fields.pop("mode", 0o755), **fields)


def symlink(name, target, **fields):
    return member(name, kind=b"2", link=target, **fields)


def hard_link(name, target, **fields):
    return member(name, kind=b"1", link=target, **fields)


def record(key, value):
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    return b"%d %b=%b\n" % (rest + len(str(length)), key, value)


def pax(records, kind=b"x"):
    body = b"".join(record(key, value) for key, value in records)
    return member(b"PaxHeaders/x", body, kind)


def long_name(text, kind=b"L"):
    return member(b"././@LongLink", text + b"\0", kind)


def tar(*members):
    return b"".join(members) + bytes(1024)


class Trickle(io.RawIOBase):
    """A stream that gives a few bytes at a time."""

    def __init__(self, data, step=7):
        self._data = data
        self._at = 0
        self._step = step

    def read(self, size=-1):
        step = self._step if size < 0 else min(size, self._step)
        data = self._data[self._at : self._at + step]
        self._at += len(data)
        return data
