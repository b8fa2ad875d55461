"""How steps end: signals, kills, terminals, and the death of those above them."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.userns, pytest.mark.overlay]


def processes_with(marker):
    found = []
    for place in Path("/proc").iterdir():
        if place.name.isdecimal():
            try:
                words = (place / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if marker.encode() in words:
                found.append(int(place.name))
    return found


def wait_until_gone(marker):
    deadline = time.monotonic() + 10
    while (left := processes_with(marker)) and time.monotonic() < deadline:
        time.sleep(0.01)
    return left


def wait_until_there(marker, count):
    deadline = time.monotonic() + 10
    while len(processes_with(marker)) < count and time.monotonic() < deadline:
        time.sleep(0.01)
    return len(processes_with(marker))


@pytest.fixture
def marker():
    return f"100{random.randrange(10**6):06}"


def test_signal_is_delivered(box):
    script = "trap 'echo caught; exit 9' TERM; echo ready; while :; do sleep 0.05; done"
    result = box.run(script, signals=[(b"ready", signal.SIGTERM)])
    assert (result["code"], result["output"]) == (9, "caught\n")


def test_kill_ends_with_the_signal_and_is_no_oom(box):
    result = box.run("echo ready; sleep 60", kill_after=b"ready")
    assert (result["code"], result["signal"], result["is_oom"]) == (137, signal.SIGKILL, False)


def test_closing_leaves_nothing_of_daemons_that_refuse_to_die(box, marker):
    box.ask("hold", marker=marker)
    assert wait_until_there(marker, 3) >= 3
    assert box.ask("drop") is True
    assert processes_with(marker) == []


def test_background_processes_die_with_the_command(box, marker):
    box.run(f"trap '' HUP TERM; setsid sleep {marker} & exit 0")
    assert processes_with(marker) == []


def test_death_of_the_worker_kills_its_steps(fresh_box, marker):
    fresh_box.ask("hold", marker=marker)
    fresh_box.ask("hold", marker=marker)
    assert wait_until_there(marker, 3) >= 3
    assert fresh_box.ask("kill-worker") == -signal.SIGKILL
    assert wait_until_gone(marker) == []


def test_death_of_the_front_kills_all(fresh_box, marker):
    fresh_box.ask("hold", marker=marker)
    worker = fresh_box.ask("worker-pid")
    fresh_box.process.kill()
    assert wait_until_gone(marker) == []
    deadline = time.monotonic() + 10
    while os.path.exists(f"/proc/{worker}/exe") and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not Path(f"/proc/{worker}/cmdline").exists() or not Path(f"/proc/{worker}/cmdline").read_bytes()


def test_death_of_the_zygote_kills_its_steps_and_is_an_error(fresh_box, marker):
    fresh_box.ask("hold", marker=marker)
    worker = fresh_box.ask("worker-pid")
    children = Path(f"/proc/{worker}/task/{worker}/children").read_text().split()
    os.kill(int(children[0]), signal.SIGKILL)
    assert wait_until_gone(marker) == []
    assert fresh_box.run("true")["error"] == "sandbox-lost"


def test_terminal_is_controlling_and_resizes(box):
    code, output = box.ask("terminal")
    words = output.split()
    assert code == 5
    assert words[:2] == ["30", "90"]
    assert "is-a-tty" in words
    assert "console" in words
    assert output.rstrip().endswith("got hello\r\n40 100")


def test_wait_gives_up_in_time(box):
    assert box.ask("timeout") is True
