from __future__ import annotations

import os

import pytest
from tests.fakes.copying import FROM_STAGE, a_context, a_copy_op, a_dir, a_file, a_link, a_union

from jettison.errors import ContextError
from jettison.filetree import EntryKind
from jettison.plan.ops import ContextRoot
from jettison.worker.select import select


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "context"
    for path in ("a.json", "b.json", "src/x.c", "src/deep/y.c", "lib/x.c", "[odd].txt", "docs/readme.md"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)
    (root / "current").symlink_to("src")
    (root / "note").symlink_to("docs/readme.md")
    return root


def chosen(root, *sources, ignore=b""):
    with a_context(root, ignore=ignore) as context:
        return [(item.name, item.root, item.is_directory) for item in select(a_copy_op(*sources), context).items]


def digest(root, *sources):
    with a_context(root) as context:
        return select(a_copy_op(*sources), context).digest


def error_of(directory, *sources, ignore=b"", **others):
    with a_context(directory, ignore=ignore) as context, pytest.raises(ContextError) as caught:
        select(a_copy_op(*sources, **others), context)
    return caught.value


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        pytest.param(["a.json"], [(b"a.json", b"a.json", False)], id="file"),
        pytest.param(
            ["/a.json", "../b.json"], [(b"a.json",) * 2 + (False,), (b"b.json",) * 2 + (False,)], id="clipped"
        ),
        pytest.param(["src/"], [(b"src", b"src", True)], id="directory"),
        pytest.param(["."], [(b"", b"", True)], id="whole"),
        pytest.param(["*.json"], [(b"a.json",) * 2 + (False,), (b"b.json",) * 2 + (False,)], id="wildcard"),
        pytest.param(["*.none"], [], id="wildcard-without-match"),
        pytest.param(
            ["*/x.c"], [(b"x.c", b"lib/x.c", False), (b"x.c", b"src/x.c", False)], id="wildcard-in-the-middle"
        ),
        pytest.param(["src/*"], [(b"deep", b"src/deep", True), (b"x.c", b"src/x.c", False)], id="directory-matches"),
        pytest.param(["[[]odd].txt"], [(b"[odd].txt", b"[odd].txt", False)], id="class-as-escape"),
        pytest.param(["\\[odd].txt"], [(b"[odd].txt", b"[odd].txt", False)], id="backslash-as-escape"),
        pytest.param(["current"], [(b"current", b"src", True)], id="link-to-directory"),
        pytest.param(["note"], [(b"note", b"docs/readme.md", False)], id="link-to-file-keeps-its-name"),
        pytest.param(["curren?"], [(b"current", b"src", True)], id="matched-link-is-followed"),
        pytest.param(["current/x.c"], [(b"x.c", b"src/x.c", False)], id="link-on-the-way"),
        pytest.param(["curr*/x.c"], [], id="wildcard-goes-through-no-link"),
        pytest.param(["current/*.c"], [(b"x.c", b"src/x.c", False)], id="wildcard-behind-a-link"),
    ],
)
def test_sources_match_as_buildkit_has_it(tree, sources, expected):
    assert chosen(tree, *sources) == expected


def test_missing_path_names_a_near_one(tree):
    error = error_of(tree, "srcs/deep/y.c")
    assert error.slug == "source-not-found"
    assert error.message == "the source 'srcs/deep/y.c' does not exist in the build context"
    assert error.hint == "did you mean 'src/deep/y.c'?"


def test_missing_part_before_a_wildcard_is_an_error(tree):
    assert error_of(tree, "none/*.c").slug == "source-not-found"


def test_dangling_symlink_is_not_found(tree):
    (tree / "dangling").symlink_to("nothing")
    assert error_of(tree, "dangling").slug == "source-not-found"


def test_symlink_out_of_the_context_stays_inside(tree, tmp_path):
    (tmp_path / "secret").write_text("secret")
    (tree / "out").symlink_to(tmp_path / "secret")
    (tree / "up").symlink_to("../secret")
    assert error_of(tree, "out").slug == "source-not-found"
    assert error_of(tree, "up").slug == "source-not-found"


def test_ignored_path_names_the_pattern(tree):
    error = error_of(tree, "src/x.c", ignore=b"# c\nsr?\n")
    assert error.slug == "source-ignored"
    assert error.message == (
        "the source 'src/x.c' is excluded from the build context by 'sr?' (line 2 of the ignore file)"
    )
    assert "'!src/x.c'" in (error.hint or "")


