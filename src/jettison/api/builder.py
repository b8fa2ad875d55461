"""A build from request to image: parse, graph, lower until nothing is needed, solve, assemble, export."""

from __future__ import annotations

import json
import os
import secrets
import signal
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from jettison import events
from jettison.api import memo
from jettison.api.arguments import platform_of, tag_of
from jettison.api.assemble import assemble_image
from jettison.api.bases import resolve_needs
from jettison.api.directives import check_syntax, counted_warnings
from jettison.api.output import write_outputs
from jettison.api.phases import phase
from jettison.api.request import BuildRequest, BuildResult, Settings, StepResult
from jettison.api.source import find_dockerfile, find_epoch, read_dockerfile
from jettison.api.wiring import Engine, host_platform, resolv_conf
from jettison.context.ignorefile import find_ignore_file
from jettison.context.local import LocalContext
from jettison.errors import CancelledError, JettisonError, StoreError, UsageError
from jettison.events import Emit, ignore_event
from jettison.fastpath.statcache import StatCache
from jettison.graph.build import build_graph
from jettison.graph.scope import Platforms
from jettison.plan.lower import lower
from jettison.plan.options import LowerOptions
from jettison.plan.plan import Needs, Plan
from jettison.solver.cache import Cache
from jettison.solver.executor import ThreadExecutor
from jettison.solver.solve import Environment, Stop, solve
from jettison.span import nearest_name
from jettison.store.history import BuildEntry
from jettison.worker.worker import OpWorker, RunSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from jettison.api.request import SecretSource
    from jettison.context.ignorefile import IgnoreFile
    from jettison.dockerfile.nodes import Dockerfile, ParseWarning
    from jettison.graph.stage import Graph
    from jettison.plan.plan import BaseImage
    from jettison.solver.solve import Solution
    from jettison.store.root import Store


def build_image(
    request: BuildRequest, settings: Settings, emit: Emit = ignore_event, *, command: Sequence[str] | None = None
) -> BuildResult:
    """Build what the request asks for and write its outputs.

    ``command`` are the words under which the memo keeps the answer (the command line's); None takes the request itself.

    Raises:
        JettisonError: of every family; nothing half-made is visible.

    """
    started = time.monotonic()
    words = command if command is not None else memo.words_of(request)
    answer = memo.recall(request, settings, words)
    if answer is not None:
        memo.emit_answer(answer, emit, started)
        return answer
    began = memo.begin(settings)
    with Engine(settings) as engine:
        build = _Build(engine, request, emit)
        try:
            result = build.run(started)
        except BaseException as error:
            engine.tidy()  # first: on a full disk it makes the room to write the history
            with suppress(StoreError):  # what happened to the build is what the caller must hear
                build.note_end(started, _status_of(error), None)
            raise
        build.note_end(started, "done", result)
        if memo.is_memoable(request) and not any(step.reason == "ran" for step in result.steps):
            memo.keep(settings, words, build.reads(), result, began)
        engine.tidy()
        return result


def load_graph(request: BuildRequest, settings: Settings) -> Graph:
    """Return the graph of the request's Dockerfile; nothing is resolved or built."""
    dockerfile = read_dockerfile(request, find_dockerfile(request), settings.limits)
    return _graph(request, settings, dockerfile)[0]


def render_graph(request: BuildRequest, settings: Settings, form: str) -> str:
    """Return the stages and edges as ``text``, ``mermaid``, ``dot`` or ``json``."""
    from jettison.graph import dot, mermaid, text
    from jettison.graph.document import graph_document

    graph = load_graph(request, settings)
    match form:
        case "mermaid":
            return mermaid.render_mermaid(graph)
        case "dot":
            return dot.render_dot(graph)
        case "json":
            return json.dumps(graph_document(graph), indent=2)
        case _:
            return text.render_text(graph)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reads:
    """What a build read outside the store, for the memo."""

    dockerfile: Path | None
    ignore_file: IgnoreFile
    context: LocalContext
    variables: tuple[str, ...]


