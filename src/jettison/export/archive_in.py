"""Images out of archives, for ``load``: OCI layouts and docker archives, old and new.

Data flows from ``ArchiveFiles`` (names to bytes) to ``ArchiveImage``: config, platform, names, and layers that can be opened.
Nothing is believed: a config has the digest that names it, a manifest and a layer have the digest and the size that their
descriptor says (a layer is checked while it is read: its last ``read`` raises). What an archive can't prove, the DiffID of a
compressed layer, the reader of the layer must compare with ``diff_id``.

A layout that also has ``manifest.json`` (``docker save``) is read as a layout, names of both are taken. An index of several
platforms gives the image of the wanted one. Attestations and artifacts are no images and are passed over.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO

from jettison.digest import DiffId, Digest, digest_from_raw, digest_of, is_digest
from jettison.errors import LayerError
from jettison.export.archive_files import open_files
from jettison.export.package import NAME_ANNOTATION, TAG_ANNOTATION
from jettison.layer.decompress import codec_of
from jettison.limits import DEFAULT_LIMITS, Limits
from jettison.platform import Platform, normal_platform
from jettison.reference import Reference, parse_reference

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jettison.export.archive_files import ArchiveFiles
    from jettison.oci.blobs import ByteSource

_INDEX_TYPES = frozenset(
    {"application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"}
)
_CONFIG_TYPES = frozenset(
    {"application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"}
)
_LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
_INDEX_DEPTH_MAX = 4
_MAGIC_BYTES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveLayer:
    """One layer. ``digest`` is None when the archive does not say it (a compressed layer of an old docker archive)."""

    diff_id: DiffId
    digest: Digest | None
    size_bytes: int
    media_type: str
    name: str
    files: ArchiveFiles = field(repr=False)

    @contextmanager
    def open(self) -> Iterator[ByteSource]:
        """Open the blob, compressed as it is; the read that meets its end raises if digest or size are wrong.

        Raises:
            LayerError: ``archive-digest``.

        """
        with self.files.open(self.name) as source:
            yield VerifiedSource(source, self.digest, self.size_bytes, self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveImage:
    """One image of an archive. ``config`` is its exact JSON, ``manifest`` too (None in an old docker archive)."""

    image_id: Digest
    config: bytes
    layers: tuple[ArchiveLayer, ...]
    names: tuple[Reference, ...]
    platform: Platform
    manifest: bytes | None = None


class VerifiedSource:
    """A stream that ends well only with the right digest and size."""

    def __init__(self, source: ByteSource, digest: Digest | None, size_bytes: int, name: str) -> None:
        self._source = source
        self._digest = digest
        self._size = size_bytes
        self._name = name
        self._hash = hashlib.sha256()
        self._seen = 0

    def read(self, size: int = -1, /) -> bytes:
        """Return at most that many bytes, none at the end only.

        Raises:
            LayerError: ``archive-digest``, at the end, or as soon as there are too many bytes.

        """
        data = self._source.read(size)
        self._seen += len(data)
        self._hash.update(data)
        if self._seen > self._size or (not data and size != 0 and self._seen != self._size):
            raise _wrong(self._name, f"has not {self._size} bytes")
        if not data and size != 0 and self._digest not in (None, digest_from_raw(self._hash.digest())):
            raise _wrong(self._name, f"has not the digest '{self._digest}'")
        return data


@contextmanager
def open_archive(
    source: Path | BinaryIO, *, spool: Path, platform: Platform, limits: Limits = DEFAULT_LIMITS
) -> Iterator[tuple[ArchiveImage, ...]]:
    """Yield the images of a file, directory or stream, in its order; their layers can be opened until the end.

    ``spool`` names a file that is made (and unlinked at once) if the archive is compressed or a stream. ``platform`` chooses
    from indexes of several.

    Raises:
        LayerError: ``archive-bad``, ``archive-digest``, ``archive-limit``, ``archive-path``, ``archive-platform``, and those of
            tars and compressed streams.

    """
    with open_files(source, spool, limits) as files:
        yield tuple(_Loading(files, platform, limits).images())


class _Loading:
    def __init__(self, files: ArchiveFiles, platform: Platform, limits: Limits) -> None:
        self._files = files
        self._platform = platform
        self._limits = limits
        self._offered: list[str] = []

    def images(self) -> list[ArchiveImage]:
        if self._files.size("oci-layout") is not None and self._files.size("index.json") is not None:
            found = list(self._layout_images())
        elif self._files.size("manifest.json") is not None:
            found = list(self._docker_images())
        elif self._files.size("repositories") is not None:
            raise _bad("it has the format of docker before 1.10", "load and save it with a newer docker first")
        else:
            raise _bad(
                "it has neither 'index.json' nor 'manifest.json'", "it is no image archive; 'import' takes plain tars"
            )
        if not found and self._offered:
            raise LayerError(
                f"the archive has no image for '{self._platform}', only for {', '.join(sorted(set(self._offered)))}",
                slug="archive-platform",
                hint="choose one of these with --platform",
            )
        if not found:
            raise _bad("it holds no image", "make it again with docker save or an OCI tool")
        return _merged(found)

    def _layout_images(self) -> Iterator[ArchiveImage]:
        tags = self._docker_tags() if self._files.size("manifest.json") is not None else {}
        index = self._object(self._read("index.json"), "index.json")
        for image in self._index_images(index, "index.json", (), 0):
            yield _with_names(image, tags.get(image.image_id, ()))

    def _index_images(
        self, index: dict[str, Any], where: str, names: tuple[Reference, ...], depth: int
    ) -> Iterator[ArchiveImage]:
        entries = [_checked(entry, dict, where) for entry in self._list(index.get("manifests"), where)]
        manifests = [entry for entry in entries if not _is_attestation(entry)]
        chosen = [entry for entry in manifests if self._is_wanted(entry)] if depth or len(manifests) > 1 else manifests
        for entry in chosen:
            digest, data = self._blob(entry, where)
            document = self._object(data, digest)
            own_names = names + _names_in(entry)
            if _is_index(document, entry, digest):
                if depth >= _INDEX_DEPTH_MAX:
                    raise _bad("its indexes are nested too deep", "make it again with an OCI tool")
                yield from self._index_images(document, digest, own_names, depth + 1)
            else:
                image = self._manifest_image(document, data, digest, own_names)
                if image is not None:
                    yield image

    def _is_wanted(self, entry: dict[str, Any]) -> bool:
        platform = _platform_of(entry.get("platform"))
        if platform is None or platform == self._platform:
            return True
        self._offered.append(str(platform))
        return False

    def _manifest_image(
        self, document: dict[str, Any], data: bytes, where: str, names: tuple[Reference, ...]
    ) -> ArchiveImage | None:
        descriptor = _checked(document.get("config"), dict, where)
        if _media_type(descriptor, where) not in _CONFIG_TYPES:
            return None
        image_id, config = self._blob(descriptor, where)
        diff_ids, platform = self._config(config, image_id)
        entries = self._list(document.get("layers"), where)
        if len(entries) != len(diff_ids):
            raise _bad(f"'{where}' has {len(entries)} layers, its config {len(diff_ids)}", "make it again")
        layers = tuple(
            self._layout_layer(_checked(entry, dict, where), diff_id, where)
            for entry, diff_id in zip(entries, diff_ids, strict=True)
        )
        return ArchiveImage(
            image_id=image_id, config=config, layers=layers, names=names, platform=platform, manifest=data
        )

    def _layout_layer(self, entry: dict[str, Any], diff_id: DiffId, where: str) -> ArchiveLayer:
        digest, size_bytes, name = self._place(entry, where)
        media_type = _checked(entry.get("mediaType"), str, where)
        return ArchiveLayer(
            diff_id=diff_id, digest=digest, size_bytes=size_bytes, media_type=media_type, name=name, files=self._files
        )

    def _docker_entries(self) -> list[tuple[Digest, bytes, dict[str, Any]]]:
        where = "manifest.json"
        found = []
        for item in self._list(self._parse(self._read(where), where), where):
            entry = _checked(item, dict, where)
            name = _checked(entry.get("Config"), str, where)
            config = self._read(name)
            image_id = digest_of(config)
            stem = name.rsplit("/", 1)[-1].removesuffix(".json")
            if is_digest(f"sha256:{stem}") and stem != image_id.hex:
                raise _wrong(name, "has not the digest that it is named after")
            found.append((image_id, config, entry))
        return found

    def _docker_tags(self) -> dict[Digest, tuple[Reference, ...]]:
        return {image_id: _repo_tags(entry) for image_id, _, entry in self._docker_entries()}

    def _docker_images(self) -> Iterator[ArchiveImage]:
        for image_id, config, entry in self._docker_entries():
            diff_ids, platform = self._config(config, image_id)
            names = self._list(entry.get("Layers") or [], "manifest.json")
            if len(names) != len(diff_ids):
                raise _bad(f"'{image_id}' has {len(names)} layers, its config {len(diff_ids)}", "make it again")
            layers = tuple(
                self._docker_layer(_checked(name, str, "manifest.json"), diff_id)
                for name, diff_id in zip(names, diff_ids, strict=True)
            )
            yield ArchiveImage(
                image_id=image_id, config=config, layers=layers, names=_repo_tags(entry), platform=platform
            )

    def _docker_layer(self, name: str, diff_id: DiffId) -> ArchiveLayer:
        size_bytes = self._size(name)
        with self._files.open(name) as source:
            codec = codec_of(source.read(_MAGIC_BYTES))
        suffix = "" if codec == "none" else f"+{codec}"
        return ArchiveLayer(
            diff_id=diff_id,
            digest=Digest(diff_id) if codec == "none" else None,
            size_bytes=size_bytes,
            media_type=_LAYER_TYPE + suffix,
            name=name,
            files=self._files,
        )

    def _config(self, config: bytes, where: str) -> tuple[tuple[DiffId, ...], Platform]:
        document = self._object(config, where)
        root = _checked(document.get("rootfs"), dict, where)
        diff_ids = self._list(root.get("diff_ids") or [], where)
        if not all(isinstance(diff_id, str) and is_digest(diff_id) for diff_id in diff_ids):
            raise _bad(f"the config '{where}' has a DiffID that is no sha256 digest", "make it again")
        platform = _platform_of(document)
        if platform is None:
            raise _bad(f"the config '{where}' names no platform", "make it again")
        return tuple(DiffId(diff_id) for diff_id in diff_ids), platform

    def _place(self, descriptor: dict[str, Any], where: str) -> tuple[Digest, int, str]:
        text = _checked(descriptor.get("digest"), str, where)
        stated = _checked(descriptor.get("size"), int, where)
        if not is_digest(text):
            raise _bad(f"'{where}' names '{text[:100]}', which is no sha256 digest", "make it again with an OCI tool")
        name = f"blobs/sha256/{text[7:]}"
        if self._size(name) != stated:
            raise _wrong(name, f"has not {stated} bytes")
        return Digest(text), stated, name

    def _blob(self, descriptor: dict[str, Any], where: str) -> tuple[Digest, bytes]:
        digest, _, name = self._place(descriptor, where)
        data = self._read(name)
        if digest_of(data) != digest:
            raise _wrong(name, f"has not the digest '{digest}'")
        return digest, data

    def _size(self, name: str) -> int:
        size = self._files.size(name)
        if size is None:
            raise _bad(f"'{name[:200]}' is missing", "it is incomplete: make or copy it again")
        return size

    def _read(self, name: str) -> bytes:
        size = self._size(name)
        if size > self._limits.config_bytes:
            raise LayerError(f"'{name[:200]}' in the archive has {size} bytes", slug="archive-limit")
        with self._files.open(name) as source:
            data = b"".join(iter(lambda: source.read(1 << 20), b""))
        if len(data) != size:
            raise _wrong(name, f"has not {size} bytes")
        return data

    def _parse(self, data: bytes, where: str) -> Any:
        try:
            document = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise _bad(f"'{where[:200]}' is no JSON", "make it again with docker save or an OCI tool") from error
        if _depth(document) > self._limits.json_depth:
            raise LayerError(f"the JSON of '{where[:200]}' is nested too deep", slug="archive-limit")
        return document

    def _object(self, data: bytes, where: str) -> dict[str, Any]:
        document: dict[str, Any] = _checked(self._parse(data, where), dict, where)
        return document

    def _list(self, value: Any, where: str) -> list[Any]:
        items: list[Any] = _checked(value, list, where)
        if len(items) > self._limits.archive_images:
            raise LayerError(f"a list in '{where[:200]}' has {len(items)} items", slug="archive-limit")
        return items


def _checked(value: Any, kind: type, where: str) -> Any:
    if not isinstance(value, kind) or isinstance(value, bool):
        raise _bad(f"'{where[:200]}' is malformed", "make it again with docker save or an OCI tool")
    return value


def _depth(document: Any) -> int:
    depth, level = 0, [document]
    while level:
        depth += 1
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
        level = below
    return depth


def _media_type(document: dict[str, Any], where: str) -> str:
    """Return the media type that the object states, empty if it states none."""
    text: str = _checked(document.get("mediaType") or "", str, where)
    return text


def _is_index(document: dict[str, Any], entry: dict[str, Any], where: str) -> bool:
    kind = _media_type(document if "mediaType" in document else entry, where)
    return kind in _INDEX_TYPES or ("manifests" in document and "layers" not in document)


def _is_attestation(entry: dict[str, Any]) -> bool:
    annotations = entry.get("annotations")
    return isinstance(annotations, dict) and annotations.get("vnd.docker.reference.type") == "attestation-manifest"


def _platform_of(value: Any) -> Platform | None:
    if not isinstance(value, dict):
        return None
    texts = [value.get(key, "") for key in ("os", "architecture", "variant")]
    if not all(isinstance(text, str) for text in texts) or not (texts[0] and texts[1]):
        return None
    return normal_platform(*texts)


def _names_in(entry: dict[str, Any]) -> tuple[Reference, ...]:
    """Return the name in a descriptor's annotations; OCI's own is anything at all, so one that is no reference is no name."""
    annotations = entry.get("annotations")
    if not isinstance(annotations, dict):
        return ()
    full, short = annotations.get(NAME_ANNOTATION), annotations.get(TAG_ANNOTATION)
    if isinstance(full, str):
        return _references([full])
    if isinstance(short, str) and (":" in short or "/" in short):
        with suppress(ValueError):
            return (parse_reference(short),)
    return ()


def _repo_tags(entry: dict[str, Any]) -> tuple[Reference, ...]:
    tags = _checked(entry.get("RepoTags") or [], list, "manifest.json")
    return _references([_checked(tag, str, "manifest.json") for tag in tags if tag != "<none>:<none>"])


def _references(texts: list[str]) -> tuple[Reference, ...]:
    try:
        return tuple(parse_reference(text) for text in texts)
    except ValueError as error:
        raise _bad(f"it names an image wrongly: {error}", "make it again with a valid name") from error


def _with_names(image: ArchiveImage, names: tuple[Reference, ...]) -> ArchiveImage:
    return ArchiveImage(
        image_id=image.image_id,
        config=image.config,
        layers=image.layers,
        names=tuple(dict.fromkeys((*image.names, *names))),
        platform=image.platform,
        manifest=image.manifest,
    )


def _merged(images: list[ArchiveImage]) -> list[ArchiveImage]:
    found: dict[Digest, ArchiveImage] = {}
    for image in images:
        known = found.get(image.image_id)
        found[image.image_id] = image if known is None else _with_names(known, image.names)
    return list(found.values())


def _bad(reason: str, hint: str) -> LayerError:
    return LayerError(f"the archive can't be loaded: {reason}", slug="archive-bad", hint=hint)


def _wrong(name: str, reason: str) -> LayerError:
    return LayerError(
        f"'{name[:200]}' in the archive {reason}",
        slug="archive-digest",
        hint="it was damaged on its way or changed on purpose: get it again from its source",
    )
