"""The solver over a worker that adds integers where a real one runs commands."""

from __future__ import annotations

import itertools
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from jettison.digest import Digest, LayerId, digest_of
from jettison.errors import CancelledError, StepError
from jettison.events import Event, OpCancelled, OpFailed, OpFinished, OpStarted, StageSkipped
from jettison.oci.config import ImageConfig
from jettison.plan.ops import ContextRoot, CopyOp, OpRoot, PathSource, RunOp
from jettison.plan.plan import Plan, Step
from jettison.platform import Platform
from jettison.solver.cache import Cache, decode_result, encode_result
from jettison.solver.executor import InlineExecutor, ThreadExecutor
from jettison.solver.solve import Environment, solve
from jettison.solver.task import LayerResult, Result, Task

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from jettison.events import Emit
    from jettison.plan.ops import Op


class MemoryRecords:
    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.preimages: dict[str, bytes] = {}

    def get(self, key: str) -> bytes | None:
        return self.values.get(key)

    def put(self, key: str, value: bytes, preimage: bytes) -> None:
        self.values[key] = value
        self.preimages[key] = preimage


class FakeWorker:
    """Files of the context are a dict; a RUN's content is a function of its arguments and its parents' content."""

    def __init__(self, context: dict[str, str] | None = None) -> None:
        self.context = context or {}
        self.ran: list[str] = []
        self.failing: set[str] = set()
        self.constant: set[str] = set()
        self.layers: set[LayerId] = set()
        self.is_cancelled = threading.Event()
        self.barrier: threading.Barrier | None = None
        self.waiting: set[str] = set()
        self._serial = itertools.count()
        self._lock = threading.Lock()

    def leaves(self, op: Op) -> Mapping[str, str]:
        if isinstance(op, CopyOp) and isinstance(op.root, ContextRoot):
            return {"context": self._selected(op)}
        return {}

    def facts(self, task: Task) -> Mapping[str, str]:
        if isinstance(task.op, CopyOp):
            if isinstance(task.op.root, ContextRoot):
                return {"source": self._selected(task.op)}
            return {"source": _content(task.inputs.get("source", ())[-1:])}
        return {"parent": _content(task.parent)}

    def run(self, task: Task, emit: Emit) -> Result:
        name = _words(task.op)
        with self._lock:
            self.ran.append(name)
        if self.barrier is not None and name in self.waiting:
            self.barrier.wait(timeout=20)
        if name == "wait for cancel":
            assert self.is_cancelled.wait(timeout=20)
            raise CancelledError("cancelled")
        if name in self.failing:
            raise StepError(f"{name} failed", exit_code=3)
        facts = "" if name in self.constant else repr(sorted(self.facts(task).items()))
        content = digest_of(f"{name} {facts}".encode())
        layer = LayerId(digest_of(f"{content} {next(self._serial)}".encode()))
        self.layers.add(layer)
        return Result(layers=(LayerResult(layer_id=layer, content_digest=content, size_bytes=1),))

    def cancel(self) -> None:
        self.is_cancelled.set()

    def _selected(self, op: CopyOp) -> str:
        patterns = [source.pattern for source in op.sources if isinstance(source, PathSource)]
        return digest_of(repr(sorted((name, self.context.get(name)) for name in patterns)).encode())


class NoGuard:
    @contextmanager
    def exclusive(self, key: str) -> Iterator[None]:
        assert key.startswith("sha256:")
        yield


def _content(chain: tuple[LayerResult, ...]) -> str:
    return digest_of("".join(layer.content_digest for layer in chain).encode())


def _words(op: Op) -> str:
    if isinstance(op, RunOp):
        return " ".join(op.args)
    assert isinstance(op, CopyOp)
    return f"copy to {op.dest}"


def run(words: str, parent: int | None = None) -> RunOp:
    return RunOp(parent=parent, args=tuple(words.split()), env=(), cwd="/", user="")


