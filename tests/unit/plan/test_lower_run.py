import pytest
from tests.fakes.plans import PATH, an_image, plan_of

from jettison.errors import DockerfileError
from jettison.plan.ops import RunOp, Script


def run_of(text, *images, before="", **options):
    plan = plan_of(f"FROM a\n{before}{text}\n", *images, **options)
    (op,) = [op for op in plan.ops if isinstance(op, RunOp)]
    return op


def history_of(text, **options):
    return plan_of(f"FROM a\n{text}\n", **options).history[-1].created_by


def shown(text):
    return plan_of(f"FROM a\n{text}\n").steps[-1].name


def refusal(text):
    with pytest.raises(DockerfileError) as found:
        plan_of(f"FROM a\n{text}\n")
    return found.value


def test_shell_form_is_one_argument():
    assert run_of("RUN echo  'a b' \\\n && x").args == ("/bin/sh", "-c", "echo  'a b'  && x")


def test_exec_form_is_taken_as_it_is():
    assert run_of('RUN ["a", "$b"]').args == ("a", "$b")
    assert history_of('RUN ["a", "b c"]') == "RUN a b c # buildkit"


def test_shell_of_the_image_is_used():
    assert run_of("RUN x", before='SHELL ["bash", "-c"]\n').args == ("bash", "-c", "x")


def test_run_has_user_directory_and_parent():
    op = run_of("RUN x", an_image("a", user="u", working_dir="/w"))
    assert (op.user, op.cwd, op.parent, op.network) == ("u", "/w", 0, "default")
    assert run_of("RUN x", an_image("a")).cwd == "/"


def test_environment_is_env_and_args_in_order_of_setting():
    text = "ENV B=1\nARG A=2\nENV C=3\nENV B=4\nRUN x"
    assert run_of(text).env == (("PATH", PATH), ("A", "2"), ("C", "3"), ("B", "4"))


def test_arg_after_env_wins_for_later_steps_alone():
    plan = plan_of("FROM a\nENV X=e\nARG X=a\nRUN x\n")
    assert ("X", "a") in plan.ops[1].env
    assert "X=e" in plan.config.config.env


def test_env_after_arg_wins():
    assert ("X", "e") in run_of("ARG X=a\nENV X=e\nRUN x").env


def test_child_stage_sees_args_but_env_again_over_them():
    plan = plan_of("FROM a AS x\nENV X=e\nARG X=a Y=y\nFROM x\nRUN x\n")
    assert plan.ops[1].env == (("Y", "y"), ("PATH", PATH), ("X", "e"))
    assert plan.history[-1].created_by == "RUN |2 X=e Y=y /bin/sh -c x # buildkit"


def test_sibling_stage_sees_no_args():
    plan = plan_of("FROM a AS x\nARG Y=y\nRUN x\nFROM a\nCOPY --from=x / /\nRUN z\n")
    assert plan.ops[-1].env == (("PATH", PATH),)


def test_platform_arguments_must_be_declared():
    assert run_of("RUN x").env == (("PATH", PATH),)
    assert run_of("ARG TARGETARCH TARGETVARIANT\nRUN x").env == (
        ("PATH", PATH),
        ("TARGETARCH", "amd64"),
        ("TARGETVARIANT", ""),
    )


def test_proxies_are_hidden_unless_declared():
    options = {"build_args": {"HTTP_PROXY": "http://p"}}
    assert run_of("RUN x", **options).env == (("PATH", PATH),)
    assert history_of("RUN x", **options) == "RUN /bin/sh -c x # buildkit"
    assert ("HTTP_PROXY", "http://p") in run_of("ARG HTTP_PROXY\nRUN x", **options).env
    assert history_of("ARG HTTP_PROXY\nRUN x", **options) == "RUN |1 HTTP_PROXY=http://p /bin/sh -c x # buildkit"


def test_history_lists_arguments_once_in_order():
    text = "ARG A=1\nARG B\nARG A=2\nRUN make all"
    assert history_of(text, build_args={"B": "b"}) == "RUN |2 A=2 B=b /bin/sh -c make all # buildkit"


def test_network_of_the_step_or_the_default():
    assert run_of("RUN --network=none x").network == "none"
    assert run_of("RUN --network=host x", default_network="none").network == "host"
    assert run_of("RUN x", default_network="host").network == "host"


def test_lone_heredoc_is_the_command():
    op = run_of("RUN <<EOF\nset -e\necho $x\nEOF")
    assert op.args == ("/bin/sh", "-c", "set -e\necho $x\n")
    assert op.scripts == ()


def test_lone_heredoc_with_shebang_is_a_script():
    op = run_of("RUN <<EOF\n#!/usr/bin/env python3\nprint('ü')\nEOF")
    assert op.args == ("/bin/sh", "-c", "/dev/pipes/EOF")
    assert op.scripts == (Script(name="EOF", data="#!/usr/bin/env python3\nprint('ü')\n".encode()),)


def test_lone_heredoc_may_be_quoted_or_stripped():
    assert run_of("RUN <<-'EOF'\n\techo\n\tEOF").args[-1] == "echo\n"
    assert run_of('RUN 3<<"E F"\necho\nE F').args[-1] == "echo\n"


def test_heredoc_after_a_command_is_left_to_the_shell():
    op = run_of("RUN <<-A cat - <<B\n\ta\n\tA\nb\nB")
    assert op.args[-1] == "<<-A cat - <<B\n\ta\nA\nb\nB"
    assert op.scripts == ()


def test_script_name_must_be_a_file_name():
    error = refusal("RUN <<../x\n#!/bin/sh\n../x")
    assert (error.slug, error.message) == ("invalid-heredoc-name", "'../x' can't name a file")


def test_steps_show_heredocs_and_variables():
    assert shown("RUN <<EOF\nfirst\nsecond\nEOF") == "[2/2] RUN <<EOF (first...)"
    assert shown("RUN cat <<EOF\nfirst\nEOF") == "[2/2] RUN cat <<EOF"
    assert shown("ENV a=1\nRUN echo $a $b '$a'") == "[2/2] RUN echo 1 $b '$a'"


def test_secret_variables_are_masked_where_shown():
    name = shown("ENV T=x\nRUN --mount=type=secret,id=t,env=T use $T")
    assert name.endswith("use ****")


@pytest.mark.parametrize(
    ("text", "message", "where"),
    [
        ("RUN --security=insecure x", "RUN --security=insecure is not supported yet", "insecure"),
        ("RUN --device=vendor.com/class=name x", "RUN --device is not supported yet", "vendor.com/class=name"),
        ("RUN --mount=type=ssh x", "RUN --mount=type=ssh is not supported yet", "type=ssh"),
    ],
)
def test_what_comes_later_is_refused(text, message, where):
    error = refusal(text)
    assert (error.slug, error.message) == ("unsupported-feature", message)
    assert where in error.span.text
    assert error.hint


def test_sandbox_security_is_the_default():
    assert run_of("RUN --security=sandbox x").args[-1] == "x"
