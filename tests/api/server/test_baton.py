"""Who has the loop: by itself, with real threads."""

from __future__ import annotations

import os
import threading

import pytest

from api.server.baton import Baton, Relieved


@pytest.fixture(name="pipe")
def _pipe():
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def test_the_loop_runs_in_a_thread_of_its_own_until_it_ends(pipe):
    threads = []
    baton = Baton(lambda: threads.append(threading.current_thread()))

    baton.run(pipe)

    assert threads != [threading.main_thread()]
    assert len(threads) == 1


def test_what_the_loop_raises_is_raised(pipe):
    def loop():
        raise OSError("no more files")

    with pytest.raises(OSError, match="no more files"):
        Baton(loop).run(pipe)


def test_who_answers_quick_requests_keeps_the_loop(pipe):
    def loop():
        assert all(baton.finish(baton.begin()) for _ in range(1000))

    baton = Baton(loop)
    baton.run(pipe)


def test_while_one_answers_for_long_another_goes_on_with_the_loop(pipe):
    relieved, seen = threading.Event(), []

    def loop():
        if seen:  # this is the relief
            relieved.set()
            answered.wait(10)
            return
        seen.append(baton.begin())
        assert relieved.wait(10)
        has_it = baton.finish(seen[0])
        seen.append(has_it)
        answered.set()
        if not has_it:
            raise Relieved

    answered = threading.Event()
    baton = Baton(loop)
    baton.run(pipe)

    assert seen[1:] == [False]


def test_a_request_is_seen_to_after_a_quiet_time_too(pipe):
    """The thread that looks sleeps while nothing is answered."""
    rounds = []

    def loop():
        rounds.append(threading.current_thread())
        if len(rounds) == 3:
            return
        quiet.wait(0.05)
        turn = baton.begin()
        while turn:  # nobody has relieved this one yet
            quiet.wait(0.001)
        raise Relieved

    quiet = threading.Event()
    baton = Baton(loop)
    baton.run(pipe)

    assert len(set(rounds)) == 3
