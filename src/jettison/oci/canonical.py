"""JSON in and out: strict when it comes from outside, the same bytes each time when it goes.

Owns the spelling of JSON that is hashed: no blanks, keys in the order given, text as Go's encoder writes it (``<``, ``>`` and
``&`` escaped), because docker's and BuildKit's configs are spelt so. Refuses what two parsers may read differently:
duplicate keys, NaN and infinite numbers, encodings other than UTF-8, halves of surrogate pairs. Pure.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, NoReturn

from jettison.errors import StoreError
from jettison.limits import DEFAULT_LIMITS

if TYPE_CHECKING:
    from jettison.limits import Limits
    from jettison.oci.config import JsonValue

_ESCAPES = str.maketrans(
    {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
    | {chr(code): "\ufffd" for code in range(0xD800, 0xE000)}
)


_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_INFINITE = float("inf")


class _RefusedError(ValueError):
    """A document that breaks a rule of ours, not of JSON."""


def render_json(value: JsonValue) -> bytes:
    """Return the value as compact JSON in UTF-8; equal values with keys in equal order give equal bytes.

    Bytes that are no text (surrogates) become U+FFFD, as in Go.
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.translate(_ESCAPES).encode()


def parse_json(data: bytes, *, what: str, slug: str, limits: Limits = DEFAULT_LIMITS) -> Mapping[str, JsonValue]:
    """Return the object that the document holds. ``what`` names it in errors ("image config").

    Raises:
        StoreError: with the given slug: no JSON object, not UTF-8, larger or deeper than the limits, a key twice, NaN, an
            infinite number, half of a surrogate pair.

    """
    if len(data) > limits.config_bytes:
        raise fault(what, slug, f"it has {len(data)} bytes, the limit is {limits.config_bytes}")
    try:
        value: JsonValue = json.loads(
            data.decode(), object_pairs_hook=_object, parse_constant=_constant, parse_float=_float
        )
    except RecursionError as error:
        raise fault(what, slug, "it is nested too deeply") from error
    except UnicodeDecodeError as error:
        raise fault(what, slug, "it is not UTF-8") from error
    except _RefusedError as error:
        raise fault(what, slug, str(error)) from error
    except ValueError as error:
        raise fault(what, slug, f"it is no JSON ({error})") from error
    if not isinstance(value, Mapping):
        raise fault(what, slug, "it is no JSON object")
    if _depth(value) > limits.json_depth:
        raise fault(what, slug, "it is nested too deeply")
    if _SURROGATE.search(data) and not _is_text(value):
        raise fault(what, slug, "it holds half of a surrogate pair")
    return value


def fault(what: str, slug: str, reason: str) -> StoreError:
    """Return the error for a document that is not taken."""
    return StoreError(f"the {what} can't be used: {reason}", slug=slug)


def _object(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    value = dict(pairs)
    if len(value) != len(pairs):
        counts = Counter(key for key, _ in pairs)
        twice = next(key for key, count in counts.items() if count > 1)
        raise _RefusedError(f"it has the key {twice[:100]!r} twice")
    return value


def _constant(text: str) -> NoReturn:
    raise _RefusedError(f"it holds {text}, which is no JSON")


def _float(text: str) -> float:
    number = float(text)
    if abs(number) == _INFINITE:
        raise _RefusedError(f"it holds the number {text[:100]}, which is too large")
    return number


def _is_text(value: JsonValue) -> bool:
    """Tell whether every string of the document is text that UTF-8 can hold."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _depth(value: JsonValue) -> int:
    deepest = 0
    waiting: list[tuple[JsonValue, int]] = [(value, 1)]
    while waiting:
        item, depth = waiting.pop()
        deepest = max(deepest, depth)
        if isinstance(item, Mapping):
            waiting += [(below, depth + 1) for below in item.values()]
        elif isinstance(item, list):
            waiting += [(below, depth + 1) for below in item]
    return deepest
