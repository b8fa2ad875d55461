"""From keys to results and back, over a small key-value protocol. A record is believed only while its layers exist."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Protocol

from jettison.digest import LayerId, is_digest, parse_digest
from jettison.solver.task import LayerResult, Result

if TYPE_CHECKING:
    from collections.abc import Callable

    from jettison.plan.keys import CacheKey


class KeyValue(Protocol):
    """Where records live."""

    def get(self, key: str) -> bytes | None:
        """Return the value, or None."""
        ...

    def put(self, key: str, value: bytes, preimage: bytes) -> None:
        """Set the value and the preimage of the key."""
        ...


class Cache:
    """Results by key. ``has_layer`` says whether a layer is whole in the store."""

    def __init__(self, records: KeyValue, has_layer: Callable[[LayerId], bool]) -> None:
        self._records = records
        self._has_layer = has_layer

    def find(self, key: CacheKey) -> Result | None:
        """Return the result stored under the key if all its layers still exist."""
        value = self._records.get(key.key)
        if value is None:
            return None
        result = decode_result(value)
        if result is None or not all(self._has_layer(layer.layer_id) for layer in result.layers):
            return None
        return result

    def store(self, key: CacheKey, result: Result) -> None:
        """Remember the result."""
        self._records.put(key.key, encode_result(result), key.preimage)


def encode_result(result: Result) -> bytes:
    """Return the record of a result."""
    return json.dumps(
        [[layer.layer_id, layer.content_digest, layer.size_bytes] for layer in result.layers], separators=(",", ":")
    ).encode()


def decode_result(value: bytes) -> Result | None:
    """Return the result of a record, or None when it is not one (another version, a damaged row)."""
    try:
        rows = json.loads(value)
        layers = []
        for layer_id, content_digest, size_bytes in rows:
            if not is_digest(layer_id) or not isinstance(size_bytes, int):
                return None
            layers.append(
                LayerResult(
                    layer_id=LayerId(layer_id), content_digest=parse_digest(content_digest), size_bytes=size_bytes
                )
            )
    except (ValueError, TypeError, AttributeError):
        return None
    return Result(layers=tuple(layers))
