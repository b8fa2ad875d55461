"""The config of a finished image: base, new layers, new history and times put together.

Owns that history and layers agree (as many lines with a layer as there are layers) and which times SOURCE_DATE_EPOCH
changes: all but those of the base's own lines. Pure; the clock is an argument.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from jettison.oci.config import HistoryEntry
from jettison.oci.timestamp import clamp_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jettison.digest import DiffId
    from jettison.oci.config import ImageConfig

_FILLED_COMMENT = "buildkit.exporter.image.v0"


def assemble_config(
    config: ImageConfig,
    *,
    diff_ids: Sequence[DiffId],
    history: Sequence[HistoryEntry],
    created: str,
    epoch: int | None = None,
) -> ImageConfig:
    """Return the whole config, ready for ``render_config``.

    ``config`` holds the settings and, as its history, the lines of the base. ``diff_ids`` are all layers, bottom first, the
    base's among them; ``history`` the lines to add (without a time they get ``created``, RFC 3339). With an ``epoch`` in
    seconds the new lines and the image itself are not later than it.
    """
    time = clamp_time(created, epoch)
    added = tuple(replace(line, created=clamp_time(line.created or created, epoch)) for line in history)
    return replace(
        config,
        diff_ids=tuple(diff_ids),
        history=match_history((*config.history, *added), len(diff_ids), time),
        created=time,
    )


def match_history(history: Sequence[HistoryEntry], layer_count: int, created: str) -> tuple[HistoryEntry, ...]:
    """Return the lines such that exactly ``layer_count`` of them have a layer.

    Lines too many lose their layer, from the end; layers without a line get one with this time. Source: what BuildKit's
    exporter does with images whose history is wrong.
    """
    lines: list[HistoryEntry] = []
    count = 0
    for line in history:
        fitting = line if line.is_empty_layer or count < layer_count else replace(line, is_empty_layer=True)
        count += not fitting.is_empty_layer
        lines.append(fitting)
    lines += [HistoryEntry(created=created, comment=_FILLED_COMMENT)] * (layer_count - count)
    return tuple(lines)
