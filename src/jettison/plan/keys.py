"""The keys under which results are found again: recipe keys and content keys (DESIGN 3.4).

A *recipe key* follows from what was asked: the op, the recipe keys of its inputs and the digests of its leaves (context
files, image ids). It is known before anything runs. A *content key* follows from what the op would read: the op and the
content of its inputs, without times. Each key is the sha256 of its *preimage*, canonical JSON that is kept beside the
result, so that two preimages can be compared and the difference told. No host path, time or secret is in a preimage.
"""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any, assert_never

from jettison.digest import digest_of
from jettison.plan.ops import BindMount, CacheMount, ContextRoot, CopyOp, ImageOp, MkdirOp, Op, OpRoot, Root, RunOp

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

KEY_VERSION = 1
"""Part of every preimage: raise it when the meaning of an op or of a digest changes."""

_INPUT_FIELDS = frozenset({"parent"})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CacheKey:
    """A key and the canonical bytes it is the digest of."""

    key: str
    preimage: bytes


def recipe_key(op: Op, inputs: Mapping[str, str], leaves: Mapping[str, str]) -> CacheKey:
    """Return the key of what was asked.

    ``inputs`` maps the names of ``input_names`` to the recipe keys of the ops behind them, ``leaves`` names to digests of
    content that is known without running anything.
    """
    return _key("recipe", op, {"inputs": dict(inputs), "leaves": dict(leaves)})


def content_key(op: Op, facts: Mapping[str, str]) -> CacheKey:
    """Return the key of what the op reads; ``facts`` maps what is read to its digest."""
    return _key("content", op, {"facts": dict(facts)})


def input_ops(op: Op) -> Iterator[tuple[str, int]]:
    """Go through the ops whose results the op reads, each with the name of its role (``parent``, ``source``, ``mount:/x``)."""
    parent = parent_of(op)
    if parent is not None:
        yield "parent", parent
    for role, root in roots(op):
        if isinstance(root, OpRoot) and root.op is not None:
            yield role, root.op


def roots(op: Op) -> Iterator[tuple[str, Root]]:
    """Go through the file systems that the op reads beside its parent, each with the name of its role."""
    match op:
        case CopyOp():
            yield "source", op.root
        case RunOp():
            for mount in op.mounts:
                if isinstance(mount, BindMount):
                    yield f"mount:{mount.target}", mount.root
                elif isinstance(mount, CacheMount) and mount.seed is not None:
                    yield f"mount:{mount.target}", mount.seed
        case ImageOp() | MkdirOp():
            return
        case _:
            assert_never(op)


def parent_of(op: Op) -> int | None:
    """Return the op whose layers lie below, None for an image or a step on scratch."""
    return None if isinstance(op, ImageOp) else op.parent


def _key(kind: str, op: Op, extra: dict[str, Any]) -> CacheKey:
    document = {"version": KEY_VERSION, "kind": kind, "op": type(op).__name__, "fields": _fields(op), **extra}
    preimage = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()
    return CacheKey(key=digest_of(preimage), preimage=preimage)


def _fields(value: object) -> object:
    """Return the value as JSON; positions of other ops become a mere mark, since the plan's order is no content."""
    if isinstance(value, OpRoot):
        return {"OpRoot": value.op is not None}
    if isinstance(value, ContextRoot):
        return {"ContextRoot": value.name}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        named = {
            field.name: _fields(getattr(value, field.name))
            for field in dataclasses.fields(value)
            if field.name not in _INPUT_FIELDS
        }
        named["parent"] = getattr(value, "parent", None) is not None
        return {type(value).__name__: named}
    if isinstance(value, tuple):
        return [_fields(item) for item in value]
    if isinstance(value, bytes):
        return {"bytes": digest_of(value)}
    return value
