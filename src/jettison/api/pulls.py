"""Images of registries into the store: the one place where ``registry`` meets it.

Layers come in parallel, each indexed while it is written; an image gets its record and its name when all of it is here and
proved. Another process that fetches the same layer is waited for. Nothing of HTTP is loaded before the first pull.
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import jettison
from jettison import events
from jettison.api.arguments import name_of, platform_of
from jettison.api.intake import ComingLayer, settle_layers, take_layer
from jettison.api.named import platform_key
from jettison.api.wiring import Engine, host_platform
from jettison.digest import LayerId, is_digest
from jettison.errors import CancelledError, RegistryError
from jettison.oci.manifest import is_runnable
from jettison.registry.client import RegistryClient
from jettison.registry.credentials import DockerCredentials, read_docker_config, run_helper
from jettison.registry.exchange import NO_WAY, Exchange
from jettison.registry.pull import Puller
from jettison.store.images import ImageLayer, ImageRecord, KnownBlob

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from types import TracebackType

    from jettison.api.request import Settings
    from jettison.digest import Digest
    from jettison.events import Emit
    from jettison.oci.blobs import ByteSource
    from jettison.platform import Platform
    from jettison.reference import Reference
    from jettison.registry.pull import RemoteImage, RemoteLayer
    from jettison.registry.transport import HttpTransport

_TICK_SECONDS = 0.1
_MEBIBYTE = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulled:
    """An image that a registry gave: its record in the store, its name, the digest of its manifest.

    ``is_new`` says that the name meant something else here before, ``transferred_bytes`` what came over the network.
    """

    record: ImageRecord
    reference: Reference
    manifest_digest: Digest
    is_new: bool
    transferred_bytes: int


class Pulls:
    """Fetches images into an engine's store. A context manager; ``pull`` is safe to call from several threads."""

    def __init__(self, engine: Engine, emit: Emit, host: Platform) -> None:
        self._engine = engine
        self._emit = emit
        self._host = host
        self._pace = _Pace(emit)
        self._lock = threading.Lock()
        self._settling = threading.Lock()
        self._transport: HttpTransport | None = None
        self._puller: Puller[ImageLayer] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.give_up()
        if self._puller is not None:
            self._puller.close()
        if self._transport is not None:
            self._transport.close()

    def give_up(self) -> None:
        """Let all transfers end at once."""
        self._pace.is_over.set()
        if self._transport is not None:
            self._transport.abort()

    def pull(self, reference: Reference, platform: Platform, *, takes_name: bool = False) -> Pulled:
        """Return the image of the name for the platform, all of it in the store, named.

        An image for another platform than this host's gets the name only if it is free or with ``takes_name``: what ``run``
        would take stays. It is always found again by name and platform.

        Raises:
            RegistryError: it can't be had, or is not what it claims to be.
            LayerError: a layer is damaged or hostile.
            CancelledError: ``give_up`` was called.

        """
        puller = self._open()
        started = time.monotonic()
        name = reference.familiar
        phase = f"pull {name} {platform}"
        self._emit(events.PhaseStarted(at=started, phase=phase, text=f"pulling {name}"))
        image = puller.find(reference, platform)
        progress = _Progress(self._emit, phase, f"pulling {name}", sum(layer.blob.size_bytes for layer in image.layers))
        taken = puller.fetch(image, progress)
        record, is_new = self._keep(image, taken, platform, takes_name=takes_name)
        now = time.monotonic()
        text = f"pulled {name} ({progress.done_bytes / _MEBIBYTE:.1f} MiB)"
        self._emit(events.PhaseFinished(at=now, phase=phase, text=text, seconds=now - started))
        return Pulled(
            record=record,
            reference=reference,
            manifest_digest=image.manifest_digest,
            is_new=is_new,
            transferred_bytes=progress.done_bytes,
        )

    def _open(self) -> Puller[ImageLayer]:
        with self._lock:
            if self._puller is None:
                from jettison.registry.transport import HttpTransport, TransportOptions

                settings = self._engine.settings
                limits = settings.limits
                transport = self._transport = HttpTransport(
                    TransportOptions(
                        user_agent=f"jettison/{jettison.__version__}",
                        ca_bundle=self._engine.host_bundle(),
                        environment=settings.environment,
                        limits=limits,
                    )
                )
                exchange = Exchange(transport, self._pace, time.time, limits)
                credentials = DockerCredentials(
                    read_docker_config(settings.environment, limits), run_helper(settings.environment, limits)
                )
                self._puller = Puller(
                    lambda domain: RegistryClient(domain, exchange, credentials),
                    self._take,
                    give_up=self.give_up,
                    limits=limits,
                )
            return self._puller

    def _take(self, layer: RemoteLayer, open_source: Callable[[], AbstractContextManager[ByteSource]]) -> ImageLayer:
        """Return the layer as the store has it, after fetching it if it is not here."""
        store = self._engine.store
        blob = layer.blob
        key = f"pulled {blob.digest.hex}"
        known = self._known(layer, key)
        if known is not None:
            return known
        with store.locks.exclusive(
            f"pull/{blob.digest}", on_wait=self._say_waiting, is_cancelled=self._pace.is_over.is_set
        ):
            known = self._known(layer, key)
            if known is not None:
                return known
            coming = ComingLayer(
                diff_id=layer.diff_id, digest=blob.digest, media_type=blob.media_type, name=blob.digest
            )
            taken = take_layer(store, coming, open_source, self._engine.settings.limits)
        assert taken.layer_id is not None, "a layer that came in has an index"
        # The ids are bare: a hint must not keep a layer from the collector.
        note = {"layer": taken.layer_id.hex, "diff_id": taken.diff_id[7:], "size": taken.size_bytes}
        store.records.put(key, json.dumps(note).encode(), b"")
        return taken

    def _known(self, layer: RemoteLayer, key: str) -> ImageLayer | None:
        """Return the layer if it came before and is still here."""
        store = self._engine.store
        value = store.records.get(key)
        if value is None:
            return None
        try:
            note = json.loads(value)
            layer_id, diff_id, size_bytes = f"sha256:{note['layer']}", f"sha256:{note['diff_id']}", int(note["size"])
        except (ValueError, KeyError, TypeError):
            return None
        if not is_digest(layer_id) or diff_id != layer.diff_id:
            return None
        if not store.blobs.has(layer.blob.digest) or not store.layers.has(LayerId(layer_id)):
            return None
        blob = KnownBlob(digest=layer.blob.digest, size_bytes=layer.blob.size_bytes, media_type=layer.blob.media_type)
        return ImageLayer(diff_id=layer.diff_id, layer_id=LayerId(layer_id), size_bytes=size_bytes, blobs=(blob,))

    def _keep(
        self, image: RemoteImage, taken: tuple[ImageLayer, ...], wanted: Platform, *, takes_name: bool
    ) -> tuple[ImageRecord, bool]:
        """Write the record and the names; tell whether the name means something new."""
        engine = self._engine
        store = engine.store
        with self._settling:
            layers = settle_layers(engine, taken)
            manifest = KnownBlob(
                digest=store.blobs.put_bytes(image.manifest),
                size_bytes=len(image.manifest),
                media_type=image.manifest_type,
            )
            record = ImageRecord(
                image_id=image.image_id,
                config=image.config,
                layers=layers,
                platform=str(image.platform),
                manifests=(manifest,),
            )
            store.images.put(record)
            store.sync()
            name = self._name(image, takes_name=takes_name)
            is_new = store.images.find(name) != image.image_id
            if is_new:
                store.images.tag(name, image.image_id)
            note = json.dumps({"image": image.image_id.hex}).encode()
            store.records.put(platform_key(image.reference, wanted), note, b"")
            return record, is_new

    def _name(self, image: RemoteImage, *, takes_name: bool) -> Reference:
        """Return the name that the image gets; one with a digest is kept without its tag, as docker has it."""
        reference = image.reference
        if reference.digest is not None:
            reference = replace(reference, tag="")
        if takes_name or is_runnable(image.platform, self._host) or self._engine.store.images.find(reference) is None:
            return reference
        return replace(reference, tag="", digest=image.manifest_digest)

    def _say_waiting(self) -> None:
        self._emit(
            events.Warned(
                at=time.monotonic(), slug="waiting", message="waiting for another build that pulls the same layer"
            )
        )


