"""Images out of registries: a reference and a platform in, manifest, config and layers out.

Owns the way from a name to an image (index, manifest, config; each proved against what pointed at it) and the streams of its
layers: few at the same time, each layer once however many images want it. What becomes of a layer's bytes is the caller's
(``take``), who also checks its digest and DiffID. Refuses what is no image, and images for other platforms before any layer
moves.
"""

from __future__ import annotations

import threading
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from jettison.errors import CancelledError, RegistryError, StoreError
from jettison.limits import DEFAULT_LIMITS
from jettison.oci.config import parse_config
from jettison.oci.descriptor import CONFIG_TYPES, LAYER_TYPES
from jettison.oci.manifest import Index, choose_manifest, is_runnable, parse_manifest
from jettison.platform import normal_platform

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from types import TracebackType
    from typing import Self

    from jettison.digest import DiffId, Digest
    from jettison.limits import Limits
    from jettison.oci.blobs import ByteSource
    from jettison.oci.config import ImageConfig
    from jettison.oci.descriptor import Descriptor
    from jettison.oci.manifest import Manifest
    from jettison.platform import Platform
    from jettison.reference import Reference
    from jettison.registry.client import RawManifest, RegistryClient

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteLayer:
    """A layer to fetch: its blob, and the DiffID that the config says it has."""

    blob: Descriptor
    diff_id: DiffId


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteImage:
    """An image of a registry whose layers are still there. ``config`` and ``manifest`` are the exact bytes."""

    reference: Reference
    platform: Platform
    manifest: bytes
    manifest_type: str
    manifest_digest: Digest
    config: bytes
    image_id: Digest
    layers: tuple[RemoteLayer, ...]


class Progress(Protocol):
    """Is told of bytes of one image, from several threads."""

    def transferred(self, count: int) -> None:
        """Bytes came over the network."""
        ...

    def settled(self, count: int) -> None:
        """Bytes need not come: they were here, or came for another image."""
        ...


