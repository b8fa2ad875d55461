"""What a step can see and do, in every id mode."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.userns, pytest.mark.overlay]


@pytest.mark.parametrize(
    ("script", "code", "signal"),
    [
        pytest.param("exit 0", 0, 0, id="success"),
        pytest.param("exit 42", 42, 0, id="own code"),
        pytest.param("exit 255", 255, 0, id="largest code"),
        pytest.param("sh -c 'kill -9 $$'", 137, 0, id="a child was killed"),
    ],
)
def test_exit_code_is_the_commands(box, script, code, signal):
    result = box.run(script + "; exit $?")
    assert (result["code"], result["signal"], result["is_oom"]) == (code, signal, False)


def test_command_not_found_is_127_and_says_so(box):
    result = box.run(args=["nonesuch"])
    assert result["code"] == 127
    assert result["reason"] == "'nonesuch' was not found in PATH"
    assert result["reason"] in result["output"]


def test_directory_as_command_is_126(box):
    result = box.run(args=["/etc"])
    assert (result["code"], result["reason"]) == (126, "'/etc' can't be executed: it is no regular file")


def test_missing_interpreter_is_127_and_says_so(box):
    box.ask("make_image", name="noloader", files=[("x", b"#!/no/such/interpreter\n", 0o755)])
    result = box.run(args=["/x"], image="noloader")
    assert result["code"] == 127
    assert "interpreter or loader is not in the image" in result["reason"]


def test_file_without_execute_bit_is_126_even_for_root(box):
    box.ask("make_image", name="noexec", files=[("bin/tool", b"#!/bin/sh\n", 0o644)])
    assert box.run(args=["tool"], image="noexec")["code"] == 126


def test_missing_working_directory_is_127(box):
    result = box.run("true", cwd="/none")
    assert (result["code"], result["reason"]) == (
        127,
        "can't enter the working directory '/none': no such file or directory",
    )


def test_environment_is_only_the_given_one(box):
    result = box.run(args=["/bin/cat", "/proc/1/environ"], env=(("PATH", "/bin"), ("A", "b=c")))
    assert result["output"] == "PATH=/bin\0A=b=c\0"


def test_only_three_descriptors_are_open(box):
    result = box.run(args=["/bin/ls", "/proc/self/fd"])
    assert result["output"].split() == ["0", "1", "2", "3"]  # 3 is ls reading the directory


def test_capabilities_are_dockers_and_none_is_inheritable(box):
    lines = dict(line.split() for line in box.run("grep ^Cap /proc/self/status")["output"].splitlines())
    assert lines["CapInh:"] == lines["CapAmb:"] == "0" * 16
    assert lines["CapBnd:"] == lines["CapEff:"] == lines["CapPrm:"] == "00000000a80425fb"


def test_filter_is_active_and_setuid_programs_may_work(box):
    lines = dict(
        line.split() for line in box.run("grep -E '^(Seccomp|NoNewPrivs):' /proc/self/status")["output"].splitlines()
    )
    assert lines == {"Seccomp:": "2", "NoNewPrivs:": "0"}


@pytest.mark.parametrize(
    "script",
    [
        pytest.param("busybox mount -t tmpfs x /tmp", id="mount"),
        pytest.param("busybox unshare -m true", id="unshare"),
        pytest.param("busybox umount /proc/kcore", id="umount"),
        pytest.param("echo 1 > /proc/sys/kernel/panic", id="sysctl"),
        pytest.param("echo c > /proc/sysrq-trigger", id="sysrq"),
        pytest.param("touch /sys/x", id="sys"),
        pytest.param("busybox adjtimex -t 9999", id="clock"),
        pytest.param("busybox chroot /proc/1/root/../.. ls /boot", id="chroot"),
    ],
)
def test_step_is_refused(box, script):
    result = box.run(script)
    assert result["code"] != 0, result["output"]


def test_host_devices_stay_shut_even_through_own_nodes(box):
    script = "mknod /dev/disk b 254 0; mknod /x b 254 0; mknod /tmp/m c 1 1; for f in /dev/disk /x /tmp/m; do head -c 1 $f && echo OPENED; done"
    assert "OPENED" not in box.run(script)["output"]


def test_secrets_of_proc_are_masked(box):
    result = box.run(
        "cat /proc/keys /proc/timer_list /proc/latency_stats 2>/dev/null | wc -c; test ! -e /proc/kcore || head -c 1 /proc/kcore | wc -c | grep -v 0; ls /sys/firmware /proc/scsi 2>/dev/null | grep -v : | grep . | wc -l"
    )
    assert result["output"].split() == ["0", "0"]


def test_processes_of_the_host_are_invisible(box):
    assert box.run("ls /proc | grep '^[0-9]' | wc -l; echo $$")["output"].split()[1] == "1"
    assert box.run(args=["/bin/sh", "-c", "cat /proc/*/environ"])["output"].count("canary") == 0


def test_host_tree_is_gone(box):
    result = box.run("ls / ; cat /proc/self/mountinfo")
    assert "boot" not in result["output"].split()
    assert box.base not in result["output"].replace("upperdir", "")


def test_dev_has_what_programs_need(box):
    script = (
        "echo x > /dev/null && head -c 3 /dev/zero | wc -c && head -c 3 /dev/urandom | wc -c && echo y > /dev/stdout"
        " && touch /dev/shm/a && readlink /dev/fd && readlink /dev/ptmx && ls -d /dev/mqueue"
    )
    assert box.run(script)["output"].split() == ["3", "3", "y", "/proc/self/fd", "pts/ptmx", "/dev/mqueue"]


def test_host_name_is_buildkits_and_can_be_chosen(box):
    assert box.run("busybox hostname")["output"] == "buildkitsandbox\n"
    assert box.run("busybox hostname", hostname="other")["output"] == "other\n"


def test_umask_session_and_parent_are_clean(box):
    script = "umask; set -- $(cat /proc/self/stat | busybox cut -d' ' -f4-6); echo $1; grep SigIgn /proc/self/status; grep SigBlk /proc/self/status"
    umask, _parent, _name, ignored, _name2, blocked = box.run(script)["output"].split()
    assert umask == "0022"
    assert int(ignored, 16) == int(blocked, 16) == 0


def test_user_and_groups_are_taken(box):
    if box.mode == "single":
        pytest.skip("one id only (userns)")
    result = box.run(
        "id -u; id -g; id -G; grep ^Cap /proc/self/status; echo out > /dev/stdout",
        uid=1000,
        gid=1001,
        groups=(1002, 1003),
    )
    words = result["output"].split()
    assert words[:5] == ["1000", "1001", "1001", "1002", "1003"]
    assert words[words.index("CapEff:") + 1] == words[words.index("CapPrm:") + 1] == "0" * 16
    assert words[-1] == "out"


def test_other_user_without_subordinate_ids_is_a_clear_error(box):
    if box.mode != "single":
        pytest.skip("only where there is one id")
    answer = box.run("true", uid=1000, gid=1000)
    assert answer["error"] == "sandbox-user"
    assert "/etc/subuid" in answer["hint"]


def test_limits_are_set(box):
    assert box.run("ulimit -n; ulimit -Hn", rlimits=((7, 100, 200),))["output"].split() == ["100", "200"]


def test_network_none_has_only_loopback_that_is_up(box):
    result = box.run("ls /sys/class/net; busybox ip link show lo; busybox ping -c 1 -w 2 127.0.0.1", network="none")
    assert result["output"].split()[0] == "lo"
    assert "UP" in result["output"]
    assert result["code"] == 0, result["output"]


def test_writes_land_in_the_upper_directory(box):
    result = box.run("echo x > /new; mkdir /dir; rm /bin/touch")
    assert result["code"] == 0, result["output"]
    assert {"new", "dir", "bin/touch"} <= set(result["upper"])


@pytest.mark.parametrize("lowers", [9, 200])
def test_many_lower_directories(box, lowers):
    assert box.run("ls /opt | wc -l", lowers=lowers)["output"].strip() == str(lowers - 1 if lowers > 1 else 0)


def test_plain_root_directory_works_like_an_overlay(box):
    result = box.run("id -u; echo x > /new; ls /dev/null; cat /proc/keys | wc -c", is_plain=True)
    assert result["output"].split() == ["0", "/dev/null", "0"]
    assert "new" in result["upper"]


def test_twenty_steps_at_the_same_time(box):
    assert box.ask("many", count=20) == [(number, number, f"{number}\n") for number in range(20)]