def pull_image(
    settings: Settings, name: str, *, platform: str | None = None, emit: Emit = events.ignore_event
) -> Pulled:
    """Fetch an image into the local store under its name, for the platform or this host's; return what came.

    Raises:
        UsageError: no image name, no platform.
        RegistryError: it can't be had, or is not what it claims to be.

    """
    host = host_platform()
    reference = name_of(name)
    wanted = platform_of(platform, host)
    with Engine(settings) as engine, Pulls(engine, emit, host) as pulls:
        try:
            return pulls.pull(reference, wanted, takes_name=True)
        except RegistryError as error:
            if reference.domain == "docker.io" and error.slug in NO_WAY:
                error.hint = (
                    "Docker Hub may be out of reach from here: 'jettison load' and 'jettison import' need no network"
                )
            raise


class _Pace:
    """Waits that end when the pull is given up; a wait is said aloud."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self.is_over = threading.Event()

    def check(self) -> None:
        if self.is_over.is_set():
            raise CancelledError("cancelled")

    def pause(self, seconds: float, why: str) -> None:
        self.check()
        self._emit(
            events.Warned(at=time.monotonic(), slug="registry-retry", message=f"{why}; trying again in {seconds:.1f} s")
        )
        if self.is_over.wait(seconds):
            raise CancelledError("cancelled")


class _Progress:
    """Adds up the bytes of one image and tells of them now and then."""

    def __init__(self, emit: Emit, phase: str, text: str, total: int) -> None:
        self._emit = emit
        self._phase = phase
        self._text = text
        self._total = total
        self._lock = threading.Lock()
        self._next = 0.0
        self._settled = 0
        self.done_bytes = 0

    def transferred(self, count: int) -> None:
        with self._lock:
            self.done_bytes += count
            self._tell()

    def settled(self, count: int) -> None:
        with self._lock:
            self._settled += count
            self._tell()

    def _tell(self) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + _TICK_SECONDS
        done = min(self.done_bytes + self._settled, self._total)
        self._emit(
            events.PhaseProgress(at=now, phase=self._phase, text=self._text, done=done, total=self._total, unit="bytes")
        )
