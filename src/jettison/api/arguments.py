"""Words of a caller to image names and platforms; what is wrong with one is a usage error, the same everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jettison.errors import UsageError
from jettison.platform import parse_platform
from jettison.reference import parse_reference

if TYPE_CHECKING:
    from jettison.platform import Platform
    from jettison.reference import Reference


def name_of(text: str) -> Reference:
    """Return the image name that the text spells.

    Raises:
        UsageError: ``invalid-reference``.

    """
    try:
        return parse_reference(text)
    except ValueError as error:
        raise UsageError(f"{text!r} is no image name: {error}", slug="invalid-reference") from error


def tag_of(text: str) -> Reference:
    """Return the name that an image is to have: one without a digest.

    Raises:
        UsageError: ``invalid-reference``.

    """
    reference = name_of(text)
    if reference.digest is not None:
        raise UsageError(f"a tag can't hold a digest: {text!r}", slug="invalid-reference")
    return reference


def platform_of(text: str | None, host: Platform) -> Platform:
    """Return the platform that the text asks for, the host's for None or an empty text.

    Raises:
        UsageError: ``invalid-platform``.

    """
    try:
        return parse_platform(text, host) if text else host
    except ValueError as error:
        raise UsageError(str(error), slug="invalid-platform", hint="for example linux/amd64") from error
