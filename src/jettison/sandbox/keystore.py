"""Certificates between their two clothes: PEM bundles for most programs, a JKS trust store for Java.

Pure. Passes over PEM blocks that are not base64; knows nothing of what a certificate says. Source: RFC 7468; the layout of
a Java key store of version 2 (big-endian, closed by a SHA-1 over password, a fixed phrase and the content).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

STORE_PASSWORD = "changeit"  # noqa: S105 - no secret: every Java trust store has it
_BLOCK = re.compile(rb"-----BEGIN CERTIFICATE-----\s+([A-Za-z0-9+/=\s]+?)-----END CERTIFICATE-----")
_MAGIC, _VERSION, _TRUSTED = 0xFEEDFEED, 2, 2
_PHRASE = b"Mighty Aphrodite"


def parse_bundle(text: bytes) -> tuple[bytes, ...]:
    """Return the certificates (DER) of a PEM bundle, in order, each once."""
    found: dict[bytes, None] = {}
    for block in _BLOCK.findall(text):
        try:
            certificate = base64.b64decode(b"".join(block.split()), validate=True)
        except binascii.Error:
            continue
        if certificate:
            found[certificate] = None
    return tuple(found)


def render_bundle(certificates: Iterable[bytes]) -> bytes:
    """Return the certificates as a PEM bundle, lines of 64 characters."""
    lines: list[bytes] = []
    for certificate in certificates:
        text = base64.b64encode(certificate)
        lines.append(b"-----BEGIN CERTIFICATE-----")
        lines += [text[at : at + 64] for at in range(0, len(text), 64)]
        lines.append(b"-----END CERTIFICATE-----")
    return b"\n".join([*lines, b""])


def render_trust_store(certificates: Iterable[bytes]) -> bytes:
    """Return a JKS trust store with the certificates; its times are 0, so equal input gives equal bytes."""
    entries = []
    for number, certificate in enumerate(certificates):
        entries.append(
            struct.pack(">I", _TRUSTED)
            + _text(f"ca-{number}")
            + struct.pack(">Q", 0)
            + _text("X.509")
            + struct.pack(">I", len(certificate))
            + certificate
        )
    content = struct.pack(">III", _MAGIC, _VERSION, len(entries)) + b"".join(entries)
    seal = hashlib.sha1(STORE_PASSWORD.encode("utf-16-be") + _PHRASE + content, usedforsecurity=False)
    return content + seal.digest()


def _text(value: str) -> bytes:
    data = value.encode("ascii")
    return struct.pack(">H", len(data)) + data
