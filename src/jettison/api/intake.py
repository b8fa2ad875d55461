"""Layers that came from outside, made fit for use: directories that their tars do not list get what the layers below say."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from jettison.snapshot.settle import settle_layer

if TYPE_CHECKING:
    from jettison.api.wiring import Engine
    from jettison.digest import LayerId
    from jettison.store.images import ImageLayer


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


def _settle(engine: Engine, layer_id: LayerId, below: list[LayerId]) -> LayerId:
    index = engine.tools.indexes.get(layer_id)
    if not index.summary.implied_count:
        return layer_id
    with engine.store.layers.stage() as staged:
        summary = settle_layer(layer_id, index, engine.tools.indexes.union(below), staged.path / "index")
        if summary is None:
            return layer_id
        engine.store.layers.commit(staged, summary.layer_id, depends_on=(layer_id, *summary.foreign_layers))
    return summary.layer_id
