"""Files as data: one entry of a layer, where its content lies, and a selection of entries.

An entry is a NamedTuple, not a dataclass: trees of 200,000 entries pass through here, and building a frozen dataclass costs
three times as much. Paths are bytes without a leading slash; the root is ``b""``. Entries are ordered by ``sort_key``: a
directory directly precedes everything below it.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator


class EntryKind(IntEnum):
    """What an entry is. The numbers are part of the index format: never renumber."""

    FILE = 1
    DIRECTORY = 2
    SYMLINK = 3
    HARD_LINK = 4
    CHAR_DEVICE = 5
    BLOCK_DEVICE = 6
    FIFO = 7
    WHITEOUT = 8


class FileEntry(NamedTuple):
    """The metadata of one path of a layer.

    ``mode`` holds the permission bits with set-id and sticky (0o7777), ``mtime_ns`` nanoseconds since the epoch (may be
    negative), ``link_target`` the text of a symlink or the index path of a hard link's first name, ``xattrs`` pairs sorted
    by name, ``digest`` the 32 raw bytes of a file's sha256 (empty for all other kinds), ``is_opaque`` that a directory
    hides everything below it in lower layers, ``is_fresh`` that the time comes from this build and not from content (it
    becomes SOURCE_DATE_EPOCH in an image made with one).
    """

    path: bytes
    kind: EntryKind
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    size: int = 0
    mtime_ns: int = 0
    link_target: bytes = b""
    xattrs: tuple[tuple[bytes, bytes], ...] = ()
    device: tuple[int, int] = (0, 0)
    digest: bytes = b""
    is_opaque: bool = False
    is_fresh: bool = False


class ContentKind(IntEnum):
    """Which form a file's content takes on disk. The numbers are part of the index format."""

    NONE = 0
    FS = 1
    PACK = 2
    BLOB = 3


class ContentRef(NamedTuple):
    """Where the content of a file lies.

    ``layer`` is the id of the layer that holds it, empty for the layer of the entry itself. ``path`` is the file below that
    layer's ``fs/`` (FS) or unused; ``offset`` the byte at which it starts in the layer's pack (PACK) or in the uncompressed
    stream of the layer's blob (BLOB).
    """

    kind: ContentKind
    layer: str = ""
    offset: int = 0
    path: bytes = b""


NO_CONTENT = ContentRef(ContentKind.NONE)


class FileTree(Protocol):
    """Entries in ``sort_key`` order, each path once, parents before children."""

    def __iter__(self) -> Iterator[tuple[FileEntry, ContentRef]]:
        """Go through all entries in order."""
        ...


def sort_key(path: bytes) -> bytes:
    """Return the key by which paths are ordered: a slash sorts before every other byte."""
    return path.replace(b"/", b"\0")


def parent_of(path: bytes) -> bytes:
    """Return the directory that holds the path (``b""`` for a top-level one)."""
    return path[: path.rfind(b"/")] if b"/" in path else b""
