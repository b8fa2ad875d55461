from __future__ import annotations

import struct

import pytest

from jettison.sandbox.seccomp import allowed_numbers, build_filter

X86_64, I386, AARCH64 = 0xC000003E, 0x40000003, 0xC00000B7
ALLOW, EPERM, ENOSYS, KILL = 0x7FFF0000, 0x50001, 0x50026, 0x80000000


def judge(machine, number, first=0, arch=X86_64):
    """Run the program as the kernel does (classic BPF over struct seccomp_data)."""
    program = list(struct.iter_unpack("HBBI", build_filter(machine)))
    data = struct.pack("<iIQ6Q", number if number < 1 << 31 else number - (1 << 32), arch, 0, first, 0, 0, 0, 0, 0)
    at = accumulator = 0
    while True:
        code, if_true, if_false, value = program[at]
        at += 1
        if code == 0x20:
            (accumulator,) = struct.unpack_from("<I", data, value)
        elif code == 0x05:
            at += value
        elif code == 0x06:
            return value
        else:
            holds = {0x15: accumulator == value, 0x35: accumulator >= value, 0x45: bool(accumulator & value)}[code]
            at += if_true if holds else if_false


@pytest.mark.parametrize(
    ("machine", "name", "arch"),
    [("x86_64", "x86_64", X86_64), ("x86_64", "i386", I386), ("aarch64", "aarch64", AARCH64)],
)
def test_every_number_gets_the_verdict_of_its_table(machine, name, arch):
    numbers = allowed_numbers(name)
    special = {numbers[call] for call in ("clone", "clone3", "socket", "personality")}
    plain = set(numbers.values()) - special
    newest = max(numbers.values())
    for number in range(newest + 40):
        if number in special:
            continue
        expected = ALLOW if number in plain else EPERM if number <= newest else ENOSYS
        assert judge(machine, number, arch=arch) == expected, number


@pytest.mark.parametrize(
    ("name", "first", "verdict"),
    [
        pytest.param("clone", 0x11, ALLOW, id="fork"),
        pytest.param("clone", 0x3D0F00, ALLOW, id="thread"),
        pytest.param("clone", 0x10000011, EPERM, id="user namespace"),
        pytest.param("clone", 0x00020011, EPERM, id="mount namespace"),
        pytest.param("clone", 0x40000011, EPERM, id="network namespace"),
        pytest.param("clone", 0x02000011, EPERM, id="cgroup namespace"),
        pytest.param("clone3", 0, ENOSYS, id="clone3"),
        pytest.param("socket", 2, ALLOW, id="inet"),
        pytest.param("socket", 16, ALLOW, id="netlink"),
        pytest.param("socket", 40, EPERM, id="vsock"),
        pytest.param("personality", 0, ALLOW, id="linux"),
        pytest.param("personality", 8, ALLOW, id="linux32"),
        pytest.param("personality", 0x20008, ALLOW, id="uname26 and linux32"),
        pytest.param("personality", 0xFFFFFFFF, ALLOW, id="query"),
        pytest.param("personality", 0x40000, EPERM, id="no randomisation"),
    ],
)
def test_conditional_calls(name, first, verdict):
    for machine, architecture, arch in (("x86_64", "x86_64", X86_64), ("aarch64", "aarch64", AARCH64)):
        assert judge(machine, allowed_numbers(architecture)[name], first, arch) == verdict


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("mount", 165), ("umount2", 166), ("pivot_root", 155), ("unshare", 272), ("setns", 308), ("bpf", 321),
        ("keyctl", 250), ("add_key", 248), ("request_key", 249), ("init_module", 175), ("finit_module", 313),
        ("kexec_load", 246), ("reboot", 169), ("swapon", 167), ("perf_event_open", 298), ("userfaultfd", 323),
        ("io_uring_setup", 425), ("io_uring_enter", 426), ("io_uring_register", 427), ("open_by_handle_at", 304),
        ("settimeofday", 164), ("clock_settime", 227), ("acct", 163), ("quotactl", 179), ("iopl", 172), ("ioperm", 173),
        ("open_tree", 428), ("move_mount", 429), ("fsopen", 430), ("mount_setattr", 442), ("pidfd_getfd", 438),
        ("kcmp", 312), ("lookup_dcookie", 212), ("syslog", 103), ("vhangup", 153), ("fanotify_init", 300),
    ],
)  # fmt: skip
def test_dangerous_calls_are_refused(name, number):
    assert name not in allowed_numbers("x86_64")
    assert judge("x86_64", number) == EPERM


def test_foreign_architectures_and_x32_are_refused():
    assert judge("x86_64", 0, arch=AARCH64) == KILL
    assert judge("aarch64", 0, arch=0x40000028) == KILL
    assert judge("x86_64", 0x40000000) == ENOSYS


def test_program_fits_the_kernel_and_unknown_machines_have_none():
    assert 0 < len(build_filter("x86_64")) // 8 <= 4096
    assert build_filter("riscv64") == b""
