"""Drives the schedule to its end: plan, worker and cache in, the layers of the target's chain out.

An op that must not come from the cache taints all that build upon it: their recipe keys say nothing about the new result, so
only their content keys may hit. The solver's own thread keeps all state; look-ups and work happen in the executor's threads,
which report through a queue.
"""

from __future__ import annotations

import queue
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from jettison.errors import CancelledError, JettisonError
from jettison.events import BuildStarted, Emit, OpCancelled, OpFailed, OpFinished, OpStarted, StageSkipped
from jettison.plan.keys import CacheKey, content_key, input_ops, parent_of, recipe_key
from jettison.solver.schedule import Action, Phase, Schedule
from jettison.solver.task import Chain, Result, Task, Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from jettison.plan.plan import Plan
    from jettison.solver.cache import Cache
    from jettison.solver.executor import Executor

Reason = Literal["ran", "recipe-hit", "content-hit"]


_INTERRUPTED_SECONDS = 5.0
"""How long an interrupted solver waits for the next report of what it has cancelled."""


class Guard(Protocol):
    """Lets one builder at a time do an op, over all processes that share the store."""

    def exclusive(self, key: str) -> AbstractContextManager[None]:
        """Wait until no other builder does the op of this key, and hold the others off."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """What came out: the layers of the target's chain, the result of every op that was needed, and how it was had."""

    chain: Chain
    results: dict[int, Result]
    reasons: dict[int, Reason]
    keys: dict[int, str]


