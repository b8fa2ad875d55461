"""Graphs and plans of random stages: the closure is exact, and the order of unrelated stages changes nothing."""

import dataclasses
import random

from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.plans import graph_of, lower_text, plan_of

from jettison.graph.stage import StageSource
from jettison.plan.ops import BindMount, CacheMount, CopyOp, ImageOp, OpRoot, RunOp
from jettison.plan.plan import Needs

KINDS = ("from", "copy", "mount", "seed")


@dataclasses.dataclass(frozen=True)
class Draft:
    """A stage to write: its name, and (kind, name) of each stage it needs; ``from`` comes first if at all."""

    name: str
    needs: tuple[tuple[str, str], ...]

    def text(self):
        bases = [name for kind, name in self.needs if kind == "from"]
        lines = [f"FROM {bases[0] if bases else f'image-{self.name}'} AS {self.name}", f"RUN first in {self.name}"]
        for kind, name in self.needs:
            if kind == "copy":
                lines.append(f"COPY --from={name} /{name} /{name}")
            elif kind == "mount":
                lines.append(f"RUN --mount=from={name},target=/m/{name} use {name}")
            elif kind == "seed":
                lines.append(f"RUN --mount=type=cache,from={name},target=/c/{name} seed {name}")
        return "\n".join(lines) + "\n"


@st.composite
def drafts(draw):
    stages = []
    for index in range(draw(st.integers(1, 7))):
        earlier = [stage.name for stage in stages]
        needs = []
        if earlier:
            pairs = st.tuples(st.sampled_from(KINDS), st.sampled_from(earlier))
            needs = draw(st.lists(pairs, max_size=3, unique=True))
        first = [pair for pair in needs if pair[0] == "from"][:1]
        stages.append(Draft(f"s{index}", (*first, *(pair for pair in needs if pair[0] != "from"))))
    return stages


def shuffled(stages, seed):
    """Return the stages in another order in which each still follows what it needs."""
    chance = random.Random(seed)
    waiting, placed, order = list(stages), set(), []
    while waiting:
        ready = [stage for stage in waiting if all(name in placed for _, name in stage.needs)]
        chosen = chance.choice(ready)
        waiting.remove(chosen)
        placed.add(chosen.name)
        order.append(chosen)
    return order


def write(stages):
    return "".join(stage.text() for stage in stages)


def reachable(stages, target):
    by_name = {stage.name: stage for stage in stages}
    found, waiting = set(), [target]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [needed for _, needed in by_name[name].needs]
    return found


def ops_by_stage(plan):
    """Return each stage's ops and step names, with the numbers of ops replaced by (stage, place) or the image's name."""
    labels, stages = {}, {}
    for number, (op, step) in enumerate(zip(plan.ops, plan.steps, strict=True)):
        if isinstance(op, ImageOp):
            labels[number] = op.reference
            continue
        own = stages.setdefault(step.stage, [])
        labels[number] = (step.stage, len(own))
        own.append((renamed(op, labels), step.name))
    return stages


def renamed(op, labels):
    changes = {"parent": labels.get(op.parent)}
    if isinstance(op, CopyOp):
        changes["root"] = renamed_root(op.root, labels)
    if isinstance(op, RunOp):
        changes["mounts"] = tuple(renamed_mount(mount, labels) for mount in op.mounts)
    return dataclasses.replace(op, **changes)


def renamed_root(root, labels):
    return OpRoot(op=labels.get(root.op)) if isinstance(root, OpRoot) else root


def renamed_mount(mount, labels):
    if isinstance(mount, BindMount):
        return dataclasses.replace(mount, root=renamed_root(mount.root, labels))
    assert isinstance(mount, CacheMount)
    return dataclasses.replace(mount, seed=renamed_root(mount.seed, labels))


@given(drafts(), st.data())
def test_closure_is_exactly_what_the_target_reaches(stages, data):
    target = data.draw(st.sampled_from([stage.name for stage in stages]))
    graph = graph_of(write(stages), target=target)
    needed = [graph.stages[index].name for index in graph.needed]
    assert set(needed) == reachable(stages, target)
    assert sorted((*graph.needed, *graph.unused)) == list(range(len(stages)))
    place = {index: at for at, index in enumerate(graph.needed)}
    for edge in graph.edges:
        if edge.stage in place and isinstance(edge.needs, StageSource):
            assert place[edge.needs.index] < place[edge.stage]


@given(drafts(), st.data())
def test_only_images_of_the_closure_are_asked_for(stages, data):
    target = data.draw(st.sampled_from([stage.name for stage in stages]))
    needs = lower_text(write(stages), {}, target=target)
    assert isinstance(needs, Needs)
    reached = reachable(stages, target)
    own = {
        f"image-{stage.name}"
        for stage in stages
        if stage.name in reached and not any(k == "from" for k, _ in stage.needs)
    }
    assert {need.reference for need in needs.images} == own


@given(drafts(), st.integers(0, 1 << 30), st.data())
def test_order_of_unrelated_stages_changes_no_op(stages, seed, data):
    target = data.draw(st.sampled_from([stage.name for stage in stages]))
    one = plan_of(write(stages), target=target)
    other = plan_of(write(shuffled(stages, seed)), target=target)
    assert ops_by_stage(one) == ops_by_stage(other)
    assert one.config == other.config
    assert [line.created_by for line in one.history] == [line.created_by for line in other.history]


@given(drafts())
def test_inputs_of_an_op_come_before_it(stages):
    plan = plan_of(write(stages))
    for number, op in enumerate(plan.ops):
        if isinstance(op, ImageOp):
            continue
        roots = [op.root] if isinstance(op, CopyOp) else []
        if isinstance(op, RunOp):
            roots += [mount.root if isinstance(mount, BindMount) else mount.seed for mount in op.mounts]
        inputs = [op.parent, *(root.op for root in roots if isinstance(root, OpRoot))]
        assert all(each < number for each in inputs if each is not None)
