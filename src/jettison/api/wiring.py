"""Settings to working parts: the one place that opens stores and starts workers."""

from __future__ import annotations

import os
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import jettison
from jettison.errors import HostError, JettisonError, UsageError
from jettison.platform import normal_platform
from jettison.sandbox.trust import wanted_bundle
from jettison.sandbox.userns import pick_id_mode, start_worker
from jettison.store.gc import sweep
from jettison.store.lease import owner_of
from jettison.store.root import open_store
from jettison.worker.client import WorkerClient, environment_for_worker
from jettison.worker.run import Job
from jettison.worker.services import SERVICES, Call
from jettison.worker.tools import Tools

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from jettison.api.request import Settings
    from jettison.digest import LayerId
    from jettison.platform import Platform
    from jettison.sandbox.spec import IdMode
    from jettison.sandbox.userns import WorkerProcess

_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
_BUNDLE_BYTES = 8 << 20
_TIDY_SECONDS = 0.25


class Engine:
    """An open store with what reads it, and a worker process that starts when it is first needed. A context manager."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.id_mode: IdMode = pick_id_mode() if settings.id_mode == "auto" else settings.id_mode
        self._stack = ExitStack()
        self.store = self._stack.enter_context(open_store(settings.root, id_mode=self.id_mode, clock=time.time))
        self.tools = self._stack.enter_context(Tools(self.store, settings.limits))
        self.client = WorkerClient(self._start_worker)
        self._stack.callback(self.client.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def call(
        self, service: str, payload: Any, fds: tuple[int, ...] = (), *, reads: Iterable[LayerId] | None = None
    ) -> Any:
        """Return what a service of ``worker.services`` gives: done here as root, else inside the user namespace.

        Only for services that need no sandbox. One that only ``reads`` the named layers is done here as well when no step's
        tree is among them: without a RUN there is no worker and no namespace.
        """
        if self.id_mode == "root" or (reads is not None and not self._has_trees(reads)):
            return SERVICES[service](Call(tools=self.tools, job=Job(), fds=fds, note=_no_note), payload)
        return self.client.wait(self.client.begin(service, payload, listener=_no_note, fds=fds))

    def _has_trees(self, layers: Iterable[LayerId]) -> bool:
        """Tell whether content of the layers lies in a tree that a step made, where files may belong to other ids."""
        store = self.store.layers
        return any(store.is_made_as_directory(one) for layer in layers for one in (layer, *store.depends_on(layer)))

    def tidy(self) -> None:
        """Remove for a moment what was thrown away; the rest waits for the next build or a prune.

        A big tree is never removed in a user's time: on ext4 whoever creates files next pays for it as well.
        """
        with suppress(JettisonError, OSError):
            ours = self.store.core.lease.id
            if any(owner_of(path.name) != ours for path in (self.store.path / "tmp").iterdir()):
                sweep(self.store)
            if self.id_mode == "root" or not self.client.is_started:
                SERVICES["empty-trash"](Call(tools=self.tools, job=Job(), fds=(), note=_no_note), _TIDY_SECONDS)
            else:
                self.call("empty-trash", _TIDY_SECONDS)

    def host_bundle(self) -> bytes:
        """Return the certificates that the caller's environment asks steps to trust; empty for none.

        Raises:
            UsageError: the configured bundle can't be read (slug ``ca-bundle``).

        """
        setting = self.settings.ca_bundle
        if setting == "off":
            return b""
        path = wanted_bundle(self.settings.environment) if setting == "auto" else setting
        if not path:
            return b""
        try:
            with Path(path).open("rb") as file:
                return file.read(_BUNDLE_BYTES)
        except OSError as error:
            if setting == "auto":
                return b""
            raise UsageError(
                f"can't read the CA bundle {path!r}: {error.strerror}",
                slug="ca-bundle",
                hint="mend ca_bundle in the configuration",
            ) from error

    def proxies(self, build_args: dict[str, str]) -> tuple[tuple[str, str], ...]:
        """Return the proxy variables of steps: build arguments first, then the caller's environment; both spellings."""
        found: dict[str, str] = {}
        for name in _PROXIES:
            for spelling in (name, name.lower()):
                value = build_args.get(spelling) or self.settings.environment.get(spelling)
                if value:
                    found[spelling] = value
        return tuple(found.items())

    def _start_worker(self) -> WorkerProcess:
        if not sys.executable:
            raise HostError("the path of the Python interpreter is unknown", slug="worker-start")
        package = Path(jettison.__file__).parent.parent
        paths = [str(package), *(entry for entry in sys.path if entry and entry != str(package))]
        environment = environment_for_worker(self.settings.environment)
        environment["PYTHONPATH"] = os.pathsep.join(paths)
        command = [sys.executable, "-m", "jettison.worker.main", str(self.store.path), self.id_mode]
        return start_worker(command, id_mode=self.id_mode, env=environment)


def host_platform() -> Platform:
    """Return the platform that this process runs on."""
    return normal_platform("linux", os.uname().machine, "")


def resolv_conf() -> bytes:
    """Return the host's resolver configuration; empty where there is none."""
    try:
        return Path("/etc/resolv.conf").read_bytes()
    except OSError:
        return b""


def _no_note(payload: Any, fds: tuple[int, ...]) -> None:
    del payload
    for fd in fds:
        os.close(fd)
