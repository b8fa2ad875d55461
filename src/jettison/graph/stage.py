"""Stages, the edges between them, and the graph of both; topological order.

Data with look-ups that need nothing else. ``build`` makes a graph of a Dockerfile, ``plan`` lowers it, the renderers draw it.
Edges always point to an earlier stage, so the order of the text is a topological order and there are no cycles.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from jettison.dockerfile.nodes import ParseWarning

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from jettison.dockerfile.nodes import AnyInstruction, Arg, Dockerfile, From
    from jettison.platform import Platform
    from jettison.span import Span

EdgeKind: TypeAlias = Literal["from", "copy", "mount"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSource:
    """The files of an earlier stage."""

    index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSource:
    """The files of an image; ``reference`` is the text after expansion, ``hint`` what to say if there is no such image."""

    reference: str
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScratchSource:
    """No files at all."""


Source: TypeAlias = StageSource | ImageSource | ScratchSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """What a stage needs: ``FROM``, ``COPY --from`` or ``RUN --mount from``; ``span`` is the name as written."""

    stage: int
    needs: Source
    kind: EdgeKind
    span: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A stage: its ``FROM``, what that names, and the instructions below it.

    ``platform`` is what ``--platform`` says, None where it is not given; ``span`` covers the whole stage.
    """

    index: int
    name: str | None
    node: From
    base: Source
    platform: Platform | None
    instructions: tuple[AnyInstruction, ...]
    span: Span

    @property
    def label(self) -> str:
        """The name, ``stage-<index>`` for a stage without one."""
        return self.name if self.name is not None else f"stage-{self.index}"


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphWarning(ParseWarning):
    """Something legal but doubtful that only the graph sees; ``rule`` is named as BuildKit's checks are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """All stages in the order of the text, their edges, and the stage that is wanted.

    ``globals`` are the values that ``FROM`` lines see: built-in arguments and the ARGs before the first stage, with
    ``--build-arg`` applied. ``needed`` are the target and all it needs, in topological order; ``unused`` the rest.
    """

    dockerfile: Dockerfile
    stages: tuple[Stage, ...]
    edges: tuple[Edge, ...]
    target: int
    globals: Mapping[str, str]
    global_args: tuple[Arg, ...]
    needed: tuple[int, ...]
    unused: tuple[int, ...]
    warnings: tuple[GraphWarning, ...] = ()

    @property
    def nodes(self) -> tuple[From, ...]:
        """The FROM of every stage, in the order of the text."""
        return tuple(stage.node for stage in self.stages)


def find_closure(target: int, edges: Iterable[Edge]) -> tuple[int, ...]:
    """Return the target and every stage it needs, directly or through others, in topological order (ascending index)."""
    needs: dict[int, list[int]] = {}
    for edge in edges:
        if isinstance(edge.needs, StageSource):
            needs.setdefault(edge.stage, []).append(edge.needs.index)
    found = {target}
    waiting = [target]
    while waiting:
        for index in needs.get(waiting.pop(), ()):
            if index not in found:
                found.add(index)
                waiting.append(index)
    return tuple(sorted(found))
