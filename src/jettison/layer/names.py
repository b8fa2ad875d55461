"""Names in foreign archives: what a member's name means as a path inside the root.

Owns the lexical rule alone: a leading ``/`` or ``./`` means the root, ``.`` and empty components mean nothing, ``..`` is refused
wherever it stands. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jettison.errors import LayerError

if TYPE_CHECKING:
    from jettison.limits import Limits


def clean_name(name: bytes, limits: Limits) -> bytes:
    """Return the path that a member's name or hard link text stands for, ``b""`` for the root itself.

    Raises:
        LayerError: ``tar-name``: it climbs, is empty, or is longer than a file system allows.

    """
    if not name:
        raise refuse_name(name, "is empty")
    if name[0] in b"/." or b"/." in name or b"//" in name:
        parts = [part for part in name.split(b"/") if part and part != b"."]
        if b".." in parts:
            raise refuse_name(name, "climbs out with '..'")
        path = b"/".join(parts)
    else:
        path = name.removesuffix(b"/")
    if len(path) > limits.name_bytes:
        check_length(path, limits)
    return path


def check_length(path: bytes, limits: Limits) -> None:
    """Refuse a path that no Linux file system can hold.

    Raises:
        LayerError: ``tar-name``.

    """
    if len(path) >= limits.path_bytes or any(len(part) > limits.name_bytes for part in path.split(b"/")):
        raise refuse_name(path, "is too long")


def refuse_name(name: bytes, reason: str) -> LayerError:
    """Return the error for a name that is not taken."""
    shown = name[:200].decode("utf-8", "backslashreplace")
    return LayerError(
        f"the tar holds the name {shown!r}, which {reason}",
        slug="tar-name",
        hint="do not trust this archive; make it again if it is yours",
    )