class _Build:
    def __init__(self, engine: Engine, request: BuildRequest, emit: Emit) -> None:
        self._engine = engine
        self._request = request
        self._emit = emit
        self._build_id = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{secrets.token_hex(4)}"
        self._stack = ExitStack()
        self._reads: Reads | None = None
        self._names: Mapping[int, StepResult] = {}

    def run(self, started: float) -> BuildResult:
        engine, request = self._engine, self._request
        tags = tuple(tag_of(text) for text in request.tags)
        path = find_dockerfile(request)
        dockerfile = read_dockerfile(request, path, engine.settings.limits)
        graph, build_args, platforms = _graph(request, engine.settings, dockerfile)
        epoch = find_epoch(request, engine.settings.environment)
        options = LowerOptions(
            target_platform=platforms.target,
            build_platform=platforms.build,
            build_args=build_args,
            labels=request.labels,
            is_reproducible=epoch is not None or "SOURCE_DATE_EPOCH" in build_args,
            source_date_epoch=epoch,
            no_cache=request.no_cache,
            no_cache_filter=frozenset(request.no_cache_filter),
            default_network=request.network,
        )
        _check_filter(request, graph)
        plan = self._lower(graph, options)
        self._warn(graph, plan, build_args)
        with ExitStack() as stack:
            context = self._open_context(stack, path)
            worker = OpWorker(engine.tools, {"": context}, engine.client, self._run_settings(build_args), time.time_ns)
            solution = self._solve(plan, worker)
            image = assemble_image(engine, plan, solution, clock=time.time, emit=self._emit)
            digests = write_outputs(engine, request, tags, image, self._emit)
        steps = tuple(
            StepResult(
                name=plan.steps[position].name, stage=plan.steps[position].stage, reason=solution.reasons[position]
            )
            for position in sorted(solution.reasons)
        )
        seconds = time.monotonic() - started
        ran = sum(step.reason == "ran" for step in steps)
        names = tuple(tag.familiar for tag in tags)
        self._emit(
            events.BuildFinished(
                at=time.monotonic(),
                image_id=image.image_id,
                tags=names,
                seconds=seconds,
                ran=ran,
                cached=len(steps) - ran,
            )
        )
        return BuildResult(
            image_id=image.image_id,
            tags=names,
            steps=steps,
            seconds=seconds,
            manifest_digest=digests.manifest,
            skipped_stages=plan.skipped_stages,
            metadata=digests.metadata(image, names),
        )

    def reads(self) -> Reads:
        assert self._reads is not None, "a build that succeeded has read its context"
        return self._reads

    def note_end(self, started: float, status: str, result: BuildResult | None) -> None:
        """Write the build into the history, whatever became of it."""
        entry = BuildEntry(
            build_id=self._build_id,
            started=time.time() - (time.monotonic() - started),
            seconds=time.monotonic() - started,
            status=status,
            tags=self._request.tags,
            target=self._request.target or "",
            image_id=result.image_id if result else "",
            steps=json.dumps([[step.name, step.stage, step.reason] for step in result.steps] if result else []),
        )
        self._engine.store.history.add_build(entry)

    def _lower(self, graph: Graph, options: LowerOptions) -> Plan:
        bases: dict[tuple[str, str], BaseImage] = {}
        while True:
            plan = lower(graph, bases, options)
            if isinstance(plan, Plan):
                return plan
            assert isinstance(plan, Needs), "lowering gives a plan or its needs"
            bases.update(
                resolve_needs(self._engine, plan, host_platform(), emit=self._emit, is_pulling=self._request.pull)
            )

    def _open_context(self, stack: ExitStack, path: Path | None) -> LocalContext:
        engine = self._engine
        directory = self._request.context
        if not directory.is_dir():
            directory = engine.store.path / "empty"
            directory.mkdir(exist_ok=True)
        directory = directory.resolve()
        ignore_file = find_ignore_file(directory, path, limits=engine.settings.limits)
        caches = engine.store.path / "contexts"
        caches.mkdir(mode=0o700, exist_ok=True)
        cache = StatCache(str(caches / sha256(os.fsencode(directory)).hexdigest()))
        context = stack.enter_context(
            LocalContext(directory, rules=ignore_file.rules, cache=cache, clock_ns=time.time_ns)
        )
        stack.callback(_save_quietly, cache)
        variables = ("SOURCE_DATE_EPOCH", *(name for name, value in self._request.build_args.items() if value is None))
        self._reads = Reads(dockerfile=path, ignore_file=ignore_file, context=context, variables=variables)
        return context

    def _run_settings(self, build_args: dict[str, str]) -> RunSettings:
        engine = self._engine
        return RunSettings(
            log_dir=engine.store.log_dir(self._build_id),
            secrets=_read_secrets(self._request.secrets, engine.settings),
            proxies=engine.proxies(build_args),
            host_bundle=engine.host_bundle(),
            resolv_conf=resolv_conf(),
            network=engine.settings.network,
        )

    def _solve(self, plan: Plan, worker: OpWorker) -> Solution:
        engine = self._engine
        size = engine.settings.limits.parallel_ops or max(os.cpu_count() or 1, 4)
        executor = ThreadExecutor(size)
        guard = _StoreGuard(engine.store, self._emit)
        environment = Environment(
            worker=worker,
            cache=Cache(engine.store.records, engine.store.layers.has),
            executor=executor,
            guard=guard,
            emit=self._emit,
            clock=time.monotonic,
            build_id=self._build_id,
            stop=Stop(),
        )
        try:
            with _stopping(environment.stop, guard):
                return solve(plan, environment)
        except BaseException:
            guard.is_cancelled.set()
            worker.cancel()
            raise
        finally:
            guard.is_cancelled.set()
            executor.close()
            with phase(self._emit, "sync", "waiting for the disk"):
                engine.store.sync()

    def _warn(self, graph: Graph, plan: Plan, build_args: Mapping[str, str]) -> None:
        warnings: tuple[ParseWarning, ...] = (
            *graph.dockerfile.warnings,
            *graph.warnings,
            *plan.warnings,
        )
        for warning in counted_warnings(graph.dockerfile, warnings, build_args):
            self._emit(
                events.Warned(at=time.monotonic(), slug=warning.rule, message=warning.message, where=str(warning.span))
            )


