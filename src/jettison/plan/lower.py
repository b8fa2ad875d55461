"""A graph and its base images become a plan, or the list of images that are lacking.

Owns the walk over the target's closure, one ``ImageState`` folded per stage, and the final config. Reads nothing itself: it is
called again when ``Needs`` are met, and gives the same plan for the same input.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from jettison.dockerfile.nodes import AnyInstruction, Copy, Run, Word, Workdir
from jettison.graph.resolve import resolve_copy_source, resolve_mount_source
from jettison.graph.stage import Graph, ImageSource, ScratchSource, Source, Stage, StageSource
from jettison.guestpath import ROOT
from jettison.plan.expansion import Expander, read_path
from jettison.plan.lower_copy import CopyContext, lower_copy
from jettison.plan.lower_run import RunContext, lower_run
from jettison.plan.metadata import apply_metadata, merge_pairs
from jettison.plan.ops import ContextRoot, MkdirOp, Op, OpRoot, Root
from jettison.plan.options import EPOCH_NAME, LowerOptions, find_epoch
from jettison.plan.plan import BaseImage, Bases, Needs, Plan, Step
from jettison.plan.resolve import Resolution, resolve
from jettison.plan.state import Arguments, ImageState, state_from_image, state_from_scratch, state_from_stage
from jettison.plan.step_names import StepCounter, join_lines, makes_layer, show_expanded
from jettison.plan.steps import PlanBuilder
from jettison.platform import Platform, normal_platform

if TYPE_CHECKING:
    from jettison.oci.config import ImageConfig
    from jettison.span import Span


def lower(graph: Graph, bases: Bases, options: LowerOptions) -> Plan | Needs:
    """Return the plan of the graph's target, or all images that must be resolved before it can be made.

    The ops of a stage directly follow each other but for images they bring in; stages come in the order of the text.

    Raises:
        DockerfileError: ``unsupported-feature``, a value that can't be used, or a failed expansion.
        GraphError: an ONBUILD trigger names a stage that can't be used.

    """
    resolution = resolve(graph, bases, options)
    if isinstance(resolution, Needs):
        return resolution
    epoch = find_epoch(graph, options)
    build_args = dict(options.build_args)
    if options.source_date_epoch is not None:
        build_args[EPOCH_NAME] = str(options.source_date_epoch)
    lowering = _Lowering(
        graph=graph,
        bases=bases,
        options=options,
        resolution=resolution,
        arguments=Arguments(globals=graph.globals, build_args=build_args),
        expander=Expander(escape=graph.dockerfile.escape),
        is_reproducible=options.is_reproducible or epoch is not None,
    )
    for index in resolution.needed:
        _StageLowering(whole=lowering, stage=graph.stages[index]).run()
    return lowering.finish(epoch)


@dataclass(slots=True, kw_only=True)
class _Lowering:
    """What the stages of one plan share."""

    graph: Graph
    bases: Bases
    options: LowerOptions
    resolution: Resolution
    arguments: Arguments
    expander: Expander
    is_reproducible: bool
    builder: PlanBuilder = field(default_factory=PlanBuilder)
    states: dict[int, ImageState] = field(default_factory=dict)

    def finish(self, epoch: int | None) -> Plan:
        """Return the plan for the target's state."""
        state = self.states[self.graph.target]
        skipped = (stage for stage in self.graph.stages if stage.index not in self.resolution.needed)
        return Plan(
            ops=tuple(self.builder.ops),
            steps=tuple(self.builder.steps),
            head=state.head,
            config=_final_config(state, self.options),
            history=state.history,
            skipped_stages=tuple(stage.label for stage in skipped),
            warnings=tuple(self.expander.warnings),
            source_date_epoch=epoch,
        )


