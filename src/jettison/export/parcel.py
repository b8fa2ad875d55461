"""Named contents as a deterministic tar: sorted as given, owner 0, one time for all, no name of a user."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from jettison.errors import StoreError
from jettison.filetree import EntryKind, FileEntry
from jettison.layer.header import END, PADDING, HeaderWriter
from jettison.store.faults import telling

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from jettison.oci.blobs import ByteSink

_CHUNK_BYTES = 1 << 20
_NANO = 1_000_000_000


class Content(NamedTuple):
    """A file to write: bytes in memory, or exactly ``size`` bytes of a file on the disk; None stands for a directory."""

    name: str
    source: bytes | Path | None
    size: int = 0


def write_parcel(contents: Iterable[Content], sink: ByteSink, *, epoch: int) -> int:
    """Write the tar to the sink; returns its size in bytes. All times are ``epoch`` (seconds).

    Raises:
        StoreError: ``blob-damaged``, a file on the disk has not the size it should have.

    """
    header = HeaderWriter(None).header
    total = 0
    for content in contents:
        is_directory = content.source is None
        size = len(content.source) if isinstance(content.source, bytes) else content.size
        entry = FileEntry(
            path=content.name.encode(),
            kind=EntryKind.DIRECTORY if is_directory else EntryKind.FILE,
            mode=0o755 if is_directory else 0o644,
            size=size,
            mtime_ns=epoch * _NANO,
        )
        blocks = header(entry)
        sink.write(blocks)
        for piece in pieces_of(content):
            sink.write(piece)
        padding = PADDING[size & 511]
        if padding:
            sink.write(padding)
        total += len(blocks) + size + len(padding)
    sink.write(END)
    return total + len(END)


def pieces_of(content: Content) -> Iterator[bytes]:
    """Yield the bytes of the content, exactly as many as it says.

    Raises:
        StoreError: ``blob-damaged``.

    """
    if content.source is None:
        return
    if isinstance(content.source, bytes):
        yield content.source
        return
    left = content.size
    with telling("read", content.source), content.source.open("rb", buffering=0) as file:
        while left and (piece := file.read(min(left, _CHUNK_BYTES))):
            left -= len(piece)
            yield piece
        if left or file.read(1):
            raise StoreError(
                f"the blob '{content.source.name}' has not the size it should have",
                slug="blob-damaged",
                hint="pull or build the image again with --no-cache",
            )
