"""Descriptors: what points at a blob or a manifest, and the media types of both formats.

Source: OCI image specification, descriptor.md and media-types.md; distribution, "Image Manifest V 2, Schema 2". Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jettison.digest import Digest, parse_digest
from jettison.platform import Platform, normal_platform

if TYPE_CHECKING:
    from jettison.oci.config import JsonValue
    from jettison.oci.fields import Fields

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
OCI_LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
DOCKER_LAYER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip"
DOCKER_LAYER_ZSTD = "application/vnd.docker.image.rootfs.diff.tar.zstd"
DOCKER_SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"

INDEX_TYPES = frozenset({OCI_INDEX, DOCKER_INDEX})
MANIFEST_TYPES = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
CONFIG_TYPES = frozenset({OCI_CONFIG, DOCKER_CONFIG})
LAYER_TYPES = frozenset({OCI_LAYER, OCI_LAYER_GZIP, OCI_LAYER_ZSTD, DOCKER_LAYER, DOCKER_LAYER_GZIP, DOCKER_LAYER_ZSTD})


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """A typed, sized pointer at content. ``urls`` of foreign layers are kept but never followed."""

    media_type: str
    digest: Digest
    size_bytes: int
    platform: Platform | None = None
    annotations: tuple[tuple[str, str], ...] = ()
    urls: tuple[str, ...] = ()
    artifact_type: str = ""


def parse_descriptor(fields: Fields) -> Descriptor:
    """Return the descriptor that the object spells; embedded ``data`` is ignored.

    Raises:
        StoreError: the slug of the document: a wrong type, a digest that is no sha256, a negative size.

    """
    text = fields.text("digest")
    try:
        digest = parse_digest(text)
    except ValueError as error:
        raise fields.fault("digest", "a sha256 digest") from error
    size = fields.integer("size")
    if size < 0:
        raise fields.fault("size", "0 or more")
    place = fields.below("platform")
    platform = None
    if place is not None:
        platform = normal_platform(place.text("os"), place.text("architecture"), place.text("variant"))
    return Descriptor(
        media_type=fields.text("mediaType"),
        digest=digest,
        size_bytes=size,
        platform=platform,
        annotations=fields.pairs("annotations"),
        urls=fields.texts("urls") or (),
        artifact_type=fields.text("artifactType"),
    )


def render_descriptor(descriptor: Descriptor) -> dict[str, JsonValue]:
    """Return the descriptor as a JSON object, keys in the order of the specification, empty ones absent."""
    value: dict[str, JsonValue] = {
        "mediaType": descriptor.media_type,
        "digest": descriptor.digest,
        "size": descriptor.size_bytes,
    }
    if descriptor.urls:
        value["urls"] = list(descriptor.urls)
    if descriptor.annotations:
        value["annotations"] = dict(sorted(descriptor.annotations))
    if descriptor.platform is not None:
        platform = descriptor.platform
        place: dict[str, JsonValue] = {"architecture": platform.architecture, "os": platform.os}
        if platform.variant:
            place["variant"] = platform.variant
        value["platform"] = place
    if descriptor.artifact_type:
        value["artifactType"] = descriptor.artifact_type
    return value
