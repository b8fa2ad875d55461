"""A graph as Mermaid flowchart text: arrows go from what is needed to who needs it; what the target does not need is grey."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jettison.graph.describe import EDGE_LABELS, distinct_edges, image_numbers, source_key, used_images
from jettison.graph.stage import StageSource

if TYPE_CHECKING:
    from jettison.graph.stage import Graph

_ESCAPES = str.maketrans({"#": "#35;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "\n": " "})


def render_mermaid(graph: Graph) -> str:
    """Return the flowchart; ends with a line end."""
    needed = set(graph.needed)
    used = used_images(graph)
    lines = ["flowchart LR"]
    for stage in graph.stages:
        style = "target" if stage.index == graph.target else ("stage" if stage.index in needed else "unused")
        lines.append(f'    s{stage.index}["{_escape(stage.label)}"]:::{style}')
    images = image_numbers(graph)
    for key, (number, name) in images.items():
        style = "image" if key in used else "unused"
        lines.append(f'    i{number}(["{_escape(name)}"]):::{style}')
    for edge in distinct_edges(graph):
        key = source_key(edge.needs)
        start = key if isinstance(edge.needs, StageSource) else f"i{images[key][0]}"
        lines.append(f'    {start} -->|"{EDGE_LABELS[edge.kind]}"| s{edge.stage}')
    lines += [
        "    classDef stage fill:#e8f1fb,stroke:#3572b0,color:#10243a",
        "    classDef target fill:#d8f0dc,stroke:#2f7d3b,color:#10301a,stroke-width:3px",
        "    classDef image fill:#fff,stroke:#666,color:#333",
        "    classDef unused fill:#f2f2f2,stroke:#bbb,color:#999,stroke-dasharray:4 3",
    ]
    return "\n".join(lines) + "\n"


def _escape(text: str) -> str:
    return text.translate(_ESCAPES)
