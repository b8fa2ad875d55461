import pytest
from tests.fakes.plans import AMD64, ARM64, graph_of

from jettison.errors import DockerfileError, GraphError
from jettison.graph.build import find_target
from jettison.graph.scope import Platforms
from jettison.graph.stage import ImageSource, ScratchSource, StageSource
from jettison.limits import Limits

THREE = (
    "FROM a:1 AS one\nFROM b:1 AS Two\nCOPY --from=ONE / /\nFROM c:1\nCOPY --from=1 / /\nRUN --mount=from=one true\n"
)


def edges(graph):
    return [(edge.stage, edge.kind, edge.needs) for edge in graph.edges]


def caught(text, **options):
    with pytest.raises(DockerfileError) as found:
        graph_of(text, **options)
    return found.value


def test_stages_know_name_index_and_text():
    graph = graph_of(THREE)
    assert [(stage.index, stage.name, stage.label) for stage in graph.stages] == [
        (0, "one", "one"),
        (1, "two", "two"),
        (2, None, "stage-2"),
    ]
    assert graph.stages[1].span.text.strip() == "FROM b:1 AS Two\nCOPY --from=ONE / /"
    assert graph.stages[0].span.text.strip() == "FROM a:1 AS one"
    assert graph.nodes[1].base.text == "b:1"


def test_edges_follow_from_copy_and_mount():
    assert edges(graph_of(THREE)) == [
        (0, "from", ImageSource(reference="a:1")),
        (1, "from", ImageSource(reference="b:1")),
        (1, "copy", StageSource(index=0)),
        (2, "from", ImageSource(reference="c:1")),
        (2, "copy", StageSource(index=1)),
        (2, "mount", StageSource(index=0)),
    ]


def test_edge_shows_the_name_as_written():
    assert [edge.span.text for edge in graph_of(THREE).edges] == ["a:1", "b:1", "ONE", "c:1", "1", "one"]


def test_target_defaults_to_last_stage_and_everything_it_needs():
    graph = graph_of(THREE)
    assert (graph.target, graph.needed, graph.unused) == (2, (0, 1, 2), ())


@pytest.mark.parametrize(
    ("target", "needed"),
    [("two", (0, 1)), ("TWO", (0, 1)), ("1", (0, 1)), ("one", (0,)), ("", (0, 1, 2)), ("2", (0, 1, 2))],
)
def test_target_takes_name_or_index(target, needed):
    graph = graph_of(THREE, target=target)
    assert graph.needed == needed
    assert graph.target == needed[-1]
    assert graph.unused == tuple(index for index in range(3) if index not in needed)


def test_target_takes_last_stage_of_a_name():
    assert graph_of("FROM a AS x\nFROM b AS x\nFROM c\n", target="x").target == 1


@pytest.mark.parametrize(
    ("target", "hint"),
    [("tow", "did you mean 'two'?"), ("zzzzz", "the stages are: one, two"), ("3", "the stages are: one, two")],
)
def test_unknown_target_names_the_nearest_or_all(target, hint):
    error = caught(THREE, target=target)
    assert (error.slug, error.message, error.hint) == ("unknown-target", f"no stage is named '{target}'", hint)


def test_unknown_target_without_names_points_to_as():
    error = caught("FROM a\n", target="x")
    assert "FROM ... AS name" in error.hint


def test_find_target_works_on_froms_alone():
    assert find_target("two", graph_of(THREE).nodes) == 1


def test_duplicate_name_means_the_last_above():
    graph = graph_of("FROM a AS x\nFROM b AS x\nFROM c\nCOPY --from=x / /\n")
    assert edges(graph)[-1] == (2, "copy", StageSource(index=1))
    assert graph.unused == (0,)


def test_duplicate_name_below_does_not_hide_the_one_above():
    graph = graph_of("FROM a AS x\nFROM b\nCOPY --from=x / /\nFROM c AS x\n", target="1")
    assert edges(graph)[2] == (1, "copy", StageSource(index=0))


def test_from_takes_an_earlier_stage_by_any_case():
    graph = graph_of("FROM a AS base\nFROM BASE\n")
    assert graph.stages[1].base == StageSource(index=0)


def test_from_its_own_name_is_an_image():
    graph = graph_of("FROM node AS node\n")
    assert graph.stages[0].base == ImageSource(reference="node")


def test_from_a_later_name_is_an_image():
    graph = graph_of("FROM build\nFROM x AS build\n")
    assert graph.stages[0].base == ImageSource(reference="build")


