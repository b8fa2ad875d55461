"""Images and their names: tag -> image id -> config, layers, known blobs.

``images/records/<hex>`` holds one image, ``images/tags/<sha256 of the full reference>`` one name. Each is one small file,
replaced whole, that starts with the digest of the rest: a file that a power cut damaged reads as absent, never as wrong.
An image id is the digest of its config, as docker's.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from jettison.digest import DiffId, Digest, LayerId, digest_of, is_digest, parse_digest
from jettison.errors import ImageNotFoundError, StoreError
from jettison.reference import Reference, parse_reference
from jettison.store.core import StoreCore, digits_of, is_digits
from jettison.store.disk import list_names
from jettison.store.faults import telling
from jettison.store.ledger import Note

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_PREFIX_MIN = 4
_ID_DIGITS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownBlob:
    """A blob that is known to hold a layer (or manifest), here or in a registry."""

    digest: Digest
    size_bytes: int
    media_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageLayer:
    """One layer of an image.

    ``size_bytes`` is the size of its uncompressed tar; ``layer_id`` None says that its index is not in the store; ``epoch``
    is the SOURCE_DATE_EPOCH that its tar was made with.
    """

    diff_id: DiffId
    layer_id: LayerId | None
    size_bytes: int
    epoch: int | None = None
    blobs: tuple[KnownBlob, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRecord:
    """An image: ``config`` is its exact JSON, ``is_partial`` says that content is missing here (it must not look whole)."""

    image_id: Digest
    config: bytes
    layers: tuple[ImageLayer, ...]
    platform: str
    is_partial: bool = False
    manifests: tuple[KnownBlob, ...] = ()


class DiskImages:
    """The images and tags of one store."""

    def __init__(self, core: StoreCore) -> None:
        self._core = core
        self._records = core.path / "images" / "records"
        self._tags = core.path / "images" / "tags"

    def put(self, record: ImageRecord) -> None:
        """Store the image, or replace what is known about it; it stays while this store is open.

        Raises:
            StoreError: ``bad-image``, the id is not the digest of the config.

        """
        if digest_of(record.config) != record.image_id:
            raise StoreError(f"'{record.image_id}' is not the digest of the image's config", slug="bad-image")
        path = self._records / record.image_id.hex
        data = _seal(_encode_record(record))
        self._core.lease.hold((record.image_id,))
        if _read(path) == data:
            return
        self._core.ledger.note(Note("image", record.image_id.hex))
        self._core.replace_file(path, data)

    def get(self, image_id: Digest) -> ImageRecord | None:
        """Return the image, None when it is not here (or damaged); if here, it stays while this store is open."""
        self._core.lease.hold((image_id,))
        return self.peek(image_id)

    def peek(self, image_id: Digest) -> ImageRecord | None:
        """Return the image as ``get`` does, but without keeping it from the collector."""
        body = _unseal(_read(self._records / digits_of(image_id)))
        return None if body is None else _decode_record(image_id, body)

    def ids(self) -> Iterator[Digest]:
        """Go through the ids of all images, in no order; nothing is leased."""
        with telling("read", self._records):
            names = list_names(self._records)
        for name in names:
            if is_digits(name):
                yield Digest(f"sha256:{name}")

    def remove(self, image_id: Digest) -> bool:
        """Remove the image and its tags; its layers and blobs are the collector's. False when it is not here."""
        for name in self.tags_of(image_id):
            self.untag(parse_reference(name))
        path = self._records / digits_of(image_id)
        self._core.bump_generation(is_durable=True)
        with telling("remove", path):
            try:
                path.unlink()
            except FileNotFoundError:
                return False
        self._core.ledger.clear(Note("image", path.name))
        self._core.bump_generation()
        return True

    def tag(self, reference: Reference, image_id: Digest) -> None:
        """Let the name mean the image, durably; call ``Store.sync`` before, so that what it names is on the disk.

        Raises:
            ImageNotFoundError: ``image-not-found``, no such image is in the store.

        """
        if self.get(image_id) is None:
            raise _not_found(image_id, ())
        path = self._tag_path(reference)
        data = _seal(json.dumps({"reference": str(reference), "image": image_id}).encode())
        if _read(path) == data:
            return
        self._core.replace_file(path, data, is_durable=True)
        self._core.bump_generation()

    def untag(self, reference: Reference) -> bool:
        """Remove the name; False when nothing had it. The image stays until the collector comes."""
        path = self._tag_path(reference)
        with telling("remove", path):
            try:
                path.unlink()
            except FileNotFoundError:
                return False
        self._core.bump_generation(is_durable=True)
        return True

    def tags(self) -> Mapping[str, Digest]:
        """Return the image ids by full reference (``docker.io/library/app:latest``), sorted by name."""
        found: dict[str, Digest] = {}
        with telling("read", self._tags):
            names = list_names(self._tags)
        for name in names:
            tag = _decode_tag(_unseal(_read(self._tags / name)))
            if tag is not None:
                found[tag[0]] = tag[1]
        return dict(sorted(found.items()))

    def tags_of(self, image_id: Digest) -> tuple[str, ...]:
        """Return the full references of the image, sorted."""
        return tuple(name for name, target in self.tags().items() if target == image_id)

    def find(self, reference: Reference) -> Digest | None:
        """Return the id of the image that has the name, None when there is none."""
        tag = _decode_tag(_unseal(_read(self._tag_path(reference))))
        if tag is None and reference.digest is not None and reference.tag:
            bare = Reference(domain=reference.domain, path=reference.path, tag="", digest=reference.digest)
            tag = _decode_tag(_unseal(_read(self._tag_path(bare))))
        return None if tag is None else tag[1]

    def resolve(self, text: str) -> Digest:
        """Return the id of the image that a person means: a name, an id, or the first digits of one (at least 4).

        Raises:
            ImageNotFoundError: ``image-not-found``, with the nearest name as a hint.
            StoreError: ``image-ambiguous``, several ids start so.

        """
        try:
            named = self.find(parse_reference(text))
        except ValueError:
            named = None
        if named is not None and self.get(named) is not None:
            return named
        digits = text.removeprefix("sha256:")
        if _PREFIX_MIN <= len(digits) <= _ID_DIGITS and not set(digits) - set("0123456789abcdef"):
            matches = [image_id for image_id in self.ids() if image_id.hex.startswith(digits)]
            if len(matches) > 1:
                raise StoreError(
                    f"several image ids start with '{text}'", slug="image-ambiguous", hint="give more digits of the id"
                )
            if matches and self.get(matches[0]) is not None:
                return matches[0]
        raise _not_found(text, tuple(self.tags()))

    def place_of(self, digits: str) -> Path:
        """Return where the thing of these hexadecimal digits lies, or would (for ``Store.sync``)."""
        return self._records / digits

    def _tag_path(self, reference: Reference) -> Path:
        return self._tags / digest_of(str(reference).encode()).hex


