"""The archive of ``docker save``: ``manifest.json`` and ``repositories`` beside an OCI layout, as docker writes it today.

``docker load``, podman and skopeo (``docker-archive:``) read the first two, containerd reads the layout. Layers are
uncompressed unless asked for otherwise: that is what every reader takes. Source: moby's image specification v1.2, "Combined
Image JSON + Filesystem Changeset Format".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jettison.export.layout import ShipOptions, blob_contents
from jettison.export.package import LAYOUT_FILE, Package, Shipped, encode_index, encode_json, index_entries, pack_image
from jettison.export.parcel import Content, write_parcel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jettison.digest import Digest
    from jettison.export.package import LayerBlobs, NamedImage
    from jettison.oci.blobs import ByteSink

DOCKER_OPTIONS = ShipOptions(compression="none")


def write_docker_tar(
    images: Sequence[NamedImage], blobs: LayerBlobs, sink: ByteSink, options: ShipOptions = DOCKER_OPTIONS
) -> Shipped:
    """Write the images as one archive for ``docker load``; returns their manifests and the bytes written."""
    packages = [pack_image(image, blobs, options.compression, options.annotations) for image in images]
    size_bytes = write_parcel(
        [
            Content("manifest.json", encode_json(_manifest_entries(packages))),
            Content("repositories", encode_json(_repositories(packages))),
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


def _manifest_entries(packages: Sequence[Package]) -> list[dict[str, Any]]:
    tags: dict[Digest, list[str]] = {}
    unique: dict[Digest, Package] = {}
    for package in packages:
        image_id = package.image.record.image_id
        unique.setdefault(image_id, package)
        known = tags.setdefault(image_id, [])
        known += [name.familiar for name in package.image.names if name.tag and not name.digest]
    return [
        {
            "Config": f"blobs/sha256/{image_id.hex}",
            "RepoTags": list(dict.fromkeys(tags[image_id])) or None,
            "Layers": [f"blobs/sha256/{layer.digest.hex}" for layer in package.layers],
        }
        for image_id, package in unique.items()
    ]


def _repositories(packages: Sequence[Package]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for package in packages:
        if package.layers:
            for name in package.image.names:
                if name.tag and not name.digest:
                    found.setdefault(name.repository, {})[name.tag] = package.layers[-1].digest.hex
    return {repository: dict(sorted(tags.items())) for repository, tags in sorted(found.items())}
