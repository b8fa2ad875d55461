"""Deletions in layer tars: names that begin with ``.wh.``. Source: OCI image specification, layer.md, "Whiteouts".

Owns the spelling alone: which name means what, and what a file must not be called. Pure.
"""

from __future__ import annotations

from typing import TypeAlias

from jettison.errors import LayerError

PREFIX = b".wh."
OPAQUE_NAME = b".wh..wh..opq"
META_PREFIX = b".wh..wh."
_IMPOSSIBLE = frozenset({b"", b".", b".."})


class Opaque:
    """The marker of a directory that hides everything below it in lower layers."""


class Ignored:
    """A marker of AUFS's own book-keeping, without meaning here."""


OPAQUE = Opaque()
IGNORED = Ignored()
Meaning: TypeAlias = bytes | Opaque | Ignored


def meaning_of(name: bytes) -> Meaning | None:
    """Return what the last component of a tar member's name says: the deleted name, ``OPAQUE``, ``IGNORED``, or None.

    Raises:
        LayerError: ``layer-whiteout``: it would delete ``.``, ``..`` or nothing.

    """
    if not name.startswith(PREFIX):
        return None
    if name == OPAQUE_NAME:
        return OPAQUE
    if name.startswith(META_PREFIX):
        return IGNORED
    deleted = name[len(PREFIX) :]
    if deleted in _IMPOSSIBLE:
        raise LayerError(f"the whiteout {_show(name)} names no file", slug="layer-whiteout")
    return deleted


def whiteout_path(path: bytes) -> bytes:
    """Return the name of the tar member that deletes the path."""
    cut = path.rfind(b"/") + 1
    return path[:cut] + PREFIX + path[cut:]


def opaque_path(directory: bytes) -> bytes:
    """Return the name of the tar member that makes the directory (``b""``: the root) opaque."""
    return directory + b"/" + OPAQUE_NAME if directory else OPAQUE_NAME


def refuse_marker_name(path: bytes) -> None:
    """Refuse a real file whose name a layer tar would take for a deletion.

    Raises:
        LayerError: ``layer-whiteout-name``.

    """
    if path[path.rfind(b"/") + 1 :].startswith(PREFIX):
        raise LayerError(
            f"the file {_show(path)} can't be put into an image: layers take names that begin with '.wh.' for deletions",
            slug="layer-whiteout-name",
            hint="rename or delete the file in the step that makes it",
        )


def _show(path: bytes) -> str:
    return repr(path.decode("utf-8", "backslashreplace"))
