"""How many workers there are to be, and when one is taken for dead."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from gunicorn.arbiter import Arbiter

from api.server import master
from api.server.master import Master


@pytest.fixture(name="arbiter")
def _arbiter():
    """A master with three workers, without the rest."""
    arbiter = Master.__new__(Master)
    arbiter._num_workers = 3
    arbiter.WORKERS = {pid: SimpleNamespace(slot=SimpleNamespace(retired=False)) for pid in (1, 2, 3)}
    return arbiter


def test_a_worker_that_only_finishes_what_it_has_is_one_that_is_missing(arbiter):
    assert arbiter.num_workers == 3
    arbiter.WORKERS[2].slot.retired = True
    assert arbiter.num_workers == 4
    del arbiter.WORKERS[2]
    assert arbiter.num_workers == 3


def test_no_heart_is_missed_for_a_time_in_which_the_master_slept_itself(arbiter, monkeypatch):
    """A container that was paused, say: its workers are as they were."""
    looked = []
    now = [1000.0]
    monkeypatch.setattr(Arbiter, "murder_workers", lambda _: looked.append(now[0]))
    monkeypatch.setattr(master.time, "monotonic", lambda: now[0])
    for seconds in (0, 1, 1, 60, 1):
        now[0] += seconds
        arbiter.murder_workers()

    assert looked == [1001.0, 1002.0, 1063.0]
