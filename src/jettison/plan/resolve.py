"""Which stages and images a target needs, ONBUILD triggers included: the part of lowering that may have to ask.

Triggers of a base run in the child right after its FROM and may name stages and images of their own, so needs are followed until
nothing new turns up. Whatever images are known are followed; all that are missing are asked for at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jettison.dockerfile.parser import parse_instruction
from jettison.graph.resolve import find_edges, triggers_of
from jettison.graph.stage import Edge, Graph, ImageSource, StageSource, find_closure
from jettison.plan.plan import Bases, Need, Needs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jettison.dockerfile.nodes import AnyInstruction
    from jettison.plan.options import LowerOptions
    from jettison.platform import Platform


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """The stages to lower in topological order, each one's triggers and platform."""

    needed: tuple[int, ...]
    triggers: Mapping[int, tuple[AnyInstruction, ...]]
    platforms: Mapping[int, Platform]


def resolve(graph: Graph, bases: Bases, options: LowerOptions) -> Resolution | Needs:
    """Return what to lower, or every image that is missing, each once, in the order of the stages.

    Raises:
        GraphError: a trigger names a stage that can't be used (slugs of ``graph.resolve``).
        DockerfileError: a trigger of an image can't be parsed.

    """
    resolver = _Resolver(graph=graph, bases=bases, options=options, edges=list(graph.edges))
    while resolver.add_triggers():
        pass
    missing = resolver.find_missing()
    if missing:
        return Needs(images=missing)
    return Resolution(needed=resolver.needed(), triggers=resolver.triggers, platforms=find_platforms(graph, options))


def find_platforms(graph: Graph, options: LowerOptions) -> dict[int, Platform]:
    """Return the platform of each stage: its own, that of the stage below it, or the target's."""
    platforms: dict[int, Platform] = {}
    for stage in graph.stages:
        if isinstance(stage.base, StageSource):
            platforms[stage.index] = platforms[stage.base.index]
        else:
            platforms[stage.index] = stage.platform or options.target_platform
    return platforms


@dataclass(slots=True, kw_only=True)
class _Resolver:
    graph: Graph
    bases: Bases
    options: LowerOptions
    edges: list[Edge]
    triggers: dict[int, tuple[AnyInstruction, ...]] = field(default_factory=dict)

    def needed(self) -> tuple[int, ...]:
        return find_closure(self.graph.target, self.edges)

    def add_triggers(self) -> bool:
        """Read the triggers of stages not looked at yet, where their base is known; tell whether there were new edges."""
        nodes = self.graph.nodes
        is_changed = False
        for index in self.needed():
            triggers = None if index in self.triggers else self._triggers_for(index)
            if triggers is None:
                continue
            self.triggers[index] = triggers
            new = find_edges(triggers, nodes, index)
            self.edges += new
            is_changed = is_changed or bool(new)
        return is_changed

    def find_missing(self) -> tuple[Need, ...]:
        needed = set(self.needed())
        platforms = find_platforms(self.graph, self.options)
        missing: dict[tuple[str, str], Need] = {}
        for edge in sorted(self.edges, key=lambda each: each.stage):
            if edge.stage not in needed or not isinstance(edge.needs, ImageSource):
                continue
            platform = platforms[edge.stage] if edge.kind == "from" else self.options.target_platform
            key = (edge.needs.reference, str(platform))
            if key not in self.bases:
                need = Need(reference=key[0], platform=key[1], span=edge.span, hint=edge.needs.hint)
                missing.setdefault(key, need)
        return tuple(missing.values())

    def _triggers_for(self, index: int) -> tuple[AnyInstruction, ...] | None:
        stage = self.graph.stages[index]
        if isinstance(stage.base, StageSource):
            return triggers_of(self.graph.stages[stage.base.index].instructions)
        if not isinstance(stage.base, ImageSource):
            return ()
        platform = stage.platform or self.options.target_platform
        image = self.bases.get((stage.base.reference, str(platform)))
        if image is None:
            return None
        name = f"ONBUILD of {stage.base.reference}"
        return tuple(parse_instruction(text, name) for text in image.config.config.on_build)
