"""``jettison run``: an image, flags and the caller's streams to the exit code of a process."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import select
import signal
import struct
import termios
import threading
import tty
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jettison.api.images import chain_of
from jettison.api.wiring import Engine, resolv_conf
from jettison.errors import UsageError
from jettison.limits import DEFAULT_PATH
from jettison.oci.config import parse_config
from jettison.store.root import container_lock
from jettison.worker.container import ContainerEnded, ContainerSpec, ContainerStarted, VolumeSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jettison.api.request import ContainerRequest, Settings
    from jettison.oci.config import RuntimeConfig
    from jettison.store.images import ImageRecord
    from jettison.worker.client import Call, WorkerClient

_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
_STOPS = frozenset({signal.SIGINT, signal.SIGTERM})
_STOPS_TO_KILL = 3


def run_container(request: ContainerRequest, settings: Settings) -> int:
    """Run a container of the image to its end and return its exit code (128 + n for signal n).

    Raises:
        ImageNotFoundError: no such image.
        UsageError: a flag that can't be done on the host's network, a volume that is not there, no command at all.
        JettisonError: the container could not be started.

    """
    with Engine(settings) as engine:
        image_id = engine.store.images.resolve(request.image)
        record = engine.store.images.get(image_id)
        assert record is not None, "an image that resolves has a record"
        config = parse_config(record.config).config
        _check_ports(request.ports)
        container_id = secrets.token_hex(32)
        spec = _spec(engine, request, record, config, container_id)
        with engine.store.locks.exclusive(container_lock(container_id)):
            ended = _run(engine.client, spec, request)
            if spec.is_kept and ended.layer_id is not None:
                _keep(engine, request, container_id, image_id, ended)
        return ended.status.code


def _spec(
    engine: Engine, request: ContainerRequest, record: ImageRecord, config: RuntimeConfig, container_id: str
) -> ContainerSpec:
    columns, rows = os.get_terminal_size(_terminal_fd()) if request.has_terminal else (80, 24)
    return ContainerSpec(
        chain=chain_of(engine, record),
        args=_arguments(request, config),
        env=_environment(request, config, engine.settings),
        cwd=_workdir(request, config),
        user=request.user if request.user is not None else config.user,
        hostname=request.name or container_id[:12],
        volumes=tuple(_volume(text) for text in request.volumes),
        network=request.network,
        host_bundle=engine.host_bundle() if request.network == "host" else b"",
        resolv_conf=resolv_conf(),
        has_terminal=request.has_terminal,
        rows=rows,
        columns=columns,
        is_kept=not request.is_removed,
    )


def _workdir(request: ContainerRequest, config: RuntimeConfig) -> str:
    path = request.workdir or config.working_dir or "/"
    if not path.startswith("/"):
        raise UsageError(f"-w: the working directory {path!r} is not absolute", hint=f"write /{path}")
    return path


def _arguments(request: ContainerRequest, config: RuntimeConfig) -> tuple[str, ...]:
    if request.entrypoint is not None:
        head: tuple[str, ...] = (request.entrypoint,) if request.entrypoint else ()
        tail = request.args
    else:
        head = config.entrypoint or ()
        tail = request.args or config.cmd or ()
    arguments = (*head, *tail)
    if not arguments:
        raise UsageError(
            f"the image {request.image!r} names no command", slug="no-command", hint="give one after the image's name"
        )
    return arguments


def _environment(request: ContainerRequest, config: RuntimeConfig, settings: Settings) -> tuple[tuple[str, str], ...]:
    found = {"PATH": DEFAULT_PATH}
    for text in config.env:
        name, _, value = text.partition("=")
        found[name] = value
    for text in request.env:
        name, equals, value = text.partition("=")
        if not name:
            raise UsageError(f"-e takes NAME[=VALUE], not {text!r}")
        if equals:
            found[name] = value
        elif name in settings.environment:
            found[name] = settings.environment[name]
    return tuple(found.items())


def _check_ports(ports: tuple[str, ...]) -> None:
    """Refuse what the host's network can't give.

    Raises:
        UsageError: ``port-mapping``: the host's and the container's port differ; or a malformed word.

    """
    for text in ports:
        body, _, protocol = text.partition("/")
        parts = body.rsplit(":", 2)
        numbers = parts[-2:] if len(parts) > 1 else parts
        if not all(part.isdigit() and 0 < int(part) < 65536 for part in numbers) or protocol not in {"", "tcp", "udp"}:
            raise UsageError(f"-p takes [ADDRESS:]HOST:CONTAINER, not {text!r}", slug="port-mapping")
        if len(numbers) == 2 and numbers[0] != numbers[1]:
            raise UsageError(
                f"port {numbers[1]} can't appear as {numbers[0]}: containers share the host's network",
                slug="port-mapping",
                hint=f"let the program listen on {numbers[0]} (often -e PORT={numbers[0]}) and use -p {numbers[0]}:{numbers[0]}",
            )


def _volume(text: str) -> VolumeSpec:
    parts = text.split(":")
    if not 2 <= len(parts) <= 3 or not parts[0] or not parts[1].startswith("/"):
        raise UsageError(f"-v takes DIR:PATH[:ro], not {text!r}", hint="PATH is absolute, inside the container")
    options = set(parts[2].split(",")) if len(parts) == 3 else set()
    if options - {"ro", "rw"}:
        raise UsageError(f"-v: unknown option {min(options - {'ro', 'rw'})!r} in {text!r}", hint="ro or rw")
    source = Path(parts[0]).absolute()
    if not parts[0].startswith(("/", ".", "~")):
        raise UsageError(
            f"-v: {parts[0]!r} is a volume name, and there are no named volumes",
            hint=f"for a directory write ./{parts[0]}",
        )
    if not source.exists():
        raise UsageError(f"-v: {parts[0]!r} does not exist on this host", hint="make the directory first")
    return VolumeSpec(source=str(source), target=parts[1], is_read_only="ro" in options)


def _run(client: WorkerClient, spec: ContainerSpec, request: ContainerRequest) -> ContainerEnded:
    terminal = _Terminal()
    fds: tuple[int, ...] = ()
    null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if not spec.has_terminal:
            fds = (0 if request.is_interactive else null, 1, 2)
        with _forwarding(client) as forward:
            call = client.begin("container", spec, listener=terminal.note, fds=fds)
            forward(call)
            with (
                terminal.attached(client, call, is_interactive=request.is_interactive)
                if spec.has_terminal
                else _nothing()
            ):
                ended = client.wait(call)
    finally:
        os.close(null)
    assert isinstance(ended, ContainerEnded), "the service's answer"
    return ended


@contextmanager
def _nothing() -> Iterator[None]:
    yield


@contextmanager
def _forwarding(client: WorkerClient) -> Iterator[Any]:
    """Send the signals that this process gets on to the container; only the main thread can, others go without."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda _: None
        return
    calls: list[Call] = []
    stops: list[int] = []

    def handle(number: int, _frame: object) -> None:
        if number in _STOPS:
            stops.append(number)
        for call in calls:
            # a first process without a handler ignores signals: who asks three times means it
            client.control(call, *(("kill",) if len(stops) >= _STOPS_TO_KILL else ("signal", number)))

    earlier = {number: signal.signal(number, handle) for number in _FORWARDED}
    try:
        yield calls.append
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


