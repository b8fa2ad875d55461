"""The content of files, wherever their layer keeps it: a directory, a pack, or the blob it was pulled as.

Owns finding and opening; indexes say where. A file of a RUN layer's directory is opened without following any symlink; a pack is
one shared descriptor; of a compressed blob the uncompressed tar is spooled into a nameless file next to the layer, as far as
it has been asked for and once per reader, because tars are no order to read in. Data flows out by ``os.pread`` on handles.
"""

from __future__ import annotations

import os
import stat
import tempfile
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, BinaryIO, Protocol, Self

from jettison.digest import LayerId, parse_digest
from jettison.errors import LayerError
from jettison.filetree import ContentKind, ContentRef, FileEntry, parent_of
from jettison.guestpath import from_key
from jettison.layer.decompress import read_plain
from jettison.layer.handle import ContentHandle
from jettison.snapshot.beneath import open_beneath

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

    from jettison.digest import Digest
    from jettison.layer.handle import OpenContent

BLOB_FILE = "blob"
"""The file in a layer's directory that holds the digest of the blob its content lies in."""
_DIRECTORY_FLAGS = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class LayerFiles(Protocol):
    """Where the store keeps the files of layers."""

    def path(self, layer_id: LayerId) -> Path:
        """Return the directory of the layer."""
        ...

    def pack_path(self, layer_id: LayerId) -> Path:
        """Return the pack of the layer."""
        ...

    def fs_path(self, layer_id: LayerId) -> Path:
        """Return the directory with the layer's files."""
        ...


class BlobFiles(Protocol):
    """Where the store keeps blobs."""

    def open(self, digest: Digest) -> BinaryIO:
        """Open a blob for reading."""
        ...


class ContentStore(Protocol):
    """The two halves of a store that content lies in."""

    @property
    def layers(self) -> LayerFiles:
        """The files of layers."""
        ...

    @property
    def blobs(self) -> BlobFiles:
        """The blobs."""
        ...


