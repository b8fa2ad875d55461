"""The files of an archive or layout that is loaded, by name: in a directory, or in a tar, compressed or not.

Everything here is hostile. A tar is listed once and then read by position; a compressed one, or one from a pipe, is first
unpacked to a spool file. Names are normal or refused; a name is given once; symlinks and hard links (old ``docker save``
writes them for equal layers) are resolved as text inside the archive; below a directory no symlink is followed.
"""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from jettison.errors import LayerError
from jettison.filetree import EntryKind
from jettison.layer.decompress import codec_of, read_plain
from jettison.layer.members import TarStream
from jettison.store.faults import telling

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jettison.limits import Limits
    from jettison.oci.blobs import ByteSource

_CHUNK_BYTES = 1 << 20
_MAGIC_BYTES = 8
_LINKS_MAX = 8
_OPEN = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class FileSlice:
    """A piece of an open file as a stream; the file is shared, the position is not."""

    def __init__(self, fd: int, offset: int, size: int) -> None:
        self._fd = fd
        self._at = offset
        self._end = offset + size

    def read(self, size: int = -1, /) -> bytes:
        """Return at most that many bytes, none at the end only."""
        left = self._end - self._at
        data = os.pread(self._fd, left if size < 0 else min(size, left), self._at) if left else b""
        self._at += len(data)
        return data


class ArchiveFiles(Protocol):
    """Files by name."""

    def size(self, name: str) -> int | None:
        """Return the size of the file in bytes, None when there is no such file.

        Raises:
            LayerError: ``archive-path``, the name is no plain path or leads out.

        """
        ...

    @contextmanager
    def open(self, name: str) -> Iterator[ByteSource]:
        """Open a file that has a size."""
        ...


class TarFiles:
    """The files of an uncompressed tar that can be read by position."""

    def __init__(self, fd: int, limits: Limits) -> None:
        self._fd = fd
        self._places: dict[str, tuple[int, int]] = {}
        self._links: dict[str, str] = {}
        bounds = replace(limits, layer_entries=limits.archive_members)
        for member in TarStream(_pieces(fd, limits), bounds):
            if member.kind is EntryKind.DIRECTORY:
                continue
            name = normal_name(_text(member.name))
            if name in self._places or name in self._links:
                raise _bad(f"it holds '{name}' twice")
            if member.kind is EntryKind.FILE:
                self._places[name] = (member.offset, member.size)
            elif member.kind is EntryKind.SYMLINK:
                self._links[name] = _target(name, _text(member.link))
            elif member.kind is EntryKind.HARD_LINK:
                self._links[name] = normal_name(_text(member.link))
            else:
                raise _bad(f"'{name}' is no file")

    def size(self, name: str) -> int | None:
        """Return the size of the file in bytes, None when there is no such file."""
        place = self._place(name)
        return None if place is None else place[1]

    @contextmanager
    def open(self, name: str) -> Iterator[ByteSource]:
        """Open a file that has a size."""
        place = self._place(name)
        assert place is not None, name
        yield FileSlice(self._fd, *place)

    def _place(self, name: str) -> tuple[int, int] | None:
        name = normal_name(name)
        for _ in range(_LINKS_MAX):
            if name not in self._links:
                return self._places.get(name)
            name = self._links[name]
        raise _bad(f"the links at '{name}' do not end")