class _Terminal:
    """Joins the caller's terminal and the container's: bytes both ways, size, raw mode."""

    def __init__(self) -> None:
        self._master = -1
        self._started = threading.Event()

    def note(self, payload: Any, fds: tuple[int, ...]) -> None:
        """Take the container's terminal when it starts."""
        if isinstance(payload, ContainerStarted) and fds:
            self._master = fds[0]
        self._started.set()

    @contextmanager
    def attached(self, client: WorkerClient, call: Call, *, is_interactive: bool) -> Iterator[None]:
        """Copy bytes between the terminals while the block waits for the end; the caller's mode is restored."""
        outer = _terminal_fd()
        while not self._started.wait(0.05):
            if call.is_over.is_set():
                break
        if self._master < 0:
            yield
            return
        saved = termios.tcgetattr(outer)
        stop_read, stop_write = os.pipe2(os.O_CLOEXEC)
        copier = threading.Thread(target=self._copy, args=(outer, stop_read, is_interactive), daemon=True)
        resized = signal.signal(signal.SIGWINCH, lambda *_: self._resize(client, call, outer))
        try:
            tty.setraw(outer)
            copier.start()
            yield
        finally:
            os.close(stop_write)
            copier.join(timeout=2)
            os.close(stop_read)
            signal.signal(signal.SIGWINCH, resized)
            termios.tcsetattr(outer, termios.TCSADRAIN, saved)
            os.close(self._master)

    def _copy(self, outer: int, stop: int, is_interactive: bool) -> None:  # noqa: FBT001  a thread's argument
        sources = [self._master, stop, *([outer] if is_interactive else [])]
        is_ending = False
        while True:
            ready, _, _ = select.select(sources, [], [], 0.2 if is_ending else None)
            if is_ending and self._master not in ready:
                return
            if stop in ready:
                is_ending = True
                sources = [self._master]
            if self._master in ready and not self._pass_on(self._master, 1):
                return
            if outer in ready and outer in sources and not self._pass_on(outer, self._master):
                sources.remove(outer)

    @staticmethod
    def _pass_on(source: int, sink: int) -> bool:
        try:
            data = os.read(source, 1 << 16)
            view = memoryview(data)
            while view:
                view = view[os.write(sink, view) :]
        except OSError:
            return False
        return bool(data)

    def _resize(self, client: WorkerClient, call: Call, outer: int) -> None:
        rows, columns, _, _ = struct.unpack("4H", fcntl.ioctl(outer, termios.TIOCGWINSZ, b"\0" * 8))
        client.control(call, "resize", rows, columns)


def _terminal_fd() -> int:
    return next((fd for fd in (0, 1, 2) if os.isatty(fd)), 0)


def _keep(engine: Engine, request: ContainerRequest, container_id: str, image_id: str, ended: ContainerEnded) -> None:
    """Write down a container that was not to be removed: its image and the layer of its changes."""
    document = {
        "id": container_id,
        "name": request.name,
        "image": image_id,
        "layer": ended.layer_id,
        "exit_code": ended.status.code,
    }
    directory = engine.store.container_dir(container_id)
    staged = directory / "container.json.tmp"
    staged.write_text(json.dumps(document))
    staged.rename(directory / "container.json")
