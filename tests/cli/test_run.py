"""``jettison run``: exit codes, flags, streams, terminals."""

from __future__ import annotations

import os
import pty
import select
import signal
import struct
import termios
import time
from contextlib import suppress
from fcntl import ioctl

import pytest
from tests.fakes.product import BASE, processes_with, wait_until, write


@pytest.mark.parametrize(
    ("words", "code"),
    [
        pytest.param(["true"], 0, id="0"),
        pytest.param(["sh", "-c", "exit 3"], 3, id="3"),
        pytest.param(["/etc/passwd"], 126, id="not-executable"),
        pytest.param(["no-such-program"], 127, id="not-found"),
        pytest.param(["sh", "-c", "sh -c 'kill -TERM $$'; exit $?"], 143, id="signal-inside"),
    ],
)
def test_exit_code_is_that_of_the_process(shared, words, code):
    answer = shared.cli("run", "--rm", BASE, *words)
    assert answer.code == code, answer.err


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["no-such-image"], id="image"),
        pytest.param(["-v", "/no/such/dir:/x", BASE, "true"], id="volume"),
        pytest.param(["-v", "name:/x", BASE, "true"], id="named-volume"),
        pytest.param(["-p", "8080:80", BASE, "true"], id="port"),
        pytest.param(["-p", "80x", BASE, "true"], id="port-word"),
        pytest.param(["-u", "ghost", BASE, "true"], id="user"),
        pytest.param(["-w", "relative", BASE, "true"], id="workdir"),
    ],
)
def test_container_that_cannot_start_gives_125(shared, words):
    answer = shared.cli("run", "--rm", *words)
    assert answer.code == 125, answer.err
    assert "error[" in answer.err


def test_missing_image_argument_is_a_usage_error(shared):
    assert shared.cli("run").code in (2, 125)
    assert shared.cli("run", "--nme", "x", BASE).code in (2, 125)


def test_streams_stay_apart(shared):
    answer = shared.cli("run", "--rm", BASE, "sh", "-c", "echo out; echo err >&2")
    assert (answer.out, answer.err) == ("out\n", "err\n")


def test_environment(shared):
    answer = shared.cli(
        "run", "-e", "A=1 2", "-e", "FROM_CALLER", "-e", "UNSET", BASE, "env", env={"FROM_CALLER": "yes"}
    )
    lines = answer.check().out.splitlines()
    assert "A=1 2" in lines
    assert "FROM_CALLER=yes" in lines
    assert not any(line.startswith("UNSET") for line in lines)
    assert not any(line.startswith(("JETTISON", "PYTHON")) for line in lines)


def test_volumes(shared, tmp_path):
    write(tmp_path, {"data/file": "in", "single": "one"})
    words = ["run", "-v", f"{tmp_path}/data:/data", "-v", f"{tmp_path}/single:/etc/single:ro", BASE, "sh", "-c"]
    answer = shared.cli(*words, "cat /data/file /etc/single; echo new > /data/new")
    assert answer.check().out == "inone"
    assert (tmp_path / "data/new").read_text() == "new\n"
    assert (tmp_path / "data/new").stat().st_uid == os.geteuid()
    answer = shared.cli("run", "-v", f"{tmp_path}/data:/data:ro", BASE, "sh", "-c", "echo no > /data/no")
    assert answer.code == 1
    assert "Read-only" in answer.err
    assert not (tmp_path / "data/no").exists()


def test_working_directory_user_and_entrypoint(shared, context):
    shared.build(
        context,
        'FROM busybox:test\nWORKDIR /srv\nENTRYPOINT ["echo", "entry"]\nCMD ["cmd"]\n',
        tags=["entry"],
    )
    assert shared.cli("run", "entry").check().out == "entry cmd\n"
    assert shared.cli("run", "entry", "word").check().out == "entry word\n"
    assert shared.cli("run", "--entrypoint", "pwd", "entry").check().out == "/srv\n"
    assert shared.cli("run", "-w", "/tmp", "--entrypoint", "pwd", "entry").check().out == "/tmp\n"
    assert shared.cli("run", "-w", "/new/place", "--entrypoint", "pwd", "entry").check().out == "/new/place\n"


def test_user_flag(shared):
    assert shared.cli("run", "-u", "0", BASE, "id", "-u").check().out == "0\n"


@pytest.mark.parametrize(
    ("user", "ids"),
    [
        ("app", "1000 1000 1000 50"),
        ("1000", "1000 1000 1000 50"),
        ("7:8", "7 8 8"),
        ("app:tools", "1000 50 50"),
        ("nobody", "65534 65534 65534"),
    ],
)
def test_user_flag_with_other_ids(shared, user, ids):
    if shared.cli("info", "--format", "json").out.find('"id mode": "single"') >= 0:
        pytest.skip("no subordinate ids (userns)")
    answer = shared.cli("run", "-u", user, BASE, "sh", "-c", "echo $(id -u) $(id -g) $(id -G)")
    assert answer.check().out.split() == ids.split()


