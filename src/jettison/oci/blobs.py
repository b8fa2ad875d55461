"""Protocols of blobs: the one door between store, registry and exporters, and the plainest streams behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from jettison.digest import Digest


class ByteSource(Protocol):
    """Gives bytes in order."""

    def read(self, size: int, /) -> bytes:
        """Return at most that many bytes, none at the end only."""
        ...


class ByteSink(Protocol):
    """Takes bytes in order."""

    def write(self, data: bytes, /) -> object:
        """Take all of the bytes."""
        ...


class BlobWriting(Protocol):
    """A blob on its way in; nothing of it stays unless it is committed."""

    def write(self, data: bytes, /) -> object:
        """Take all of the bytes."""
        ...

    def commit(self, expected: Digest | None = None) -> tuple[Digest, int]:
        """Keep the blob; return its digest and size in bytes.

        Raises:
            StoreError: ``blob-mismatch``: the bytes have another digest than expected; nothing is kept.

        """
        ...


class BlobSource(Protocol):
    """Gives blobs by digest; what it gives has been verified."""

    def has(self, digest: Digest) -> bool:
        """Tell whether the blob is here, whole."""
        ...

    def size(self, digest: Digest) -> int:
        """Return the size of the blob in bytes."""
        ...

    def open(self, digest: Digest) -> BinaryIO:
        """Open the blob for reading.

        Raises:
            StoreError: ``blob-missing``.

        """
        ...


class BlobSink(Protocol):
    """Takes blobs; verified, atomic, idempotent."""

    def writer(self) -> AbstractContextManager[BlobWriting]:
        """Begin a blob."""
        ...
