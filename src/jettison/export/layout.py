"""OCI image layouts: as a directory, and as a tar of it.

A directory may be new, empty, or a layout already; then the images join it, names that they carry move to them, and blobs that
are there stay. No symlink below the destination is followed. Source: OCI image specification, image-layout.md.
"""

from __future__ import annotations

import json
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jettison.errors import StoreError
from jettison.export.package import (
    LAYOUT_FILE,
    NAME_ANNOTATION,
    Package,
    Shipped,
    encode_index,
    index_entries,
    pack_image,
)
from jettison.export.parcel import Content, pieces_of, write_parcel
from jettison.store.faults import telling

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from jettison.export.package import Compression, LayerBlobs, NamedImage
    from jettison.oci.blobs import ByteSink

_INDEX_BYTES_MAX = 8 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ShipOptions:
    """How to ship: compression of layers that are not compressed yet, the time in a tar, annotations of the manifests."""

    compression: Compression = "gzip"
    epoch: int = 0
    annotations: tuple[tuple[str, str], ...] = ()


def write_layout(images: Sequence[NamedImage], blobs: LayerBlobs, directory: Path, options: ShipOptions) -> Shipped:
    """Write the images to an OCI layout directory; returns their manifests and the bytes written.

    Raises:
        StoreError: ``export-destination``, the directory holds something else, or a symlink where a directory should be.

    """
    with telling("write", directory):
        entries = _prepare(directory)
        packages = [pack_image(image, blobs, options.compression, options.annotations) for image in images]
        written = sum(_put(directory, content) for content in blob_contents(packages))
        index = encode_index(_joined(entries, index_entries(packages)))
        written += _put(directory, Content("oci-layout", LAYOUT_FILE), is_forced=True)
        written += _put(directory, Content("index.json", index), is_forced=True)
    return Shipped(images=tuple(package.shipped for package in packages), size_bytes=written)


def write_layout_tar(images: Sequence[NamedImage], blobs: LayerBlobs, sink: ByteSink, options: ShipOptions) -> Shipped:
    """Write the images as a tar of an OCI layout to the sink; returns their manifests and the bytes written."""
    packages = [pack_image(image, blobs, options.compression, options.annotations) for image in images]
    size_bytes = write_parcel(
        [
            Content("oci-layout", LAYOUT_FILE),
            Content("index.json", encode_index(index_entries(packages))),
            Content("blobs", None),
            Content("blobs/sha256", None),
            *blob_contents(packages),
        ],
        sink,
        epoch=options.epoch,
    )
    return Shipped(images=tuple(package.shipped for package in packages), size_bytes=size_bytes)


def blob_contents(packages: Iterable[Package]) -> list[Content]:
    """Return the blobs of the packages, each once, sorted by name."""
    found: dict[str, Content] = {}
    for package in packages:
        record = package.image.record
        contents = [
            Content(f"blobs/sha256/{package.digest.hex}", package.manifest),
            Content(f"blobs/sha256/{record.image_id.hex}", record.config),
        ]
        contents += [
            Content(f"blobs/sha256/{layer.digest.hex}", layer.path, layer.size_bytes) for layer in package.layers
        ]
        for content in contents:
            found.setdefault(content.name, content)
    return [found[name] for name in sorted(found)]


def _prepare(directory: Path) -> list[dict[str, Any]]:
    """Make the directories; return the descriptors that are in the index already."""
    directory.mkdir(parents=True, exist_ok=True)
    names = {entry.name for entry in directory.iterdir()}
    if names and not {"oci-layout", "index.json"} <= names:
        raise _refuse(directory, "it is not empty and no OCI layout")
    for path in (directory / "blobs", directory / "blobs" / "sha256"):
        path.mkdir(exist_ok=True)
        if not stat.S_ISDIR(path.lstat().st_mode):
            raise _refuse(path, "it is no directory")
    if not names:
        return []
    path = directory / "index.json"
    if not stat.S_ISREG(path.lstat().st_mode) or path.lstat().st_size > _INDEX_BYTES_MAX:
        raise _refuse(path, "it is no index of a layout")
    try:
        entries = json.loads(path.read_bytes())["manifests"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _refuse(path, "it is no index of a layout") from error
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise _refuse(path, "it is no index of a layout")
    return entries


def _joined(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[dict[str, Any]]:
    names = {_name_of(entry) for entry in new} - {None}
    kept = [entry for entry in old if _name_of(entry) not in names and entry not in new]
    return kept + new


def _name_of(entry: dict[str, Any]) -> str | None:
    annotations = entry.get("annotations")
    name = annotations.get(NAME_ANNOTATION) if isinstance(annotations, dict) else None
    return name if isinstance(name, str) else None


def _put(directory: Path, content: Content, *, is_forced: bool = False) -> int:
    target = directory / content.name
    size = len(content.source) if isinstance(content.source, bytes) else content.size
    if not is_forced and _is_there(target, size):
        return 0
    staged = target.with_name(f".{target.name}.{os.getpid()}.part")
    fd = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            for piece in pieces_of(content):
                file.write(piece)
            os.fchmod(file.fileno(), 0o644)
        staged.replace(target)
    except BaseException:
        staged.unlink(missing_ok=True)
        raise
    return size


def _is_there(target: Path, size: int) -> bool:
    try:
        status = target.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_size == size


def _refuse(path: Path, reason: str) -> StoreError:
    return StoreError(
        f"can't write an OCI layout to '{path}': {reason}",
        slug="export-destination",
        hint="choose a new or empty directory",
    )
