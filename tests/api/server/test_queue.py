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


def test_who_only_waits_for_the_loop_to_come_to_it_fills_nothing(clock):
    rules = taught(4, 2.0)
    for number in range(4):
        assert not rules.full()
        rules.put(number)

    assert not rules.full()
    rules.put(4)
    rules.put(5)
    assert rules.full()


def test_while_the_loop_is_known_to_answer_quickly_a_burst_is_no_overload(clock):
    rules = taught(4, 2.0)
    rules.took(0.0005)
    for number in range(100):
        assert not rules.full()
        rules.put(number)

    rules.slows()
    assert rules.full()


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


def test_what_waits_for_a_core_is_not_slow(clock):
    """On a machine that is busy otherwise most requests take long, and those that get a core at once do not."""
    rules = taught(4, 0.001)
    for number in range(200):
        rules.put(number)
        rules.done(rules.next(), 0.06 if number % 10 else 0.002)

    assert not rules.slow
    for number in range(12):
        assert not rules.full()
        rules.put(number)
        rules.next()


def test_what_is_slow_from_the_start_is_taken_for_slow_after_a_few(clock):
    rules = Queue(1)
    for number in range(8):
        rules.put(number)
        rules.done(rules.next(), 0.5)

    assert rules.slow


def test_a_first_request_that_is_slow_makes_the_next_ones_no_overload(clock):
    rules = Queue(4)
    rules.put("it loads something")
    rules.done(rules.next(), 3.0)

    assert not rules.slow
    for number in range(50):
        assert not rules.full()
        rules.put(number)
        rules.next()


def test_what_has_become_slow_is_taken_for_slow_soon(clock):
    rules = taught(4, 0.001)
    for number in range(50):
        rules.put(number)
        rules.done(rules.next(), 0.05)

    assert rules.slow


def test_slow_is_not_stuck(clock):
    rules = taught(1, 2.0)
    rules.put("a")
    rules.put("b")
    rules.next()
    clock(10)
    rules.look()

    assert rules.next() is None
    assert not rules.stalled()


def test_once_requests_are_not_quick_threads_answer_for_a_while(clock):
    rules = Queue(4)
    assert rules.quick

    for _ in range(100):
        rules.took(2 * queue.QUICK)
    assert not rules.quick
    clock(queue.LONGEST_WHILE)
    assert rules.quick


def test_once_requests_are_quick_again_the_first_try_says_so(clock):
    """And not only one that outweighs all that came before: between two tries there may be seconds."""
    rules = Queue(4)
    for _ in range(100):
        rules.took(2 * queue.QUICK)
    clock(queue.LONGEST_WHILE)

    rules.took(queue.QUICK / 10)
    assert rules.quick


def test_the_while_is_twice_as_long_each_time_in_a_row(clock):
    rules = Queue(4)
    for doubling in (1, 2, 4):
        rules.slows()
        clock(doubling * queue.WHILE - 0.001)
        assert not rules.quick
        clock(0.002)
        assert rules.quick

    rules.took(0.0)
    rules.slows()
    clock(queue.WHILE)
    assert rules.quick


def test_one_that_takes_longer_makes_the_others_none_that_are_not_quick(clock):
    rules = Queue(4)
    rules.took(60)

    assert rules.quick


def test_all_that_run_or_wait_are_known(clock):
    rules = Queue(1)
    for name in "abc":
        rules.put(name)
    rules.next()

    assert list(rules) == ["a", "b", "c"]
