"""Manifests and indexes, OCI's and docker's: to and from JSON, and which image of an index a platform gets.

Refuses documents that can be taken for both kinds (CVE-2021-41190), media types that contradict each other, and docker's
schema 1. Source: OCI image specification, manifest.md and image-index.md. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jettison.errors import StoreError
from jettison.limits import DEFAULT_LIMITS
from jettison.oci.canonical import fault, parse_json, render_json
from jettison.oci.descriptor import (
    DOCKER_INDEX,
    DOCKER_MANIFEST,
    INDEX_TYPES,
    MANIFEST_TYPES,
    OCI_INDEX,
    OCI_MANIFEST,
    Descriptor,
    parse_descriptor,
    render_descriptor,
)
from jettison.oci.fields import Fields
from jettison.platform import normal_platform

if TYPE_CHECKING:
    from jettison.limits import Limits
    from jettison.oci.config import JsonValue
    from jettison.platform import Platform

_WHAT = "manifest"
_SLUG = "manifest"
_ATTESTATION = "vnd.docker.reference.type"
_ARM_VARIANTS = ("v8", "v7", "v6", "v5")
_AMD_VARIANTS = ("v4", "v3", "v2", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """One image: its config and its layers, bottom first."""

    media_type: str
    config: Descriptor
    layers: tuple[Descriptor, ...]
    annotations: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """Several images of one name, usually one for each platform."""

    media_type: str
    manifests: tuple[Descriptor, ...]
    annotations: tuple[tuple[str, str], ...] = ()


def parse_manifest(data: bytes, media_type: str = "", *, limits: Limits = DEFAULT_LIMITS) -> Manifest | Index:
    """Return the manifest or index that the document spells.

    ``media_type`` is what its carrier says (the registry's header or the descriptor); empty if there is none.

    Raises:
        StoreError: ``manifest``: no strict JSON, a wrong type, ambiguous, or of another media type than announced.

    """
    fields = Fields(parse_json(data, what=_WHAT, slug=_SLUG, limits=limits), what=_WHAT, slug=_SLUG)
    if fields.integer("schemaVersion") != 2:
        raise fault(_WHAT, _SLUG, "it has not schema version 2 (docker's schema 1 is no longer supported)")
    is_index = fields.has("manifests")
    is_manifest = fields.has("layers") or fields.has("config") or fields.has("fsLayers")
    if is_index == is_manifest:
        raise fault(_WHAT, _SLUG, "it is both a manifest and an index" if is_index else "it is neither kind")
    own_type = fields.text("mediaType")
    announced = media_type.partition(";")[0].strip().lower()
    known = announced if announced in INDEX_TYPES | MANIFEST_TYPES else ""
    if own_type and known and own_type != known:
        raise fault(_WHAT, _SLUG, f"it says {own_type[:100]!r} but came as {known!r}")
    kind = own_type or known or (OCI_INDEX if is_index else OCI_MANIFEST)
    if kind not in (INDEX_TYPES if is_index else MANIFEST_TYPES):
        raise fault(_WHAT, _SLUG, f"its media type {kind[:100]!r} does not fit its content")
    annotations = fields.pairs("annotations")
    if is_index:
        manifests = tuple(parse_descriptor(item) for item in fields.list_below("manifests"))
        return Index(media_type=kind, manifests=manifests, annotations=annotations)
    config = fields.below("config")
    if config is None:
        raise fields.fault("config", "a descriptor")
    layers = tuple(parse_descriptor(item) for item in fields.list_below("layers"))
    if len(layers) > limits.layers:
        raise fault(_WHAT, _SLUG, f"it has {len(layers)} layers, the limit is {limits.layers}")
    return Manifest(media_type=kind, config=parse_descriptor(config), layers=layers, annotations=annotations)


def render_manifest(document: Manifest | Index) -> bytes:
    """Return the document as JSON, the same bytes each time."""
    value: dict[str, JsonValue] = {"schemaVersion": 2, "mediaType": document.media_type}
    if isinstance(document, Manifest):
        value["config"] = render_descriptor(document.config)
        value["layers"] = [render_descriptor(layer) for layer in document.layers]
    else:
        value["manifests"] = [render_descriptor(manifest) for manifest in document.manifests]
    if document.annotations:
        value["annotations"] = dict(sorted(document.annotations))
    return render_json(value)


def is_docker(document: Manifest | Index) -> bool:
    """Tell whether the document is of docker's format, not OCI's."""
    return document.media_type in {DOCKER_INDEX, DOCKER_MANIFEST}


def choose_manifest(index: Index, wanted: Platform, *, name: str = "the image") -> Descriptor:
    """Return the entry that runs on the platform: the exact variant, else the nearest older one, the first of equals.

    Attestations are no images. An index whose only image names no platform gives that one.

    Raises:
        StoreError: ``image-platform``: none fits; the hint lists what there is.

    """
    images = [item for item in index.manifests if not _is_attestation(item)]
    for platform in _acceptable(wanted):
        for item in images:
            if item.platform == platform:
                return item
    if len(images) == 1 and images[0].platform is None:
        return images[0]
    offered = sorted({str(item.platform) for item in images if item.platform is not None})
    raise StoreError(
        f"{name} is not made for '{wanted}'",
        slug="image-platform",
        hint=f"it is made for {', '.join(offered)}: choose one with '--platform'" if offered else None,
    )


def is_runnable(offered: Platform, wanted: Platform) -> bool:
    """Tell whether programs of the one platform run on the other, by the rule of ``choose_manifest``."""
    return normal_platform(offered.os, offered.architecture, offered.variant) in _acceptable(wanted)


def _is_attestation(item: Descriptor) -> bool:
    if item.platform is not None and item.platform.os == "unknown":
        return True
    return any(key == _ATTESTATION for key, _ in item.annotations)


def _acceptable(wanted: Platform) -> list[Platform]:
    """Return the platforms whose programs run on the wanted one, best first."""
    best = normal_platform(wanted.os, wanted.architecture, wanted.variant)
    variants: tuple[str, ...] = {"arm": _ARM_VARIANTS, "amd64": _AMD_VARIANTS}.get(best.architecture, ())
    older = variants[variants.index(best.variant) :] if best.variant in variants else (best.variant,)
    return [normal_platform(best.os, best.architecture, variant) for variant in older]