def copy(dest: str, root: ContextRoot | OpRoot, name: str = "a", parent: int | None = None) -> CopyOp:
    return CopyOp(parent=parent, root=root, sources=(PathSource(pattern=name),), dest=dest, is_dest_dir=False)


def plan(*ops: Op, ignored: frozenset[int] = frozenset(), skipped: tuple[str, ...] = ()) -> Plan:
    steps = tuple(Step(name=f"step {i}", stage="s", span=None, is_cache_ignored=i in ignored) for i in range(len(ops)))
    config = ImageConfig(platform=Platform(os="linux", architecture="amd64"))
    return Plan(ops=ops, steps=steps, head=len(ops) - 1, config=config, history=(), skipped_stages=skipped)


class Builder:
    def __init__(self, worker: FakeWorker) -> None:
        self.worker = worker
        self.records = MemoryRecords()
        self.events: list[Event] = []

    def build(self, wanted: Plan, threads: int = 0) -> list[str]:
        """Solve and return what ran."""
        self.worker.ran.clear()
        self.events.clear()
        executor = ThreadExecutor(threads) if threads else InlineExecutor()
        clock = itertools.count()
        environment = Environment(
            worker=self.worker,
            cache=Cache(self.records, self.worker.layers.__contains__),
            executor=executor,
            guard=NoGuard(),
            emit=self.events.append,
            clock=lambda: float(next(clock)),
            build_id="b",
        )
        try:
            self.solution = solve(wanted, environment)
        finally:
            executor.close()
        return list(self.worker.ran)


def test_an_unchanged_build_runs_nothing() -> None:
    builder = Builder(FakeWorker({"a": "1"}))
    wanted = plan(copy("/a", ContextRoot()), run("make", 0))
    assert builder.build(wanted) == ["copy to /a", "make"]
    first = builder.solution.chain
    assert builder.build(wanted) == []
    assert builder.solution.chain == first
    assert set(builder.solution.reasons.values()) == {"recipe-hit"}


def test_a_changed_file_reruns_what_depends_on_it_alone() -> None:
    builder = Builder(FakeWorker({"a": "1", "b": "1"}))
    wanted = plan(copy("/a", ContextRoot(), "a"), run("install", 0), copy("/b", ContextRoot(), "b", 1), run("make", 2))
    builder.build(wanted)
    builder.worker.context["b"] = "2"
    assert builder.build(wanted) == ["copy to /b", "make"]
    builder.worker.context["a"] = "2"
    assert builder.build(wanted) == ["copy to /a", "install", "make"]


def test_a_rebuilt_but_identical_stage_invalidates_nothing_below_a_copy_from_it() -> None:
    builder = Builder(FakeWorker({"a": "1"}))
    builder.worker.constant.add("compile")
    wanted = plan(copy("/a", ContextRoot()), run("compile", 0), copy("/out", OpRoot(op=1)), run("use", 2))
    builder.build(wanted)
    builder.worker.context["a"] = "2"
    ran = builder.build(wanted)
    assert "copy to /a" in ran
    assert "use" not in ran


def test_a_pruned_layer_is_made_again_without_rerunning_what_is_above() -> None:
    builder = Builder(FakeWorker({"a": "1"}))
    builder.worker.constant.add("install")
    wanted = plan(run("install"), run("make", 0))
    builder.build(wanted)
    builder.worker.layers.discard(builder.solution.chain[0].layer_id)
    assert builder.build(wanted) == ["install"]


def test_an_ignored_cache_taints_recipe_keys_above_but_equal_content_still_hits() -> None:
    builder = Builder(FakeWorker())
    builder.build(plan(run("fetch"), run("make", 0)))
    assert builder.build(plan(run("fetch"), run("make", 0), ignored=frozenset({0}))) == ["fetch"]
    assert builder.solution.reasons[1] == "content-hit"


def test_ops_of_other_chains_are_not_looked_at_when_the_copy_hits() -> None:
    builder = Builder(FakeWorker())
    wanted = plan(run("build"), copy("/out", OpRoot(op=0)))
    builder.build(wanted)
    builder.worker.layers.discard(builder.solution.results[0].layers[0].layer_id)
    assert builder.build(wanted) == []
    assert [event.op for event in builder.events if isinstance(event, OpFinished)] == [1]