class Stop:
    """The wish to stop a build, from a signal handler or another thread."""

    def __init__(self) -> None:
        self._wake: Callable[[], None] | None = None
        self._is_wanted = False

    def request(self) -> None:
        """Stop the build that is bound, or the one that will be; may be called in a signal handler."""
        self._is_wanted = True
        if self._wake is not None:
            self._wake()

    def bind(self, wake: Callable[[], None]) -> None:
        """Name what wakes the solver; it is called at once if a stop was asked for before."""
        self._wake = wake
        if self._is_wanted:
            wake()


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What the solver works with. ``clock`` gives seconds of a monotonic clock."""

    worker: Worker
    cache: Cache
    executor: Executor
    guard: Guard
    emit: Emit
    clock: Callable[[], float]
    build_id: str
    stop: Stop = field(default_factory=Stop)


@dataclass(slots=True, kw_only=True)
class _Report:
    """How an action ended."""

    action: Action
    result: Result | None = None
    key: CacheKey | None = None
    reason: Reason = "ran"
    error: BaseException | None = None


def solve(plan: Plan, environment: Environment) -> Solution:
    """Return the results of all ops that the plan's head needs.

    Raises:
        JettisonError: of the first op that failed, after all others were stopped.
        CancelledError: the caller's thread was interrupted.

    """
    return _Solver(plan, environment).solve()


def chain_ops(plan: Plan, head: int | None) -> tuple[int, ...]:
    """Return the ops whose layers make the chain of the head, bottom first."""
    ops: list[int] = []
    while head is not None:
        ops.append(head)
        head = parent_of(plan.ops[head])
    return tuple(reversed(ops))


class _Solver:
    def __init__(self, plan: Plan, environment: Environment) -> None:
        self._plan = plan
        self._env = environment
        self._chains = [chain_ops(plan, position) for position in range(len(plan.ops))]
        needs = []
        tainted: set[int] = set()
        for position, op in enumerate(plan.ops):
            needed: set[int] = set()
            for _, other in input_ops(op):
                needed.update(self._chains[other])
            needs.append(frozenset(needed))
            if plan.steps[position].is_cache_ignored or needed & tainted:
                tainted.add(position)
        self._tainted = frozenset(tainted)
        self._target = chain_ops(plan, plan.head)
        self._schedule = Schedule(needs, self._target)
        self._results: dict[int, Result] = {}
        self._reasons: dict[int, Reason] = {}
        self._recipes: dict[int, CacheKey] = {}
        self._contents: dict[int, CacheKey] = {}
        self._started: dict[int, float] = {}
        self._reports: queue.SimpleQueue[_Report | None] = queue.SimpleQueue()
        self._error: BaseException | None = None

    def solve(self) -> Solution:
        env = self._env
        env.stop.bind(lambda: self._reports.put(None))
        env.emit(BuildStarted(at=env.clock(), build_id=env.build_id, step_count=len(self._plan.ops)))
        for stage in self._plan.skipped_stages:
            env.emit(StageSkipped(at=env.clock(), stage=stage))
        patience_seconds: float | None = None
        while True:
            try:
                self._start_ready()
                if self._schedule.is_over:
                    break
                self._take_report(self._reports.get(timeout=patience_seconds))
            except KeyboardInterrupt:
                # raised at any place of this thread it may have lost an action, whose report then never comes
                patience_seconds = _INTERRUPTED_SECONDS
                self._give_up(CancelledError("stopped by the user"))
            except queue.Empty:
                break
        if self._error is not None:
            raise self._error
        assert self._schedule.is_complete, "the schedule ended early without an error"
        return Solution(
            chain=self._chain_of(self._plan.head),
            results=self._results,
            reasons=self._reasons,
            keys={op: key.key for op, key in self._recipes.items()},
        )

    def _start_ready(self) -> None:
        while (action := self._schedule.take()) is not None:
            if action.phase is Phase.RUN:
                self._announce(action.op)
            calls = {Phase.PROBE: self._probe, Phase.WEIGH: self._weigh, Phase.RUN: self._run}
            self._env.executor.submit(self._guarded(calls[action.phase], action))

    def _guarded(self, call: Callable[[Action], _Report], action: Action) -> Callable[[], None]:
        def work() -> None:
            try:
                report = call(action)
            except BaseException as error:  # noqa: BLE001  every failure of a thread belongs to the solver
                report = _Report(action=action, error=error)
            self._reports.put(report)

        return work

    def _probe(self, action: Action) -> _Report:
        op = self._plan.ops[action.op]
        inputs = {role: self._recipe(other).key for role, other in input_ops(op)}
        key = recipe_key(op, inputs, self._leaves(action.op))
        found = None if action.op in self._tainted else self._env.cache.find(key)
        return _Report(action=action, result=found, key=key, reason="recipe-hit")

    def _weigh(self, action: Action) -> _Report:
        key = content_key(self._plan.ops[action.op], self._env.worker.facts(self._task(action.op)))
        is_ignored = self._plan.steps[action.op].is_cache_ignored
        found = None if is_ignored else self._env.cache.find(key)
        return _Report(action=action, result=found, key=key, reason="content-hit")

    def _run(self, action: Action) -> _Report:
        recipe = self._recipes[action.op]
        with self._env.guard.exclusive(recipe.key):
            found = None if action.op in self._tainted else self._env.cache.find(recipe)
            if found is not None:
                return _Report(action=action, result=found, reason="recipe-hit")
            result = self._env.worker.run(self._task(action.op), self._env.emit)
            self._env.cache.store(recipe, result)
            self._env.cache.store(self._contents[action.op], result)
        return _Report(action=action, result=result)

    def _recipe(self, position: int) -> CacheKey:
        """Return the recipe key of any op, also of one that was never wanted; equal work in two threads is harmless."""
        known = self._recipes.get(position)
        if known is None:
            op = self._plan.ops[position]
            inputs = {role: self._recipe(other).key for role, other in input_ops(op)}
            known = self._recipes[position] = recipe_key(op, inputs, self._leaves(position))
        return known

    def _leaves(self, position: int) -> Mapping[str, str]:
        """Return what the op reads outside the plan; an error is that of this step, whoever asked for the key."""
        try:
            return self._env.worker.leaves(self._plan.ops[position])
        except JettisonError as error:
            if error.span is None:
                error.span = self._plan.steps[position].span
            raise

    def _task(self, position: int) -> Task:
        op = self._plan.ops[position]
        return Task(
            index=position,
            op=op,
            name=self._plan.steps[position].name,
            inputs={role: self._chain_of(other) for role, other in input_ops(op)},
        )

    def _chain_of(self, head: int | None) -> Chain:
        if head is None:
            return ()
        return tuple(layer for position in self._chains[head] for layer in self._results[position].layers)

    def _announce(self, position: int) -> None:
        step = self._plan.steps[position]
        now = self._started[position] = self._env.clock()
        self._env.emit(OpStarted(at=now, op=position, name=step.name, stage=step.stage))

    def _take_report(self, report: _Report | None) -> None:
        if report is None:
            self._give_up(CancelledError("stopped by the user"))
            return
        position, phase = report.action.op, report.action.phase
        if report.error is not None:
            self._fail(position, report.error)
            return
        if report.key is not None:
            (self._recipes if phase is Phase.PROBE else self._contents)[position] = report.key
        if report.result is None:
            self._schedule.miss(position)
            return
        self._results[position] = report.result
        self._reasons[position] = report.reason
        if phase is Phase.WEIGH:
            self._env.cache.store(self._recipes[position], report.result)
        step = self._plan.steps[position]
        now = self._env.clock()
        self._env.emit(
            OpFinished(
                at=now,
                op=position,
                name=step.name,
                stage=step.stage,
                reason=report.reason,
                seconds=now - self._started.get(position, now),
            )
        )
        if phase is Phase.RUN:
            self._schedule.ran(position)
        else:
            self._schedule.hit(position)

    def _fail(self, position: int, error: BaseException) -> None:
        step = self._plan.steps[position]
        now = self._env.clock()
        self._schedule.fail()
        if isinstance(error, CancelledError) and self._error is not None:
            self._env.emit(OpCancelled(at=now, op=position, name=step.name, stage=step.stage))
            return
        if self._error is not None and position not in self._started and str(error) == str(self._error):
            return  # it asked for the key of the step that failed
        seconds = now - self._started.get(position, now)
        if isinstance(error, JettisonError) and error.span is None:
            error.span = step.span
        self._env.emit(
            OpFailed(at=now, op=position, name=step.name, stage=step.stage, message=str(error), seconds=seconds)
        )
        self._give_up(error)

    def _give_up(self, error: BaseException) -> None:
        if self._error is None:
            self._error = error
        self._schedule.stop()
        self._env.worker.cancel()
