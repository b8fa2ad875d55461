import pickle

import pytest
from tests.fakes.plans import AMD64, ARM64, PATH, an_image, an_options, lower_text, plan_of

from jettison.digest import Digest
from jettison.errors import DockerfileError
from jettison.oci.config import HistoryEntry, ImageConfig, RuntimeConfig
from jettison.plan.ops import ContextRoot, CopyOp, ImageOp, MkdirOp, OpRoot, RunOp
from jettison.plan.plan import BaseImage, HistoryStep, Need, Needs, Plan
from jettison.platform import Platform

NODE = an_image("node:22", env=(f"PATH={PATH}", "NODE_VERSION=22"), working_dir="/home")
WEB = """FROM node:22 AS deps
WORKDIR /app
COPY package.json ./
RUN npm ci
FROM deps AS build
COPY . .
RUN npm run build
FROM node:22 AS docs
RUN make docs
FROM node:22
COPY --from=build /app/dist /srv
CMD ["node", "/srv"]
"""


def names(plan):
    return [step.name for step in plan.steps]


def test_needs_come_all_at_once_without_unused_stages():
    text = (
        "FROM a AS x\nFROM unused\nFROM --platform=arm64 b\nCOPY --from=x / /\nCOPY --from=tool / /\n"
        "RUN --mount=from=tool,target=/t --mount=type=cache,from=seed,target=/c true\n"
    )
    needs = lower_text(text, {})
    assert isinstance(needs, Needs)
    assert [(need.reference, need.platform, need.span.line) for need in needs.images] == [
        ("a", "linux/amd64", 1),
        ("b", "linux/arm64", 3),
        ("tool", "linux/amd64", 5),
        ("seed", "linux/amd64", 6),
    ]


def test_need_carries_the_hint_of_a_near_stage():
    needs = lower_text("FROM scratch AS build\nFROM scratch\nCOPY --from=biuld / /\n", {})
    assert [need.hint for need in needs.images] == ["did you mean stage 'build' (line 1)?"]


def test_same_image_for_two_platforms_is_needed_twice():
    needs = lower_text("FROM --platform=arm64 a AS x\nFROM a\nCOPY --from=x / /\n", {})
    assert [(need.reference, need.platform) for need in needs.images] == [("a", "linux/arm64"), ("a", "linux/amd64")]


def test_only_missing_images_are_needed():
    needs = lower_text("FROM a AS x\nFROM b\nCOPY --from=x / /\n", {("a", "linux/amd64"): an_image("a")})
    assert [need.reference for need in needs.images] == ["b"]
    assert isinstance(needs.images[0], Need)


def test_ops_stand_in_dependency_order():
    plan = plan_of(WEB, NODE)
    assert [type(op) for op in plan.ops] == [ImageOp, MkdirOp, CopyOp, RunOp, CopyOp, RunOp, CopyOp]
    assert [op.parent for op in plan.ops[1:]] == [0, 1, 2, 3, 4, 0]
    assert plan.ops[0] == ImageOp(reference="docker.io/library/node:22", image_id=Digest(NODE.image_id))
    assert plan.ops[6].root == OpRoot(op=5)
    assert plan.head == 6
    assert plan.skipped_stages == ("docs",)


def test_steps_are_named_as_in_the_plain_log():
    plan = plan_of(WEB, NODE)
    assert names(plan) == [
        "[deps 1/4] FROM docker.io/library/node:22",
        "[deps 2/4] WORKDIR /app",
        "[deps 3/4] COPY package.json ./",
        "[deps 4/4] RUN npm ci",
        "[build 1/2] COPY . .",
        "[build 2/2] RUN npm run build",
        "[stage-3 2/2] COPY --from=build /app/dist /srv",
    ]
    assert [step.stage for step in plan.steps] == ["deps"] * 4 + ["build"] * 2 + ["stage-3"]
    assert [step.span.line for step in plan.steps] == [1, 2, 3, 4, 6, 7, 11]


