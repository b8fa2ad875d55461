"""The one error for what is parsed but has no meaning here yet. Ignoring such a thing would be a defect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jettison.errors import DockerfileError

if TYPE_CHECKING:
    from jettison.span import Span


def unsupported(feature: str, span: Span | None, hint: str) -> DockerfileError:
    """Return the error ``unsupported-feature`` for a feature, named as people write it."""
    return DockerfileError(f"{feature} is not supported yet", slug="unsupported-feature", span=span, hint=hint)
