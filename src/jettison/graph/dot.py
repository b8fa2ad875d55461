"""A graph as Graphviz text: arrows go from what is needed to who needs it; what the target does not need is grey."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jettison.graph.describe import EDGE_LABELS, distinct_edges, image_numbers, source_key, used_images

if TYPE_CHECKING:
    from jettison.graph.stage import Graph

_UNUSED = 'style="dashed", color="#bbbbbb", fontcolor="#999999"'
_STYLES = {
    "target": 'shape="box", style="bold,filled", fillcolor="#d8f0dc"',
    "stage": 'shape="box", style="filled", fillcolor="#e8f1fb"',
    "image": 'shape="ellipse"',
}
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": " "})


def render_dot(graph: Graph) -> str:
    """Return the digraph; ends with a line end."""
    needed = set(graph.needed)
    used = used_images(graph)
    lines = ["digraph stages {", "    rankdir=LR;"]
    for stage in graph.stages:
        style = "target" if stage.index == graph.target else "stage"
        attributes = _STYLES[style] if stage.index in needed else f'shape="box", {_UNUSED}'
        lines.append(f'    "s{stage.index}" [label="{_escape(stage.label)}", {attributes}];')
    for key, (_, name) in image_numbers(graph).items():
        attributes = _STYLES["image"] if key in used else f'shape="ellipse", {_UNUSED}'
        lines.append(f'    "{_escape(key)}" [label="{_escape(name)}", {attributes}];')
    for edge in distinct_edges(graph):
        style = "" if edge.stage in needed else f", {_UNUSED}"
        lines.append(
            f'    "{_escape(source_key(edge.needs))}" -> "s{edge.stage}" [label="{EDGE_LABELS[edge.kind]}"{style}];'
        )
    return "\n".join((*lines, "}")) + "\n"


def _escape(text: str) -> str:
    return text.translate(_ESCAPES)