def test_single_stage_has_numbers_alone():
    assert names(plan_of("FROM a AS named\nRUN x\n")) == ["[1/2] FROM docker.io/library/a", "[2/2] RUN x"]


def test_single_stage_that_reads_other_files_has_its_name():
    assert names(plan_of("FROM a\nRUN --mount=type=cache,target=/c x\n"))[1].startswith("[stage-0 2/2] RUN")
    assert names(plan_of("FROM a\nCOPY --from=b / /\n"))[1:] == [
        "FROM docker.io/library/b",
        "[stage-0 2/2] COPY --from=b / /",
    ]


def test_scratch_is_no_step():
    plan = plan_of('FROM scratch\nCOPY a /\nRUN ["/a"]\n')
    assert names(plan) == ["[1/2] COPY a /", '[2/2] RUN ["/a"]']
    assert plan.ops[0].parent is None


def test_image_without_layers_is_as_scratch():
    plan = plan_of("FROM empty\nCOPY a /\n", an_image("empty", layer_count=0, env=("A=1",)))
    assert [type(op) for op in plan.ops] == [CopyOp]
    assert plan.ops[0].parent is None
    assert plan.config.config.env == ("A=1", f"PATH={PATH}")


def test_copy_from_image_without_layers_reads_nothing():
    plan = plan_of("FROM a\nCOPY --from=empty / /\n", an_image("empty", layer_count=0))
    assert plan.ops[1].root == OpRoot(op=None)


def test_copy_from_scratch_reads_nothing():
    plan = plan_of("FROM scratch\nCOPY --from=scratch / /\n")
    assert plan.ops[0].root == OpRoot(op=None)


def test_one_image_under_two_names_is_one_op():
    one, two = an_image("one"), an_image("two")
    same = BaseImage(reference=two.reference, image_id=one.image_id, config=one.config, layer_count=1)
    plan = plan_of("FROM one AS x\nRUN a\nFROM two\nCOPY --from=x / /\n", one, same)
    assert [type(op) for op in plan.ops] == [ImageOp, RunOp, CopyOp]


def test_metadata_only_target_has_its_base_as_head():
    plan = plan_of("FROM a\nENV x=1\n")
    assert plan.head == 0
    assert plan.history == (HistoryStep(created_by="ENV x=1", op=None),)
    assert plan_of("FROM scratch\nLABEL x=1\n").head is None


def test_only_the_closure_of_the_target_is_lowered():
    plan = plan_of(WEB, NODE, target="deps")
    assert [type(op) for op in plan.ops] == [ImageOp, MkdirOp, CopyOp, RunOp]
    assert plan.skipped_stages == ("build", "docs", "stage-3")


def test_history_of_a_stage_contains_that_of_its_base_stage():
    plan = plan_of(WEB, NODE, target="build")
    assert plan.history == (
        HistoryStep(created_by="WORKDIR /app", op=1),
        HistoryStep(created_by="COPY package.json ./ # buildkit", op=2),
        HistoryStep(created_by="RUN /bin/sh -c npm ci # buildkit", op=3),
        HistoryStep(created_by="COPY . . # buildkit", op=4),
        HistoryStep(created_by="RUN /bin/sh -c npm run build # buildkit", op=5),
    )


def test_final_config_has_no_times_and_no_diff_ids():
    base = an_image("a", cmd=("sh",))
    plan = plan_of("FROM a\n", base)
    assert plan.config.created == ""
    assert plan.config.diff_ids == ()
    assert plan.config.config.cmd == ("sh",)


def test_base_history_stays_in_the_config():
    lines = (HistoryEntry(created_by="ADD x", created="2020-01-01T00:00:00Z"),)
    base = BaseImage(
        reference="docker.io/library/a",
        image_id=an_image("a").image_id,
        config=ImageConfig(platform=AMD64, history=lines, others={"container": "x"}),
        layer_count=1,
    )
    plan = plan_of("FROM a\nENV x=1\n", base)
    assert plan.config.history == lines
    assert plan.config.others == {"container": "x"}


