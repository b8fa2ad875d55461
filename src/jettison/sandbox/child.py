"""The program that starts before a worker grows: ids, zygote, then the worker's own command.

Stand-alone: run by path (``python -I -S child.py boot <fd>``), it imports ``kernel``, ``rootfs``, ``process`` and ``zygote``
beside it and nothing else of jettison; of the library only small built-in modules. Data flows in as one marshalled request on
the descriptor, out as ``("ids",)`` when the id maps are to be written, ``("failed", call, errno)``, or the end of the line
when the worker's command runs. ``trial <fd>`` tries what this host lets a sandbox do and answers with the findings.
"""

from __future__ import annotations

import _socket
import marshal
import os
import sys

if __name__ == "__main__":
    sys.path.append(__file__.rsplit("/", 3)[0])

from jettison.sandbox import kernel, zygote


def boot(setup: _socket.socket) -> None:
    """Take the request, get the ids, fork the zygote and become the worker."""
    request = marshal.loads(setup.recv(1 << 18))  # noqa: S302 - from our own front
    if request["id_mode"] != "root":
        take_ids(setup, request["id_mode"])
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
    pid, pidfd = kernel.clone(kernel.CLONE_NEWPID)
    if pid == 0:
        setup.close()
        ours.close()
        os.close(request["control_fd"])
        zygote.run(theirs, request["kept"])
        os._exit(0)
    os.close(pidfd)
    os.set_inheritable(request["control_fd"], True)
    os.set_inheritable(ours.fileno(), True)
    numbers = ["--control-fd", str(request["control_fd"]), "--zygote-fd", str(ours.fileno())]
    os.execv(request["command"][0], [*request["command"], *numbers])  # noqa: S606 - no shell is wanted


def take_ids(setup: _socket.socket, id_mode: str) -> None:
    """Enter a user namespace as its root. In mode ``single`` only the caller's own id exists there. user_namespaces(7)."""
    uid, gid = os.geteuid(), os.getegid()
    kernel.unshare(kernel.CLONE_NEWUSER)
    if id_mode == "single":
        for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
            descriptor = os.open(f"/proc/self/{name}", os.O_WRONLY | os.O_CLOEXEC)
            os.write(descriptor, text.encode())
            os.close(descriptor)
    else:
        setup.send(marshal.dumps(("ids",)))
        if not setup.recv(16):
            os._exit(0)  # the front gave up
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)


def main() -> None:
    """Do what the first argument says."""
    role, number = sys.argv[1:]
    line = _socket.socket(fileno=int(number))
    os.set_inheritable(line.fileno(), False)
    try:
        if role == "trial":
            from jettison.sandbox import trial

            trial.main(line, take_ids)
        else:
            boot(line)
    except OSError as error:
        call = error.call if isinstance(error, kernel.CallError) else "exec"
        line.send(marshal.dumps(("failed", call, error.errno)))
        os._exit(1)


if __name__ == "__main__":
    main()
