"""A container in the worker process: like a RUN, but with the caller's own streams or a terminal, and its files kept or not."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from jettison.sandbox.spec import ExitStatus, MountSpec, SandboxSpec, etc_files
from jettison.worker.owners import Accounts
from jettison.worker.run import trust_of
from jettison.worker.users import resolve_user

if TYPE_CHECKING:
    from collections.abc import Callable

    from jettison.digest import LayerId
    from jettison.solver.task import Chain
    from jettison.worker.run import Job
    from jettison.worker.run_tools import RunTools


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeSpec:
    """A directory or file of the host inside the container."""

    source: str
    target: str
    is_read_only: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSpec:
    """What the front sends: the image's layers and everything that its config and the flags came to.

    ``is_kept`` makes what the container changed a layer of the store.
    """

    chain: Chain
    args: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    cwd: str
    user: str
    hostname: str
    volumes: tuple[VolumeSpec, ...]
    network: Literal["host", "none"]
    host_bundle: bytes
    resolv_conf: bytes
    has_terminal: bool
    rows: int
    columns: int
    is_kept: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerStarted:
    """A note to the front: the process runs; with a terminal its master comes along as a descriptor."""

    pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerEnded:
    """How the process ended, and the layer of what it changed, if that was wanted."""

    status: ExitStatus
    layer_id: LayerId | None


def run_container(
    tools: RunTools,
    spec: ContainerSpec,
    job: Job,
    fds: tuple[int, ...],
    note: Callable[[ContainerStarted, tuple[int, ...]], None],
) -> ContainerEnded:
    """Run the process to its end. ``fds`` are standard input, output and error (none with a terminal).

    Raises:
        StepError: ``unknown-user``, ``unknown-group``.
        SandboxError: the sandbox could not be made.

    """
    with ExitStack() as stack:
        union = tools.union(spec.chain)
        user = resolve_user(Accounts(union, tools.content.read_bytes, tools.limits), spec.user)
        driver = tools.driver_for(spec.chain)
        rootfs = stack.enter_context(driver.prepare([layer.layer_id for layer in spec.chain]))
        environment = dict(spec.env)
        environment.setdefault("HOME", user.home)
        if spec.has_terminal:
            environment.setdefault("TERM", "xterm")
        trust = trust_of(tools, union, spec.host_bundle, environment)
        volumes = tuple(
            MountSpec(kind="bind", target=item.target, source=item.source, is_read_only=item.is_read_only)
            for item in spec.volumes
        )
        sandbox_spec = SandboxSpec(
            args=spec.args,
            env=tuple({**environment, **dict(trust.env)}.items()),
            cwd=spec.cwd,
            makes_cwd=True,
            lowers=tuple(str(path) for path in rootfs.lowers),
            upper=str(rootfs.upper),
            work=str(rootfs.work),
            root=str(rootfs.root or ""),
            uid=user.uid,
            gid=user.gid,
            groups=user.groups,
            mounts=(*etc_files(hostname=spec.hostname, resolv_conf=spec.resolv_conf), *volumes, *trust.mounts),
            network=spec.network,
            hostname=spec.hostname,
            has_terminal=spec.has_terminal,
            terminal_rows=spec.rows,
            terminal_columns=spec.columns,
            id_mode=tools.id_mode,
        )
        streams = dict(zip(("stdin_fd", "stdout_fd", "stderr_fd"), fds, strict=False))
        with tools.launcher.start(sandbox_spec, **streams) as sandbox:
            job.attach(sandbox)
            note(
                ContainerStarted(pid=sandbox.pid),
                (sandbox.terminal_fd,) if sandbox.terminal_fd >= 0 else (),
            )
            status = sandbox.wait()
            assert status is not None, "waiting without a limit ends with the process"
            stubs = sandbox.stubs
        layer_id = None
        if spec.is_kept:
            layer_id = driver.commit(rootfs, started_ns=0, is_reproducible=False, stubs=stubs).layer_id
        return ContainerEnded(status=status, layer_id=layer_id)
