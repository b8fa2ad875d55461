"""What every drawing of a graph shows: labels of stages, images and edges. The renderers differ only in syntax."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jettison.graph.stage import ImageSource, StageSource

if TYPE_CHECKING:
    from jettison.graph.stage import Edge, Graph, Source

EDGE_LABELS = {"from": "FROM", "copy": "COPY --from", "mount": "RUN --mount"}


def source_name(source: Source, graph: Graph) -> str:
    """Return the name of a stage or image, ``scratch`` for none."""
    if isinstance(source, StageSource):
        return graph.stages[source.index].label
    return source.reference if isinstance(source, ImageSource) else "scratch"


def source_key(source: Source) -> str:
    """Return a short identifier: ``s2`` for a stage, ``image:node:22`` for an image."""
    if isinstance(source, StageSource):
        return f"s{source.index}"
    return f"image:{source.reference}" if isinstance(source, ImageSource) else "scratch"


def distinct_edges(graph: Graph) -> tuple[Edge, ...]:
    """Return the edges by stage, each pair and kind once, in the order of the text."""
    seen: dict[tuple[int, str, str], Edge] = {}
    for edge in graph.edges:
        seen.setdefault((edge.stage, source_key(edge.needs), edge.kind), edge)
    return tuple(seen.values())


def image_numbers(graph: Graph) -> dict[str, tuple[int, str]]:
    """Return number and name of each image by its key, in order of first use, ``scratch`` among them."""
    images: dict[str, tuple[int, str]] = {}
    for edge in distinct_edges(graph):
        if not isinstance(edge.needs, StageSource):
            images.setdefault(source_key(edge.needs), (len(images), source_name(edge.needs, graph)))
    return images


def used_images(graph: Graph) -> frozenset[str]:
    """Return the keys of the images that the target needs."""
    needed = set(graph.needed)
    return frozenset(
        source_key(edge.needs)
        for edge in graph.edges
        if edge.stage in needed and not isinstance(edge.needs, StageSource)
    )