def test_platform_of_the_image_is_the_target_s():
    base = an_image("a", platform=AMD64)
    plan = plan_of("FROM a\n", base, target_platform=ARM64)
    assert plan.config.platform == ARM64


def test_variant_of_the_base_stays_where_the_target_names_none():
    base = an_image("a", platform=Platform(os="linux", architecture="ppc64le", variant="power9"))
    plan = plan_of("FROM a\n", base, target_platform=Platform(os="linux", architecture="ppc64le"))
    assert str(plan.config.platform) == "linux/ppc64le/power9"


def test_labels_of_the_caller_come_last_and_sorted():
    plan = plan_of("FROM a\nLABEL b=file a=file\n", labels={"b": "flag", "c": "flag"})
    assert plan.config.config.labels == (("a", "file"), ("b", "flag"), ("c", "flag"))
    assert plan.history[-1].created_by == "LABEL b=file a=file"


def test_scratch_config_has_path_and_root_directory():
    config = plan_of("FROM scratch\n").config
    assert config == ImageConfig(platform=AMD64, config=RuntimeConfig(env=(f"PATH={PATH}",), working_dir="/"))


def test_path_is_added_where_the_base_has_none():
    assert plan_of("FROM a\n", an_image("a", env=("X=1",))).config.config.env == ("X=1", f"PATH={PATH}")
    assert plan_of("FROM a\n", an_image("a", env=("PATH=/bin",))).config.config.env == ("PATH=/bin",)


def test_workdir_is_joined_created_and_remembered():
    plan = plan_of("FROM a\nUSER me\nWORKDIR /one\nWORKDIR two/../three\nRUN x\n")
    assert plan.ops[1:3] == (
        MkdirOp(parent=0, path="/one", user="me"),
        MkdirOp(parent=1, path="/one/three", user="me"),
    )
    assert plan.ops[3].cwd == "/one/three"
    assert plan.config.config.working_dir == "/one/three"
    assert [line.created_by for line in plan.history][1:3] == ["WORKDIR /one", "WORKDIR /one/three"]


def test_workdir_root_makes_no_layer():
    plan = plan_of("FROM a\nWORKDIR /\nRUN x\n")
    assert plan.history[0] == HistoryStep(created_by="WORKDIR /", op=None)
    assert names(plan)[1] == "[2/3] RUN x"


def test_workdir_keeps_an_absolute_text_as_written():
    plan = plan_of("FROM a\nWORKDIR /app/\n")
    assert plan.config.config.working_dir == "/app/"
    assert plan.ops[1].path == "/app"


def test_workdir_without_text_stays():
    plan = plan_of("FROM a\nWORKDIR /x\nWORKDIR $nothing\n")
    assert plan.ops[2].path == "/x"


def test_relative_directory_of_a_base_is_made_absolute():
    assert plan_of("FROM a\n", an_image("a", working_dir="app")).config.config.working_dir == "/app"


def test_workdir_shows_its_variables():
    assert names(plan_of("FROM a\nENV d=/x\nWORKDIR $d/y\n"))[1] == "[2/2] WORKDIR /x/y"


def test_cache_is_ignored_for_all_or_for_named_stages():
    text = "FROM a AS One\nRUN x\nFROM one\nRUN y\n"
    assert [step.is_cache_ignored for step in plan_of(text).steps] == [False] * 3
    assert [step.is_cache_ignored for step in plan_of(text, no_cache=True).steps] == [False, True, True]
    filtered = plan_of(text, no_cache_filter=frozenset({"ONE"}))
    assert [step.is_cache_ignored for step in filtered.steps] == [False, True, False]


def test_reproducible_marks_every_op():
    text = "FROM a\nWORKDIR /x\nCOPY a b\nRUN c\n"
    assert [op.is_reproducible for op in plan_of(text).ops[1:]] == [False] * 3
    assert [op.is_reproducible for op in plan_of(text, is_reproducible=True).ops[1:]] == [True] * 3
    plan = plan_of(text, source_date_epoch=0)
    assert [op.is_reproducible for op in plan.ops[1:]] == [True] * 3
    assert plan.source_date_epoch == 0