def test_independent_ops_run_at_the_same_time() -> None:
    worker = FakeWorker()
    worker.barrier = threading.Barrier(2)
    worker.waiting = {"left", "right"}
    builder = Builder(worker)
    wanted = plan(run("left"), run("right"), copy("/l", OpRoot(op=0)), copy("/r", OpRoot(op=1), parent=2))
    assert set(builder.build(wanted, threads=4)) == {"left", "right", "copy to /l", "copy to /r"}


def test_a_failure_stops_the_others_and_is_the_error() -> None:
    worker = FakeWorker()
    worker.failing = {"bad"}
    builder = Builder(worker)
    wanted = plan(run("wait for cancel"), run("bad"), copy("/l", OpRoot(op=0)), copy("/r", OpRoot(op=1), parent=2))
    with pytest.raises(StepError) as caught:
        builder.build(wanted, threads=4)
    assert caught.value.exit_code == 3
    assert [event.op for event in builder.events if isinstance(event, OpFailed)] == [1]
    assert [event.op for event in builder.events if isinstance(event, OpCancelled)] == [0]


def test_a_failure_keeps_what_was_done() -> None:
    worker = FakeWorker()
    worker.failing = {"second"}
    builder = Builder(worker)
    with pytest.raises(StepError):
        builder.build(plan(run("first"), run("second", 0)))
    worker.failing.clear()
    assert builder.build(plan(run("first"), run("second", 0))) == ["second"]


def test_events_of_an_op_come_in_order_and_skipped_stages_are_said() -> None:
    builder = Builder(FakeWorker())
    builder.build(plan(run("one"), skipped=("debug",)))
    kinds = [type(event) for event in builder.events if isinstance(event, OpStarted | OpFinished | StageSkipped)]
    assert kinds == [StageSkipped, OpStarted, OpFinished]


def test_a_damaged_record_is_a_miss() -> None:
    builder = Builder(FakeWorker())
    builder.build(plan(run("one")))
    for key in builder.records.values:
        builder.records.values[key] = b'[["sha256:xx", 1]]'
    assert builder.build(plan(run("one"))) == ["one"]


def test_results_survive_their_encoding() -> None:
    layer = LayerResult(
        layer_id=LayerId("sha256:" + "a" * 64), content_digest=Digest("sha256:" + "b" * 64), size_bytes=5
    )
    assert decode_result(encode_result(Result(layers=(layer,)))) == Result(layers=(layer,))
    assert decode_result(b"nonsense") is None


def test_preimages_are_kept_and_name_no_positions() -> None:
    builder = Builder(FakeWorker({"a": "1"}))
    builder.build(plan(run("x"), copy("/a", ContextRoot(), parent=0)))
    keys_first = set(builder.records.values)
    other = Builder(FakeWorker({"a": "1"}))
    other.build(plan(run("unrelated"), run("x"), copy("/a", ContextRoot(), parent=1)))
    assert keys_first & set(other.records.values) == keys_first
    assert all(b'"version"' in preimage for preimage in builder.records.preimages.values())


def test_an_interrupt_that_loses_an_action_ends_all_the_same(monkeypatch):
    monkeypatch.setattr("jettison.solver.solve._INTERRUPTED_SECONDS", 0.05)

    class Interrupting(InlineExecutor):
        def submit(self, call):
            raise KeyboardInterrupt

    builder = Builder(FakeWorker())
    clock = itertools.count()
    environment = Environment(
        worker=builder.worker,
        cache=Cache(builder.records, builder.worker.layers.__contains__),
        executor=Interrupting(),
        guard=NoGuard(),
        emit=builder.events.append,
        clock=lambda: float(next(clock)),
        build_id="b",
    )
    with pytest.raises(CancelledError):
        solve(plan(run("one")), environment)
    assert builder.worker.is_cancelled.is_set()
