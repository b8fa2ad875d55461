"""What a user sees when a step fails, a word is wrong, or the build is stopped."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest
from tests.fakes.product import a_context, processes_with, wait_until, write


def _build(product, context, dockerfile, *flags):
    write(context, {"Dockerfile": dockerfile})
    return product.cli("build", *flags, context)


def test_failing_step_shows_its_last_lines_code_and_place(shared, context):
    answer = _build(shared, context, "FROM busybox:test\nENV A=1\nRUN seq 1 500; echo to-stderr >&2; exit 37\n")
    assert answer.code == 1
    assert "error[step-failed]: 'seq 1 500; echo to-stderr >&2; exit 37' ended with exit code 37" in answer.err
    assert "Dockerfile:3:1" in answer.err
    assert " 3 | RUN seq 1 500; echo to-stderr >&2; exit 37" in answer.err
    assert "   | ^^^" in answer.err
    tail = answer.err.partition("lines of the step:")[2]
    assert "  500\n" in tail
    assert "  to-stderr\n" in tail
    assert "  1\n" not in tail
    log = Path(answer.err.partition("whole log: ")[2].splitlines()[0])
    assert log.read_text().splitlines()[:3] == ["1", "2", "3"]
    assert len(log.read_text().splitlines()) == 501


def test_quiet_build_still_tells_the_error(shared, context):
    answer = _build(shared, context, "FROM busybox:test\nRUN echo clue; exit 1\n", "-q")
    assert answer.code == 1
    assert answer.out == ""
    assert "  clue\n" in answer.err


def test_step_of_several_lines_is_shown_whole(shared, context):
    answer = _build(shared, context, "FROM busybox:test\nRUN true && \\\n    # why\n    exit 4\n")
    assert answer.code == 1
    assert " 2 | RUN true && \\" in answer.err
    assert " 4 |     exit 4" in answer.err
    assert "exit code 4" in answer.err


def test_step_killed_by_a_signal_names_it(shared, context):
    write(context, {"Dockerfile": 'FROM busybox:test\nRUN ["sleep", "76.5432"]\n'})
    with shared.spawn("build", context) as process:
        wait_until(lambda: processes_with("sleep\x0076.5432"), "the step")
        for number in processes_with("sleep\x0076.5432"):
            os.kill(number, signal.SIGKILL)
        err = process.stderr.read().decode()
    assert process.returncode == 1
    assert "step-signalled" in err
    assert "'sleep 76.5432' was killed by SIGKILL" in err


@pytest.mark.parametrize(
    ("run", "text"),
    [
        pytest.param('["/no/such/program"]', "could not be started", id="missing"),
        pytest.param('["/etc/passwd"]', "could not be started", id="not-executable"),
        pytest.param("no-such-program", "not found", id="shell-says-so"),
    ],
)
def test_program_that_cannot_start_is_told(shared, context, run, text):
    answer = _build(shared, context, f"FROM busybox:test\nRUN {run}\n")
    assert answer.code == 1
    assert text in answer.err
    assert "Dockerfile:2" in answer.err


def test_stage_without_shell_gets_a_hint(shared, context):
    answer = _build(shared, context, "FROM scratch\nCOPY Dockerfile /\nRUN echo hi\n")
    assert answer.code == 1
    assert "the stage has no shell" in answer.err


def test_failed_step_is_not_cached_and_leaves_no_layer(product, context):
    def layers():
        return set((product.root / "layers").iterdir())

    assert _build(product, context, "FROM busybox:test\nRUN touch /made; exit 1\n").code == 1
    before = layers()
    assert _build(product, context, "FROM busybox:test\nRUN touch /made; exit 1\n").code == 1
    assert layers() == before
    assert list((product.root / "tmp").iterdir()) == []


@pytest.mark.parametrize(
    ("dockerfile", "code", "texts"),
    [
        pytest.param("FROM busybox:test\nCOPYY a b\n", 2, ["did you mean", "COPY", "2 | COPYY a b"], id="instruction"),
        pytest.param("FROM busybox:test\nCOPY missing /\n", 2, ["'/missing' does not exist", "^^^^"], id="source"),
        pytest.param("FROM busybox:test\nCOPY ../x /\n", 2, ["2 | COPY ../x /"], id="outside"),
        pytest.param("FROM busybox:test\nCOPY --form=a b /\n", 2, ["did you mean", "from"], id="flag"),
        pytest.param("FROM busybox:test\nUSER ghost\nRUN true\n", 1, ["ghost"], id="user"),
        pytest.param(
            "FROM busybox:test\nRUN --mount=type=secret,id=s,required=true true\n", 1, ["--secret id=s"], id="secret"
        ),
        pytest.param("", 2, ["Dockerfile"], id="empty"),
    ],
)
def test_wrong_dockerfile_is_told_with_its_place(shared, context, dockerfile, code, texts):
    answer = _build(shared, context, dockerfile)
    assert answer.code == code, answer.err
    for text in texts:
        assert text in answer.err
    assert "bug" not in answer.err


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["biuld", "."], "did you mean 'build'?"),
        (["build", "--targt", "x", "."], "did you mean '--target'?"),
        (["build"], "PATH"),
        ([], "a command is missing"),
        (["build", "no-such-directory"], "no-such-directory"),
        (["build", "-f", "no-such-file", "/"], "no-such-file"),
        (["build", "--build-arg", "=x", "."], "--build-arg takes NAME[=VALUE]"),
        (["build", "--platform", "what/ever/is/this", "."], "platform"),
        (["build", "-t", "UPPER", "."], "UPPER"),
        (["inspect", "nothing-here"], "nothing-here"),
        (["tag", "nothing-here", "x"], "nothing-here"),
        (["save", "nothing-here", "-o", "x"], "nothing-here"),
        (["load", "-i", "no-such-archive"], "no-such-archive"),
        (["import", "no-such-tar"], "no-such-tar"),
    ],
)
def test_wrong_words_are_usage_errors(shared, words, text, context, monkeypatch):
    monkeypatch.chdir(context)
    if "--platform" in words:
        write(context, {"Dockerfile": "FROM scratch\n"})
    answer = shared.cli(*words)
    assert answer.code == 2, answer.err
    assert text in answer.err


def test_missing_image_is_told_at_its_from(shared, context):
    answer = _build(shared, context, "FROM busybox:tset\n")
    assert answer.code in (2, 4)
    assert "1 | FROM busybox:tset" in answer.err


def test_colours_and_control_codes_of_a_step_do_not_reach_the_terminal(shared, context):
    answer = _build(shared, context, "FROM busybox:test\nRUN printf '\\033]0;title\\007\\033[2Jx\\n'; exit 1\n")
    assert "\x1b]0" not in answer.err
    assert "\x1b[2J" not in answer.err
    assert "\x07" not in answer.err


SLOW = "FROM busybox:test\nRUN echo begun > /begun; echo begun; sleep 98.7531\nRUN echo never\n"


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM), (signal.SIGHUP, -signal.SIGHUP)]
)
def test_stopped_build_leaves_nothing_running_and_nothing_half_made(product, tmp_path, number, code):
    context = a_context(tmp_path / "context", Dockerfile=SLOW)
    layers = set((product.root / "layers").iterdir())
    with product.spawn("build", "--progress", "plain", context) as process:
        for line in process.stderr:
            if b"begun" in line and b"RUN" not in line:
                break
        assert len(product.processes("sleep 98.7531", "sleep\x0098.7531")) >= 2
        process.send_signal(number)
        started = time.monotonic()
        rest = process.stderr.read().decode()
    assert process.returncode == code
    assert time.monotonic() - started < 10
    product.wait_for_no_process("sleep\x0098.7531", seconds=5)
    assert set((product.root / "layers").iterdir()) == layers
    if number == signal.SIGINT:
        assert list((product.root / "tmp").iterdir()) == []
        assert "Traceback" not in rest
    write(context, {"Dockerfile": SLOW.replace("98.7531", "0")})
    product.cli("build", context).check()
    product.cli("prune").check()
    assert product.unreferenced() == []


def test_interrupt_before_and_after_the_step_ends_with_130(product, tmp_path):
    context = a_context(tmp_path / "context", Dockerfile=SLOW)
    for delay in (0.05, 0.15, 0.3, 0.4):
        with product.spawn("build", context) as process:
            time.sleep(delay)
            process.send_signal(signal.SIGINT)
            err = process.stderr.read().decode()
        assert process.returncode in (130, -signal.SIGINT), err
        if delay > 0.2:
            assert "Traceback" not in err
        product.wait_for_no_process("sleep\x0098.7531", seconds=5)


def test_second_interrupt_does_no_harm(product, tmp_path):
    context = a_context(tmp_path / "context", Dockerfile=SLOW)
    with product.spawn("build", "--progress", "rawjson", context) as process:
        for line in process.stderr:
            if json.loads(line)["event"] == "OpOutput":
                break
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        process.stderr.read()
    assert process.returncode == 130
    product.wait_for_no_process("sleep\x0098.7531", seconds=5)
    wait_until(lambda: list((product.root / "tmp").iterdir()) == [], "the staging area to be empty", 5)


def test_output_to_a_closed_pipe_is_no_crash(product, tmp_path):
    context = a_context(tmp_path / "context", Dockerfile="FROM busybox:test\nRUN seq 1 1000\n")
    with product.spawn("build", "-o", "-", context) as process:
        process.stdout.close()
        err = process.stderr.read().decode()
    assert "Traceback" not in err
    assert "bug" not in err
