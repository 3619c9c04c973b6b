"""What the workers know of each other."""

from __future__ import annotations

import os

import pytest

from api.server.slots import Slot


@pytest.fixture(autouse=True)
def _memory():
    Slot.make(4)


def test_each_sees_the_others():
    first, second, third = Slot(), Slot(), Slot()
    first.busy, second.busy = 3, 1

    assert sorted(third.others()) == [1, 3]
    assert first.others() == [1, 0]


def test_a_retired_worker_is_no_room_and_stays_retired():
    first, second = Slot(), Slot()
    first.retire()
    first.busy = 2

    assert first.retired
    assert second.others() == []


def test_a_dead_workers_place_is_taken_by_the_next():
    first, second = Slot(), Slot()
    first.busy = 7
    first.free()

    assert second.others() == []
    Slot()
    assert second.others() == [0]


def test_it_is_one_memory_for_all_processes():
    parent, child = Slot(), Slot()
    process = os.fork()
    if process == 0:
        child.busy = 5
        os._exit(0)
    os.waitpid(process, 0)

    assert parent.others() == [5]
