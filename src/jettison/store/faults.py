"""Errors of the operating system, told as errors of the store.

Owns the wording for a full disk, a missing right and a broken disk; refuses nothing. Everything in ``store`` that writes
runs inside ``telling``, so that a caller sees one ``StoreError`` with a path and an action instead of an errno.
"""

from __future__ import annotations

import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING

from jettison.errors import StoreError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_DENIED = frozenset({errno.EACCES, errno.EPERM})


def is_disk_full(error: OSError) -> bool:
    """Tell whether the error means that no more bytes fit (disk, quota, or a limit on the size of files)."""
    return error.errno in _FULL


def store_error(error: OSError, action: str, path: str | os.PathLike[str]) -> StoreError:
    """Return the error to raise for a refused system call; ``action`` is what was tried, as in ``write``."""
    reason = (error.strerror or str(error)).lower()
    if error.errno == errno.EFBIG:
        return StoreError(
            f"can't {action} '{path}': the limit on the size of files is reached",
            slug="disk-full",
            hint="raise the limit (ulimit -f) of the shell that starts the build",
        )
    if error.errno in _FULL:
        return StoreError(
            f"can't {action} '{path}': {reason}",
            slug="disk-full",
            hint="free some space there, run 'jettison prune', or choose another disk with --root",
            notes=("nothing that was finished before is lost",),
        )
    if error.errno in _DENIED:
        return StoreError(
            f"can't {action} '{path}': {reason}",
            slug="store-access",
            hint="use a --root that belongs to you",
        )
    if error.errno == errno.EROFS:
        return StoreError(
            f"can't {action} '{path}': {reason}",
            slug="store-access",
            hint="choose a --root on a file system that can be written",
        )
    return StoreError(f"can't {action} '{path}': {reason}", hint="check the disk that holds the store")


@contextmanager
def telling_full(action: str, path: str | os.PathLike[str]) -> Iterator[None]:
    """Raise a ``StoreError`` when the block finds the disk full; other errors pass.

    Raises:
        StoreError: ``disk-full``, naming the path.

    """
    try:
        yield
    except OSError as error:
        if is_disk_full(error):
            raise store_error(error, action, path) from error
        raise


@contextmanager
def telling(action: str, path: str | os.PathLike[str]) -> Iterator[None]:
    """Raise a ``StoreError`` for every ``OSError`` of the block.

    Raises:
        StoreError: ``disk-full``, ``store-access`` or ``store``, naming the path.

    """
    try:
        yield
    except OSError as error:
        raise store_error(error, action, path) from error
