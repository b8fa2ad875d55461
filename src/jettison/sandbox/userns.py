"""Subordinate id ranges -> id maps, and the start of the worker inside them: the front's side.

Owns the choice of the id mode and the handshake with ``child.py boot``. The front may have threads: it never forks by itself,
it starts a program. The worker has a session of its own and must end when its control socket reaches its end. Refuses to
start where the kernel refuses the namespace, with the reason.
"""

from __future__ import annotations

import contextlib
import marshal
import os
import pwd
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self, cast

from jettison.errors import HostError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from jettison.sandbox.spec import IdMode

CHILD_PROGRAM = Path(__file__).with_name("child.py")
_CAP_SYS_ADMIN = 1 << 21
_WHOLE = 4_294_967_295
_HINT = "run `jettison info` to see what this host lacks"


@dataclass(frozen=True, slots=True, kw_only=True)
class IdRange:
    """``count`` ids from ``start`` on."""

    start: int
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HostIds:
    """Who the caller is and which ids it may hand out; ``note`` says what is missing for a better mode."""

    uid: int
    gid: int
    uid_ranges: tuple[IdRange, ...] = ()
    gid_ranges: tuple[IdRange, ...] = ()
    is_initial_namespace: bool = True
    has_admin: bool = False
    note: str = ""


def parse_ranges(text: str, *, name: str, uid: int) -> tuple[IdRange, ...]:
    """Return the ranges of a user from the text of ``/etc/subuid`` or ``/etc/subgid``; broken lines are passed over.

    Grammar (subuid(5)): ``<login name or uid>:<first id>:<count>``.
    """
    ranges = []
    for line in text.splitlines():
        owner, _colon, rest = line.strip().partition(":")
        start, _colon, count = rest.partition(":")
        if owner in {name, str(uid)} and owner and start.isdecimal() and count.isdecimal() and int(count):
            ranges.append(IdRange(start=int(start), count=int(count)))
    return tuple(ranges)


def read_host_ids() -> HostIds:
    """Return what the host lets this process do with ids, from ``/etc/subuid``, ``/etc/subgid`` and ``/proc/self``."""
    uid, gid = os.geteuid(), os.getegid()
    status = Path("/proc/self/status").read_text()
    effective = int(status.partition("CapEff:")[2].split()[0], 16)
    extents = [line.split() for line in Path("/proc/self/uid_map").read_text().splitlines()]
    is_initial = extents == [["0", "0", str(_WHOLE)]]
    has_admin = bool(effective & _CAP_SYS_ADMIN)
    if uid == 0:
        uids, gids = (_own_ranges("/proc/self/uid_map"), _own_ranges("/proc/self/gid_map"))
        note = "" if is_initial and has_admin else "this root lives in a user namespace or lacks CAP_SYS_ADMIN"
    else:
        uids, gids, note = _subordinate_ranges(uid)
    return HostIds(
        uid=uid,
        gid=gid,
        uid_ranges=uids,
        gid_ranges=gids,
        is_initial_namespace=is_initial,
        has_admin=has_admin,
        note=note,
    )


def pick_id_mode(ids: HostIds | None = None) -> IdMode:
    """Return the best mode that the ids allow: ``root``, ``subids`` or ``single``. Nothing is tried, see ``probe``."""
    ids = ids or read_host_ids()
    if ids.uid == 0 and ids.is_initial_namespace and ids.has_admin:
        return "root"
    return "subids" if ids.uid_ranges and ids.gid_ranges else "single"


def id_map(own: int, ranges: Sequence[IdRange], *, is_root: bool) -> tuple[tuple[int, int, int], ...]:
    """Return (inside, outside, count) extents: the caller is 0, its ranges follow. As root the ids keep their numbers."""
    if is_root:
        return tuple((extent.start, extent.start, extent.count) for extent in ranges)
    extents, inside = [(0, own, 1)], 1
    for extent in ranges:
        extents.append((inside, extent.start, extent.count))
        inside += extent.count
    return tuple(extents)


class WorkerProcess:
    """A started worker: its process id and the front's end of its control socket (a stream). A context manager."""

    def __init__(self, process: subprocess.Popen[bytes], control: socket.socket) -> None:
        self._process = process
        self.socket = control
        self.pid = process.pid

    def wait(self, timeout_seconds: float | None = None) -> int | None:
        """Return its exit code (negative: the signal), None when the time is over first."""
        try:
            return self._process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        """End it at once; the zygote and all steps follow."""
        self._process.kill()

    def close(self, *, grace_seconds: float = 5.0) -> None:
        """Close the control socket and wait; a worker that stays is killed."""
        with contextlib.suppress(OSError):  # so that the end is seen though a file object still holds the socket
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        if self.wait(grace_seconds) is None:
            self.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def start_worker(
    command: Sequence[str],
    *,
    id_mode: IdMode,
    env: Mapping[str, str],
    kept: Sequence[Path] = (),
    stderr_fd: int | None = None,
) -> WorkerProcess:
    """Return the worker once its command runs. It gets ``--control-fd N --zygote-fd M`` as last arguments.

    ``command`` starts with an absolute path. ``env`` is its whole environment. ``kept`` are host paths that steps will
    need (store, contexts); when given, mounts elsewhere are dropped from the zygote's view, which makes steps quicker.

    Raises:
        HostError: ``user-namespace`` or ``id-map``: the kernel or newuidmap refused; ``worker-start``: it can't be run.

    """
    ids = read_host_ids()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    setup, setup_child = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    request = {
        "command": list(command),
        "control_fd": theirs.fileno(),
        "id_mode": id_mode,
        "kept": tuple(os.fsencode(path) for path in kept),
    }
    try:
        setup.send(marshal.dumps(request))
        process = start_child("boot", setup_child, keep=(theirs.fileno(),), env=env, stderr_fd=stderr_fd)
        worker = WorkerProcess(process, ours)
        setup_child.close()
        theirs.close()
        try:
            converse(setup, worker.pid, ids)
        except BaseException:
            setup.close()
            worker.close()
            raise
    except BaseException:
        ours.close()
        raise
    finally:
        for end in (setup, setup_child, theirs):
            end.close()
    return worker


