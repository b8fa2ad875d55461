import pytest
from tests.fakes.plans import graph_of

from jettison.graph.document import graph_document
from jettison.graph.dot import render_dot
from jettison.graph.mermaid import render_mermaid
from jettison.graph.text import render_text

WEB = """FROM node:22 AS deps
FROM deps AS build
RUN --mount=from=deps,target=/m true
FROM scratch AS docs
FROM nginx
COPY --from=build /out /
COPY --from=build /other /
COPY --from=busybox /bin /bin
"""


def test_text_is_a_tree_with_the_target_on_top():
    assert (
        render_text(graph_of(WEB))
        == """stage-3  line 5  (target)
├── FROM         nginx
├── COPY --from  build  line 2
│   ├── FROM         deps  line 1
│   │   └── FROM         node:22
│   └── RUN --mount  deps  line 1  (above)
└── COPY --from  busybox

not needed: docs (line 4)
"""
    )


def test_text_without_unused_stages_ends_after_the_tree():
    assert render_text(graph_of("FROM scratch\n")) == "stage-0  line 1  (target)\n└── FROM         scratch\n"


def test_text_bears_a_chain_of_a_thousand_stages():
    text = "FROM a AS s0\n" + "".join(f"FROM s{n - 1} AS s{n}\n" for n in range(1, 1000))
    assert render_text(graph_of(text)).count("\n") == 1001


def test_mermaid_marks_target_and_unused():
    assert (
        render_mermaid(graph_of(WEB))
        == """flowchart LR
    s0["deps"]:::stage
    s1["build"]:::stage
    s2["docs"]:::unused
    s3["stage-3"]:::target
    i0(["node:22"]):::image
    i1(["scratch"]):::unused
    i2(["nginx"]):::image
    i3(["busybox"]):::image
    i0 -->|"FROM"| s0
    s0 -->|"FROM"| s1
    s0 -->|"RUN --mount"| s1
    i1 -->|"FROM"| s2
    i2 -->|"FROM"| s3
    s1 -->|"COPY --from"| s3
    i3 -->|"COPY --from"| s3
    classDef stage fill:#e8f1fb,stroke:#3572b0,color:#10243a
    classDef target fill:#d8f0dc,stroke:#2f7d3b,color:#10301a,stroke-width:3px
    classDef image fill:#fff,stroke:#666,color:#333
    classDef unused fill:#f2f2f2,stroke:#bbb,color:#999,stroke-dasharray:4 3
"""
    )


def test_dot_marks_target_and_unused():
    lines = render_dot(graph_of(WEB)).splitlines()
    assert lines[0] == "digraph stages {"
    assert lines[-1] == "}"
    assert '    "s3" [label="stage-3", shape="box", style="bold,filled", fillcolor="#d8f0dc"];' in lines
    assert '    "s2" [label="docs", shape="box", style="dashed", color="#bbbbbb", fontcolor="#999999"];' in lines
    assert '    "image:nginx" -> "s3" [label="FROM"];' in lines
    assert '    "scratch" -> "s2" [label="FROM", style="dashed", color="#bbbbbb", fontcolor="#999999"];' in lines
    assert lines.count('    "s1" -> "s3" [label="COPY --from"];') == 1


def test_document_holds_stages_edges_and_target():
    document = graph_document(graph_of("FROM --platform=arm64 a AS x\nFROM scratch AS y\nFROM b\nCOPY --from=x / /\n"))
    assert document == {
        "version": 1,
        "target": "stage-2",
        "stages": [
            {"index": 0, "name": "x", "base": "a", "platform": "linux/arm64", "line": 1, "is_needed": True},
            {"index": 1, "name": "y", "base": "scratch", "platform": None, "line": 2, "is_needed": False},
            {"index": 2, "name": None, "base": "b", "platform": None, "line": 3, "is_needed": True},
        ],
        "edges": [
            {"stage": "x", "needs": "a", "kind": "from", "line": 1},
            {"stage": "y", "needs": "scratch", "kind": "from", "line": 2},
            {"stage": "stage-2", "needs": "b", "kind": "from", "line": 3},
            {"stage": "stage-2", "needs": "x", "kind": "copy", "line": 4},
        ],
    }


@pytest.mark.parametrize("render", [render_dot, render_mermaid, render_text])
def test_rendering_is_repeatable(render):
    assert render(graph_of(WEB)) == render(graph_of(WEB))
