"""The zygote: a small process that forks one child per step, watches it, and ends all of them when its worker is gone.

Stand-alone, see ``child.py``. It is process 1 of a namespace of its own: when it ends, however it ends, the kernel kills
every step. It never parses a step: a request is a few flags and descriptors, the child itself reads the list of steps.

    worker -> zygote    (flags of clone,)  + [steps, stdin, stdout, stderr, report]     one message per step
    zygote -> worker    ("ready", facts) | ("failed", call, errno) | ("crashed", text)   once
    report (one socket per step, the launcher holds the other end; closing it kills the step):
      zygote            ("started", pid) + [pidfd]   ("lost", call, errno)   ("exited", code | -signal)
      child             ("ready", stubs) + [master]   ("failed", step, call, path, errno, text)   ("unable", code, text)
"""

# Paths are bytes below descriptors, and pathlib is too heavy for a process that forks once per step:
# ruff: noqa: PTH110, PTH123

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # the built-in half of signal; the other half is heavy
import _socket
import marshal
import os
import sys

from jettison.sandbox import kernel, process, rootfs
from jettison.sandbox.room import HostileRootError, Room

_SCM_RIGHTS = 1
_DESCRIPTORS = 5
_CLD_EXITED = 1
_SETUP_FAILED = 125

_ROOT_STEPS = {
    "root-overlay": rootfs.root_overlay,
    "root-directory": rootfs.root_directory,
    "scratch": rootfs.scratch,
    "proc": rootfs.proc,
    "sys": rootfs.system,
    "dev": rootfs.devices,
    "bind": rootfs.mount_bind,
    "tmpfs": rootfs.mount_memory,
    "file": rootfs.mount_file,
    "union": rootfs.mount_union,
    "enter": rootfs.enter,
    "mask": rootfs.mask,
}
_STREAM_STEPS = {"terminal": process.terminal, "streams": process.standard_streams}
_PLAIN_STEPS = {
    "begin": process.begin,
    "loopback": process.loopback,
    "hostname": kernel.set_host_name,
    "directory": process.directory,
    "limits": process.limits,
    "bounding": kernel.limit_bounding_set,
    "filter": kernel.load_filter,
    "identity": process.identity,
    "rights": process.rights,
    "start": process.start,
}


def run(line: _socket.socket, kept: tuple[bytes, ...]) -> None:
    """Serve the worker until its end of the line closes. ``kept`` are host paths whose mounts are needed."""
    try:
        os.setsid()
        _detach_streams(line.fileno())
        try:
            kernel.unshare(kernel.CLONE_NEWNS)
            kernel.mount(None, b"/", None, kernel.MS_REC | kernel.MS_PRIVATE)
        except kernel.CallError as error:
            line.send(marshal.dumps(("failed", error.call, error.errno)))
            return
        if kept:
            trim(kept)
        line.send(marshal.dumps(("ready", _facts())))
        _serve(line)
    except BaseException as error:  # noqa: BLE001 - the last words of a process
        line.send(marshal.dumps(("crashed", repr(error))))


def _detach_streams(kept: int) -> None:
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    for number in range(3):
        os.dup2(null, number)
    os.closerange(3, kept)
    kernel.close_from(kept + 1)


def _facts() -> dict[str, bool]:
    return {
        "has_lowerdir_append": kernel.takes_lowerdir_append(),
        "has_mount_setattr": kernel.has_mount_setattr(),
        "has_openat2": kernel.has_openat2(),
        "has_seccomp": os.path.exists("/proc/sys/kernel/seccomp"),
    }


def trim(kept: tuple[bytes, ...]) -> None:
    """Unmount what no step can need: each new mount namespace copies every mount (a host may have hundreds)."""
    with open("/proc/self/mountinfo", "rb") as file:
        points = [_unescape(line.split(b" ")[4]) for line in file]
    wanted = (b"/proc", b"/dev", b"/sys", *kept)
    for point in reversed(points):
        if point != b"/" and not any(_is_related(point, path) for path in wanted):
            try:
                kernel.unmount(point)
            except OSError:  # locked by the user namespace, out of reach, or gone with its parent: it only costs time
                continue


def _is_related(point: bytes, path: bytes) -> bool:
    return point == path or path.startswith(point + b"/") or point.startswith(path + b"/")


def _unescape(text: bytes) -> bytes:
    for octal, plain in ((b"\\040", b" "), (b"\\011", b"\t"), (b"\\012", b"\n"), (b"\\134", b"\\")):
        text = text.replace(octal, plain)
    return text


