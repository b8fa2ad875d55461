"""What a sandbox may do on this host, each thing tried in throw-away processes and namespaces.

Stand-alone, see ``child.py``; it already runs in the user namespace that is under trial. Data flows out as a mapping of
name -> "" where it works, else ``call: reason``.
"""

# Paths are bytes below descriptors, and pathlib is too heavy for a process that forks once per step:
# ruff: noqa: PTH102, PTH108

from __future__ import annotations

import _socket
import errno
import marshal
import os
import sys

from jettison.sandbox import kernel, process

_NAMESPACES = (
    kernel.CLONE_NEWNS | kernel.CLONE_NEWPID | kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS | kernel.CLONE_NEWCGROUP
)
_ALLOW_ALL = b"\x06\x00\x00\x00\x00\x00\xff\x7f"


def run(directory: bytes, id_mode: str) -> dict[str, str]:
    """Return the findings. ``directory`` holds the empty directories l, u, w and m, where the store would be."""
    findings = {"openat2": _known(kernel.has_openat2()), "mount_setattr": _known(kernel.has_mount_setattr())}
    findings["namespaces"] = _try_apart(_NAMESPACES, _nothing)
    if findings["namespaces"]:
        return findings
    findings["lowerdir+"] = _try_apart(_NAMESPACES, _lowerdir_append)
    findings["network none"] = _try_apart(_NAMESPACES | kernel.CLONE_NEWNET, process.loopback)
    findings["seccomp"] = _try_apart(_NAMESPACES, lambda: kernel.load_filter(_ALLOW_ALL))
    findings["proc"] = _try_apart(_NAMESPACES, lambda: kernel.mount(b"proc", directory + b"/m", b"proc", 14))
    findings["overlay"] = _try_apart(_NAMESPACES, lambda: _overlay(directory, id_mode))
    return findings


def _known(is_known: bool) -> str:  # noqa: FBT001 - private
    return "" if is_known else "this kernel lacks it"


def _lowerdir_append() -> None:
    if not kernel.takes_lowerdir_append():
        raise kernel.CallError(errno.EINVAL, "fsconfig")


def _nothing() -> None:
    return


def _overlay(directory: bytes, id_mode: str) -> None:
    kernel.mount(None, b"/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    os.chdir(directory)
    options = b"lowerdir=l,upperdir=u,workdir=w,volatile" + (b"" if id_mode == "root" else b",userxattr")
    kernel.mount(b"overlay", b"m", b"overlay", 0, options)
    os.unlink("m/probe")  # a whiteout must be possible
    os.mkdir("m/probe")


def _try_apart(flags: int, action: object) -> str:
    """Return "" when the action succeeds in a process with these new namespaces, else why not."""
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
    try:
        pid, pidfd = kernel.clone(flags)
    except kernel.CallError as error:
        return f"{error.call}: {error.strerror}"
    if pid == 0:
        result = ""
        try:
            action()  # type: ignore[operator]  # a function; typing is too heavy here
        except kernel.CallError as error:
            result = f"{error.call}: {error.strerror}"
        except BaseException as error:  # noqa: BLE001 - the last words of a process
            result = repr(error)
        theirs.send(marshal.dumps(result))
        os._exit(0)
    theirs.close()
    answer = ours.recv(4096)
    os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
    os.close(pidfd)
    ours.close()
    return str(marshal.loads(answer)) if answer else "the trial ended unexpectedly"  # noqa: S302 - from our own child


def main(line: _socket.socket, take_ids: object) -> None:
    """Take the request, get the ids and send the findings."""
    request = marshal.loads(line.recv(1 << 16))  # noqa: S302 - from our own front
    if request["id_mode"] != "root":
        take_ids(line, request["id_mode"])  # type: ignore[operator]  # a function; typing is too heavy here
    line.send(marshal.dumps(("findings", run(request["directory"], request["id_mode"]))))
    sys.exit(0)
