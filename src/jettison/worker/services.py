"""What a front may ask of a worker, by name. The services that need no sandbox also run in the front itself when it is root."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from jettison.store.trash import empty_trash
from jettison.worker.container import run_container
from jettison.worker.layers import make_layer
from jettison.worker.rootfs import write_rootfs_directory, write_rootfs_tar
from jettison.worker.run import run_step

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jettison.worker.run import Job
    from jettison.worker.run_tools import RunTools
    from jettison.worker.tools import Tools


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request: the tools, the controls, the descriptors that came with it, and how to send notes."""

    tools: Tools
    job: Job
    fds: tuple[int, ...]
    note: Callable[[Any, tuple[int, ...]], None]


def _run(call: Call, payload: Any) -> Any:
    return run_step(_run_tools(call), payload, call.job, lambda event: call.note(event, ()))


def _container(call: Call, payload: Any) -> Any:
    return run_container(_run_tools(call), payload, call.job, call.fds, call.note)


def _layer(call: Call, payload: Any) -> Any:
    return make_layer(call.tools, payload)


def _rootfs_tar(call: Call, payload: Any) -> Any:
    return write_rootfs_tar(call.tools, payload, call.fds[0])


def _rootfs_directory(call: Call, payload: Any) -> Any:
    return write_rootfs_directory(call.tools, payload)


def _empty_trash(call: Call, payload: Any) -> Any:
    end = None if payload is None else time.monotonic() + payload
    return empty_trash(call.tools.store.path / "trash", lambda: end is not None and time.monotonic() > end)


def _run_tools(call: Call) -> RunTools:
    return cast("RunTools", call.tools)


SERVICES: Mapping[str, Callable[[Call, Any], Any]] = {
    "run": _run,
    "container": _container,
    "layer": _layer,
    "rootfs-tar": _rootfs_tar,
    "rootfs-directory": _rootfs_directory,
    "empty-trash": _empty_trash,
}