def _serve(line: _socket.socket) -> None:
    steps: dict[int, _socket.socket] = {}  # pidfd -> report
    while True:
        reports = {report.fileno(): pidfd for pidfd, report in steps.items()}
        for ready in kernel.wait_readable([line.fileno(), *steps, *reports]):
            if ready == line.fileno():
                if not _accept(line, steps):
                    return
            elif ready in steps:
                _finish(ready, steps.pop(ready))
            elif reports.get(ready) in steps:  # the launcher's end is closed: nobody waits for this step any more
                _kill(reports[ready])


def _accept(line: _socket.socket, steps: dict[int, _socket.socket]) -> bool:
    message, ancillary, _flags, _address = line.recvmsg(256, 64, 0x40000000)
    if not message:
        return False
    data = b"".join(content for _level, kind, content in ancillary if kind == _SCM_RIGHTS)
    descriptors = [int.from_bytes(data[at : at + 4], sys.byteorder) for at in range(0, len(data), 4)]
    (flags,) = marshal.loads(message)  # noqa: S302 - from our own worker
    report = _socket.socket(fileno=descriptors[4])
    try:
        pid, pidfd = kernel.clone(flags)
    except kernel.CallError as error:
        _tell(report, ("lost", error.call, error.errno or 0))
        pid, pidfd = -1, -1
    if pid == 0:
        _become_step(descriptors)
    if pidfd >= 0:
        steps[pidfd] = report
        _tell(report, ("started", pid), pidfd)
    else:
        report.close()
    for descriptor in descriptors[:4]:
        os.close(descriptor)
    return True


def _finish(pidfd: int, report: _socket.socket) -> None:
    result = os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
    if result is not None:
        code = result.si_status if result.si_code == _CLD_EXITED else -result.si_status
        _tell(report, ("exited", code))
    os.close(pidfd)
    report.close()


def _kill(pidfd: int) -> None:
    try:
        _signal.pidfd_send_signal(pidfd, _signal.SIGKILL)
    except ProcessLookupError:
        return


def _tell(report: _socket.socket, message: tuple[str | int | bytes | list[bytes], ...], descriptor: int = -1) -> None:
    rights = [(_socket.SOL_SOCKET, _SCM_RIGHTS, descriptor.to_bytes(4, sys.byteorder))] if descriptor >= 0 else []
    try:
        report.sendmsg([marshal.dumps(message)], rights, _socket.MSG_DONTWAIT | _socket.MSG_NOSIGNAL)
    except OSError:  # the launcher is gone; its end of the line will say so
        return


def _become_step(descriptors: list[int]) -> None:
    """Obey the list of steps; never returns."""
    code = _SETUP_FAILED
    streams = process.Streams(descriptors[1:4], descriptors[4])
    try:
        with open(descriptors[0], "rb", buffering=0, closefd=False) as file:
            file.seek(0)
            steps = marshal.loads(file.read())  # noqa: S302 - from our own worker
        code = _obey(steps, streams)
    except BaseException as error:  # noqa: BLE001 - the last words of a process
        _say(streams, ("failed", "child", "", b"", 0, repr(error)))
    finally:
        os._exit(code)


def _obey(steps: tuple[tuple[str, tuple[object, ...]], ...], streams: process.Streams) -> int:
    room = Room()
    name = "begin"
    try:
        for name, arguments in steps:
            if name == "start":
                _say(streams, ("ready", room.stubs), streams.master)
                if streams.master >= 0:
                    os.close(streams.master)
            if name in _ROOT_STEPS:
                _ROOT_STEPS[name](room, *arguments)  # type: ignore[operator]  # a table of unlike functions
            elif name in _STREAM_STEPS:
                _STREAM_STEPS[name](streams, *arguments)  # type: ignore[operator]  # a table of unlike functions
            else:
                _PLAIN_STEPS[name](*arguments)  # type: ignore[operator]  # a table of unlike functions
    except process.UnableError as error:
        _say(streams, ("unable", error.code, str(error)))
        os.write(2, f"jettison: {error}\n".encode("utf-8", "surrogateescape"))
        return error.code
    except HostileRootError as error:
        _say(streams, ("failed", name, "", b"", 0, str(error)))
    except OSError as error:
        call = error.call if isinstance(error, kernel.CallError) else name
        path = error.filename if isinstance(error.filename, bytes) else str(error.filename or "").encode()
        _say(streams, ("failed", name, call, path, error.errno or 0, error.strerror or str(error)))
    return _SETUP_FAILED


def _say(streams: process.Streams, message: tuple[str | int | bytes | list[bytes], ...], descriptor: int = -1) -> None:
    report = _socket.socket(fileno=streams.report)
    _tell(report, message, descriptor)
    report.detach()
