"""The pure scheduler: integers where a real build has ops."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jettison.solver.schedule import Action, Phase, Schedule


def drain(schedule: Schedule, hits: set[tuple[int, Phase]], order: random.Random) -> list[Action]:
    """Run the schedule to its end, ending actions in random order; return what was taken."""
    taken: list[Action] = []
    active: list[Action] = []
    while True:
        while (action := schedule.take()) is not None:
            taken.append(action)
            active.append(action)
        if not active:
            return taken
        action = active.pop(order.randrange(len(active)))
        if action.phase is Phase.RUN:
            schedule.ran(action.op)
        elif (action.op, action.phase) in hits:
            schedule.hit(action.op)
        else:
            schedule.miss(action.op)


def test_a_chain_without_cache_runs_in_order() -> None:
    schedule = Schedule([frozenset(), frozenset({0}), frozenset({0, 1})], [0, 1, 2])
    taken = drain(schedule, set(), random.Random(1))
    assert [action.op for action in taken if action.phase is Phase.RUN] == [0, 1, 2]
    assert schedule.is_over
    assert schedule.is_complete


def test_inputs_of_a_recipe_hit_are_never_looked_at() -> None:
    schedule = Schedule([frozenset(), frozenset({0})], [1])
    taken = drain(schedule, {(1, Phase.PROBE)}, random.Random(1))
    assert taken == [Action(op=1, phase=Phase.PROBE)]
    assert not schedule.is_done(0)


def test_a_content_hit_stops_the_cascade() -> None:
    schedule = Schedule([frozenset(), frozenset({0}), frozenset({1})], [2])
    taken = drain(schedule, {(1, Phase.WEIGH)}, random.Random(1))
    assert Action(op=0, phase=Phase.RUN) in taken
    assert Action(op=1, phase=Phase.RUN) not in taken


def test_independent_ops_may_run_at_the_same_time() -> None:
    schedule = Schedule([frozenset(), frozenset(), frozenset({0, 1})], [2])
    schedule.take()
    schedule.miss(2)
    probes = [schedule.take(), schedule.take()]
    assert {action.op for action in probes if action} == {0, 1}
    for op in (0, 1):
        schedule.miss(op)
    for op in (0, 1):
        assert schedule.take() == Action(op=op, phase=Phase.WEIGH)
    for op in (0, 1):
        schedule.miss(op)
    assert [schedule.take(), schedule.take()] == [Action(op=op, phase=Phase.RUN) for op in (0, 1)]


def test_nothing_starts_after_a_failure_and_the_end_waits_for_what_is_under_way() -> None:
    schedule = Schedule([frozenset(), frozenset()], [0, 1])
    assert schedule.take() is not None
    assert schedule.take() is not None
    schedule.fail()
    assert schedule.take() is None
    assert not schedule.is_over
    schedule.hit(1)
    assert schedule.is_over
    assert not schedule.is_complete


def test_ops_out_of_order_are_a_bug() -> None:
    with pytest.raises(AssertionError):
        Schedule([frozenset({1}), frozenset()], [0])


@st.composite
def _graphs(draw: st.DrawFn) -> tuple[list[frozenset[int]], set[tuple[int, Phase]], list[int], int]:
    size = draw(st.integers(1, 12))
    needs = [frozenset(draw(st.sets(st.integers(0, op - 1), max_size=4))) if op else frozenset() for op in range(size)]
    closed: list[frozenset[int]] = []
    for needed in needs:
        closed.append(needed.union(*(closed[other] for other in needed)) if needed else needed)
    hits = draw(st.sets(st.tuples(st.integers(0, size - 1), st.sampled_from([Phase.PROBE, Phase.WEIGH])), max_size=10))
    wanted = draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=size, unique=True))
    return closed, hits, wanted, draw(st.integers())


@given(_graphs())
def test_any_order_of_ends_gives_the_same_set_of_runs(
    graph: tuple[list[frozenset[int]], set[tuple[int, Phase]], list[int], int],
) -> None:
    needs, hits, wanted, seed = graph
    runs = []
    for order in (random.Random(seed), random.Random(seed + 1)):
        schedule = Schedule(needs, wanted)
        taken = drain(schedule, hits, order)
        assert schedule.is_over
        assert schedule.is_complete
        assert len(taken) == len(set(taken))
        ran = [action.op for action in taken if action.phase is Phase.RUN]
        seen: set[int] = {op for op, _ in hits}
        for op in ran:
            assert all(other in seen or schedule.is_done(other) for other in needs[op])
            seen.add(op)
        runs.append(sorted(ran))
    assert runs[0] == runs[1]
