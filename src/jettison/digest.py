"""Content digests and the identities made of them.

A ``Digest`` names bytes (a blob, a config), a ``DiffId`` an uncompressed layer tar, a ``ChainId`` a stack of layers, a
``LayerId`` the canonical index of a layer of ours. All are ``sha256:`` and 64 hexadecimal digits; they are distinct types
so that one is never taken for the other. Source: OCI image specification, descriptor.md and config.md.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_HEX = frozenset("0123456789abcdef")
_PREFIX = "sha256:"


class Digest(str):
    """The digest of a blob: ``sha256:<64 hex>``."""

    __slots__ = ()

    @property
    def hex(self) -> str:
        """The 64 hexadecimal digits."""
        return self[len(_PREFIX) :]


class DiffId(str):
    """The digest of an uncompressed layer tar."""

    __slots__ = ()


class ChainId(str):
    """The digest of a stack of layers (OCI image specification, config.md)."""

    __slots__ = ()


class LayerId(str):
    """The digest of a layer's canonical index."""

    __slots__ = ()

    @property
    def hex(self) -> str:
        """The 64 hexadecimal digits, the name of the layer's directory."""
        return self[len(_PREFIX) :]


def is_digest(text: str) -> bool:
    """Tell whether the text is a well-formed sha256 digest."""
    return len(text) == 71 and text.startswith(_PREFIX) and _HEX.issuperset(text[7:])


def parse_digest(text: str) -> Digest:
    """Return the digest that the text spells.

    Raises:
        ValueError: not ``sha256:`` and 64 lower-case hexadecimal digits (the only algorithm accepted from outside).

    """
    if not is_digest(text):
        raise ValueError(f"not a sha256 digest: {text[:100]!r}")
    return Digest(text)


def digest_of(data: bytes | bytearray | memoryview) -> Digest:
    """Return the digest of the bytes."""
    return Digest(_PREFIX + hashlib.sha256(data).hexdigest())


def digest_from_raw(raw: bytes) -> Digest:
    """Return the digest whose 32 raw bytes are given."""
    assert len(raw) == 32, "a sha256 digest has 32 bytes"
    return Digest(_PREFIX + raw.hex())


def chain_ids(diff_ids: Iterable[DiffId]) -> tuple[ChainId, ...]:
    """Return the chain id after each layer, bottom first."""
    chain: list[ChainId] = []
    for diff_id in diff_ids:
        if not chain:
            chain.append(ChainId(diff_id))
        else:
            chain.append(ChainId(digest_of(f"{chain[-1]} {diff_id}".encode())))
    return tuple(chain)
