"""Paths inside an image, handled as text: normalise, join and split without touching a disk.

A ``GuestPath`` is absolute, uses single slashes, has no ``.`` or ``..`` and no trailing slash (but for ``/``). ``..`` at
the root stays at the root, as in a chroot. Symlinks are not known here: see ``snapshot.union``. Names that are not UTF-8
travel as surrogate escapes.
"""

from __future__ import annotations


class GuestPath(str):
    """An absolute, normalised path inside an image."""

    __slots__ = ()

    @property
    def key(self) -> bytes:
        """The path as indexes store it: bytes, no leading slash, empty for the root."""
        return self[1:].encode("utf-8", "surrogateescape")

    @property
    def name(self) -> str:
        """The last component; empty for the root."""
        return self[self.rfind("/") + 1 :]

    @property
    def parent(self) -> GuestPath:
        """The directory that holds it; the root is its own parent."""
        return GuestPath(self[: self.rfind("/")] or "/")

    @property
    def parts(self) -> tuple[str, ...]:
        """The components, none for the root."""
        return tuple(self[1:].split("/")) if len(self) > 1 else ()


ROOT = GuestPath("/")


def parse_guest_path(text: str, base: GuestPath = ROOT) -> GuestPath:
    """Return the absolute normal form of the text; a relative text is taken below the base.

    Raises:
        ValueError: the text holds a NUL character.

    """
    if "\0" in text:
        raise ValueError("a path can't hold a NUL character")
    whole = text if text.startswith("/") else f"{base}/{text}"
    parts: list[str] = []
    for part in whole.split("/"):
        if part == "..":
            if parts:
                parts.pop()
        elif part and part != ".":
            parts.append(part)
    return GuestPath("/" + "/".join(parts))


def from_key(key: bytes) -> GuestPath:
    """Return the path that an index stores as these bytes."""
    return GuestPath("/" + key.decode("utf-8", "surrogateescape"))
