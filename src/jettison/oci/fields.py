"""Typed access to the fields of a JSON object of foreign make: absent and null are the same, a wrong type is an error.

Owns the error that names the field. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from jettison.oci.canonical import fault

if TYPE_CHECKING:
    from jettison.errors import StoreError
    from jettison.oci.config import JsonValue


class Fields:
    """The fields of one object; remembers which have been asked for, so that the others can survive."""

    def __init__(self, value: Mapping[str, JsonValue], *, what: str, slug: str, path: str = "") -> None:
        self._value = value
        self._what = what
        self._slug = slug
        self._path = path
        self._known: set[str] = set()

    def text(self, key: str) -> str:
        """Return the text, empty if absent."""
        value = self._get(key)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise self.fault(key, "a text")
        return value

    def flag(self, key: str) -> bool:
        """Return the boolean, false if absent."""
        value = self._get(key)
        if value is None:
            return False
        if not isinstance(value, bool):
            raise self.fault(key, "true or false")
        return value

    def integer(self, key: str) -> int:
        """Return the whole number, 0 if absent."""
        value = self._get(key)
        if value is None:
            return 0
        if not isinstance(value, int) or isinstance(value, bool) or not -(1 << 63) <= value < 1 << 63:
            raise self.fault(key, "a whole number of 64 bits")
        return value

    def texts(self, key: str) -> tuple[str, ...] | None:
        """Return the list of texts, None if absent."""
        value = self._get(key)
        if value is None:
            return None
        if not isinstance(value, list):
            raise self.fault(key, "a list of texts")
        found = tuple(item for item in value if isinstance(item, str))
        if len(found) != len(value):
            raise self.fault(key, "a list of texts")
        return found

    def keys(self, key: str) -> tuple[str, ...]:
        """Return the sorted keys of an object that is used as a set, none if absent."""
        value = self._get(key)
        if value is None:
            return ()
        if not isinstance(value, Mapping):
            raise self.fault(key, "an object")
        return tuple(sorted(value))

    def pairs(self, key: str) -> tuple[tuple[str, str], ...]:
        """Return the sorted pairs of an object of texts, none if absent."""
        value = self._get(key)
        if value is None:
            return ()
        if not isinstance(value, Mapping):
            raise self.fault(key, "an object of texts")
        found = tuple(sorted((name, text) for name, text in value.items() if isinstance(text, str)))
        if len(found) != len(value):
            raise self.fault(key, "an object of texts")
        return found

    def below(self, key: str) -> Fields | None:
        """Return the fields of an object below, None if absent."""
        value = self._get(key)
        if value is None:
            return None
        if not isinstance(value, Mapping):
            raise self.fault(key, "an object")
        return Fields(value, what=self._what, slug=self._slug, path=f"{self._path}{key}.")

    def list_below(self, key: str) -> tuple[Fields, ...]:
        """Return the fields of each object of a list, none if absent."""
        value = self._get(key)
        if value is None:
            return ()
        if not isinstance(value, list):
            raise self.fault(key, "a list")
        found: list[Fields] = []
        for number, item in enumerate(value):
            if not isinstance(item, Mapping):
                raise self.fault(f"{key}[{number}]", "an object")
            found.append(Fields(item, what=self._what, slug=self._slug, path=f"{self._path}{key}[{number}]."))
        return tuple(found)

    def has(self, key: str) -> bool:
        """Tell whether the field is there and not null."""
        return self._value.get(key) is not None

    def others(self) -> dict[str, JsonValue]:
        """Return the fields that nobody has asked for."""
        return {key: value for key, value in self._value.items() if key not in self._known}

    def fault(self, key: str, wanted: str) -> StoreError:
        """Return the error for a field that is not what it must be."""
        return fault(self._what, self._slug, f"{(self._path + key)[:200]!r} must be {wanted}")

    def _get(self, key: str) -> JsonValue:
        self._known.add(key)
        return self._value.get(key)