class ContentReader:
    """Opens contents; holds descriptors and spools until it is closed. Threads may share it."""

    def __init__(self, store: ContentStore) -> None:
        self._store = store
        self._stack = ExitStack()
        self._lock = threading.Lock()
        self._packs: dict[str, int] = {}
        self._spools: dict[str, _Spool] = {}
        self._roots: dict[str, int] = {}
        self._directory: tuple[str, bytes] | None = None
        self._directory_fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close everything; handles given out before are void, but for those that need closing."""
        with self._lock:
            self._forget_directory()
            self._stack.close()
            self._packs.clear()
            self._spools.clear()
            self._roots.clear()

    def open(self, entry: FileEntry, ref: ContentRef) -> ContentHandle:
        """Return a handle on the content; ``ref.layer`` must name the layer (see ``for_layer``).

        Raises:
            LayerError: ``layer-content``: it is not where the index says, or is no regular file.
            StoreError: the blob is missing.

        """
        assert ref.layer or not ref.kind, "the place of a content names its layer"
        try:
            match ref.kind:
                case ContentKind.PACK:
                    return ContentHandle(self._pack(LayerId(ref.layer)), ref.offset)
                case ContentKind.BLOB:
                    spool = self._spool(LayerId(ref.layer))
                    spool.reach(ref.offset + entry.size, entry)
                    return ContentHandle(spool.fd, ref.offset)
                case ContentKind.FS:
                    return self._open_file(entry, ref)
                case ContentKind.NONE:
                    raise _missing(entry, "its layer records no content")
        except OSError as error:
            raise _missing(entry, f"{error.strerror}: {os.fsdecode(error.filename or '')!r}") from error

    def for_layer(self, layer_id: LayerId) -> OpenContent:
        """Return ``open`` for the entries of one layer's index, whose places leave out the layer's own id."""

        def open_own(entry: FileEntry, ref: ContentRef) -> ContentHandle:
            return self.open(entry, ref if ref.layer else ref._replace(layer=layer_id))

        return open_own

    def read_bytes(self, entry: FileEntry, ref: ContentRef, limit: int) -> bytes:
        """Return the whole content.

        Raises:
            LayerError: ``layer-content``: as ``open``, or it is shorter than recorded; ``file-too-large``: more than the
                limit, in bytes.

        """
        if entry.size > limit:
            raise LayerError(
                f"the file {str(from_key(entry.path))!r} has {entry.size} bytes, the limit is {limit}",
                slug="file-too-large",
            )
        if not entry.size:
            return b""
        handle = self.open(entry, ref)
        try:
            parts: list[bytes] = []
            offset, end = handle.offset, handle.offset + entry.size
            while offset < end:
                data = os.pread(handle.fd, end - offset, offset)
                if not data:
                    raise _missing(entry, "it is shorter than recorded")
                parts.append(data)
                offset += len(data)
            return b"".join(parts)
        finally:
            if handle.needs_close:
                os.close(handle.fd)

    def _pack(self, layer_id: LayerId) -> int:
        with self._lock:
            fd = self._packs.get(layer_id)
            if fd is None:
                fd = os.open(self._store.layers.pack_path(layer_id), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
                self._stack.callback(os.close, fd)
                self._packs[layer_id] = fd
            return fd

    def _spool(self, layer_id: LayerId) -> _Spool:
        with self._lock:
            spool = self._spools.get(layer_id)
            if spool is None:
                directory = self._store.layers.path(layer_id)
                spool = self._spools[layer_id] = _Spool(self._store.blobs.open(blob_of(directory)), directory)
                self._stack.callback(spool.close)
            return spool

    def _open_file(self, entry: FileEntry, ref: ContentRef) -> ContentHandle:
        parent = parent_of(ref.path)
        with self._lock:
            if self._directory != (ref.layer, parent):
                self._forget_directory()
                self._directory_fd = open_beneath(self._root(LayerId(ref.layer)), parent)
                self._directory = (ref.layer, parent)
            fd = os.open(ref.path[len(parent) + 1 if parent else 0 :], _FILE_FLAGS, dir_fd=self._directory_fd)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise _missing(entry, "it is no regular file any more")
        return ContentHandle(fd, 0, needs_close=True)

    def _root(self, layer_id: LayerId) -> int:
        fd = self._roots.get(layer_id)
        if fd is None:
            fd = os.open(self._store.layers.fs_path(layer_id), _DIRECTORY_FLAGS)
            self._stack.callback(os.close, fd)
            self._roots[layer_id] = fd
        return fd

    def _forget_directory(self) -> None:
        if self._directory is not None:
            os.close(self._directory_fd)
            self._directory = None


class _Spool:
    """The uncompressed tar of a blob, written to a nameless file as far as it has been needed."""

    def __init__(self, blob: BinaryIO, directory: Path) -> None:
        self._blob = blob
        self._pieces: Iterator[bytes] = read_plain(blob)
        self._file = tempfile.TemporaryFile(dir=directory, buffering=0)  # noqa: SIM115 - it lives as long as the reader
        self._size = 0
        self._lock = threading.Lock()
        self.fd = self._file.fileno()

    def reach(self, end: int, entry: FileEntry) -> None:
        """Go on until the byte before ``end`` is there."""
        with self._lock:
            while self._size < end:
                piece = next(self._pieces, b"")
                if not piece:
                    raise _missing(entry, "its blob ends before it")
                view = memoryview(piece)
                while view:
                    view = view[os.write(self.fd, view) :]
                self._size += len(piece)

    def close(self) -> None:
        self._file.close()
        self._blob.close()


def blob_of(directory: Path) -> Digest:
    """Return the digest of the blob that the layer in this directory was pulled as.

    Raises:
        LayerError: ``layer-content``: the layer has no blob, or its note is damaged.

    """
    try:
        return parse_digest((directory / BLOB_FILE).read_text("ascii").strip())
    except (OSError, ValueError) as error:
        raise LayerError(
            f"the file {str(directory / BLOB_FILE)!r} holds no digest",
            slug="layer-content",
            hint="remove the layer with 'jettison prune' and pull again",
        ) from error


def _missing(entry: FileEntry, reason: str) -> LayerError:
    return LayerError(
        f"the content of {str(from_key(entry.path))!r} can't be read: {reason}",
        slug="layer-content",
        hint="remove the layer with 'jettison prune' and build again",
    )