def test_named_context_is_named_in_errors(tree):
    error = error_of(tree, "nothing-like-it", root=ContextRoot(name="assets"))
    assert "the build context 'assets'" in error.message


@pytest.mark.parametrize("pattern", ["a[", "x/[]", "*\\", "a\0b"])
def test_malformed_pattern_is_refused(tree, pattern):
    assert error_of(tree, pattern).slug == "source-pattern"


def test_entries_of_a_directory_are_relative_and_in_order(tree):
    with a_context(tree) as context:
        selection = select(a_copy_op("src"), context)
        found = [(s.relative, s.entry.kind) for s in selection.entries(selection.items[0])]
    assert found == [(b"deep", EntryKind.DIRECTORY), (b"deep/y.c", EntryKind.FILE), (b"x.c", EntryKind.FILE)]


def test_times_and_the_place_of_a_directory_do_not_count(tree):
    before = digest(tree, "src")
    for path in (tree / "src/x.c", tree / "src/deep", tree / "src"):
        os.utime(path, ns=(0, 12345))
    (tree / "src").chmod(0o700)
    assert digest(tree, "src") == before
    (tree / "src").rename(tree / "moved")
    assert digest(tree, "moved") == before


def test_name_of_a_single_file_counts_but_not_its_directory(tree):
    (tree / "lib/x.c").write_text("src/x.c")
    assert digest(tree, "src/x.c") == digest(tree, "lib/x.c")
    (tree / "lib/z.c").write_text("src/x.c")
    assert digest(tree, "src/x.c") != digest(tree, "lib/z.c")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda root: (root / "src/x.c").write_text("src/X.c"), id="content"),
        pytest.param(lambda root: (root / "src/x.c").chmod(0o755), id="mode"),
        pytest.param(lambda root: (root / "src/deep").chmod(0o700), id="directory-mode"),
        pytest.param(lambda root: (root / "src/x.c").rename(root / "src/z.c"), id="name"),
        pytest.param(lambda root: (root / "src/new").mkdir(), id="new-directory"),
        pytest.param(lambda root: (root / "src/l").symlink_to("x.c"), id="new-link"),
        pytest.param(lambda root: (root / "src/x.c").unlink(), id="removed"),
    ],
)
def test_every_visible_change_changes_the_digest(tree, change):
    before = digest(tree, "src")
    change(tree)
    assert digest(tree, "src") != before


def test_order_and_number_of_sources_count(tree):
    digests = {digest(tree, *s) for s in (["a.json", "b.json"], ["b.json", "a.json"], ["a.json"], [])}
    assert len(digests) == 4


def test_heredocs_count_by_name_and_content(tree):
    made = {digest(tree, source) for source in (("a", b"1"), ("b", b"1"), ("a", b"2"))}
    assert len(made) == 3


def test_stage_and_context_with_equal_files_have_equal_digests(tree, tmp_path):
    union = a_union(
        tmp_path,
        [a_file(b"out/x.c", b"src/x.c"), a_file(b"out/deep/y.c", b"src/deep/y.c"), a_dir(b"out/deep")],
    )
    for path in (tree / "src/x.c", tree / "src/deep/y.c"):
        path.chmod(0o644)
    (tree / "src/deep").chmod(0o755)
    assert select(a_copy_op("/out", root=FROM_STAGE), union).digest == digest(tree, "src")


def test_owner_xattrs_and_link_targets_of_a_stage_count(tmp_path):
    variants = [
        [a_file(b"d/f")],
        [a_file(b"d/f", uid=1)],
        [a_file(b"d/f", gid=1)],
        [a_file(b"d/f", xattrs=((b"user.a", b"1"),))],
        [a_link(b"d/f", b"x")],
        [a_link(b"d/f", b"y")],
    ]
    made = {select(a_copy_op("/d", root=FROM_STAGE), a_union(tmp_path, slots)).digest for slots in variants}
    assert len(made) == len(variants)


def test_stage_is_named_when_a_path_is_missing(tmp_path):
    union = a_union(tmp_path, [a_file(b"usr/bin/tool")])
    with pytest.raises(ContextError, match="does not exist in the stage or image") as caught:
        select(a_copy_op("/usr/bin/tol", root=FROM_STAGE), union)
    assert caught.value.hint == "did you mean 'usr/bin/tool'?"
