"""A Dockerfile, build arguments and a target become a graph.

Owns splitting the file into stages, expanding FROM lines in the global scope, finding the target and its closure. Refuses
names that can't be resolved, in all stages, used or not, and reports the first such fault of each at once. Reads no image.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from jettison.dockerfile.nodes import AnyInstruction, Arg, Dockerfile, From, Word
from jettison.dockerfile.words import expand
from jettison.errors import Diagnostic, DockerfileError, GraphError
from jettison.graph.resolve import find_edges, resolve_base
from jettison.graph.scope import Platforms, builtin_arguments, global_scope
from jettison.graph.stage import Edge, Graph, GraphWarning, ScratchSource, Source, Stage, find_closure
from jettison.limits import DEFAULT_LIMITS, Limits
from jettison.platform import Platform, parse_platform
from jettison.span import Span, nearest_name

_INDEX = re.compile(r"[0-9]{1,9}")
_Chunks: TypeAlias = Sequence[tuple[From, tuple[AnyInstruction, ...]]]


def build_graph(
    dockerfile: Dockerfile,
    *,
    target: str | None,
    build_args: Mapping[str, str],
    platforms: Platforms,
    limits: Limits = DEFAULT_LIMITS,
) -> Graph:
    """Return the stages, what each needs, and the closure of the target (a name, an index, or None for the last stage).

    Raises:
        GraphError: ``unknown-target``, ``too-many-stages``, ``blank-base``, ``invalid-platform``, and the slugs of
            ``resolve``; the first fault of every stage is reported.
        DockerfileError: a global ARG or a FROM line can't be expanded.

    """
    builder = _Builder(dockerfile=dockerfile, build_args=build_args, platforms=platforms)
    chunks = _split(dockerfile.instructions)
    _refuse_too_many(chunks, limits)
    nodes = [node for node, _ in chunks]
    last_name = nodes[-1].name or ""
    builder.read_globals(target or last_name)
    stages = [builder.read_stage(index, chunks, nodes) for index in range(len(chunks))]
    builder.raise_faults()
    wanted = find_target(target, nodes)
    needed = find_closure(wanted, builder.edges)
    return Graph(
        dockerfile=dockerfile,
        stages=tuple(stages),
        edges=tuple(builder.edges),
        target=wanted,
        globals=builder.values,
        global_args=builder.global_args,
        needed=needed,
        unused=tuple(index for index in range(len(stages)) if index not in needed),
        warnings=tuple(builder.warnings),
    )


def find_target(target: str | None, stages: Sequence[From]) -> int:
    """Return the index of the stage that ``--target`` names: the last of that name, a 0-based index, or the last stage.

    Raises:
        GraphError: ``unknown-target``.

    """
    if target is None or target == "":
        return len(stages) - 1
    lowered = target.lower()
    for index in range(len(stages) - 1, -1, -1):
        if stages[index].name == lowered:
            return index
    if _INDEX.fullmatch(target) and int(target) < len(stages):
        return int(target)
    names = tuple(dict.fromkeys(node.name for node in stages if node.name is not None))
    near = nearest_name(target, names)
    if near is not None:
        hint = f"did you mean '{near}'?"
    elif names:
        hint = "the stages are: " + ", ".join(names)
    else:
        hint = "no stage has a name: give one with 'FROM ... AS name', or use an index"
    raise GraphError(f"no stage is named '{target}'", slug="unknown-target", hint=hint)


@dataclass(slots=True, kw_only=True)
class _Builder:
    """What has been read so far: global values, edges, warnings, and faults to report together."""

    dockerfile: Dockerfile
    build_args: Mapping[str, str]
    platforms: Platforms
    values: dict[str, str] = field(default_factory=dict)
    global_args: tuple[Arg, ...] = ()
    edges: list[Edge] = field(default_factory=list)
    warnings: list[GraphWarning] = field(default_factory=list)
    faults: list[DockerfileError] = field(default_factory=list)

    def read_globals(self, target_name: str) -> None:
        """Take in the ARGs before the first stage."""
        instructions = self.dockerfile.instructions
        first = next(index for index, each in enumerate(instructions) if isinstance(each, From))
        self.global_args = tuple(each for each in instructions[:first] if isinstance(each, Arg))
        builtins = builtin_arguments(self.platforms, target_name, self.build_args)
        escape = self.dockerfile.escape
        self.values, undefined = global_scope(self.global_args, builtins, self.build_args, escape=escape)
        for word, name in undefined:
            self.warn("UndefinedVar", f"usage of undefined variable '${name}'", name, word.span)

    def read_stage(self, index: int, chunks: _Chunks, nodes: Sequence[From]) -> Stage:
        """Return the stage at the index; its faults are kept for ``raise_faults``."""
        node, instructions = chunks[index]
        base: Source = ScratchSource()
        platform: Platform | None = None
        try:
            base = resolve_base(self.expand_base(node), node.base.span, nodes, index)
            platform = self.expand_platform(node)
            self.edges.append(Edge(stage=index, needs=base, kind="from", span=node.base.span))
            self.edges += find_edges(instructions, nodes, index)
        except DockerfileError as error:
            self.faults.append(error)
        end = instructions[-1].span.end if instructions else node.span.end
        return Stage(
            index=index,
            name=node.name,
            node=node,
            base=base,
            platform=platform,
            instructions=instructions,
            span=Span(source=node.span.source, start=node.span.start, end=end),
        )

    def expand_base(self, node: From) -> str:
        """Return the base's name after expansion."""
        name = self.expand_from(node.base)
        if not name:
            raise GraphError(
                f"the base name is blank: '{node.base.text}' expands to nothing",
                slug="blank-base",
                span=node.base.span,
                hint="give the ARG a default before the first FROM, or pass it with --build-arg",
            )
        return name

    def expand_platform(self, node: From) -> Platform | None:
        """Return what ``--platform`` says after expansion, None where it is not given."""
        if node.platform is None:
            return None
        text = self.expand_from(node.platform)
        try:
            return parse_platform(text, self.platforms.build)
        except ValueError as error:
            raise GraphError(
                f"'{node.platform.text}' is no platform: {error}",
                slug="invalid-platform",
                span=node.platform.span,
                hint="write it as 'linux/amd64' or 'linux/arm64', or use $BUILDPLATFORM",
            ) from error

    def expand_from(self, word: Word) -> str:
        """Return a word of a FROM line after expansion in the global scope."""
        expansion = expand(word, self.values, escape=self.dockerfile.escape)
        declared = {pair.key.text for arg in self.global_args for pair in arg.pairs}
        for name in expansion.undefined:
            if name not in declared:
                self.warn("UndefinedArgInFrom", f"FROM argument '{name}' is not declared", name, word.span)
        return expansion.text

    def warn(self, rule: str, message: str, name: str, span: Span) -> None:
        """Keep a warning about an undefined variable, with the name that was perhaps meant."""
        near = nearest_name(name, frozenset(self.values))
        suggestion = f" (did you mean {near}?)" if near is not None else ""
        self.warnings.append(GraphWarning(rule=rule, message=message + suggestion, span=span))

    def raise_faults(self) -> None:
        """Raise all faults of all stages as one error, if there are any."""
        if not self.faults:
            return
        first, *rest = self.faults
        others: tuple[Diagnostic, ...] = tuple(each for error in rest for each in error.diagnostics)
        first.others = (*first.others, *others)
        raise first


def _split(instructions: Sequence[AnyInstruction]) -> _Chunks:
    chunks: list[tuple[From, list[AnyInstruction]]] = []
    for instruction in instructions:
        if isinstance(instruction, From):
            chunks.append((instruction, []))
        elif chunks:
            chunks[-1][1].append(instruction)
    assert chunks, "the parser refuses a file without FROM"
    return tuple((node, tuple(below)) for node, below in chunks)


def _refuse_too_many(chunks: _Chunks, limits: Limits) -> None:
    if len(chunks) > limits.stages:
        raise GraphError(
            f"a file may have {limits.stages} stages, this one has {len(chunks)}",
            slug="too-many-stages",
            span=chunks[limits.stages][0].span,
            hint="split the file",
        )
