"""A graph as a tree of text, the target at the root.

It looks like this::

    runtime  line 12  (target)
    ├── FROM         nginx:1.27
    └── COPY --from  build  line 3
        └── FROM         node:22

    not needed: docs (line 9)

A stage that is needed twice is drawn once; later it is named with ``(above)``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jettison.graph.describe import EDGE_LABELS, distinct_edges, source_name
from jettison.graph.stage import StageSource

if TYPE_CHECKING:
    from jettison.graph.stage import Edge, Graph

_WIDTH = max(len(label) for label in EDGE_LABELS.values())
_LINES = {True: ("└── ", "    "), False: ("├── ", "│   ")}


def render_text(graph: Graph) -> str:
    """Return the tree, then the stages that the target does not need; ends with a line end."""
    edges: dict[int, list[Edge]] = {}
    for edge in distinct_edges(graph):
        edges.setdefault(edge.stage, []).append(edge)
    lines = [f"{_stage(graph, graph.target)}  (target)"]
    drawn = {graph.target}
    # A stack instead of recursion: a file may chain a thousand stages.
    waiting = _branches(edges[graph.target], "")
    while waiting:
        edge, indent, is_last = waiting.pop()
        branch, below = _LINES[is_last]
        name, suffix = source_name(edge.needs, graph), ""
        if isinstance(edge.needs, StageSource):
            index = edge.needs.index
            name = _stage(graph, index)
            if index in drawn:
                suffix = "  (above)"
            else:
                waiting += _branches(edges[index], indent + below)
            drawn.add(index)
        lines.append(f"{indent}{branch}{EDGE_LABELS[edge.kind]:<{_WIDTH}}  {name}{suffix}")
    if graph.unused:
        unused = (graph.stages[index] for index in graph.unused)
        lines += ["", "not needed: " + ", ".join(f"{stage.label} (line {stage.span.line})" for stage in unused)]
    return "\n".join(lines) + "\n"


def _branches(edges: list[Edge], indent: str) -> list[tuple[Edge, str, bool]]:
    """Return the edges with their indent, last first, so that a stack gives them in order."""
    return [(edge, indent, edge is edges[-1]) for edge in reversed(edges)]


def _stage(graph: Graph, index: int) -> str:
    stage = graph.stages[index]
    return f"{stage.label}  line {stage.span.line}"
