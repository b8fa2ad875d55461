"""A graph as JSON values, for programs: stages in the order of the text, edges, the target."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jettison.graph.describe import source_name

if TYPE_CHECKING:
    from jettison.graph.stage import Graph

DOCUMENT_VERSION = 1


def graph_document(graph: Graph) -> dict[str, object]:
    """Return the whole graph; ``version`` grows when the meaning of a key changes."""
    needed = set(graph.needed)
    return {
        "version": DOCUMENT_VERSION,
        "target": graph.stages[graph.target].label,
        "stages": [
            {
                "index": stage.index,
                "name": stage.name,
                "base": source_name(stage.base, graph),
                "platform": str(stage.platform) if stage.platform else None,
                "line": stage.node.span.line,
                "is_needed": stage.index in needed,
            }
            for stage in graph.stages
        ],
        "edges": [
            {
                "stage": graph.stages[edge.stage].label,
                "needs": source_name(edge.needs, graph),
                "kind": edge.kind,
                "line": edge.span.line,
            }
            for edge in graph.edges
        ],
    }
