"""What runs again after which edit, and what does not."""

from __future__ import annotations

import os

import pytest
from tests.fakes.product import write

NODE_LIKE = """\
FROM busybox:test AS deps
WORKDIR /app
COPY package.json lock.json ./
RUN cat package.json > installed
FROM deps AS build
COPY src src
RUN cat src/main.js > bundle
FROM busybox:test
RUN echo runtime > /about
COPY --from=build /app/bundle /bundle
"""
INSTALL, BUNDLE, ABOUT = "RUN cat package.json > installed", "RUN cat src/main.js > bundle", "RUN echo runtime > /about"


@pytest.fixture
def project(product, context):
    write(
        context,
        {
            "Dockerfile": NODE_LIKE,
            ".dockerignore": "*.md\nlogs\n",
            "package.json": "{}",
            "lock.json": "{}",
            "src/main.js": "one",
            "src/other.js": "other",
            "README.md": "read me",
            "logs/today": "nothing",
        },
    )
    first = product.build(context)
    assert {INSTALL, BUNDLE, ABOUT} <= set(first.ran())
    return product, context, first


def test_unchanged_build_runs_nothing_and_gives_the_same_image(project):
    product, context, first = project
    again = product.build(context, has_memo=False)
    assert again.ran() == []
    assert again.image_id == first.image_id


def test_editing_one_source_file_reruns_only_what_depends_on_it(project):
    product, context, first = project
    write(context, {"src/main.js": "two"})
    after = product.build(context)
    assert after.ran() == ["COPY src src", BUNDLE, "COPY --from=build /app/bundle /bundle"]
    assert after.image_id != first.image_id


def test_source_file_that_changes_no_output_stops_the_cascade(project):
    product, context, first = project
    write(context, {"src/other.js": "changed"})
    after = product.build(context)
    assert after.ran() == ["COPY src src", BUNDLE]
    assert after.image_id == first.image_id


def test_editing_the_manifest_reruns_the_install(project):
    product, context, _ = project
    write(context, {"package.json": '{"name": "x"}'})
    after = product.build(context)
    assert INSTALL in after.ran()
    assert BUNDLE in after.ran()
    assert ABOUT not in after.ran()


@pytest.mark.parametrize("has_memo", [True, False])
@pytest.mark.parametrize("name", ["README.md", "logs/today", "logs/new", "new.md"])
def test_editing_an_ignored_file_reruns_nothing(project, name, has_memo):
    product, context, first = project
    product.build(context)
    write(context, {name: "something else"})
    after = product.build(context, has_memo=has_memo)
    assert after.ran() == []
    assert after.image_id == first.image_id


@pytest.mark.parametrize("has_memo", [True, False])
def test_touching_files_reruns_nothing(project, has_memo):
    product, context, first = project
    product.build(context)
    for name in ("package.json", "src/main.js", "Dockerfile", ".dockerignore", "src"):
        os.utime(context / name, (1, 1))
    after = product.build(context, has_memo=has_memo)
    assert after.ran() == []
    assert after.image_id == first.image_id


def test_second_unchanged_build_is_answered_by_the_memo(project):
    product, context, first = project
    product.build(context)
    assert product.build(context).result.is_from_memo
    write(context, {"src/main.js": "two"})
    after = product.build(context)
    assert not after.result.is_from_memo
    assert after.image_id != first.image_id


def test_going_back_to_an_earlier_state_runs_nothing(project):
    product, context, first = project
    write(context, {"src/main.js": "two"})
    product.build(context)
    write(context, {"src/main.js": "one"})
    after = product.build(context)
    assert after.ran() == []
    assert after.image_id == first.image_id


def test_mode_of_a_source_file_is_part_of_its_content(project):
    product, context, first = project
    (context / "src/main.js").chmod(0o755)
    after = product.build(context)
    assert "COPY src src" in after.ran()
    assert after.image_id == first.image_id  # the stage that ships did not take the file itself


def test_no_cache_runs_everything_and_leaves_results_usable(project):
    product, context, _ = project
    again = product.build(context, no_cache=True)
    assert {INSTALL, BUNDLE, ABOUT} <= set(again.ran())
    assert product.build(context).ran() == []


def test_no_cache_filter_runs_one_stage_again(project):
    product, context, _ = project
    product.cli("build", "--no-cache-filter", "build", context).check()
    text = product.cli("build", "--progress", "plain", "--no-cache-filter", "build", context).check().err
    number = next(line.split()[0] for line in text.splitlines() if line.endswith(BUNDLE))
    assert f"{number} DONE" in text
    number = next(line.split()[0] for line in text.splitlines() if line.endswith(ABOUT))
    assert f"{number} CACHED" in text


def test_changed_comment_and_blank_lines_rerun_nothing(project):
    product, context, first = project
    after = product.build(context, "# a comment\n\n" + NODE_LIKE.replace("COPY src", "\n# why\nCOPY src"))
    assert after.ran() == []
    assert after.image_id == first.image_id


def test_rebuilt_but_identical_stage_invalidates_nothing_below(project):
    product, context, _ = project
    after = product.build(context, NODE_LIKE.replace("RUN cat src/main.js > bundle", "RUN cp src/main.js bundle"))
    assert after.ran() == ["RUN cp src/main.js bundle"]


def test_changed_build_arg_reruns_only_what_comes_after_its_declaration(product, context):
    dockerfile = "FROM busybox:test\nRUN echo first > /a\nARG VERSION=1\nRUN echo $VERSION > /b\n"
    product.build(context, dockerfile, build_args={"VERSION": "1"})
    after = product.build(context, build_args={"VERSION": "2"})
    assert after.ran() == ["RUN echo 2 > /b"]


def test_prune_keeps_what_the_image_needs_and_the_build_still_hits(project):
    product, context, _ = project
    product.build(context, tags=["app"])
    product.cli("prune", "--keep-cache").check()
    assert product.build(context, has_memo=False).ran() == []
    product.cli("prune").check()
    assert product.unreferenced() == []
    after = product.build(context, tags=["app"])
    assert INSTALL in after.ran()


def test_two_builds_at_once_share_the_work(product, context):
    write(context, {"Dockerfile": "FROM busybox:test\nRUN sleep 0.5; cat /proc/sys/kernel/random/uuid > /id\n"})
    running = [product.spawn("build", "-q", context) for _ in range(2)]
    answers = [process.communicate(timeout=60) for process in running]
    assert [process.returncode for process in running] == [0, 0], answers
    assert len({out for out, _ in answers}) == 1
