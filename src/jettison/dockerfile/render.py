"""The AST back to text: the spans of the items, one after the other.

``render_dockerfile(parse_dockerfile(source))`` is the source's text, character for character. A rewriter that makes a new
tree may mix items of several sources: each item brings its own text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jettison.dockerfile.nodes import Dockerfile


def render_dockerfile(dockerfile: Dockerfile) -> str:
    """Return the text of the Dockerfile."""
    return "".join(item.span.text for item in dockerfile.items)