def test_scratch_is_nothing_anywhere():
    graph = graph_of("FROM scratch\nCOPY --from=scratch / /\nRUN --mount=from=scratch,target=/m true\n")
    assert [needs for _, _, needs in edges(graph)] == [ScratchSource()] * 3


def test_stage_named_scratch_wins_over_nothing():
    graph = graph_of("FROM a AS scratch\nFROM scratch\n")
    assert graph.stages[1].base == StageSource(index=0)


def test_unknown_name_is_an_image_with_the_nearest_stage_as_hint():
    graph = graph_of("FROM a AS build\nFROM b\nCOPY --from=bulid / /\n")
    assert edges(graph)[-1][2] == ImageSource(reference="bulid", hint="did you mean stage 'build' (line 1)?")


def test_mount_index_is_no_stage():
    graph = graph_of("FROM a\nFROM b\nRUN --mount=from=0,target=/m true\n")
    assert edges(graph)[-1][2] == ImageSource(reference="0")


def test_huge_index_is_a_name():
    graph = graph_of("FROM a\nCOPY --from=12345678901234567890 / /\n")
    assert edges(graph)[-1][2] == ImageSource(reference="12345678901234567890")


def test_mounts_without_files_need_nothing():
    graph = graph_of("FROM a\nRUN --mount=type=tmpfs,target=/t --mount=type=cache,target=/c --mount=target=/m true\n")
    assert [kind for _, kind, _ in edges(graph)] == ["from"]


def test_triggers_need_nothing_where_they_are_written():
    graph = graph_of("FROM a\nONBUILD COPY --from=nothing / /\n")
    assert [kind for _, kind, _ in edges(graph)] == ["from"]


@pytest.mark.parametrize(
    ("text", "slug", "message", "where", "hint"),
    [
        pytest.param(
            "FROM a\nCOPY --from=later / /\n\nFROM b AS later\n",
            "later-stage",
            "stage 'later' is used before it is defined",
            ("later", 2),
            "defined below at line 4: move that stage above this one",
            id="later name",
        ),
        pytest.param(
            "FROM a\nCOPY --from=1 / /\nFROM b\n",
            "later-stage",
            "stage '1' is used before it is defined",
            ("1", 2),
            "defined below at line 3: move that stage above this one",
            id="later index",
        ),
        pytest.param(
            "FROM a AS me\nCOPY --from=Me / /\n",
            "self-reference",
            "a stage can't take files from itself: 'Me'",
            ("Me", 2),
            "leave out the source to use the build context, or name an earlier stage",
            id="own name",
        ),
        pytest.param(
            "FROM a\nCOPY --from=0 / /\n",
            "self-reference",
            "a stage can't take files from itself: '0'",
            ("0", 2),
            "leave out the source to use the build context, or name an earlier stage",
            id="own index",
        ),
        pytest.param(
            "FROM a AS me\nRUN --mount=from=me,target=/m true\n",
            "self-reference",
            "a stage can't take files from itself: 'me'",
            ("me", 2),
            "leave out the source to use the build context, or name an earlier stage",
            id="own name in a mount",
        ),
        pytest.param(
            "FROM a\nCOPY --from=7 / /\n",
            "unknown-stage",
            "no stage has the index '7'",
            ("7", 2),
            "this file has only stage 0",
            id="index of a file with one stage",
        ),
        pytest.param(
            "FROM a\nFROM b\nCOPY --from=-1 / /\n",
            "unknown-stage",
            "no stage has the index '-1'",
            ("-1", 3),
            "this file has the stages 0 to 1",
            id="negative index",
        ),
        pytest.param(
            "FROM a AS build\nFROM b\nCOPY --from=Bulid / /\n",
            "invalid-reference",
            "'Bulid' is neither a stage above nor an image name: invalid image name 'Bulid': it must be lower case",
            ("Bulid", 3),
            "did you mean stage 'build' (line 1)?",
            id="no image name, near a stage",
        ),
        pytest.param(
            "FROM UPPER\n",
            "invalid-reference",
            "'UPPER' is neither a stage above nor an image name: invalid image name 'UPPER': it must be lower case",
            ("UPPER", 1),
            "write an image as 'registry/name:tag'",
            id="no image name",
        ),
        pytest.param(
            "ARG v\nFROM $v\n",
            "blank-base",
            "the base name is blank: '$v' expands to nothing",
            ("$v", 2),
            "give the ARG a default before the first FROM, or pass it with --build-arg",
            id="blank base",
        ),
        pytest.param(
            "FROM --platform=a/b/c/d x\n",
            "invalid-platform",
            "'a/b/c/d' is no platform: not a platform: 'a/b/c/d'",
            ("a/b/c/d", 1),
            "write it as 'linux/amd64' or 'linux/arm64', or use $BUILDPLATFORM",
            id="platform",
        ),
    ],
)
def test_refusals_point_and_hint(text, slug, message, where, hint):
    error = caught(text)
    assert isinstance(error, GraphError)
    assert (error.slug, error.message, error.hint) == (slug, message, hint)
    assert (error.span.text, error.span.line) == where


