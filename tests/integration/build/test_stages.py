"""Which stages are built, when, and how they are named."""

from __future__ import annotations

import pytest
from tests.fakes.product import write

from jettison.errors import DockerfileError, StepError


def test_failing_run_in_an_unneeded_stage_does_not_matter(product, context):
    built = product.build(
        context,
        "FROM busybox:test AS broken\nRUN exit 7\nFROM nowhere.invalid/missing AS absent\nRUN exit 8\n"
        "FROM busybox:test\nRUN echo fine\n",
    )
    assert built.ran()[-1] == "RUN echo fine"
    assert {event.stage for event in built.named("StageSkipped")} == {"broken", "absent"}
    assert set(built.result.skipped_stages) == {"broken", "absent"}


def test_independent_stages_run_at_the_same_time(product, context):
    built = product.build(
        context,
        "FROM busybox:test AS one\nRUN sleep 1; echo one > /one\n"
        "FROM busybox:test AS two\nRUN sleep 1; echo two > /two\n"
        "FROM scratch\nCOPY --from=one /one /\nCOPY --from=two /two /\n",
    )
    spans = {}
    for event in built.events:
        name = getattr(event, "name", "")
        if "RUN sleep" in name:
            spans.setdefault(event.stage, []).append(event.at)
    assert set(spans) == {"one", "two"}
    latest_start = max(times[0] for times in spans.values())
    earliest_end = min(times[-1] for times in spans.values())
    assert latest_start < earliest_end
    assert earliest_end - latest_start > 0.5  # for the larger part of both, not by chance at the rim


def test_step_waits_for_the_stage_it_copies_from(product, context):
    built = product.build(
        context,
        "FROM busybox:test AS one\nRUN sleep 0.3; echo one > /one\nFROM busybox:test\nCOPY --from=one /one /\nRUN cat /one\n",
    )
    assert built.output("RUN cat /one") == "one\n"


THREE = (
    "FROM busybox:test AS base\nRUN echo base > /name\nFROM base AS middle\nRUN echo middle > /name\n"
    "FROM base\nRUN echo last > /name\n"
)


@pytest.mark.parametrize(
    ("target", "name"),
    [
        (None, "last"),
        ("middle", "middle"),
        ("base", "base"),
        ("MIDDLE", "middle"),
        ("0", "base"),
        ("1", "middle"),
        ("2", "last"),
    ],
)
def test_target_by_name_and_by_index(product, context, target, name):
    product.build(context, THREE, target=target, tags=["out"])
    assert product.files_of("out", "name") == {"name": f"{name}\n"}


def test_unknown_target_names_the_nearest(product, context):
    with pytest.raises(DockerfileError) as caught:
        product.build(context, THREE, target="midle")
    assert "midle" in caught.value.message
    assert "middle" in caught.value.hint


def test_from_stage_has_its_files_and_config(product, context):
    product.build(
        context,
        "FROM busybox:test AS base\nENV A=1\nWORKDIR /srv\nRUN true\nUSER app\nLABEL l=base\n"
        'FROM base\nENV B=$A$A\nCMD ["x"]\n',
        tags=["out"],
    )
    config = product.config_of("out")
    assert "A=1" in config["Env"]
    assert "B=11" in config["Env"]
    assert (config["WorkingDir"], config["User"], config["Cmd"]) == ("/srv", "app", ["x"])
    assert config["Labels"]["l"] == "base"


@pytest.mark.parametrize("source", ["one", "0", "ONE"])
def test_copy_from_stage_by_name_and_index(product, context, source):
    product.build(
        context,
        f"FROM busybox:test AS one\nRUN echo one > /file\nFROM scratch\nCOPY --from={source} /file /\n",
        tags=["out"],
    )
    assert product.contents("out") == {"file": b"one\n"}


def test_copy_from_an_image_that_is_no_stage(product, context):
    product.build(context, "FROM busybox:test\nRUN echo tool > /tool\n", tags=["tools:1"])
    built = product.build(context, "FROM scratch\nCOPY --from=tools:1 /tool /t\n", tags=["out"])
    assert product.contents("out") == {"t": b"tool\n"}
    assert not any("RUN" in name for name in built.reasons())


def test_stage_name_hides_an_image_of_the_same_name(product, context):
    product.build(context, "FROM busybox:test\nRUN echo image > /file\n", tags=["tool"])
    product.build(
        context,
        "FROM busybox:test AS tool\nRUN echo stage > /file\nFROM scratch\nCOPY --from=tool /file /\n",
        tags=["out"],
    )
    assert product.contents("out") == {"file": b"stage\n"}


def test_stage_that_comes_later_is_refused_with_a_caret(product, context):
    write(context, {"Dockerfile": "FROM scratch\nCOPY --from=late /a /\nFROM busybox:test AS late\nRUN touch /a\n"})
    answer = product.cli("build", "--target", "0", context)
    assert answer.code == 2
    assert "2 | COPY --from=late /a /" in answer.err
    assert "^^^^" in answer.err


def test_scratch_alone_gives_an_image_without_layers(product, context):
    product.build(context, 'FROM scratch\nCMD ["/x"]\n', tags=["out"])
    assert product.contents("out") == {}


def test_failure_of_one_stage_stops_the_other(product, context):
    with pytest.raises(StepError) as caught:
        product.build(
            context,
            "FROM busybox:test AS slow\nRUN sleep 60; touch /slow\nFROM busybox:test AS bad\nRUN sleep 0.2; exit 3\n"
            "FROM scratch\nCOPY --from=slow /slow /\nCOPY --from=bad /bad /\n",
        )
    assert caught.value.exit_code == 3
    product.wait_for_no_process("sleep 60; touch /slow")


def test_onbuild_runs_in_the_child_only(product, context):
    write(context, {"file": "content"})
    product.build(
        context,
        'FROM busybox:test\nONBUILD COPY file /from-child\nONBUILD RUN echo "$(cat /from-child) seen" > /seen\n',
        tags=["parent"],
    )
    assert product.config_of("parent")["OnBuild"] == [
        "COPY file /from-child",
        'RUN echo "$(cat /from-child) seen" > /seen',
    ]
    product.build(context, "FROM parent\nRUN cat /seen\n", tags=["child"])
    assert product.files_of("child", "seen") == {"seen": "content seen\n"}
    assert not product.config_of("child").get("OnBuild")


def test_unused_stages_of_a_file_are_still_checked(product, context):
    with pytest.raises(DockerfileError):
        product.build(context, "FROM busybox:test AS bad\nRUNN true\nFROM busybox:test\n")
