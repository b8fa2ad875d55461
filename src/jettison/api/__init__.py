"""The public door: build images from code. The command line uses nothing else.

>>> import jettison
>>> result = jettison.build(".", tags=["app"], on_event=print)   # doctest: +SKIP
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from jettison.api.request import BuildRequest, BuildResult, OutputSpec, SecretSource, Settings
from jettison.api.settings import settings_from
from jettison.events import ignore_event

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from jettison.events import Emit


def build(  # noqa: PLR0913  the public door takes what the command line takes, by name
    context: str | Path = ".",
    *,
    dockerfile: str | Path | None = None,
    target: str | None = None,
    tags: Iterable[str] = (),
    build_args: Mapping[str, str | None] | None = None,
    labels: Mapping[str, str] | None = None,
    platform: str | None = None,
    no_cache: bool = False,
    pull: bool = False,
    outputs: Iterable[OutputSpec] = (),
    secrets: Iterable[SecretSource] = (),
    source_date_epoch: int | None = None,
    root: str | Path | None = None,
    settings: Settings | None = None,
    on_event: Emit = ignore_event,
) -> BuildResult:
    """Build an image and return what came out.

    ``context`` is a directory; ``tags`` name the image in the local store under ``root`` (or that of ``settings``).
    Base images that are not there come from their registries; with ``pull`` the registries are always asked.
    ``on_event`` gets every event (``jettison.events``), from several threads but one at a time per op. Safe to call from any
    thread: the calling process never forks.

    Raises:
        jettison.errors.JettisonError: the families of ``docs/errors.md``.

    """
    from jettison.api.builder import build_image

    request = BuildRequest(
        context=Path(context),
        dockerfile=Path(dockerfile) if dockerfile is not None else None,
        target=target,
        tags=tuple(tags),
        build_args=dict(build_args or {}),
        labels=dict(labels or {}),
        platform=platform,
        no_cache=no_cache,
        pull=pull,
        outputs=tuple(outputs),
        secrets=tuple(secrets),
        source_date_epoch=source_date_epoch,
    )
    return build_image(request, settings or settings_from(root=root), on_event)


__all__ = ["BuildRequest", "BuildResult", "OutputSpec", "SecretSource", "Settings", "build", "settings_from"]