def test_standard_input_is_piped_only_when_asked_for(shared):
    assert shared.cli("run", "-i", BASE, "cat", stdin=b"piped in").check().out == "piped in"
    assert shared.cli("run", BASE, "cat", stdin=b"piped in").check().out == ""


def test_large_streams_pass_through(shared):
    data = os.urandom(3_000_000)
    assert shared.cli("run", "-i", BASE, "cat", stdin=data).check().out_bytes == data


def test_name_becomes_the_host_name(shared):
    assert shared.cli("run", "--name", "box", BASE, "hostname").check().out == "box\n"


def test_equal_ports_are_accepted(shared):
    shared.cli("run", "-p", "8080:8080", "-p", "127.0.0.1:9:9/udp", BASE, "true").check()


def test_different_ports_are_refused_with_a_way_out(shared):
    answer = shared.cli("run", "-p", "8080:80", BASE, "true")
    assert "port 80 can't appear as 8080" in answer.err
    assert "8080:8080" in answer.err


def test_network_none_has_only_loopback(shared):
    out = shared.cli("run", "--network", "none", BASE, "sh", "-c", "ls /sys/class/net; cat /proc/net/dev").check().out
    names = {line.partition(":")[0].strip() for line in out.splitlines() if ":" in line}
    assert names <= {"lo"}


def test_removed_container_leaves_nothing(product):
    product.cli("run", "--rm", BASE, "touch", "/made").check()
    assert list((product.root / "containers").iterdir()) == []
    assert list((product.root / "tmp").iterdir()) == []
    product.cli("prune").check()
    assert product.unreferenced() == []


def test_changes_of_a_container_do_not_reach_the_image(shared):
    shared.cli("run", BASE, "sh", "-c", "echo changed > /etc/passwd").check()
    assert "root" in shared.cli("run", BASE, "cat", "/etc/passwd").check().out


def test_no_command_is_told(shared, context):
    shared.build(context, "FROM scratch\nCOPY Dockerfile /\n", tags=["nothing"])
    answer = shared.cli("run", "nothing")
    assert answer.code == 125
    assert "names no command" in answer.err


def test_process_killed_from_outside_gives_128_and_the_signal(shared):
    with shared.spawn("run", BASE, "sleep", "65.4321") as process:
        wait_until(lambda: processes_with("sleep\x0065.4321"), "the process")
        for number in processes_with("sleep\x0065.4321"):
            with suppress(PermissionError):
                os.kill(number, signal.SIGKILL)
    assert process.returncode in (137, -signal.SIGKILL)


def test_signals_reach_the_process(shared):
    script = "trap 'echo caught; exit 9' TERM; echo ready; while :; do sleep 0.05; done"
    with shared.spawn("run", "--rm", BASE, "sh", "-c", script) as process:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == b"caught\n"
    assert process.returncode == 9


def test_killed_run_leaves_no_process(shared):
    with shared.spawn("run", "--rm", BASE, "sh", "-c", "echo ready; sleep 87.6543") as process:
        assert process.stdout.readline() == b"ready\n"
        process.kill()
    shared.wait_for_no_process("sleep\x0087.6543", seconds=5)


def _talk(process, master, *, until, seconds=20):
    seen = b""
    end = time.monotonic() + seconds
    while until not in seen:
        assert time.monotonic() < end, seen
        if select.select([master], [], [], 0.1)[0]:
            try:
                seen += os.read(master, 4096)
            except OSError:
                break
        elif process.poll() is not None:
            break
    return seen


def test_terminal(shared):
    master, slave = pty.openpty()
    ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", 33, 77, 0, 0))
    before = termios.tcgetattr(slave)
    words = ["sh", "-c", "tty; stty size; read line; echo got:$line; exit 5"]
    with shared.spawn("run", "--rm", "-it", BASE, *words, stdin=slave, stdout=slave, stderr=slave) as process:
        seen = _talk(process, master, until=b"33 77")
        assert b"/dev/" in seen
        assert b"not a tty" not in seen
        os.write(master, b"hello\r")
        assert b"got:hello" in _talk(process, master, until=b"got:hello")
        assert process.wait(20) == 5
    assert termios.tcgetattr(slave) == before
    os.close(master)
    os.close(slave)


def test_terminal_passes_interrupts_and_sizes(shared):
    master, slave = pty.openpty()
    ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", 20, 40, 0, 0))
    script = "trap 'stty size; exit 6' INT; echo ready; while :; do sleep 0.05; done"
    with shared.spawn("run", "-it", BASE, "sh", "-c", script, stdin=slave, stdout=slave, stderr=slave) as process:
        _talk(process, master, until=b"ready")
        ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", 21, 43, 0, 0))
        process.send_signal(signal.SIGWINCH)
        time.sleep(0.3)
        os.write(master, b"\x03")
        assert b"21 43" in _talk(process, master, until=b"21 43")
        assert process.wait(20) == 6
    os.close(master)
    os.close(slave)


def test_terminal_is_refused_on_pipes(shared):
    answer = shared.cli("run", "-t", BASE, "true")
    assert answer.code in (2, 125)
    assert "-t needs a terminal" in answer.err
