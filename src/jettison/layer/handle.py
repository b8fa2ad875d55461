"""Where the bytes of a file can be read right now: the one thing that passes between content and its readers."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from jettison.filetree import ContentRef, FileEntry


class ContentHandle(NamedTuple):
    """An open file descriptor and the byte at which the content starts.

    ``needs_close`` tells that the descriptor belongs to whoever asked; one that does not stays open as long as its giver.
    Read with ``os.pread``: descriptors are shared.
    """

    fd: int
    offset: int = 0
    needs_close: bool = False


OpenContent: TypeAlias = Callable[[FileEntry, ContentRef], ContentHandle]
"""Gives a handle on the content of a file that is not empty."""
