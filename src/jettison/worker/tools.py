"""What the handlers of ops work with: the store, open layer indexes, contents, the snapshot driver, the launcher.

One set per process and build; closing it closes the indexes. Shared by threads.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from jettison.layer.decompress import read_plain
from jettison.layer.index import LayerIndex
from jettison.snapshot.content import ContentReader, blob_of
from jettison.snapshot.union import Union

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

    from jettison.digest import LayerId
    from jettison.limits import Limits
    from jettison.solver.task import LayerResult
    from jettison.store.root import Store


class Indexes:
    """Layer indexes, each opened once and mapped until the end. ``close`` when nobody reads them any more."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._open: dict[LayerId, LayerIndex] = {}

    def get(self, layer_id: LayerId) -> LayerIndex:
        """Return the index of a layer that is in the store."""
        with self._lock:
            index = self._open.get(layer_id)
            if index is None:
                index = self._open[layer_id] = LayerIndex(self._store.layers.index_path(layer_id))
            return index

    def union(self, layer_ids: Iterable[LayerId]) -> Union:
        """Return the union of layers, bottom first."""
        return Union([(layer_id, self.get(layer_id)) for layer_id in layer_ids])

    def close(self) -> None:
        """Release all mappings."""
        with self._lock:
            for index in self._open.values():
                index.close()
            self._open.clear()


class Tools:
    """The store and what reads it."""

    def __init__(self, store: Store, limits: Limits) -> None:
        self.store = store
        self.limits = limits
        self.indexes = Indexes(store)
        self.content = ContentReader(store)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.content.close()
        self.indexes.close()

    def union(self, chain: Iterable[LayerResult]) -> Union:
        """Return the union of a chain."""
        return self.indexes.union(layer.layer_id for layer in chain)

    @contextmanager
    def open_blob(self, layer_id: LayerId) -> Iterator[Iterator[bytes]]:
        """Yield the uncompressed tar of a pulled layer in chunks.

        Raises:
            LayerError: ``layer-content``: the layer has no blob, or one that can't be decompressed.

        """
        with self.store.blobs.open(blob_of(self.store.layers.path(layer_id))) as blob:
            yield read_plain(blob)
