"""Which ignore file rules a context: the one beside the Dockerfile (``<name>.dockerignore``), else ``.dockerignore``.

Owns the choice and the reading; refuses a file that a symlink fetches from elsewhere. Matching is ``fastpath.ignore``'s.
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jettison.errors import ContextError
from jettison.fastpath.ignore import IgnoreSyntaxError, parse_ignore

if TYPE_CHECKING:
    from pathlib import Path

    from jettison.fastpath.ignore import IgnoreRules
    from jettison.limits import Limits

_SUFFIX = ".dockerignore"


@dataclass(frozen=True, slots=True, kw_only=True)
class IgnoreFile:
    """An ignore file as found: ``path`` None when there is none. ``candidates`` are all places looked at, in order."""

    path: Path | None
    data: bytes
    rules: IgnoreRules | None
    candidates: tuple[Path, ...]


def find_ignore_file(context: Path, dockerfile: Path | None, *, limits: Limits) -> IgnoreFile:
    """Return the rules for a context directory; ``dockerfile`` is None when its text came from standard input.

    Raises:
        ContextError: ``ignore-outside``: a symlink leads out of the directory that holds it; ``ignore-syntax``: a line is
            malformed; ``ignore-unreadable``: no regular file, too large, or not readable.

    """
    beside = [dockerfile.with_name(dockerfile.name + _SUFFIX)] if dockerfile is not None else []
    candidates = (*beside, context / _SUFFIX)
    for path in candidates:
        data = _read(path, context, limits.dockerfile_bytes)
        if data is not None:
            return IgnoreFile(path=path, data=data, rules=_parse(path, data), candidates=candidates)
    return IgnoreFile(path=None, data=b"", rules=None, candidates=candidates)


def _read(path: Path, context: Path, limit: int) -> bytes | None:
    try:
        status = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _unreadable(path, error.strerror or "unknown error") from error
    real = path
    if stat.S_ISLNK(status.st_mode):
        real = path.resolve()
        if not any(real.is_relative_to(root.resolve()) for root in (context, path.parent)):
            raise ContextError(
                f"the ignore file {str(path)!r} is a symlink that leaves the build context",
                slug="ignore-outside",
                hint="put a copy of the file in its place",
            )
    try:
        descriptor = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise _unreadable(path, "it is no regular file")
            data = file.read(limit + 1)
    except OSError as error:
        reason = "its target is missing" if error.errno == errno.ENOENT else error.strerror or "unknown error"
        raise _unreadable(path, reason) from error
    if len(data) > limit:
        raise _unreadable(path, f"it is larger than {limit} bytes")
    return data


def _unreadable(path: Path, reason: str) -> ContextError:
    return ContextError(
        f"can't read the ignore file {str(path)!r}: {reason}",
        slug="ignore-unreadable",
        hint="mend or remove the file",
    )


def _parse(path: Path, data: bytes) -> IgnoreRules | None:
    try:
        return parse_ignore(data)
    except IgnoreSyntaxError as error:
        raise ContextError(
            f"line {error.line} of {str(path)!r}, {error.text!r}, is malformed: {error}",
            slug="ignore-syntax",
            hint="escape a literal '[' or '\\' with a backslash",
        ) from error
