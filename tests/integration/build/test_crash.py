"""kill -9 in the middle of a RUN, a COPY and an export: nothing half-made is ever believed, and all of it gets collected."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess

import pytest
from tests.fakes.product import a_context, bytes_below, needs, processes_with, wait_until, write

SIZE = 24 << 20
TIMES = [pytest.param(turn, marks=() if turn in (2, 7) else pytest.mark.slow) for turn in range(10)]


def _kill(product, process, turn):
    """Kill the front, and every second time the worker with it; tell whether the front died of it."""
    others = product.processes() if turn % 2 else []
    for number in {process.pid, *others}:
        try:
            os.kill(number, signal.SIGKILL)
        except ProcessLookupError:
            continue
    process.communicate()
    return process.returncode == -signal.SIGKILL


def _check(product, context, *words):
    """The next build succeeds, from an unharmed store, and prune leaves nothing that nothing needs."""
    product.cli("build", "-t", "app", *words, context).check()
    product.wait_for_no_process()
    again = product.cli("build", "-q", "-t", "app", context, env={"JETTISON_MEMO": "0"}).check()
    product.cli("prune").check()
    assert product.unreferenced() == []
    product.cli("run", "--rm", "app", "true").check()
    assert product.cli("build", "-q", "-t", "app", context).check().out.startswith("sha256:")
    return again


@pytest.mark.parametrize("turn", TIMES)
def test_kill_in_the_middle_of_a_run(product, tmp_path, turn):
    sleep = f"43.21{turn:02}"
    step = f"dd if=/dev/zero of=/zeros bs=1M count={turn} 2>/dev/null; mkdir -p /a/b; echo begun; sleep SECONDS; echo $? > /end"
    context = a_context(tmp_path / "context", Dockerfile=f"FROM busybox:test\nRUN {step.replace('SECONDS', sleep)}\n")
    with product.spawn("build", "--progress", "rawjson", context) as process:
        for line in process.stderr:
            if json.loads(line)["event"] == "OpOutput":
                break
        wait_until(lambda: processes_with(f"sleep\x00{sleep}"), "the step to sleep")
        assert _kill(product, process, turn)
    wait_until(lambda: not processes_with(f"sleep\x00{sleep}"), "the step to end", 10)
    write(context, {"Dockerfile": f"FROM busybox:test\nRUN {step.replace('SECONDS', '0')}\n"})
    _check(product, context)
    assert product.files_of("app", "end") == {"end": "0\n"}


@pytest.mark.parametrize("turn", TIMES)
def test_kill_in_the_middle_of_a_copy(product, tmp_path, turn):
    data = random.Random(turn).randbytes(SIZE)
    context = a_context(tmp_path / "context", Dockerfile="FROM busybox:test\nCOPY files /files\n")
    part = SIZE // 24
    write(context, {f"files/{number:02}": data[number * part : (number + 1) * part] for number in range(24)})
    staging = product.root / "tmp"
    with product.spawn("build", context) as process:
        wait_until(lambda: bytes_below(staging) > turn * SIZE // 12 or process.poll() is not None, "the copy")
        assert process.poll() is None, process.stderr.read()
        assert _kill(product, process, turn)
    _check(product, context)
    assert product.contents("app")["files/07"] == data[7 * part : 8 * part]


@pytest.mark.parametrize("turn", TIMES)
def test_kill_in_the_middle_of_an_export(product, tmp_path, turn):
    context = a_context(tmp_path / "context", Dockerfile="FROM busybox:test\nCOPY data /data\n")
    write(context, {"data": random.Random(turn).randbytes(SIZE)})
    product.cli("build", "-t", "app", context).check()
    staging = product.root / "tmp"
    out = tmp_path / "out"
    out.mkdir()
    (out / "app.tar").write_text("the old one")
    with product.spawn("build", "-o", f"type=oci,dest={out}/app.tar", context) as process:
        wait_until(lambda: bytes_below(staging) > turn * SIZE // 12 or process.poll() is not None, "the export")
        assert process.poll() is None, process.stderr.read()
        assert _kill(product, process, turn)
    assert (out / "app.tar").read_text() == "the old one"
    assert os.listdir(out) == ["app.tar"]
    _check(product, context, "-o", f"type=oci,dest={out}/app.tar")
    skopeo = needs("skopeo")
    assert os.spawnlp(os.P_WAIT, skopeo, "skopeo", "inspect", f"oci-archive:{out}/app.tar", "--no-tags", "--raw") == 0


def test_kill_at_any_moment_of_a_whole_build(product, tmp_path):
    """Wherever it hits: start-up, commits, records, tags."""
    dockerfile = (
        "FROM busybox:test AS a\nCOPY data /data\nRUN cp /data /copy\nFROM busybox:test\nCOPY --from=a /copy /x\n"
    )
    context = a_context(tmp_path / "context", Dockerfile=dockerfile)
    chance = random.Random(7)
    for turn in range(8):
        write(context, {"data": chance.randbytes(1 << 20)})
        with product.spawn("build", "-t", "app", context) as process:
            try:
                process.wait(0.2 + 0.06 * turn)
            except subprocess.TimeoutExpired:
                _kill(product, process, turn)
        product.wait_for_no_process()
    _check(product, context)
    assert product.contents("app")["x"] == (context / "data").read_bytes()
