"""Numbers in shared memory: none is lost and none goes back, however many processes die."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from functools import partial

import pytest

from api import observe
from api.tally import Tally
from tests.servers import ROOT

KEY = b'["one"]'


def total(tally: Tally, key: bytes = KEY) -> float:
    return sum(cells[0] for found, cells in tally.records() if found == key)


def in_child(work) -> int:
    """The process id of a child that does ``work`` and then waits to be killed."""
    process = os.fork()
    if process == 0:
        try:
            work()
            signal.pause()
        finally:
            os._exit(0)
    return process


def end(process: int) -> None:
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)


def test_a_place_goes_through_a_thousand_deaths_and_every_count_stands():
    """In a process of its own: a fork of this one, with all that other tests have loaded, takes many times as long."""
    subprocess.run([sys.executable, "-m", "tests.api.test_tally", "1000"], cwd=ROOT, check=True)


def go_through(deaths: int) -> None:
    """Each child counts so often as it says through a pipe; the last count may be done and not said yet."""
    tally, said, before = Tally(3), 0, 0.0
    reading, writing = os.pipe()
    used = set()
    for number in range(deaths):
        process = in_child(partial(count_some, tally, 1 + number % 2, writing))
        said += len(os.read(reading, 100_000))
        end(process)
        now = total(tally)
        assert now >= before
        before = now
        used.add(len([key for key, _ in tally.records()]))
    os.close(writing)
    while rest := os.read(reading, 100_000):
        said += len(rest)
    os.close(reading)

    assert said <= total(tally) <= said + deaths
    assert said >= deaths
    assert max(used) == 2  # a record in each of two places, and not one more for each death


def count_some(tally: Tally, place: int, writing: int) -> None:
    tally.take(place)
    cells = tally.cells(KEY, 1)
    for _ in range(random.randint(1, 20)):
        cells[0] += 1
        os.write(writing, b"x")


def test_those_who_live_count_beside_each_other():
    tally = Tally(5)
    children = []
    for place in range(1, 5):

        def work(place=place):
            tally.take(place)
            cells = tally.cells(KEY, 1)
            for _ in range(1000):
                cells[0] += 1
            os._exit(0)

        children.append(in_child(work))
    for process in children:
        os.waitpid(process, 0)

    assert total(tally) == 4000


def test_the_next_one_in_a_place_goes_on_where_the_last_one_ended():
    tally = Tally(2)
    tally.take(1)
    tally.cells(KEY, 2)[1] = 7

    tally.take(1)

    assert tally.cells(KEY, 2).tolist() == [0, 7]


def test_a_record_that_was_begun_and_not_ended_is_written_over():
    """What a killed worker leaves behind: bytes beyond the end."""
    tally = Tally(1)
    end_of_place = tally._words[0]
    tally.cells(b"broken", 3)[:] = memoryview(b"\1" * 24).cast("d")
    tally._words[0] = end_of_place

    tally.take(0)

    assert tally.cells(KEY, 3).tolist() == [0, 0, 0]
    assert [key for key, _ in tally.records()] == [KEY]


def test_a_full_place_loses_what_is_new_and_nothing_else(tmp_path, monkeypatch):
    log = (tmp_path / "log").open("wb")
    monkeypatch.setattr(observe, "STDOUT", log.fileno())
    tally = Tally(1, size=256)
    tally.cells(KEY, 1)[0] = 5

    with log:
        for number in range(50):
            tally.cells(b"key %d" % number, 4)[0] = 1

    assert total(tally) == 5
    assert len(list(tally.records())) < 10
    assert "no room" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("length", [1, 7, 8, 9, 64])
def test_a_key_of_any_length_is_found_again(length):
    tally = Tally(1)
    for letter in (b"a", b"b"):
        tally.cells(letter * length, 2)[0] = length

    assert [(key, cells.tolist()) for key, cells in tally.records()] == [
        (b"a" * length, [length, 0]),
        (b"b" * length, [length, 0]),
    ]


if __name__ == "__main__":
    go_through(int(sys.argv[1]))
