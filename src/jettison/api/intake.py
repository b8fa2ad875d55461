"""Layers on their way into the store, from archives and registries.

They are indexed while they are written and checked before anything of them shows; directories that their tars do not list get
what the layers below say.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from jettison.errors import LayerError
from jettison.layer.read import index_tar
from jettison.snapshot.content import BLOB_FILE
from jettison.snapshot.settle import settle_layer
from jettison.store.images import ImageLayer, KnownBlob

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from jettison.api.wiring import Engine
    from jettison.digest import DiffId, Digest, LayerId
    from jettison.limits import Limits
    from jettison.oci.blobs import ByteSink, ByteSource
    from jettison.store.root import Store

_DRAIN_BYTES = 1 << 18


@dataclass(frozen=True, slots=True, kw_only=True)
class ComingLayer:
    """What is said of a layer before its bytes are here; ``digest`` None is not said. ``name`` is shown in errors."""

    diff_id: DiffId
    digest: Digest | None
    media_type: str
    name: str


def take_layer(
    store: Store, layer: ComingLayer, open_source: Callable[[], AbstractContextManager[ByteSource]], limits: Limits
) -> ImageLayer:
    """Index a layer while it is written as a blob; return what the image's record says of it.

    Raises:
        LayerError: ``archive-diff-id``, and those of tars and of the source.
        StoreError: ``blob-mismatch``, the bytes are not those of the digest, whatever they seemed to be as a tar.

    """
    with store.layers.stage() as staged, store.blobs.writer() as writer:
        with open_source() as source:
            tee = _Tee(source, writer)
            try:
                indexed = index_tar(tee, staged.path / "index", limits=limits)
            except LayerError:
                while tee.read(_DRAIN_BYTES):
                    continue
                writer.check(layer.digest)  # bytes that were damaged on the way are no fault of the layer
                raise
        writer.check(layer.digest)
        if indexed.diff_id != layer.diff_id:
            raise LayerError(
                f"the layer {layer.name!r} holds {indexed.diff_id}, its image says {layer.diff_id}",
                slug="archive-diff-id",
            )
        digest, size_bytes = writer.commit(layer.digest)
        (staged.path / BLOB_FILE).write_text(digest, encoding="ascii")
        store.layers.commit(staged, indexed.summary.layer_id, blobs=(digest,))
    return ImageLayer(
        diff_id=layer.diff_id,
        layer_id=indexed.summary.layer_id,
        size_bytes=indexed.uncompressed_bytes,
        blobs=(KnownBlob(digest=digest, size_bytes=size_bytes, media_type=layer.media_type),),
    )


def settle_layers(engine: Engine, layers: tuple[ImageLayer, ...]) -> tuple[ImageLayer, ...]:
    """Return the layers of an image, bottom first, each with the index that it has on top of those below.

    Blobs, DiffIDs and sizes stay as they are: what is shipped again is what came in.

    Raises:
        LayerError: ``layer-parent``, ``symlink-loop``: the stack makes no sense.

    """
    settled: list[ImageLayer] = []
    below: list[LayerId] = []
    for layer in layers:
        assert layer.layer_id is not None, "a layer that came in has an index"
        layer_id = _settle(engine, layer.layer_id, below)
        below.append(layer_id)
        settled.append(replace(layer, layer_id=layer_id))
    return tuple(settled)


class _Tee:
    """A source whose bytes go into a sink as they are read."""

    def __init__(self, source: ByteSource, sink: ByteSink) -> None:
        self._source = source
        self._sink = sink

    def read(self, size: int, /) -> bytes:
        """Return at most that many bytes."""
        data = self._source.read(size)
        if data:
            self._sink.write(data)
        return data


def _settle(engine: Engine, layer_id: LayerId, below: list[LayerId]) -> LayerId:
    index = engine.tools.indexes.index(layer_id)
    if not index.summary.implied_count:
        return layer_id
    with engine.store.layers.stage() as staged:
        summary = settle_layer(layer_id, index, engine.tools.indexes.union(below), staged.path / "index")
        if summary is None:
            return layer_id
        engine.store.layers.commit(staged, summary.layer_id, depends_on=(layer_id, *summary.foreign_layers))
    return summary.layer_id
