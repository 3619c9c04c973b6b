"""A request takes no more steps of Python than what is recorded."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from bench.cost import Steps, excess, nearest
from tests.servers import ROOT


def count(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench.cost", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    print(done.stdout, done.stderr)
    return done


def test_a_request_takes_no_more_steps_than_recorded():
    """Where it takes fewer, as `python -m bench.cost` shows, what is recorded should follow."""
    done = count()

    assert done.returncode == 0, done.stderr
    assert re.search(r"^ratio: [0-9.]+, [0-9.]+$", done.stdout, re.MULTILINE)


def test_a_tenth_more_is_too_much():
    done = count("--app", "tests.stack.planted:create_app()")

    assert done.returncode == 1
    assert re.search(r"instructions: [0-9.]+ times those of plain Flask, where [0-9.]+ is recorded", done.stderr)


@pytest.mark.parametrize(
    ("measured", "kinds"),
    [
        (Steps(2.0, 2.0), []),
        (Steps(2.19, 2.19), []),
        (Steps(2.21, 2.0), ["instructions"]),
        (Steps(1.0, 2.21), ["calls"]),
        (Steps(3.0, 3.0), ["instructions", "calls"]),
    ],
)
def test_each_kind_of_step_counts(measured, kinds):
    assert [sentence.split(":")[0] for sentence in excess(measured, Steps(2.0, 2.0))] == kinds


def test_a_python_that_nothing_is_recorded_for_is_taken_for_the_one_before():
    known = {"3.9": Steps(1, 1), "3.11": Steps(2, 2), "3.13": Steps(3, 3)}

    assert nearest(known, "3.12") == known["3.11"]
    assert nearest(known, "3.14") == known["3.13"]
