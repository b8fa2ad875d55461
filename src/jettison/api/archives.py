"""Images of the store to archives, and archives into the store.

Layers are compressed once per (layer, epoch, compression) and kept as blobs; a layer that came in as a blob goes out as that
very blob. What comes in is indexed while it is written, its digest, size and DiffID are checked before anything of it shows.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from jettison.api.intake import ComingLayer, settle_layers, take_layer
from jettison.digest import is_digest, parse_digest
from jettison.export.archive_in import open_archive
from jettison.export.docker_tar import write_docker_tar
from jettison.export.layout import ShipOptions, write_layout, write_layout_tar
from jettison.export.package import LAYER_TYPE, LayerBlob, NamedImage
from jettison.platform import normal_platform
from jettison.store.images import ImageLayer, ImageRecord, KnownBlob
from jettison.worker.layers import LayerRequest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jettison.api.request import OutputSpec
    from jettison.api.wiring import Engine
    from jettison.digest import Digest
    from jettison.export.archive_in import ArchiveImage, ArchiveLayer
    from jettison.layer.compress import CompressedLayer
    from jettison.reference import Reference

_SUFFIXES = {"none": "", "gzip": "+gzip", "zstd": "+zstd"}
_ZSTD_LEVEL = 3

Compression = Literal["none", "gzip", "zstd"]


class StoredLayers:
    """Gives the layers of images as blobs; makes them where they are not there yet."""

    def __init__(self, engine: Engine, level: int | None = None) -> None:
        self._engine = engine
        self._level = level

    def layer_blob(self, layer: ImageLayer, compression: Compression) -> LayerBlob:
        """Return the layer compressed so, or as it came if it is only known compressed in another way."""
        blobs = self._engine.store.blobs
        known = [blob for blob in layer.blobs if blobs.has(blob.digest)]
        for blob in sorted(known, key=lambda blob: _compression_of(blob.media_type) != compression):
            return LayerBlob(
                digest=blob.digest, size_bytes=blob.size_bytes, media_type=_oci_type(blob), path=blobs.path(blob.digest)
            )
        assert layer.layer_id is not None, "a layer without files has a blob"
        level = self._level_of(compression)
        key = f"blob {layer.layer_id} {layer.epoch} {compression} {level}"
        found = _decode(self._engine.store.records.get(key))
        if found is None or not blobs.has(found[0]):
            request = LayerRequest(layer_id=layer.layer_id, epoch=layer.epoch, compression=compression, level=level)
            made: CompressedLayer = self._engine.call("layer", request, reads=(layer.layer_id,))
            assert made.diff_id == layer.diff_id, "a layer's tar is the same each time"
            found = made.digest, made.size_bytes
            self._engine.store.records.put(key, json.dumps({"digest": found[0], "size": found[1]}).encode(), b"")
        digest, size_bytes = found
        return LayerBlob(
            digest=digest,
            size_bytes=size_bytes,
            media_type=LAYER_TYPE + _SUFFIXES[compression],
            path=blobs.path(digest),
        )

    def _level_of(self, compression: Compression) -> int:
        if compression == "none":
            return 0
        if self._level is not None:
            return self._level
        return _ZSTD_LEVEL if compression == "zstd" else self._engine.settings.limits.gzip_level


def write_archive(
    engine: Engine, output: OutputSpec, images: Sequence[tuple[ImageRecord, tuple[Reference, ...]]], epoch: int | None
) -> Digest | None:
    """Write the images as the output says; return the digest of the first one's manifest."""
    from jettison.api.output import open_destination

    named = [NamedImage(record=record, names=names) for record, names in images]
    blobs = StoredLayers(engine, output.compression_level)
    compression: Compression = "none" if output.compression == "uncompressed" else output.compression
    if output.kind == "docker" and output.compression == "gzip" and output.compression_level is None:
        compression = "none"  # what every reader of docker archives takes
    options = ShipOptions(compression=compression, epoch=epoch or 0)
    if output.kind == "oci" and not output.is_tar:
        shipped = write_layout(named, blobs, Path(output.dest), options)
    else:
        write = write_docker_tar if output.kind == "docker" else write_layout_tar
        with open_destination(output.dest) as fd:
            shipped = write(named, blobs, _Sink(fd), options)
    return shipped.images[0].digest if shipped.images else None


def read_archive(engine: Engine, path: Path) -> Iterator[tuple[ImageRecord, tuple[Reference, ...]]]:
    """Take all images of an archive into the store, name them, and yield each with its names.

    Raises:
        LayerError: the archive is damaged or hostile; images yielded before stay.

    """
    host = normal_platform("linux", os.uname().machine, "")
    with (
        engine.store.layers.stage() as staged,
        open_archive(path, spool=staged.path / "spool", platform=host, limits=engine.settings.limits) as images,
    ):
        for image in images:
            record = _take_image(engine, image)
            engine.store.images.put(record)
            engine.store.sync()
            for name in image.names:
                if engine.store.images.find(name) != record.image_id:
                    engine.store.images.tag(name, record.image_id)
            yield record, image.names


def _take_image(engine: Engine, image: ArchiveImage) -> ImageRecord:
    limits = engine.settings.limits
    taken = tuple(take_layer(engine.store, _coming(layer), layer.open, limits) for layer in image.layers)
    layers = settle_layers(engine, taken)
    manifests: tuple[KnownBlob, ...] = ()
    if image.manifest is not None:
        digest = engine.store.blobs.put_bytes(image.manifest)
        manifests = (
            KnownBlob(digest=digest, size_bytes=len(image.manifest), media_type=_manifest_type(image.manifest)),
        )
    return ImageRecord(
        image_id=image.image_id, config=image.config, layers=layers, platform=str(image.platform), manifests=manifests
    )


def _coming(layer: ArchiveLayer) -> ComingLayer:
    return ComingLayer(diff_id=layer.diff_id, digest=layer.digest, media_type=layer.media_type, name=layer.name)


class _Sink:
    """Writes to a descriptor."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def write(self, data: bytes, /) -> None:
        """Write all of it."""
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]


def _compression_of(media_type: str) -> Compression:
    if media_type.endswith(("+gzip", ".gzip")):
        return "gzip"
    return "zstd" if media_type.endswith("+zstd") else "none"


def _oci_type(blob: KnownBlob) -> str:
    return LAYER_TYPE + _SUFFIXES[_compression_of(blob.media_type)]


def _manifest_type(data: bytes) -> str:
    with suppress(ValueError):
        document = json.loads(data)
        if isinstance(document, dict) and isinstance(document.get("mediaType"), str):
            return str(document["mediaType"])
    return "application/vnd.oci.image.manifest.v1+json"


def _decode(value: bytes | None) -> tuple[Digest, int] | None:
    if value is None:
        return None
    try:
        document = json.loads(value)
        digest, size = document["digest"], document["size"]
    except (ValueError, KeyError, TypeError):
        return None
    if not isinstance(digest, str) or not is_digest(digest) or not isinstance(size, int):
        return None
    return parse_digest(digest), size
