"""Who is computed beside whom, and for how long anyone waits."""

from __future__ import annotations

import threading

import pytest

from api.server import company
from api.server.company import Company


@pytest.fixture(autouse=True)
def _patience(monkeypatch):
    """Far more than a test takes, so that a wait that ends has been ended."""
    monkeypatch.setattr(company, "PATIENCE", 60)
    monkeypatch.setattr(company, "DISTANCE", 60)


class Guest(threading.Thread):
    """Joins, and stays until it is told to go."""

    def __init__(self, where: Company, suspect: bool):
        super().__init__(daemon=True)
        self.there, self._leave = threading.Event(), threading.Event()
        self._where, self._suspect = where, suspect
        self.start()

    def run(self) -> None:
        with self._where.joined(self._suspect):
            self.there.set()
            self._leave.wait()

    def go(self) -> None:
        self._leave.set()
        self.join()


def test_others_are_together():
    place = Company()
    guests = [Guest(place, suspect=False) for _ in range(3)]

    assert all(guest.there.wait(10) for guest in guests)
    for guest in guests:
        guest.go()


@pytest.mark.parametrize("other", [True, False])
def test_nobody_comes_while_a_suspect_is_there(other):
    place = Company()
    suspect = Guest(place, suspect=True)
    assert suspect.there.wait(10)
    late = Guest(place, suspect=other)

    assert not late.there.wait(0.1)
    suspect.go()
    assert late.there.wait(10)
    late.go()


def test_a_suspect_waits_until_it_is_alone():
    place = Company()
    guests = [Guest(place, suspect=False) for _ in range(2)]
    assert all(guest.there.wait(10) for guest in guests)
    suspect = Guest(place, suspect=True)

    for guest in guests:
        assert not suspect.there.wait(0.1)
        guest.go()
    assert suspect.there.wait(10)
    suspect.go()


def test_nobody_waits_for_one_that_never_returns(monkeypatch):
    monkeypatch.setattr(company, "PATIENCE", 0.01)
    monkeypatch.setattr(company, "DISTANCE", 0.01)
    place = Company()
    guests = [Guest(place, suspect) for suspect in (False, True, True, False)]

    assert all(guest.there.wait(10) for guest in guests)
    for guest in guests:
        guest.go()
    after = Guest(place, suspect=True)
    assert after.there.wait(10)
    after.go()