def _not_found(text: str, names: tuple[str, ...]) -> ImageNotFoundError:
    familiar = [parse_reference(name).familiar for name in names]
    near = get_close_matches(text, familiar, n=1, cutoff=0.6)
    hint = f"did you mean '{near[0]}'?" if near else "'jettison images' lists what is here; 'jettison pull' gets more"
    return ImageNotFoundError(f"no image '{text}' in the local store", hint=hint)


def _read(path: Path) -> bytes:
    with telling("read", path):
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return b""


def _seal(body: bytes) -> bytes:
    return digest_of(body).encode() + b"\n" + body


def _unseal(data: bytes) -> Any:
    head, _, body = data.partition(b"\n")
    if digest_of(body).encode() != head:
        return None
    return json.loads(body)


def _decode_tag(body: Any) -> tuple[str, Digest] | None:
    if body is None:
        return None
    return str(body["reference"]), parse_digest(body["image"])


def _encode_record(record: ImageRecord) -> bytes:
    document = asdict(record)
    document["config"] = record.config.decode("utf-8", "surrogateescape")
    return json.dumps(document).encode()


def _decode_record(image_id: Digest, body: Any) -> ImageRecord | None:
    config = str(body["config"]).encode("utf-8", "surrogateescape")
    if digest_of(config) != image_id:
        return None
    return ImageRecord(
        image_id=image_id,
        config=config,
        layers=tuple(_decode_layer(layer) for layer in body["layers"]),
        platform=str(body["platform"]),
        is_partial=bool(body["is_partial"]),
        manifests=tuple(_decode_blob(blob) for blob in body["manifests"]),
    )


def _decode_layer(body: Any) -> ImageLayer:
    layer_id = body["layer_id"]
    return ImageLayer(
        diff_id=DiffId(body["diff_id"]),
        layer_id=LayerId(layer_id) if layer_id is not None and is_digest(layer_id) else None,
        size_bytes=int(body["size_bytes"]),
        epoch=body["epoch"],
        blobs=tuple(_decode_blob(blob) for blob in body["blobs"]),
    )


def _decode_blob(body: Any) -> KnownBlob:
    return KnownBlob(
        digest=parse_digest(body["digest"]), size_bytes=int(body["size_bytes"]), media_type=str(body["media_type"])
    )
