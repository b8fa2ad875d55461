import pytest
from tests.fakes.plans import plan_of

from jettison.errors import DockerfileError
from jettison.plan.ops import ContextRoot, CopyOp, InlineSource, OpRoot, Owner, PathSource


def plan_for(text, before="WORKDIR /w\n"):
    return plan_of(f"FROM a AS stage\nFROM a\n{before}{text}\n")


def copy_of(text, before="WORKDIR /w\n"):
    op = plan_for(text, before).ops[-1]
    assert isinstance(op, CopyOp)
    return op


def history_of(text):
    return plan_for(text).history[-1].created_by


def refusal(text):
    with pytest.raises(DockerfileError) as found:
        plan_for(text)
    return found.value


def paths(op):
    return [source.pattern for source in op.sources]


def test_copy_is_one_op_with_all_sources():
    assert copy_of("COPY a b/c* /d/") == CopyOp(
        parent=1,
        root=ContextRoot(),
        sources=(PathSource(pattern="/a"), PathSource(pattern="/b/c*")),
        dest="/d",
        is_dest_dir=True,
    )


def test_sources_are_clipped_at_their_root():
    assert paths(copy_of("COPY ../a /b/../../c ./d/ . /x/")) == ["/a", "/c", "/d", "/"]


@pytest.mark.parametrize(
    ("dest", "path", "is_directory"),
    [
        ("/abs", "/abs", False),
        ("/abs/", "/abs", True),
        ("rel", "/w/rel", False),
        ("rel/", "/w/rel", True),
        (".", "/w", True),
        ("./", "/w", True),
        ("/x/.", "/x", True),
        ("/", "/", True),
        ("../up", "/up", False),
        ("/a//b/../c", "/a/c", False),
        ("$nothing", "/w", True),
    ],
)
def test_destination_is_absolute_and_tells_of_a_directory(dest, path, is_directory):
    op = copy_of(f"COPY x {dest}")
    assert (op.dest, op.is_dest_dir) == (path, is_directory)


def test_copy_from_stage_index_and_image():
    assert copy_of("COPY --from=stage /x /").root == OpRoot(op=0)
    assert copy_of("COPY --from=0 /x /").root == OpRoot(op=0)
    assert copy_of("COPY --from=b /x /").root == OpRoot(op=2)


def test_add_asks_for_archives():
    assert copy_of("ADD a.tar /x/").sources == (PathSource(pattern="/a.tar", is_add=True),)


@pytest.mark.parametrize(
    ("flag", "owner"),
    [
        ("me", Owner(user="me")),
        ("1:2", Owner(user="1", group="2")),
        ("${u}:g", Owner(user="x", group="g")),
        ("$nothing", None),
    ],
)
def test_owner_is_expanded_and_split(flag, owner):
    assert copy_of(f"COPY --chown={flag} a b", before="ARG u=x\n").owner == owner


@pytest.mark.parametrize(
    ("flag", "mode"), [("755", 0o755), ("0644", 0o644), ("7777", 0o7777), ("$m", 0o600), ("$n", None)]
)
def test_mode_is_octal(flag, mode):
    assert copy_of(f"COPY --chmod={flag} a b", before="ARG m=600\n").mode == mode


