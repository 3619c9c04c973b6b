"""When a request runs, waits or is refused: the rules by themselves."""

from __future__ import annotations

import pytest

from api.server import queue
from api.server.queue import Queue


@pytest.fixture(name="clock")
def _clock(monkeypatch):
    """Time that stands still until it is moved."""
    now = [1000.0]
    monkeypatch.setattr(queue, "monotonic", lambda: now[0])

    def move(seconds):
        now[0] += seconds

    return move


def taught(threads: int, seconds: float) -> Queue:
    """A queue whose requests take so long."""
    rules = Queue(threads)
    for number in range(100):
        rules.put(number)
        rules.done(rules.next(), seconds)
    return rules


def test_as_many_run_as_there_are_threads(clock):
    rules = Queue(2)
    for name in "abc":
        rules.put(name)

    assert [rules.next(), rules.next(), rules.next()] == ["a", "b", None]
    assert (rules.busy, rules.waiting) == (3, 1)
    rules.done("a", 0.001)
    assert rules.next() == "c"


@pytest.mark.parametrize(("seconds", "may_wait"), [(0.001, 999), (0.05, 1), (2.0, 1)])
def test_quick_ones_may_wait_a_moment_and_slow_ones_half_as_long_as_they_take(clock, seconds, may_wait):
    rules = taught(4, seconds)
    waiting = -4
    while not rules.full():
        rules.put(object())
        rules.next()
        waiting += 1

    assert waiting == pytest.approx(may_wait, abs=1)


def test_where_a_thread_is_free_nothing_is_full(clock):
    rules = taught(1, 60)

    assert not rules.full()


def test_while_all_are_stuck_as_many_again_may_run(clock):
    rules = taught(2, 0.001)
    for number in range(6):
        rules.put(number)
    assert [rules.next(), rules.next(), rules.next()] == [0, 1, None]

    rules.look()
    assert rules.next() is None
    clock(queue.STALL + 0.01)
    rules.look()
    assert [rules.next(), rules.next(), rules.next()] == [2, 3, None]
    clock(queue.STALL + 0.01)
    rules.look()
    assert rules.next() is None
    assert not rules.stalled()
    clock(queue.HOPELESS)
    assert rules.stalled()
    assert rules.full()
    assert rules.give_up() == [4, 5]
    assert rules.waiting == 0
    rules.put(4)

    rules.done(0, 1.0)
    rules.done(2, 1.0)
    assert rules.next() == 4


def test_one_slow_request_does_not_make_them_slow(clock):
    rules = taught(4, 0.001)
    rules.put("first of its model")
    rules.done(rules.next(), 3.0)

    assert not rules.slow


def test_slow_is_not_stuck(clock):
    rules = taught(1, 2.0)
    rules.put("a")
    rules.put("b")
    rules.next()
    clock(10)
    rules.look()

    assert rules.next() is None
    assert not rules.stalled()