@dataclass(slots=True, kw_only=True)
class _StageLowering:
    """One stage: the state is replaced instruction by instruction, layers go to the builder."""

    whole: _Lowering
    stage: Stage
    counter: StepCounter = field(init=False)

    def run(self) -> None:
        """Lower the stage and leave its last state with the others."""
        triggers = self.whole.resolution.triggers[self.stage.index]
        self.counter = StepCounter(label=_label(self.whole.graph, self.stage), total=_count_steps(self.stage, triggers))
        state = self.start()
        for instruction in triggers:
            state = self.apply(instruction, state, is_trigger=True)
        for instruction in self.stage.instructions:
            state = self.apply(instruction, state, is_trigger=False)
        self.whole.states[self.stage.index] = state

    def start(self) -> ImageState:
        """Return the state right after FROM."""
        base = self.stage.base
        platform = self.whole.resolution.platforms[self.stage.index]
        if isinstance(base, StageSource):
            return state_from_stage(self.whole.states[base.index])
        if isinstance(base, ScratchSource):
            return state_from_scratch(self.whole.options.target_platform, self.whole.arguments)
        image = self.image(base, platform)
        head = None
        if image.layer_count:
            name = self.counter.name(f"FROM {image.reference}")
            head = self.whole.builder.add_image(image, self.step(name, self.stage.node.span))
        return state_from_image(image.config, platform, head, self.whole.arguments)

    def apply(self, node: AnyInstruction, state: ImageState, *, is_trigger: bool) -> ImageState:
        """Return the state after the instruction."""
        match node:
            case Run():
                return self.apply_run(node, state, is_trigger=is_trigger)
            case Copy():
                return self.apply_copy(node, state, is_trigger=is_trigger)
            case Workdir():
                return self.apply_workdir(node, state, is_trigger=is_trigger)
            case _:
                return apply_metadata(node, state, self.whole.expander)

    def apply_run(self, node: Run, state: ImageState, *, is_trigger: bool) -> ImageState:
        """Return the state after a RUN."""
        context = RunContext(
            state=state,
            options=self.whole.options,
            expander=self.whole.expander,
            is_reproducible=self.whole.is_reproducible,
            root_of=self.mount_root,
        )
        lowered = lower_run(node, context)
        op = self.add(lowered.op, lowered.shown, node.span, is_trigger=is_trigger)
        return state.with_layer(op, lowered.created_by)

    def apply_copy(self, node: Copy, state: ImageState, *, is_trigger: bool) -> ImageState:
        """Return the state after a COPY or ADD."""
        root: Root = ContextRoot()
        if node.from_stage is not None:
            source = resolve_copy_source(node.from_stage, self.whole.graph.nodes, self.stage.index)
            root = self.root(source, node.from_stage.span)
        context = CopyContext(
            state=state, expander=self.whole.expander, root=root, is_reproducible=self.whole.is_reproducible
        )
        lowered = lower_copy(node, context)
        op = self.add(lowered.op, lowered.shown, node.span, is_trigger=is_trigger)
        return state.with_layer(op, lowered.created_by)

    def apply_workdir(self, node: Workdir, state: ImageState, *, is_trigger: bool) -> ImageState:
        """Return the state after a WORKDIR; the root directory needs no layer."""
        expander = self.whole.expander
        written = expander.text(node.path, state.scope)
        path = read_path(written, node.path.span, state.cwd)
        working_dir = written if written.startswith("/") else path
        config = replace(state.config, working_dir=working_dir)
        created_by = f"WORKDIR {working_dir}"
        if path == ROOT:
            return state.with_config(config, created_by)
        mkdir = MkdirOp(parent=state.head, path=path, user=config.user, is_reproducible=self.whole.is_reproducible)
        line = join_lines(node, escape=expander.escape)
        shown = show_expanded(line, state.scope.variables, node.path, escape=expander.escape)
        op = self.add(mkdir, shown, node.span, is_trigger=is_trigger)
        return replace(state, config=config).with_layer(op, created_by)

    def mount_root(self, word: Word) -> Root:
        """Return the files that a mount's ``from`` names."""
        return self.root(resolve_mount_source(word, self.whole.graph.nodes, self.stage.index), word.span)

    def root(self, source: Source, span: Span) -> Root:
        """Return the files of a stage or an image."""
        if isinstance(source, StageSource):
            return OpRoot(op=self.whole.states[source.index].head)
        if isinstance(source, ScratchSource):
            return OpRoot(op=None)
        image = self.image(source, self.whole.options.target_platform)
        step = Step(name=f"FROM {image.reference}", stage=self.stage.label, span=span)
        return OpRoot(op=self.whole.builder.add_image(image, step))

    def image(self, source: ImageSource, platform: Platform) -> BaseImage:
        """Return the image as it was resolved."""
        return self.whole.bases[source.reference, str(platform)]

    def add(self, op: Op, shown: str, span: Span, *, is_trigger: bool) -> int:
        """Append the op that an instruction makes and return its number."""
        step = self.step(self.counter.name(shown, is_trigger=is_trigger), span)
        ignores_cache = self.whole.options.ignores_cache(self.stage.name)
        return self.whole.builder.add(op, replace(step, is_cache_ignored=ignores_cache))

    def step(self, name: str, span: Span) -> Step:
        """Return how an op of this stage is shown."""
        return Step(name=name, stage=self.stage.label, span=span)


def _count_steps(stage: Stage, triggers: tuple[AnyInstruction, ...]) -> int:
    """Return the total that a stage's steps are numbered to; BuildKit counts triggers of every kind."""
    is_image = isinstance(stage.base, ImageSource)
    return is_image + len(triggers) + sum(makes_layer(instruction) for instruction in stage.instructions)


def _label(graph: Graph, stage: Stage) -> str:
    """Return the stage's name in front of a step's number: empty where the build has no other source of files."""
    if len(graph.stages) > 1:
        return stage.label
    has_sources = any(
        (isinstance(node, Copy) and node.from_stage is not None) or (isinstance(node, Run) and node.mounts)
        for node in stage.instructions
    )
    return stage.label if has_sources else ""


def _final_config(state: ImageState, options: LowerOptions) -> ImageConfig:
    wanted, own = options.target_platform, state.base.platform
    is_same = (wanted.os, wanted.architecture) == (own.os, own.architecture)
    variant = wanted.variant or (own.variant if is_same else "")
    config = replace(state.config, labels=merge_pairs(state.config.labels, options.labels.items()))
    return replace(
        state.base,
        platform=normal_platform(wanted.os, wanted.architecture, variant),
        config=config,
        author=state.author,
    )
