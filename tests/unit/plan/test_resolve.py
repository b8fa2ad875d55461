import pytest
from tests.fakes.plans import an_image, lower_text, plan_of

from jettison.errors import DockerfileError
from jettison.plan.ops import CopyOp, OpRoot, RunOp
from jettison.plan.plan import Needs


def test_triggers_of_an_image_run_right_after_from():
    base = an_image("a", on_build=("COPY x /x", "RUN make x"))
    plan = plan_of("FROM a\nRUN own\n", base)
    assert [step.name for step in plan.steps] == [
        "[1/4] FROM docker.io/library/a",
        "[2/4] ONBUILD COPY x /x",
        "[3/4] ONBUILD RUN make x",
        "[4/4] RUN own",
    ]
    assert plan.config.config.on_build == ()
    assert plan.steps[1].span.source.name == "ONBUILD of a"


def test_triggers_are_not_inherited_twice():
    base = an_image("a", on_build=("RUN once",))
    plan = plan_of("FROM a AS x\nFROM x\nRUN own\n", base)
    assert [op.args[-1] for op in plan.ops if isinstance(op, RunOp)] == ["once", "own"]


def test_triggers_of_a_stage_run_in_its_child_only():
    text = "FROM a AS x\nONBUILD ENV t=1\nONBUILD RUN trigger\nRUN own\nFROM x\nRUN child\n"
    plan = plan_of(text)
    assert [op.args[-1] for op in plan.ops if isinstance(op, RunOp)] == ["own", "trigger", "child"]
    assert ("t", "1") not in plan.ops[1].env
    assert ("t", "1") in plan.ops[2].env
    assert [line.created_by for line in plan.history] == [
        "RUN /bin/sh -c own # buildkit",
        "ENV t=1",
        "RUN /bin/sh -c trigger # buildkit",
        "RUN /bin/sh -c child # buildkit",
    ]
    # BuildKit counts triggers of every kind, though only those with layers are numbered.
    assert [step.name for step in plan.steps][2:] == ["[stage-1 1/3] ONBUILD RUN trigger", "[stage-1 2/3] RUN child"]


def test_triggers_are_stored_in_the_image():
    plan = plan_of("FROM a\nONBUILD RUN x\nONBUILD COPY . /app\n", an_image("a", on_build=("ENV gone=1",)))
    assert plan.config.config.on_build == ("RUN x", "COPY . /app")
    assert [line.created_by for line in plan.history] == ["ENV gone=1"]


def test_trigger_may_bring_in_a_stage_of_the_child():
    base = an_image("a", on_build=("COPY --from=tools /t /t",))
    text = "FROM b AS tools\nRUN tools\nFROM a\n"
    needs = lower_text(text, {})
    assert [need.reference for need in needs.images] == ["a"]
    needs = lower_text(text, {("a", "linux/amd64"): base})
    assert isinstance(needs, Needs)
    assert [need.reference for need in needs.images] == ["b"]
    plan = plan_of(text, base)
    assert isinstance(plan.ops[-1], CopyOp)
    assert plan.ops[-1].root == OpRoot(op=1)
    assert plan.skipped_stages == ()


def test_trigger_may_bring_in_a_stage_whose_base_has_triggers():
    first = an_image("a", on_build=("COPY --from=tools / /",))
    second = an_image("b", on_build=("COPY --from=deep / /",))
    plan = plan_of("FROM scratch AS deep\nCOPY d /\nFROM b AS tools\nFROM a\n", first, second)
    assert plan.skipped_stages == ()
    assert [type(op).__name__ for op in plan.ops] == ["CopyOp", "ImageOp", "CopyOp", "ImageOp", "CopyOp"]


def test_trigger_may_bring_in_an_image():
    base = an_image("a", on_build=("RUN --mount=from=tool,target=/t x",))
    needs = lower_text("FROM a\n", {("a", "linux/amd64"): base})
    assert [(need.reference, need.span.source.name) for need in needs.images] == [("tool", "ONBUILD of a")]


def test_trigger_with_an_unknown_index_is_refused():
    base = an_image("a", on_build=("COPY --from=9 / /",))
    with pytest.raises(DockerfileError) as found:
        plan_of("FROM a\n", base)
    assert found.value.slug == "unknown-stage"
    assert found.value.span.source.name == "ONBUILD of a"


def test_trigger_that_can_not_be_parsed_is_refused():
    base = an_image("a", on_build=("NONSENSE x",))
    with pytest.raises(DockerfileError):
        plan_of("FROM a\n", base)
