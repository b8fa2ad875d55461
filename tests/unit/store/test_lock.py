from __future__ import annotations

import os
import threading

import pytest

from jettison.errors import CancelledError
from jettison.store.lock import Locks


@pytest.fixture
def locks(tmp_path):
    return Locks(tmp_path / "locks")


def test_exclusive_keeps_everybody_else_out(locks):
    with locks.exclusive("a"):
        assert locks.try_exclusive("a") is None
        assert locks.try_shared("a") is None
        assert not locks.is_free("a")
        with locks.exclusive("b"):
            pass
    assert locks.is_free("a")


def test_shared_lets_other_readers_in(locks):
    with locks.shared("a"), locks.shared("a"):
        assert locks.try_exclusive("a") is None
        assert not locks.is_free("a")
    held = locks.try_exclusive("a")
    assert held is not None
    held.release()
    held.release()
    assert locks.is_free("a")


def test_lock_is_released_by_an_error(locks):
    with pytest.raises(KeyError), locks.exclusive("a"):
        raise KeyError
    assert locks.is_free("a")


def test_waiter_is_told_once_and_gets_the_lock(locks):
    waits, got = [], threading.Event()

    def work():
        with locks.exclusive("a", on_wait=lambda: waits.append(1)):
            got.set()

    with locks.exclusive("a"):
        thread = threading.Thread(target=work)
        thread.start()
        while not waits:
            thread.join(0.001)
        assert not got.is_set()
    thread.join()
    assert got.is_set()
    assert waits == [1]


def test_wait_can_be_given_up(locks):
    turns = iter([False, False, True])
    with locks.exclusive("a"), pytest.raises(CancelledError), locks.shared("a", is_cancelled=lambda: next(turns)):
        pass
    assert locks.is_free("a")


def test_cancellable_wait_gets_the_lock_when_it_is_free_again(locks):
    held = locks.try_exclusive("a")

    def is_cancelled():
        held.release()
        return False

    with locks.exclusive("a", is_cancelled=is_cancelled):
        assert not locks.is_free("a")


def test_no_descriptor_leaks(locks):
    before = len(os.listdir("/proc/self/fd"))
    for number in range(50):
        with locks.exclusive(f"{number}"):
            assert locks.try_shared(f"{number}") is None
            locks.is_free("x")
    assert len(os.listdir("/proc/self/fd")) == before


def test_descriptors_of_locks_are_closed_on_exec(locks):
    held = locks.try_exclusive("a")
    assert not os.get_inheritable(held._fd)
    held.release()


def test_many_threads_take_turns(locks):
    inside, most = [0], [0]

    def work():
        for _ in range(20):
            with locks.exclusive("a"):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                inside[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]