def test_epoch_comes_from_caller_then_build_argument_then_file():
    text = "ARG SOURCE_DATE_EPOCH=7\nFROM a\nARG SOURCE_DATE_EPOCH\nRUN x\n"
    assert plan_of(text).source_date_epoch == 7
    assert plan_of(text, build_args={"SOURCE_DATE_EPOCH": "8"}).source_date_epoch == 8
    plan = plan_of(text, build_args={"SOURCE_DATE_EPOCH": "8"}, source_date_epoch=9)
    assert plan.source_date_epoch == 9
    assert ("SOURCE_DATE_EPOCH", "9") in plan.ops[1].env


def test_empty_epoch_is_none():
    assert plan_of("FROM a\n", build_args={"SOURCE_DATE_EPOCH": ""}).source_date_epoch is None


@pytest.mark.parametrize(
    ("text", "options", "line"),
    [
        ("ARG SOURCE_DATE_EPOCH=context\nFROM a\n", {}, 1),
        ("FROM a\n", {"build_args": {"SOURCE_DATE_EPOCH": "context"}}, None),
    ],
)
def test_epoch_of_a_context_is_not_supported_yet(text, options, line):
    with pytest.raises(DockerfileError) as found:
        plan_of(text, **options)
    assert found.value.slug == "unsupported-feature"
    assert found.value.message == "SOURCE_DATE_EPOCH can't be taken from 'context' yet"
    assert (found.value.span and found.value.span.line) == line


def test_stage_keeps_its_platform_as_a_base():
    images = [an_image("a", platform=ARM64, env=("PATH=/arm",))]
    plan = plan_of("FROM --platform=arm64 a AS x\nFROM x\n", *images)
    assert plan.config.config.env == ("PATH=/arm",)
    assert plan.config.platform == AMD64


def test_plan_has_the_warnings_of_lowering_alone():
    plan = plan_of("ARG x=$nope\nFROM a\nENV y=$zzz\n")
    assert [(each.rule, each.message, each.span.line) for each in plan.warnings] == [
        ("UndefinedVar", "usage of undefined variable '$zzz'", 3),
    ]


def test_undefined_variable_suggests_a_near_one():
    plan = plan_of("FROM a\nARG version=1\nENV y=$versoin\n")
    assert plan.warnings[0].message == "usage of undefined variable '$versoin' (did you mean $version?)"


def test_declared_argument_without_value_is_no_warning():
    assert plan_of("FROM a\nARG x\nENV y=$x\n").warnings == ()


def test_same_input_gives_the_same_plan():
    assert plan_of(WEB, NODE) == plan_of(WEB, NODE)


EVERY_OP = """FROM a AS x
FROM a
WORKDIR /w
COPY --chown=1:2 --chmod=755 a b* /c/
COPY <<EOF /d
text
EOF
ADD --chown=me a.tar /e
RUN --mount=from=x,target=/m --mount=type=cache,target=/c,from=x --mount=type=tmpfs,target=/t --mount=type=secret,id=s <<EOF
#!/bin/sh
true
EOF
"""


def test_every_op_and_the_plan_cross_a_pickle():
    plan = plan_of(EVERY_OP)
    assert {type(op) for op in plan.ops} == {ImageOp, MkdirOp, CopyOp, RunOp}
    assert pickle.loads(pickle.dumps(plan.ops)) == plan.ops
    assert pickle.loads(pickle.dumps(plan)) == plan
    assert isinstance(plan, Plan)


def test_needs_and_options_cross_a_pickle():
    needs = lower_text("FROM a\n", {})
    assert pickle.loads(pickle.dumps(needs)) == needs
    assert pickle.loads(pickle.dumps(an_options(labels={"a": "b"}))) == an_options(labels={"a": "b"})


def test_main_context_is_the_root_of_a_plain_copy():
    assert plan_of("FROM a\nCOPY x /\n").ops[1].root == ContextRoot()
