"""A layer of ours as a tar: its DiffID, or a blob of it in the store.

The tar is never written when only its identity is wanted. Blobs are kept in the store under their digest; whoever asks
remembers which layer, epoch and compression they stand for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jettison.layer.compress import CompressedLayer, Compression, compress_layer
from jettison.layer.write import write_tar

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jettison.digest import LayerId
    from jettison.filetree import ContentRef, FileEntry
    from jettison.worker.tools import Tools


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerRequest:
    """Which tar is wanted: of a layer, with times as the epoch (seconds) has them. No ``compression``: its identity alone."""

    layer_id: LayerId
    epoch: int | None
    compression: Compression | None = None
    level: int = 1
    threads: int = 2


def make_layer(tools: Tools, request: LayerRequest) -> CompressedLayer:
    """Return the identities and sizes of the layer's tar; with a compression its blob is in the store afterwards.

    Raises:
        LayerError: the index and the content disagree.
        StoreError: ``disk-full`` and its kin.

    """
    chunks = write_tar(_entries(tools, request.layer_id), tools.content.open, epoch=request.epoch)
    if request.compression is None:
        return compress_layer(chunks, None, compression="none", level=0)
    with tools.store.blobs.writer() as writer:
        made = compress_layer(
            chunks, writer, compression=request.compression, level=request.level, threads=request.threads
        )
        writer.commit(made.digest)
    return made


def _entries(tools: Tools, layer_id: LayerId) -> Iterator[tuple[FileEntry, ContentRef]]:
    for entry, ref in tools.indexes.index(layer_id):
        yield entry, ref if not ref.kind or ref.layer else ref._replace(layer=layer_id)
