"""Extended headers of tar members: what they override, each thing once.

Owns the syntax of pax records and the rule which of several values counts. Pure. Source: POSIX.1-2017 pax, "pax Extended
Header"; the ``SCHILY.xattr.`` prefix of star.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from jettison.errors import LayerError

if TYPE_CHECKING:
    from collections.abc import Mapping

_XATTR = b"SCHILY.xattr."
_SPARSE = b"GNU.sparse."
_NANO = 1_000_000_000
_LENGTH_DIGITS_MAX = 8
_TIME = re.compile(rb"(-?)([0-9]{1,20})(?:\.([0-9]*))?\Z")
_INTEGER = re.compile(rb"[0-9]{1,20}\Z")


def parse_pax(data: bytes) -> dict[bytes, bytes]:
    r"""Return the records of an extended header; of equal keys the last counts.

    Grammar::

        header  = *record
        record  = length " " key "=" value LF        length counts the whole record, itself included

    Raises:
        LayerError: ``tar-header``: the lengths do not add up; ``tar-sparse``.

    """
    records: dict[bytes, bytes] = {}
    at = 0
    while at < len(data):
        blank = data.find(b" ", at, at + _LENGTH_DIGITS_MAX + 1)
        digits = data[at:blank] if blank > at else b""
        end = at + int(digits) if digits.isdigit() else 0
        if not blank < end <= len(data) or not digits or data[end - 1] != 0x0A:
            raise _bad("a record of an extended header has a wrong length")
        key, equals, value = data[blank + 1 : end - 1].partition(b"=")
        if not equals or not key:
            raise _bad("a record of an extended header has no key")
        if key.startswith(_SPARSE):
            raise LayerError(
                "the tar holds a sparse file", slug="tar-sparse", hint="make the archive again without '--sparse'"
            )
        records[key] = value
        at = end
    return records


class Overrides:
    """What the extended headers before a member say about it."""

    def __init__(self) -> None:
        self.is_set = False
        self._pax: Mapping[bytes, bytes] | None = None
        self._name: bytes | None = None
        self._link: bytes | None = None

    def set_pax(self, records: Mapping[bytes, bytes]) -> None:
        """Take a pax header.

        Raises:
            LayerError: ``tar-header``: there is one already.

        """
        if self._pax is not None:
            raise _bad("a member has two extended headers")
        self._pax = records
        self.is_set = True

    def set_gnu(self, text: bytes, *, is_link: bool) -> None:
        """Take a long name or link text of GNU tar.

        Raises:
            LayerError: ``tar-header``: there is one already.

        """
        if (self._link if is_link else self._name) is not None:
            raise _bad("a member has two long names")
        if is_link:
            self._link = text
        else:
            self._name = text
        self.is_set = True

    def texts(self, name: bytes, link: bytes) -> tuple[bytes, bytes]:
        """Return name and link text, given those of the header.

        Raises:
            LayerError: ``tar-header``: two extended headers give a name, or it holds a NUL.

        """
        return self._text(b"path", self._name, name), self._text(b"linkpath", self._link, link)

    def numbers(self, plain: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
        """Return uid, gid, size and mtime in nanoseconds, given those of the header.

        Raises:
            LayerError: ``tar-header``: not a number.

        """
        uid, gid, size, mtime_ns = plain
        pax = self._pax
        if not pax:
            return plain
        if pax.get(b"mtime"):
            mtime_ns = _nanoseconds(pax[b"mtime"])
        return self._integer(b"uid", uid), self._integer(b"gid", gid), self._integer(b"size", size), mtime_ns

    def xattrs(self) -> list[tuple[bytes, bytes]]:
        """Return all extended attributes, in no order."""
        if not self._pax:
            return []
        return [(key[len(_XATTR) :], value) for key, value in self._pax.items() if key.startswith(_XATTR)]

    def _text(self, key: bytes, long_text: bytes | None, plain: bytes) -> bytes:
        value = self._pax.get(key) if self._pax else None
        if value and long_text is not None:
            raise _bad("two extended headers name one member")
        text = value or (plain if long_text is None else long_text)
        if b"\0" in text:
            raise _bad("a name holds a NUL byte")
        return text

    def _integer(self, key: bytes, plain: int) -> int:
        value = self._pax.get(key) if self._pax else None
        if not value:
            return plain
        if not _INTEGER.match(value):
            raise _bad("a record of an extended header is no number")
        return int(value)


def _nanoseconds(text: bytes) -> int:
    match = _TIME.match(text)
    if match is None:
        raise _bad("a record of an extended header is no time")
    sign, whole, fraction = match.groups()
    value = int(whole) * _NANO + int((fraction or b"")[:9].ljust(9, b"0"))
    return -value if sign else value


def _bad(reason: str) -> LayerError:
    return LayerError(f"the tar is malformed: {reason}", slug="tar-header")