def test_escapes_in_from_are_refused():
    error = caught("FROM a\nCOPY --from=a\\\\b / /\n")
    assert (error.slug, error.message) == (
        "from-variable",
        "variables and quotes have no meaning in COPY --from: 'a\\b'",
    )


@pytest.mark.parametrize("text", ["FROM a\nCOPY --from=$x / /\n", "FROM a\nRUN --mount=from=$x,target=/m true\n"])
def test_variables_in_from_are_refused(text):
    error = caught(text)
    assert error.span.line == 2


def test_faults_of_all_stages_come_together():
    error = caught("FROM a AS x\nCOPY --from=9 / /\nFROM b\nCOPY --from=1 / /\nFROM UPPER\n")
    assert [each.slug for each in error.diagnostics] == ["unknown-stage", "self-reference", "invalid-reference"]


def test_bad_expansion_of_a_from_line_is_reported_with_the_others():
    error = caught("FROM ${x?needed}\nFROM UPPER\n")
    assert [each.slug for each in error.diagnostics][1:] == ["invalid-reference"]


def test_unused_stages_are_checked_too():
    assert caught("FROM UPPER\nFROM a\n").slug == "invalid-reference"


def test_stages_are_bounded():
    text = "FROM a\n" * 3
    assert len(graph_of(text, limits=Limits(stages=3)).stages) == 3
    error = caught(text, limits=Limits(stages=2))
    assert (error.slug, error.span.line) == ("too-many-stages", 3)


def test_from_expands_globals_and_build_args():
    text = "ARG V=20\nARG IMAGE=node:$V\nFROM $IMAGE AS x\nFROM ${IMAGE}-slim\n"
    assert graph_of(text).stages[0].base == ImageSource(reference="node:20")
    graph = graph_of(text, build_args={"V": "22"})
    assert graph.stages[1].base == ImageSource(reference="node:22-slim")
    assert graph.globals["V"] == "22"


def test_from_argument_may_name_a_stage():
    graph = graph_of("ARG base=one\nFROM a AS one\nFROM $base\n")
    assert graph.stages[1].base == StageSource(index=0)


def test_platform_is_expanded_and_kept():
    platforms = Platforms(target=ARM64, build=AMD64)
    graph = graph_of("FROM --platform=$BUILDPLATFORM a\nFROM --platform=arm64 b\nFROM c\n", platforms=platforms)
    assert [stage.platform for stage in graph.stages] == [AMD64, ARM64, None]


def test_undeclared_argument_in_from_is_a_warning():
    graph = graph_of("ARG version=1\nFROM a:${versoin:-2}\n")
    assert [(each.rule, each.message, each.span.line) for each in graph.warnings] == [
        ("UndefinedArgInFrom", "FROM argument 'versoin' is not declared (did you mean version?)", 2)
    ]


def test_declared_argument_without_value_is_no_warning():
    assert graph_of("ARG version\nFROM a:${version:-2}\n").warnings == ()


def test_undefined_variable_in_global_arg_is_a_warning():
    graph = graph_of("ARG tag=${zzz}1\nFROM a:$tag\n")
    assert [(each.rule, each.message) for each in graph.warnings] == [
        ("UndefinedVar", "usage of undefined variable '$zzz'")
    ]


def test_targetstage_is_the_requested_name_or_the_last_stage():
    text = "ARG x=$TARGETSTAGE\nFROM a AS one\nFROM b AS two\n"
    assert graph_of(text).globals["x"] == "two"
    assert graph_of(text, target="one").globals["x"] == "one"
    assert graph_of("ARG x=$TARGETSTAGE\nFROM a\n").globals["x"] == "default"