class _StoreGuard:
    """One builder per op over all processes that share the store; a wait for another is said aloud."""

    def __init__(self, store: Store, emit: Emit) -> None:
        self._store = store
        self._emit = emit
        self.is_cancelled = threading.Event()

    @contextmanager
    def exclusive(self, key: str) -> Iterator[None]:
        """Hold the op of this key.

        Raises:
            CancelledError: the build was cancelled while it waited.

        """
        with self._store.locks.exclusive(f"op/{key}", on_wait=self._say, is_cancelled=self.is_cancelled.is_set):
            yield

    def _say(self) -> None:
        self._emit(
            events.Warned(
                at=time.monotonic(), slug="waiting", message="waiting for another build that does the same step"
            )
        )


@contextmanager
def _stopping(stop: Stop, guard: _StoreGuard) -> Iterator[None]:
    """Make an interrupt (SIGINT) stop the solver in order, instead of an exception at any place in it.

    Only in the main thread, and only where Python's own handler would raise KeyboardInterrupt: another one is the caller's.
    """
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    ):
        yield
        return

    def handle(_number: int, _frame: object) -> None:
        guard.is_cancelled.set()
        stop.request()

    signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _graph(
    request: BuildRequest, settings: Settings, dockerfile: Dockerfile
) -> tuple[Graph, dict[str, str], Platforms]:
    host = host_platform()
    platforms = Platforms(target=platform_of(request.platform, host), build=host)
    build_args = _build_args(request, settings.environment)
    check_syntax(dockerfile, build_args)
    graph = build_graph(
        dockerfile, target=request.target, build_args=build_args, platforms=platforms, limits=settings.limits
    )
    return graph, build_args, platforms


def _build_args(request: BuildRequest, environment: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for name, value in request.build_args.items():
        chosen = environment.get(name) if value is None else value
        if chosen is not None:
            found[name] = chosen
    if environment.get("SOURCE_DATE_EPOCH"):
        found.setdefault("SOURCE_DATE_EPOCH", environment["SOURCE_DATE_EPOCH"])
    return found


def _check_filter(request: BuildRequest, graph: Graph) -> None:
    known = [stage.name for stage in graph.stages if stage.name is not None]
    for name in request.no_cache_filter:
        if name.lower() not in known:
            near = nearest_name(name, known)
            raise UsageError(
                f"--no-cache-filter: no stage named {name!r}", hint=f"did you mean {near!r}?" if near else None
            )


def _read_secrets(sources: tuple[SecretSource, ...], settings: Settings) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for source in sources:
        if source.variable is not None:
            value = settings.environment.get(source.variable)
            if value is None:
                raise UsageError(
                    f"the variable {source.variable!r} of the secret {source.id!r} is not set", slug="secret-missing"
                )
            data = value.encode("utf-8", "surrogateescape")
        else:
            data = _read_secret_file(source, settings)
        if len(data) > settings.limits.secret_bytes:
            raise UsageError(
                f"the secret {source.id!r} is larger than {settings.limits.secret_bytes} bytes", slug="secret-too-large"
            )
        found[source.id] = data
    return found


def _read_secret_file(source: SecretSource, settings: Settings) -> bytes:
    if source.file is None:
        value = settings.environment.get(source.id)
        if value is not None:
            return value.encode("utf-8", "surrogateescape")
    path = source.file or Path(source.id)
    try:
        with path.open("rb") as file:
            return file.read(settings.limits.secret_bytes + 1)
    except OSError as error:
        raise UsageError(
            f"can't read the secret {source.id!r} from {str(path)!r}: {error.strerror}", slug="secret-missing"
        ) from error


def _save_quietly(cache: StatCache) -> None:
    """Keep what was hashed; a full disk must not fail a build that is done."""
    try:
        cache.save()
    except OSError:
        return


def _status_of(error: BaseException) -> str:
    if isinstance(error, CancelledError | KeyboardInterrupt):
        return "cancelled"
    return error.slug if isinstance(error, JettisonError) else "bug"
