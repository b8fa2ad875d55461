"""Blobs by digest: pulled and produced, verified while they are written.

``blobs/sha256/<hex>`` exists only whole and with the right bytes: a blob is written to ``tmp/``, hashed on the way and
renamed when its digest is known. Mode 0444 is the mark *synced* (see ``ledger``), 0644 says "of this boot, perhaps not on
the disk". Everything is idempotent: of two writers of one blob either wins.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO

from jettison.digest import Digest, digest_from_raw
from jettison.errors import StoreError
from jettison.store.core import StoreCore, clear_way, digits_of, is_digits
from jettison.store.disk import exists, list_names
from jettison.store.faults import telling
from jettison.store.ledger import Note

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MODE_NEW = 0o644
_MODE_SYNCED = 0o444
_BUFFER_BYTES = 1 << 20


class BlobWriter:
    """A blob being written; nothing of it stays unless ``commit`` is called."""

    def __init__(self, core: StoreCore, directory: Path) -> None:
        self._core = core
        self._directory = directory
        self._path = core.staging_path()
        self._hash = hashlib.sha256()
        self._size = 0
        with telling("write", self._path):
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
            fd = os.open(self._path, flags, 0o600)
        self._file: BinaryIO | None = os.fdopen(fd, "wb", buffering=_BUFFER_BYTES)

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Append the bytes; returns how many, which is all of them.

        Raises:
            StoreError: ``disk-full`` and its kin.

        """
        assert self._file is not None, "written after the end"
        size = len(data)
        self._hash.update(data)
        self._size += size
        with telling("write", self._path):
            self._file.write(data)
        return size

    def check(self, expected: Digest | None) -> Digest:
        """Return the digest of what was written so far; with None expected, that is all it does.

        Raises:
            StoreError: ``blob-mismatch``, the bytes are not those of the expected digest.

        """
        digest = digest_from_raw(self._hash.digest())
        if expected is not None and digest != expected:
            raise StoreError(
                f"the content has the digest '{digest}', expected is '{expected}'",
                slug="blob-mismatch",
                hint="try again; if it stays, the source is damaged or not what it claims to be",
            )
        return digest

    def commit(self, expected: Digest | None = None) -> tuple[Digest, int]:
        """Put the blob into the store; returns its digest and its size in bytes.

        Raises:
            StoreError: ``blob-mismatch``, the bytes are not those of the expected digest (nothing is stored).

        """
        assert self._file is not None, "committed twice"
        digest = self.check(expected)
        file, self._file = self._file, None
        with telling("write", self._path):
            try:
                file.flush()
                os.fchmod(file.fileno(), _MODE_NEW)
            except BaseException:
                self._drop(file)
                raise
            file.close()
        self._install(digest)
        return digest, self._size

    def discard(self) -> None:
        """Forget what was written; after ``commit`` this does nothing."""
        file, self._file = self._file, None
        if file is not None:
            self._drop(file)

    def _install(self, digest: Digest) -> None:
        target = self._directory / digest.hex
        note = Note("blob", digest.hex)
        try:
            self._core.lease.hold((digest,))
            with telling("write", target):
                while clear_way(self._core, target, note, lambda: _is_trusted(self._core, target, note)):
                    self._core.ledger.note(note)
                    # A link, not a rename: it must not replace a blob of another writer that was marked meanwhile.
                    with suppress(FileExistsError):
                        target.hardlink_to(self._path)
                        break
                self._path.unlink()
        except BaseException:
            self._path.unlink(missing_ok=True)
            raise

    def _drop(self, file: BinaryIO) -> None:
        self._path.unlink(missing_ok=True)
        with suppress(OSError):  # what is still buffered no longer matters
            file.close()


class DiskBlobs:
    """The blobs of one store."""

    def __init__(self, core: StoreCore) -> None:
        self._core = core
        self._directory = core.path / "blobs" / "sha256"

    def has(self, digest: Digest) -> bool:
        """Tell whether the blob is here, whole; if so it stays while this store is open."""
        path = self.path(digest)
        self._core.lease.hold((digest,))
        return _is_trusted(self._core, path, Note("blob", path.name))

    def is_present(self, digest: Digest) -> bool:
        """Tell whether the blob is here, whole, without keeping it from the collector."""
        path = self.path(digest)
        return _is_trusted(self._core, path, Note("blob", path.name))

    def size(self, digest: Digest) -> int:
        """Return the size in bytes.

        Raises:
            StoreError: ``blob-missing``.

        """
        if not self.has(digest):
            raise _missing(digest)
        with telling("read", self.path(digest)):
            return self.path(digest).stat().st_size

    def path(self, digest: Digest) -> Path:
        """Return where the blob lies, or would.

        Raises:
            StoreError: ``bad-digest``.

        """
        return self._directory / digits_of(digest)

    def open(self, digest: Digest) -> BinaryIO:
        """Return the blob opened for reading (unbuffered).

        Raises:
            StoreError: ``blob-missing``.

        """
        if not self.has(digest):
            raise _missing(digest)
        with telling("read", self.path(digest)):
            return open(self.path(digest), "rb", buffering=0)  # noqa: PTH123 - the caller closes it

    @contextmanager
    def writer(self) -> Iterator[BlobWriter]:
        """Yield a writer for a new blob; without ``commit`` nothing stays."""
        writer = BlobWriter(self._core, self._directory)
        try:
            yield writer
        finally:
            writer.discard()

    def put_bytes(self, data: bytes) -> Digest:
        """Store the bytes; returns their digest."""
        with self.writer() as writer:
            writer.write(data)
            return writer.commit()[0]

    def digests(self) -> Iterator[Digest]:
        """Go through the digests of all blobs, in no order; nothing is leased."""
        with telling("read", self._directory):
            names = list_names(self._directory)
        for name in names:
            if is_digits(name) and _is_trusted(self._core, self._directory / name, Note("blob", name)):
                yield Digest(f"sha256:{name}")

    def remove(self, digest: Digest) -> bool:
        """Move the blob to the trash, whoever needs it; False when it is not here.

        The caller holds ``COLLECT_LOCK`` alone (the collector does).
        """
        path = self.path(digest)
        self._core.ledger.clear(Note("blob", path.name))
        return self._core.trash.take(path)

    def place_of(self, digits: str) -> Path:
        """Return where the thing of these hexadecimal digits lies, or would (for ``Store.sync``)."""
        return self._directory / digits

    def mark_synced(self, digits: str) -> None:
        """Set the mark that the blob is on the disk (for ``Store.sync`` alone)."""
        try:
            (self._directory / digits).chmod(_MODE_SYNCED)
        except FileNotFoundError:
            return

    def drop_untrusted(self, digits: str) -> bool:
        """Move the blob to the trash if a power cut may have damaged it; tells whether it did."""
        path = self._directory / digits
        return not _is_trusted(self._core, path, Note("blob", digits)) and self._core.trash.take(path)

    def strays(self) -> list[str]:
        """Return the digits of the blobs that are on the disk but not to be trusted."""
        found = list_names(self._directory)
        return [name for name in found if not _is_trusted(self._core, self._directory / name, Note("blob", name))]


def _is_trusted(core: StoreCore, path: Path, note: Note) -> bool:
    return core.ledger.is_trusted(note, lambda: _is_marked(path)) and exists(path)


def _is_marked(path: Path) -> bool:
    try:
        return not os.lstat(path).st_mode & 0o222
    except FileNotFoundError:
        return False


def _missing(digest: Digest) -> StoreError:
    return StoreError(
        f"no blob '{digest}' in the local store",
        slug="blob-missing",
        hint="pull the image again, or build with --pull",
    )