class Puller(Generic[T]):
    """Fetches images, several at once. ``take`` makes something of each layer and is called from several threads.

    Its second argument opens the blob in the registry: a stream of the announced size, or an error.
    ``give_up`` is called at the first failure, so that the other transfers end soon. A context manager.
    """

    def __init__(
        self,
        connect: Callable[[str], RegistryClient],
        take: Callable[[RemoteLayer, Callable[[], AbstractContextManager[ByteSource]]], T],
        *,
        give_up: Callable[[], None],
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._connect = connect
        self._take = take
        self._give_up = give_up
        self._limits = limits
        self._lock = threading.Lock()
        self._clients: dict[str, RegistryClient] = {}
        self._layers: dict[tuple[Digest, DiffId], Future[T]] = {}
        self._streams = ThreadPoolExecutor(limits.pull_streams, thread_name_prefix="pull")

    def close(self) -> None:
        """End all transfers; one whose server is silent before its headers is left behind after a while."""
        self._give_up()
        self._streams.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            under_way = list(self._layers.values())
        wait(under_way, timeout=self._limits.registry_close_seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def find(self, reference: Reference, platform: Platform) -> RemoteImage:
        """Return the image that the name means on the platform; its layers are not touched.

        Raises:
            RegistryError: ``registry-not-found``, ``registry-manifest``, ``registry-media-type``, ``image-platform``, and those
                of the client.

        """
        client = self._client(reference.domain)
        wanted = reference.digest or reference.tag
        raw = client.manifest(reference.path, wanted)
        document = self._parsed(raw, reference)
        offered: Platform | None = None
        for _ in range(self._limits.index_depth):
            if not isinstance(document, Index):
                break
            with _told_by(reference):
                entry = choose_manifest(document, platform, name=f"'{reference.familiar}'")
            offered = entry.platform or offered
            raw = client.manifest(reference.path, entry.digest)
            document = self._parsed(raw, reference, entry)
        if isinstance(document, Index):
            raise _bad(reference, "its indexes are nested too deep")
        return self._image(reference, raw, document, platform, offered)

    def fetch(self, image: RemoteImage, progress: Progress) -> tuple[T, ...]:
        """Return what ``take`` made of the layers, bottom first.

        Raises:
            RegistryError: a transfer failed; ``registry-digest``, the bytes are not those announced.

        """
        client = self._client(image.reference.domain)
        futures = [self._begin(client, image, layer, progress) for layer in image.layers]
        done, _ = wait(futures, return_when=FIRST_EXCEPTION)
        errors = [error for error in (future.exception() for future in done if not future.cancelled()) if error]
        if errors:
            self._give_up()
            raise next((error for error in errors if not isinstance(error, CancelledError)), errors[0])
        if any(future.cancelled() for future in done):
            raise CancelledError("cancelled")
        return tuple(future.result() for future in futures)

    def _begin(self, client: RegistryClient, image: RemoteImage, layer: RemoteLayer, progress: Progress) -> Future[T]:
        with self._lock:
            key = layer.blob.digest, layer.diff_id
            known = self._layers.get(key)
            if known is None:
                known = self._layers[key] = self._streams.submit(self._fetch_layer, client, image, layer, progress)
            else:
                known.add_done_callback(lambda _: progress.settled(layer.blob.size_bytes))
            return known

    def _fetch_layer(self, client: RegistryClient, image: RemoteImage, layer: RemoteLayer, progress: Progress) -> T:
        seen = 0

        def count(size: int) -> None:
            nonlocal seen
            seen += size
            progress.transferred(size)

        try:
            taken = self._take(layer, lambda: client.open_blob(image.reference.path, layer.blob, count))
        except StoreError as error:
            if error.slug == "blob-mismatch":
                raise RegistryError(
                    f"a layer of '{image.reference.familiar}' from '{client.host}' is not '{layer.blob.digest}'",
                    slug="registry-digest",
                    hint="try again; if it stays, the registry is damaged or not what it claims to be",
                ) from error
            raise
        progress.settled(layer.blob.size_bytes - seen)
        return taken

    def _client(self, domain: str) -> RegistryClient:
        with self._lock:
            client = self._clients.get(domain)
            if client is None:
                client = self._clients[domain] = self._connect(domain)
            return client

    def _parsed(self, raw: RawManifest, reference: Reference, entry: Descriptor | None = None) -> Manifest | Index:
        with _told_by(reference):
            document = parse_manifest(raw.data, raw.media_type, limits=self._limits)
        if entry is not None and len(raw.data) != entry.size_bytes:
            raise _bad(reference, f"its manifest has {len(raw.data)} bytes, its index says {entry.size_bytes}")
        if entry is not None and entry.media_type and entry.media_type != document.media_type:
            raise _bad(reference, f"its manifest is '{document.media_type}', its index says otherwise")
        return document

    def _image(
        self, reference: Reference, raw: RawManifest, manifest: Manifest, wanted: Platform, offered: Platform | None
    ) -> RemoteImage:
        if manifest.config.media_type not in CONFIG_TYPES:
            raise _wrong_type(reference, "config", manifest.config.media_type)
        for layer in manifest.layers:
            if layer.media_type not in LAYER_TYPES:
                raise _wrong_type(reference, "layer", layer.media_type)
            if layer.size_bytes > self._limits.layer_bytes:
                raise _bad(reference, f"a layer has {layer.size_bytes} bytes, the limit is {self._limits.layer_bytes}")
        data = self._client(reference.domain).blob_bytes(reference.path, manifest.config)
        with _told_by(reference):
            config = parse_config(data, limits=self._limits)
        if len(config.diff_ids) != len(manifest.layers):
            raise _bad(reference, f"its manifest has {len(manifest.layers)} layers, its config {len(config.diff_ids)}")
        return RemoteImage(
            reference=reference,
            platform=_checked_platform(reference, config, wanted, offered),
            manifest=raw.data,
            manifest_type=manifest.media_type,
            manifest_digest=raw.digest,
            config=data,
            image_id=manifest.config.digest,
            layers=tuple(
                RemoteLayer(blob=blob, diff_id=diff_id)
                for blob, diff_id in zip(manifest.layers, config.diff_ids, strict=True)
            ),
        )


@contextmanager
def _told_by(reference: Reference) -> Iterator[None]:
    """Turn the faults of a document into those of the registry that gave it."""
    try:
        yield
    except StoreError as error:
        if error.slug == "image-platform":
            raise RegistryError(error.message, slug="image-platform", hint=error.hint) from error
        raise RegistryError(f"'{reference.familiar}': {error.message}", slug="registry-manifest") from error


def _checked_platform(
    reference: Reference, config: ImageConfig, wanted: Platform, offered: Platform | None
) -> Platform:
    """Return the platform that the image is for: the index's word, else the config's."""
    own = normal_platform(config.platform.os, config.platform.architecture, config.platform.variant)
    found = offered or own
    if is_runnable(found, wanted):
        return found
    raise RegistryError(
        f"'{reference.familiar}' is made for '{found}' alone, not for '{wanted}'",
        slug="image-platform",
        hint=f"choose it with '--platform {found}', or take another image",
    )


def _bad(reference: Reference, reason: str) -> RegistryError:
    return RegistryError(f"'{reference.familiar}' can't be used: {reason}", slug="registry-manifest")


def _wrong_type(reference: Reference, what: str, media_type: str) -> RegistryError:
    return RegistryError(
        f"'{reference.familiar}' can't be used: its {what} is '{media_type[:100]}'",
        slug="registry-media-type",
        hint="it is no image for Linux: an artifact, or one whose layers lie elsewhere",
    )
