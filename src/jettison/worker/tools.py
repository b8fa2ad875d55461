"""What the handlers of ops work with: the store, open layer indexes, contents, the snapshot driver, the launcher.

One set per process and build; closing it closes the indexes. Shared by threads.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from jettison.layer.decompress import read_plain
from jettison.snapshot.content import ContentReader, blob_of
from jettison.snapshot.driver import Chains

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

    from jettison.digest import LayerId
    from jettison.limits import Limits
    from jettison.snapshot.union import Union
    from jettison.solver.task import LayerResult
    from jettison.store.root import Store


class Tools:
    """The store and what reads it."""

    def __init__(self, store: Store, limits: Limits) -> None:
        self.store = store
        self.limits = limits
        self.indexes = Chains(store.layers)
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
        return self.indexes.union([layer.layer_id for layer in chain])

    @contextmanager
    def open_blob(self, layer_id: LayerId) -> Iterator[Iterator[bytes]]:
        """Yield the uncompressed tar of a pulled layer in chunks.

        Raises:
            LayerError: ``layer-content``: the layer has no blob, or one that can't be decompressed.

        """
        with self.store.blobs.open(blob_of(self.store.layers.path(layer_id))) as blob:
            yield read_plain(blob)
