"""One request, one answer, in time: the rules by themselves."""

from __future__ import annotations

import threading
import time

import pytest

from api import exchange as module
from api.errors import Overloaded, RequestTimeout, Timeout
from api.exchange import Exchange


@pytest.fixture(name="clock")
def _clock(monkeypatch):
    """Time that stands still until it is moved."""
    now = [1000.0]
    monkeypatch.setattr(module, "monotonic", lambda: now[0])

    def move(seconds):
        now[0] += seconds

    return move


def test_only_the_first_who_asks_may_answer():
    one = Exchange(8)
    winners = []
    threads = [threading.Thread(target=lambda: winners.append(one.claim())) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(winners) == [False] * 19 + [True]


def test_a_body_may_take_the_time_and_the_answer_the_time_again(clock):
    one = Exchange(8)
    one.begin()
    clock(7)
    assert not one.late()
    one.arrived()
    clock(7)
    assert not one.late()
    clock(2)
    assert one.late()


def test_the_time_in_a_queue_counts(clock):
    one = Exchange(8)
    clock(5)
    one.begin()
    one.arrived()
    clock(4)

    with pytest.raises(Timeout, match="8 s"):
        one.check()


def test_who_is_late_is_told_apart(clock):
    one = Exchange(8)
    assert isinstance(one.lateness(), RequestTimeout)
    one.arrived()
    assert isinstance(one.lateness(), Timeout)


def test_where_all_is_full_nothing_that_costs_is_begun():
    with pytest.raises(Overloaded):
        Exchange(8, full=True).check()


def test_the_facts_of_a_check_are_kept_for_the_log():
    one = Exchange(8)
    one.check(model="iris", version="1", rows=3)

    assert one.facts == {"model": "iris", "version": "1", "rows": 3}
    assert one.deadline > time.monotonic()
