"""A RUN in the worker process: chain of layers in, sandbox around the command, the new layer out.

The output goes to the step's log whole and to the front in pieces. What the step changed becomes visible only as a committed
layer; a failed or killed step leaves nothing but its log.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jettison.errors import CancelledError, StepError
from jettison.events import OpOutput
from jettison.guestpath import GuestPath
from jettison.limits import DEFAULT_PATH
from jettison.sandbox.spec import MountSpec, SandboxSpec, etc_files
from jettison.sandbox.trust import IMAGE_BUNDLES, Trust, make_trust
from jettison.solver.task import Chain, LayerResult, Result
from jettison.worker.mounts import open_mounts
from jettison.worker.output import StepLog, pump
from jettison.worker.owners import Accounts
from jettison.worker.users import resolve_user

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Literal

    from jettison.events import Emit
    from jettison.plan.ops import RunOp
    from jettison.sandbox.launch import RunningSandbox
    from jettison.sandbox.spec import ExitStatus
    from jettison.snapshot.union import Union
    from jettison.worker.mounts import MountSource
    from jettison.worker.run_tools import RunTools

_BUNDLE_BYTES = 4 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """What the front sends with a RunOp: its chain, and what must not be in the op (secrets, proxies, the company's CA).

    ``sources`` gives the files of each bind mount or cache seed by its target. ``host_bundle`` holds the certificates that
    the caller's environment names (empty: nothing to add). ``resolv_conf`` is the host's.
    """

    index: int
    op: RunOp
    chain: Chain
    sources: Mapping[str, MountSource]
    log_path: Path
    secrets: Mapping[str, bytes]
    proxies: tuple[tuple[str, str], ...]
    host_bundle: bytes
    network: Literal["host", "none"]
    resolv_conf: bytes


class Job:
    """A request under way, as its controls see it: kill and signal reach the sandbox once there is one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sandbox: RunningSandbox | None = None
        self.is_cancelled = False

    def attach(self, sandbox: RunningSandbox) -> None:
        """Name the sandbox that controls act on; one that was cancelled before is killed now."""
        with self._lock:
            self._sandbox = sandbox
            if self.is_cancelled:
                sandbox.kill()

    def control(self, action: str, values: tuple[int, ...]) -> None:
        """Do what the front asks: ``kill``, ``signal`` or ``resize``."""
        with self._lock:
            if action == "kill":
                self.is_cancelled = True
            sandbox = self._sandbox
        if sandbox is None:
            return
        if action == "kill":
            sandbox.kill()
        elif action == "signal":
            sandbox.signal(*values)
        elif action == "resize":
            sandbox.resize(*values)


def run_step(tools: RunTools, request: RunRequest, job: Job, emit: Emit) -> Result:
    """Return the layer that the step made.

    Raises:
        StepError: the command failed (``step-failed``), was killed by a signal (``step-signalled``), ran out of memory
            (``step-oom``) or could not be started (``step-not-started``).
        CancelledError: the front cancelled it.

    """
    op = request.op
    with ExitStack() as stack:
        union = tools.union(request.chain)
        user = resolve_user(Accounts(union, tools.content.read_bytes, tools.limits), op.user)
        driver = tools.driver_for(request.chain)
        rootfs = stack.enter_context(driver.prepare([layer.layer_id for layer in request.chain]))
        mounts = stack.enter_context(open_mounts(tools, op.mounts, request.sources, request.secrets))
        environment = _environment(op, user.home, (*request.proxies, *mounts.environment))
        trust = trust_of(tools, union, request.host_bundle, environment)
        spec = SandboxSpec(
            args=op.args,
            env=tuple({**environment, **dict(trust.env)}.items()),
            cwd=op.cwd,
            lowers=tuple(str(path) for path in rootfs.lowers),
            upper=str(rootfs.upper),
            work=str(rootfs.work),
            root=str(rootfs.root or ""),
            uid=user.uid,
            gid=user.gid,
            groups=user.groups,
            mounts=(*etc_files(resolv_conf=request.resolv_conf), *mounts.specs, *trust.mounts, *_scripts(op)),
            network=request.network,
            id_mode=tools.id_mode,
        )
        log = stack.enter_context(StepLog(request.log_path, tools.limits.log_tail_lines))
        started_ns = time.time_ns()
        status, stubs = _execute(tools, spec, job, _Listener(log, request.index, emit), mounts.masked)
        if job.is_cancelled:
            raise CancelledError("cancelled")
        _judge(status, op, log)
        layer = driver.commit(rootfs, started_ns=started_ns, is_reproducible=op.is_reproducible, stubs=stubs)
    return Result(
        layers=(LayerResult(layer_id=layer.layer_id, content_digest=layer.content_digest, size_bytes=layer.size_bytes),)
    )


def trust_of(tools: RunTools, union: Union, host_bundle: bytes, environment: Mapping[str, str]) -> Trust:
    """Return what makes the step trust the host's authorities beside the image's; nothing when the host names none."""
    if not host_bundle:
        return Trust()
    image_bundle = b""
    for path in IMAGE_BUNDLES:
        found = union.lookup(union.resolve(GuestPath(path)).key)
        if found is not None and found.entry.digest and found.entry.size <= _BUNDLE_BYTES:
            image_bundle = tools.content.read_bytes(found.entry, found.ref, _BUNDLE_BYTES)
            break
    return make_trust(host_bundle=host_bundle, image_bundle=image_bundle, step_env=environment)


class _Listener:
    """Takes pieces of output: to the log first, then to the front."""

    def __init__(self, log: StepLog, index: int, emit: Emit) -> None:
        self._log = log
        self._index = index
        self._emit = emit

    def __call__(self, stream: Literal["stdout", "stderr"], data: bytes) -> None:
        self._log.write(data)
        self._emit(OpOutput(at=time.monotonic(), op=self._index, stream=stream, data=data))


def _execute(
    tools: RunTools, spec: SandboxSpec, job: Job, listener: _Listener, masked: tuple[bytes, ...]
) -> tuple[ExitStatus, tuple[bytes, ...]]:
    out_read, out_write = os.pipe2(os.O_CLOEXEC)
    err_read, err_write = os.pipe2(os.O_CLOEXEC)
    try:
        sandbox = tools.launcher.start(spec, stdout_fd=out_write, stderr_fd=err_write)
    except BaseException:
        os.close(out_read)
        os.close(err_read)
        raise
    finally:
        os.close(out_write)
        os.close(err_write)
    with sandbox:
        job.attach(sandbox)
        pump(out_read, err_read, masked, listener)
        status = sandbox.wait()
        assert status is not None, "waiting without a limit ends with the step"
        return status, sandbox.stubs


def _environment(op: RunOp, home: str, added: tuple[tuple[str, str], ...]) -> dict[str, str]:
    """Return the step's variables: the op's, what is added beside the key, HOME and PATH where nothing says otherwise."""
    environment = dict(op.env)
    for name, value in added:
        environment.setdefault(name, value)
    environment.setdefault("PATH", DEFAULT_PATH)
    environment.setdefault("HOME", home)
    return environment


def _scripts(op: RunOp) -> tuple[MountSpec, ...]:
    return tuple(
        MountSpec(kind="file", target=f"/dev/pipes/{script.name}", data=script.data, mode=0o755, is_read_only=True)
        for script in op.scripts
    )


def _judge(status: ExitStatus, op: RunOp, log: StepLog) -> None:
    """Raise the error that the end of the command calls for.

    Raises:
        StepError: it did not end with 0.

    """
    if status.code == 0:
        return
    shown = " ".join(op.args[2:] if len(op.args) > 2 and op.args[1] == "-c" else op.args)
    shown = shown if len(shown) <= 80 else shown[:79] + "…"
    if status.reason:
        message, slug, hint = f"'{shown}' could not be started: {status.reason}", "step-not-started", _start_hint(op)
    elif status.is_oom:
        message, slug, hint = (
            f"'{shown}' was killed: out of memory",
            "step-oom",
            "give the build more memory, or run fewer jobs in this step",
        )
    elif status.signal:
        name = signal.Signals(status.signal).name if status.signal in set(signal.Signals) else str(status.signal)
        message, slug, hint = f"'{shown}' was killed by {name}", "step-signalled", None
    else:
        message, slug, hint = f"'{shown}' ended with exit code {status.code}", "step-failed", None
    raise StepError(message, slug=slug, hint=hint, exit_code=status.code, tail=log.tail(), log_path=str(log.path))


def _start_hint(op: RunOp) -> str:
    program = op.args[0] if op.args else ""
    if program in {"/bin/sh", "sh"}:
        return "the stage has no shell: use the exec form, or run this in a stage that has one"
    return f"check that '{program}' exists in this stage, is executable and fits the platform"
