"""An image as the files that ship it: manifest, config and layer blobs, with their descriptors.

Pure but for asking the caller for layer blobs, which may mean to compress them. The same image, names and blobs give the
same bytes. Source: OCI image specification, manifest.md, image-index.md, annotations.md; containerd's image name annotation.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from jettison.digest import Digest, digest_of
from jettison.errors import StoreError
from jettison.platform import Platform, parse_platform

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from jettison.reference import Reference
    from jettison.store.images import ImageLayer, ImageRecord

Compression: TypeAlias = Literal["none", "gzip", "zstd"]

CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
LAYOUT_FILE = b'{"imageLayoutVersion":"1.0.0"}'
NAME_ANNOTATION = "io.containerd.image.name"
TAG_ANNOTATION = "org.opencontainers.image.ref.name"
_DOCKER_LAYER_TYPE = "application/vnd.docker.image.rootfs.diff.tar"
_ANY = Platform(os="linux", architecture="amd64")


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerBlob:
    """A layer as a file on the disk: exactly ``size_bytes`` bytes at ``path``."""

    digest: Digest
    size_bytes: int
    media_type: str
    path: Path


class LayerBlobs(Protocol):
    """Gives layers as blobs; makes them where they are not there yet."""

    def layer_blob(self, layer: ImageLayer, compression: Compression) -> LayerBlob:
        """Return the layer compressed so, or as it came if it is only known compressed in another way."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedImage:
    """An image to ship and the names it ships under (none is fine)."""

    record: ImageRecord
    names: tuple[Reference, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ShippedImage:
    """One image of a shipment: its id, and the digest and size of its manifest."""

    image_id: Digest
    digest: Digest
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipped:
    """What was written, image by image in the order given; ``size_bytes`` is all of it."""

    images: tuple[ShippedImage, ...]
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """All files of one image. ``descriptor`` is the manifest's, with the platform and without annotations."""

    image: NamedImage
    manifest: bytes
    descriptor: dict[str, Any]
    layers: tuple[LayerBlob, ...]

    @property
    def digest(self) -> Digest:
        """The digest of the manifest."""
        return digest_of(self.manifest)

    @property
    def shipped(self) -> ShippedImage:
        """What to tell of the image once it is written."""
        return ShippedImage(image_id=self.image.record.image_id, digest=self.digest, size_bytes=len(self.manifest))


def pack_image(
    image: NamedImage, blobs: LayerBlobs, compression: Compression, annotations: tuple[tuple[str, str], ...] = ()
) -> Package:
    """Return the files of the image; ``annotations`` go into its manifest.

    Raises:
        StoreError: ``image-partial``, some of the image's content is not here.

    """
    record = image.record
    if record.is_partial:
        raise StoreError(
            f"the image '{record.image_id}' is only partly in the local store",
            slug="image-partial",
            hint="pull it again before you ship it",
        )
    layers = tuple(blobs.layer_blob(layer, compression) for layer in record.layers)
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": _descriptor(CONFIG_TYPE, record.image_id, len(record.config)),
        "layers": [_descriptor(_oci_layer_type(layer.media_type), layer.digest, layer.size_bytes) for layer in layers],
    }
    if annotations:
        document["annotations"] = dict(sorted(annotations))
    manifest = encode_json(document)
    descriptor = _descriptor(MANIFEST_TYPE, digest_of(manifest), len(manifest))
    descriptor["platform"] = _platform_document(record.platform)
    return Package(image=image, manifest=manifest, descriptor=descriptor, layers=layers)


def index_entries(packages: Sequence[Package]) -> list[dict[str, Any]]:
    """Return the descriptors of an ``index.json``: one for each name of each image, a bare one for an image without."""
    entries: list[dict[str, Any]] = []
    for package in packages:
        if not package.image.names:
            entries.append(package.descriptor)
        for name in package.image.names:
            annotations = {NAME_ANNOTATION: str(name)}
            if name.tag:
                annotations[TAG_ANNOTATION] = name.tag
            entries.append({**package.descriptor, "annotations": annotations})
    return entries


def encode_index(entries: list[dict[str, Any]]) -> bytes:
    """Return an ``index.json`` with these descriptors."""
    return encode_json({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": entries})


def encode_json(document: Any) -> bytes:
    """Return the document as JSON, the same bytes each time; keys keep their order."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def _descriptor(media_type: str, digest: Digest, size_bytes: int) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest, "size": size_bytes}


def _oci_layer_type(media_type: str) -> str:
    """Return OCI's name for a type of layer that may come from a docker manifest."""
    if not media_type.startswith(_DOCKER_LAYER_TYPE):
        return media_type
    return LAYER_TYPE + media_type[len(_DOCKER_LAYER_TYPE) :].replace(".", "+")


def _platform_document(text: str) -> dict[str, str]:
    platform = parse_platform(text, _ANY)
    document = {"architecture": platform.architecture, "os": platform.os}
    if platform.variant:
        document["variant"] = platform.variant
    return document
