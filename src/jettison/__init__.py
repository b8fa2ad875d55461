"""Jettison builds container images that carry only what runs.

``import jettison`` gives the public names of :mod:`jettison.api`, loaded on first use so that start-up stays quick.
"""

from __future__ import annotations

__version__ = "0.1.0"

_PUBLIC = frozenset({"BuildRequest", "BuildResult", "OutputSpec", "SecretSource", "Settings", "build", "settings_from"})


def __getattr__(name: str) -> object:
    """Forward the public names to :mod:`jettison.api` on first use (PEP 562)."""
    if name in _PUBLIC:
        from jettison import api

        value: object = getattr(api, name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'jettison' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])