class DirectoryFiles:
    """The files below a directory."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def size(self, name: str) -> int | None:
        """Return the size of the file in bytes, None when there is no such file."""
        fd = self._open(name)
        if fd is None:
            return None
        with os.fdopen(fd, "rb", buffering=0) as file:
            return os.fstat(file.fileno()).st_size

    @contextmanager
    def open(self, name: str) -> Iterator[ByteSource]:
        """Open a file that has a size."""
        fd = self._open(name)
        assert fd is not None, name
        with os.fdopen(fd, "rb", buffering=0) as file:
            yield FileSlice(fd, 0, os.fstat(file.fileno()).st_size)

    def _open(self, name: str) -> int | None:
        *parents, last = normal_name(name).split("/")
        place = os.dup(self._fd)
        try:
            for parent in parents:
                below = os.open(parent, _OPEN | os.O_DIRECTORY, dir_fd=place)
                os.close(place)
                place = below
            fd = os.open(last, _OPEN, dir_fd=place)
        except (FileNotFoundError, UnicodeEncodeError):
            return None
        except OSError as error:
            raise _bad(f"'{name}' can't be opened ({(error.strerror or '').lower()})") from error
        finally:
            os.close(place)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise _bad(f"'{name}' is no file")
        return fd


@contextmanager
def open_files(source: Path | BinaryIO, spool: Path, limits: Limits) -> Iterator[ArchiveFiles]:
    """Open a directory, a tar or a stream with a tar in it; ``spool`` is a new file to use when it must be unpacked first.

    Raises:
        LayerError: ``archive-bad``, ``archive-limit``, ``tar-...``, ``layer-compression``.
        StoreError: ``disk-full`` while unpacking.

    """
    if not isinstance(source, Path):
        with _spooled(source, spool, limits) as fd:
            yield TarFiles(fd, limits)
        return
    with _opened(source) as file:
        mode = os.fstat(file.fd).st_mode
        if stat.S_ISDIR(mode):
            yield DirectoryFiles(file.fd)
        elif stat.S_ISREG(mode) and codec_of(os.pread(file.fd, _MAGIC_BYTES, 0)) == "none":
            yield TarFiles(file.fd, limits)
        else:
            with _spooled(file, spool, limits) as fd:
                yield TarFiles(fd, limits)


def normal_name(name: str) -> str:
    """Return the name without a leading ``./``.

    Raises:
        LayerError: ``archive-path``, it is absolute, empty, or has ``..`` or a NUL in it.

    """
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or not parts or ".." in parts or "\0" in name:
        raise LayerError(
            f"the archive names the path '{name[:200]}', which leads out of it",
            slug="archive-path",
            hint="it was not made by docker, podman or an OCI tool: do not trust it",
        )
    return "/".join(parts)


class _Opened:
    """An open file or directory, unbuffered."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def read(self, size: int, /) -> bytes:
        return os.read(self.fd, size)


@contextmanager
def _opened(path: Path) -> Iterator[_Opened]:
    with telling("open", path):
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield _Opened(fd)
    finally:
        os.close(fd)


@contextmanager
def _spooled(source: ByteSource, spool: Path, limits: Limits) -> Iterator[int]:
    with telling("write", spool):
        fd = os.open(spool, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        spool.unlink()
    with os.fdopen(fd, "w+b", buffering=0) as file:
        total = 0
        for piece in read_plain(source):
            total += len(piece)
            if total > limits.archive_bytes:
                raise _too_large(limits)
            with telling("write", spool):
                file.write(piece)
        yield fd


def _pieces(fd: int, limits: Limits) -> Iterator[bytes]:
    at = 0
    while piece := os.pread(fd, _CHUNK_BYTES, at):
        at += len(piece)
        if at > limits.archive_bytes:
            raise _too_large(limits)
        yield piece


def _target(name: str, link: str) -> str:
    if link.startswith("/"):
        return normal_name(link)  # refused there
    parts = name.split("/")[:-1]
    for part in link.split("/"):
        if part == ".." and parts:
            parts.pop()
        elif part == "..":
            return normal_name(link)  # refused there
        elif part not in ("", "."):
            parts.append(part)
    return normal_name("/".join(parts))


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _bad(reason: str) -> LayerError:
    return LayerError(
        f"the archive can't be loaded: {reason}",
        slug="archive-bad",
        hint="make it again with docker save or an OCI tool",
    )


def _too_large(limits: Limits) -> LayerError:
    return LayerError(f"the archive has more than {limits.archive_bytes} bytes", slug="archive-limit")