def start_child(
    role: str,
    line: socket.socket,
    *,
    keep: tuple[int, ...] = (),
    env: Mapping[str, str] | None = None,
    stderr_fd: int | None = None,
) -> subprocess.Popen[bytes]:
    """Return the started child program in a session of its own; it inherits the line and the descriptors to keep."""
    python = sys.executable or shutil.which("python3") or "/usr/bin/python3"
    try:
        return subprocess.Popen(
            [python, "-I", "-S", "-X", "utf8", str(CHILD_PROGRAM), role, str(line.fileno())],
            pass_fds=(line.fileno(), *keep),
            env=dict(env or {}),
            stdin=subprocess.DEVNULL,
            stderr=stderr_fd,
            start_new_session=True,
        )
    except OSError as error:
        raise HostError(f"could not start '{python}': {error.strerror}", slug="worker-start") from error


def write_id_maps(pid: int, ids: HostIds) -> None:
    """Write the id maps of a process that entered a user namespace. user_namespaces(7), newuidmap(1).

    Raises:
        HostError: ``id-map``.

    """
    is_root = ids.uid == 0
    for name, own, ranges in (("uid", ids.uid, ids.uid_ranges), ("gid", ids.gid, ids.gid_ranges)):
        extents = id_map(own, ranges, is_root=is_root)
        if is_root:
            text = "\n".join(" ".join(map(str, extent)) for extent in extents)
            try:
                Path(f"/proc/{pid}/{name}_map").write_text(text)
            except OSError as error:
                raise HostError(f"the {name} map was refused: {error.strerror}", slug="id-map", hint=_HINT) from error
            continue
        program = shutil.which(f"new{name}map") or f"new{name}map"
        words = [str(number) for extent in extents for number in extent]
        try:
            done = subprocess.run([program, str(pid), *words], capture_output=True, text=True, check=False)
        except OSError as error:
            raise HostError(
                f"could not run '{program}': {error.strerror}", slug="id-map", hint="install the package uidmap"
            ) from error
        if done.returncode:
            text = done.stderr.strip()
            raise HostError(
                f"the {name} map was refused: {text}", slug="id-map", hint=f"check the ranges in /etc/sub{name}"
            )


def converse(setup: socket.socket, pid: int, ids: HostIds) -> object:
    """Answer the child's wish for id maps until its line ends; return what it found out, None for a worker.

    Raises:
        HostError: ``user-namespace``, ``id-map``, ``worker-start``.

    """
    while message := setup.recv(1 << 16):
        kind, *values = cast("tuple[str, object]", marshal.loads(message))  # noqa: S302 - from our own child
        if kind == "ids":
            write_id_maps(pid, ids)
            setup.send(b"mapped")
        elif kind == "findings":
            return values[0]
        elif values[0] == "exec":
            raise HostError(f"the worker can't be run: {os.strerror(cast('int', values[1]))}", slug="worker-start")
        else:
            call, reason = values[0], os.strerror(cast("int", values[1]))
            raise HostError(f"a user namespace was refused: {call}: {reason}", slug="user-namespace", hint=_HINT)
    return None


def _own_ranges(path: str) -> tuple[IdRange, ...]:
    extents = (line.split() for line in Path(path).read_text().splitlines())
    return tuple(IdRange(start=int(inside), count=int(count)) for inside, _outside, count in extents)


def _subordinate_ranges(uid: int) -> tuple[tuple[IdRange, ...], tuple[IdRange, ...], str]:
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = ""
    found = []
    for path in ("/etc/subuid", "/etc/subgid"):
        try:
            text = Path(path).read_text(errors="surrogateescape")
        except OSError:
            return (), (), f"there is no {path}"
        ranges = parse_ranges(text, name=name, uid=uid)
        if not ranges:
            return (), (), f"{path} has no line for '{name or uid}'"
        found.append(ranges)
    for program in ("newuidmap", "newgidmap"):
        if shutil.which(program) is None:
            return (), (), f"the program '{program}' (package uidmap) is missing"
    return found[0], found[1], ""
