"""The worker process: ``python -m jettison.worker.main ROOT ID_MODE --control-fd N --zygote-fd M``.

Started by ``child.py boot`` inside the user namespace. Reads requests from the control socket, answers each in a thread of
its own, and ends when the front hangs up: then every step is killed and nothing half-done stays visible.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, cast

from jettison.errors import JettisonError, StoreError
from jettison.limits import DEFAULT_LIMITS
from jettison.sandbox import kernel
from jettison.sandbox.launch import Launcher
from jettison.store.faults import is_disk_full, store_error
from jettison.store.root import open_store
from jettison.worker.channel import Channel, Control, Note, Reply, Request
from jettison.worker.run import Job
from jettison.worker.run_tools import RunTools
from jettison.worker.services import SERVICES, Call

if TYPE_CHECKING:
    from jettison.sandbox.spec import IdMode


class Server:
    """Answers requests until the channel ends."""

    def __init__(self, channel: Channel, tools: RunTools) -> None:
        self._channel = channel
        self._tools = tools
        self._jobs: dict[int, Job] = {}
        self._threads: list[threading.Thread] = []

    def serve(self) -> None:
        """Read messages to the end of the channel, then kill what still runs and wait for it."""
        while (item := self._channel.receive()) is not None:
            message, fds = item
            if isinstance(message, Request):
                job = self._jobs[message.number] = Job()
                thread = threading.Thread(target=self._answer, args=(message, fds, job), daemon=True)
                self._threads.append(thread)
                thread.start()
            elif isinstance(message, Control):
                known = self._jobs.get(message.number)
                if known is not None:
                    known.control(message.action, message.values)
        for job in list(self._jobs.values()):
            job.control("kill", ())
        for thread in self._threads:
            thread.join(timeout=5)

    def _answer(self, request: Request, fds: tuple[int, ...], job: Job) -> None:
        reply = Reply(number=request.number)
        try:
            call = Call(
                tools=self._tools,
                job=job,
                fds=fds,
                note=lambda payload, sent: self._send(Note(number=request.number, payload=payload), sent),
            )
            reply = Reply(number=request.number, value=SERVICES[request.method](call, request.payload))
        except JettisonError as error:
            reply = Reply(number=request.number, error=error)
        except OSError as error:
            reply = Reply(number=request.number, error=_system_error(error, self._tools.store.path))
        except Exception:  # noqa: BLE001  a bug of ours: the front shows it
            reply = Reply(number=request.number, trace=traceback.format_exc())
        finally:
            for fd in fds:
                os.close(fd)
            self._jobs.pop(request.number, None)
        self._send(reply, ())

    def _send(self, message: Note | Reply, fds: tuple[int, ...]) -> None:
        try:
            self._channel.send(message, fds)
        except OSError:
            for job in list(self._jobs.values()):
                job.control("kill", ())


def _system_error(error: OSError, root: Path) -> StoreError:
    if is_disk_full(error):
        return store_error(error, "write", root)
    what = f" '{os.fsdecode(error.filename)}'" if error.filename else ""
    return StoreError(f"a system call failed{what}: {error.strerror or error}", slug="system-call")


def main() -> None:
    """Serve one front and end with it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("root", type=Path)
    parser.add_argument("id_mode")
    parser.add_argument("--control-fd", type=int, required=True)
    parser.add_argument("--zygote-fd", type=int, required=True)
    args = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.set_inheritable(args.control_fd, False)
    os.umask(0o022)
    if args.id_mode != "root":
        # whoever tries what an overlay takes must own a mount namespace; nothing is ever mounted in this one
        kernel.unshare(kernel.CLONE_NEWNS)
    channel = Channel(socket.socket(fileno=args.control_fd))
    id_mode = cast("IdMode", args.id_mode)
    with (
        open_store(args.root, id_mode=id_mode, clock=time.time) as store,  # noqa: TID251  the worker's own clock
        Launcher(args.zygote_fd) as launcher,
        RunTools(store, DEFAULT_LIMITS, id_mode=id_mode, launcher=launcher) as tools,
    ):
        Server(channel, tools).serve()
    sys.exit(0)


if __name__ == "__main__":
    main()
