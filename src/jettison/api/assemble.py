"""A solved chain to an image of the store: DiffIDs of its layers, config, record.

The identity of a layer's tar is computed once per layer and epoch and remembered; layers of a base image keep theirs.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jettison.api.phases import phase
from jettison.digest import DiffId, digest_of, is_digest
from jettison.events import ignore_event
from jettison.oci.assemble import assemble_config
from jettison.oci.config import HistoryEntry, render_config
from jettison.oci.timestamp import format_time
from jettison.plan.ops import ImageOp
from jettison.solver.solve import chain_ops
from jettison.store.images import ImageLayer, ImageRecord
from jettison.worker.layers import LayerRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from jettison.api.wiring import Engine
    from jettison.digest import Digest, LayerId
    from jettison.events import Emit
    from jettison.layer.compress import CompressedLayer
    from jettison.plan.plan import Plan
    from jettison.solver.solve import Solution
    from jettison.solver.task import Chain


@dataclass(frozen=True, slots=True, kw_only=True)
class AssembledImage:
    """A finished image: its record (not yet in the store), the chain of its layers, the epoch its times were made with."""

    record: ImageRecord
    chain: Chain
    epoch: int | None

    @property
    def image_id(self) -> Digest:
        """The digest of the config."""
        return self.record.image_id


@dataclass(frozen=True, slots=True, kw_only=True)
class TarIdentity:
    """What a layer's tar is: its DiffID and size."""

    diff_id: DiffId
    size_bytes: int


def assemble_image(
    engine: Engine, plan: Plan, solution: Solution, *, clock: Callable[[], float], emit: Emit = ignore_event
) -> AssembledImage:
    """Return the image of a solved plan; ``clock`` gives seconds since the epoch, for its creation time."""
    epoch = plan.source_date_epoch
    with phase(emit, "hash", "hashing layers"):
        layers = image_layers(engine, plan, solution, epoch)
    history, created = _history(engine, plan, solution, clock)
    config = assemble_config(
        plan.config, diff_ids=[layer.diff_id for layer in layers], history=history, created=created, epoch=epoch
    )
    data = render_config(config)
    record = ImageRecord(image_id=digest_of(data), config=data, layers=layers, platform=str(plan.config.platform))
    return AssembledImage(record=record, chain=solution.chain, epoch=epoch)


def _history(
    engine: Engine, plan: Plan, solution: Solution, clock: Callable[[], float]
) -> tuple[list[HistoryEntry], str]:
    """Return the new history lines and the image's creation time.

    A line has the time at which its layer was made, metadata that of the line before, so that an unchanged build gives the
    same image. Only an image without any layer has the time of the build.
    """
    created = plan.config.created
    lines = []
    for step in plan.history:
        if step.op is not None:
            created = _made_at(engine, solution.results[step.op].layers[-1].layer_id)
        lines.append((step, created))
    if not created:
        now = clock()
        created = format_time(int(now), int(now % 1 * 1e9))
    return [
        HistoryEntry(
            created=time or created,
            created_by=step.created_by,
            author=step.author,
            comment=step.comment,
            is_empty_layer=step.op is None,
        )
        for step, time in lines
    ], created


def _made_at(engine: Engine, layer_id: LayerId) -> str:
    made_ns = engine.store.layers.index_path(layer_id).stat().st_mtime_ns
    return format_time(made_ns // 1_000_000_000, made_ns % 1_000_000_000)


def image_layers(engine: Engine, plan: Plan, solution: Solution, epoch: int | None) -> tuple[ImageLayer, ...]:
    """Return the layers of the plan's head with their DiffIDs, bottom first."""
    layers: list[ImageLayer | LayerId] = []
    for position in chain_ops(plan, plan.head):
        op = plan.ops[position]
        if isinstance(op, ImageOp):
            record = engine.store.images.get(op.image_id)
            assert record is not None, "a base image is leased while its build runs"
            layers.extend(record.layers)
        else:
            layers.extend(layer.layer_id for layer in solution.results[position].layers)
    with ThreadPoolExecutor(max_workers=2) as pool:
        return tuple(
            pool.map(lambda item: item if isinstance(item, ImageLayer) else layer_of(engine, item, epoch), layers)
        )


def layer_of(engine: Engine, layer_id: LayerId, epoch: int | None) -> ImageLayer:
    """Return a layer of ours as an image has it; its tar is hashed if that was never done for this epoch."""
    identity = tar_identity(engine, layer_id, epoch)
    return ImageLayer(diff_id=identity.diff_id, layer_id=layer_id, size_bytes=identity.size_bytes, epoch=epoch)


def tar_identity(engine: Engine, layer_id: LayerId, epoch: int | None) -> TarIdentity:
    """Return what the tar of a layer is, from the records or by hashing it once."""
    key = f"tar {layer_id} {epoch}"
    value = engine.store.records.get(key)
    if value is not None:
        known = _decode(value)
        if known is not None:
            return known
    made: CompressedLayer = engine.call("layer", LayerRequest(layer_id=layer_id, epoch=epoch), reads=(layer_id,))
    remember_tar(engine, layer_id, epoch, made)
    return TarIdentity(diff_id=made.diff_id, size_bytes=made.uncompressed_bytes)


def remember_tar(engine: Engine, layer_id: LayerId, epoch: int | None, made: CompressedLayer) -> None:
    """Keep what the tar of a layer is."""
    value = json.dumps({"diff_id": made.diff_id, "size": made.uncompressed_bytes}).encode()
    engine.store.records.put(f"tar {layer_id} {epoch}", value, b"")


def _decode(value: bytes) -> TarIdentity | None:
    try:
        document = json.loads(value)
        diff_id, size = document["diff_id"], document["size"]
    except (ValueError, KeyError, TypeError):
        return None
    if not isinstance(diff_id, str) or not is_digest(diff_id) or not isinstance(size, int):
        return None
    return TarIdentity(diff_id=DiffId(diff_id), size_bytes=size)