@pytest.mark.parametrize(
    ("flag", "slug", "message"),
    [
        ("--chown=:g", "invalid-chown", "':g' is no owner: a user is missing"),
        ("--chown=u:", "invalid-chown", "'u:' is no owner: a group is missing"),
        ("--chmod=10000", "invalid-chmod", "'10000' is no file mode"),
        ("--chmod=0o755", "invalid-chmod", "'0o755' is no file mode"),
        ("--chmod=u=rwX,go-w", "unsupported-feature", "a symbolic --chmod ('u=rwX,go-w') is not supported yet"),
        ("--chmod=+x", "unsupported-feature", "a symbolic --chmod ('+x') is not supported yet"),
        ("--link", "unsupported-feature", "COPY --link is not supported yet"),
        ("--parents", "unsupported-feature", "COPY --parents is not supported yet"),
        ("--exclude=*.md", "unsupported-feature", "COPY --exclude is not supported yet"),
    ],
)
def test_flags_that_can_not_be_obeyed_are_refused(flag, slug, message):
    error = refusal(f"COPY {flag} a b")
    assert (error.slug, error.message) == (slug, message)
    assert error.span.line == 4
    assert error.span.text in flag
    assert error.hint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ADD https://x/y /", "ADD of a URL is not supported yet"),
        ("ADD https://x/y.git#main /", "ADD of a git repository is not supported yet"),
        ("ADD git@github.com:a/b.git /", "ADD of a git repository is not supported yet"),
        ("ADD git://x/y /", "ADD of a git repository is not supported yet"),
        ("ADD --checksum=sha256:0 https://x/y /", "ADD --checksum is not supported yet"),
        ("ADD --keep-git-dir a /", "ADD --keep-git-dir is not supported yet"),
        ("ADD --unpack=false a /", "ADD --unpack is not supported yet"),
        ("ADD --link a /", "ADD --link is not supported yet"),
        ("ARG u=http://x/y\nADD $u /", "ADD of a URL is not supported yet"),
    ],
)
def test_remote_sources_and_flags_of_add_come_later(text, message):
    error = refusal(text)
    assert (error.slug, error.message) == ("unsupported-feature", message)
    assert error.hint


@pytest.mark.parametrize(
    ("source", "what"),
    [("https://x/y", "a URL"), ("ssh://x/y", "a git repository"), ("http://x/y.git", "a git repository")],
)
def test_copy_refuses_remote_sources(source, what):
    error = refusal(f"COPY {source} /")
    assert (error.slug, error.message, error.span.text) == (
        "remote-source",
        f"COPY can't read {what}: '{source}'",
        source,
    )


def test_switched_off_flags_are_no_obstacle():
    assert paths(copy_of("COPY --link=false --parents=false a b")) == ["/a"]


def test_heredocs_become_files_after_the_paths():
    op = copy_of("COPY <<one a <<'two' /d/\n$x ${x}y \\$x\none\n$x\ntwo", before="ARG x=1\n")
    assert op.sources == (
        PathSource(pattern="/a"),
        InlineSource(name="one", data=b"1 1y $x\n"),
        InlineSource(name="two", data=b"$x\n"),
    )
    assert plan_for("COPY <<one a <<'two' /d/\none\ntwo").history[-1].created_by == "COPY a <<one <<two /d/ # buildkit"


def test_heredoc_of_add_is_a_file_too():
    assert copy_of("ADD <<-EOF /f\n\ttext\n\tEOF").sources == (InlineSource(name="EOF", data=b"text\n"),)


def test_undefined_variable_in_a_body_is_a_warning():
    plan = plan_for("COPY <<EOF /f\n$nothing\nEOF")
    assert [each.message for each in plan.warnings] == ["usage of undefined variable '$nothing'"]


def test_heredoc_name_must_be_a_file_name():
    error = refusal("COPY <<../x /d/\ntext\n../x")
    assert (error.slug, error.span.text) == ("invalid-heredoc-name", "<<../x")


def test_history_shows_what_was_expanded():
    assert history_of("COPY a b ./") == "COPY a b ./ # buildkit"
    assert history_of("ARG d=/x\nCOPY --from=stage --chown=1 --chmod=755 a $d") == (
        "COPY --chown=1 --chmod=755 a /x # buildkit"
    )
    assert history_of("ADD a /x") == "ADD a /x # buildkit"


def test_json_form_keeps_blanks():
    op = copy_of('COPY ["a b", "/c d/"]')
    assert (paths(op), op.dest, op.is_dest_dir) == (["/a b"], "/c d", True)


def test_path_with_nul_is_refused():
    with pytest.raises(DockerfileError) as found:
        plan_of("FROM a\nARG p\nCOPY $p /\n", build_args={"p": "a\0b"})
    assert (found.value.slug, found.value.span.text) == ("invalid-path", "$p")
