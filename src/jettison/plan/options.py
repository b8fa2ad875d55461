"""What the caller decides about a build besides the Dockerfile, as data; and the epoch that follows from both."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from jettison.errors import DockerfileError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jettison.graph.stage import Graph
    from jettison.platform import Platform
    from jettison.span import Span

EPOCH_NAME = "SOURCE_DATE_EPOCH"
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LowerOptions:
    """Decisions of the caller.

    ``build_args`` and the platforms are those the graph was built with. ``labels`` go onto the target alone.
    ``no_cache_filter`` names stages (any case) whose layers are made anew; ``no_cache`` means all of them.
    ``default_network`` is the mode of a RUN that names none.
    """

    target_platform: Platform
    build_platform: Platform
    build_args: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    is_reproducible: bool = False
    source_date_epoch: int | None = None
    no_cache: bool = False
    no_cache_filter: frozenset[str] = frozenset()
    default_network: Literal["default", "none", "host"] = "default"

    def ignores_cache(self, stage_name: str | None) -> bool:
        """Tell whether layers of the stage are to be made anew."""
        if self.no_cache:
            return True
        return stage_name is not None and stage_name in {name.lower() for name in self.no_cache_filter}


def find_epoch(graph: Graph, options: LowerOptions) -> int | None:
    """Return SOURCE_DATE_EPOCH in seconds: the caller's, else the build argument's, else the global ARG's; None for none.

    Raises:
        DockerfileError: ``unsupported-feature``, the value is not a number (``context`` or a name).

    """
    if options.source_date_epoch is not None:
        return options.source_date_epoch
    text = options.build_args.get(EPOCH_NAME, graph.globals.get(EPOCH_NAME, ""))
    if not text:
        return None
    if not _INTEGER.fullmatch(text):
        raise DockerfileError(
            f"{EPOCH_NAME} can't be taken from '{text}' yet",
            slug="unsupported-feature",
            span=_epoch_span(graph, options),
            hint="give the number of seconds since 1970, for example the output of 'git log -1 --format=%ct'",
        )
    return int(text)


def _epoch_span(graph: Graph, options: LowerOptions) -> Span | None:
    if EPOCH_NAME in options.build_args:
        return None
    spans = [pair.span for arg in graph.global_args for pair in arg.pairs if pair.key.text == EPOCH_NAME]
    return spans[-1] if spans else None
