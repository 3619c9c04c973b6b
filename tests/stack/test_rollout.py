"""``tepal rollout``, as an operator runs it: traffic moves in steps, and goes back by itself where it must."""

from __future__ import annotations

import contextlib
import ctypes
import re
import shutil
import signal
import subprocess
import sys
from typing import NamedTuple

import numpy as np
import pytest
from sklearn.base import BaseEstimator, RegressorMixin

import tepal
from tepal import choice
from tests import servers
from tests.servers import ROOT
from tests.stack.load import Load, Question
from tests.stack.test_swap import ask, wait_for
from tests.stack.test_swap import tepal as run

RATE = 100
BEYOND = (Question([1000.0, 0.0], 1000.0),)  # what the training had not


class Line(RegressorMixin, BaseEstimator):
    """Answers a row with its first value; of one beyond the training it makes what it was told to."""

    def __init__(self, beyond="same"):
        self.beyond = beyond

    def fit(self, X, y):
        self.n_features_in_ = 2
        return self

    def predict(self, X):
        first = np.asarray(X, dtype=float)[:, 0]
        if (first > 100).any():
            if self.beyond == "raises":
                raise RuntimeError("too far")
            if self.beyond == "dies":
                ctypes.string_at(0)
            if self.beyond == "differs":
                return first + 1
        return first


GOOD, RAISES, DIFFERS = "2", "3", "4"


@pytest.fixture(scope="module", name="four")
def _four(tmp_path_factory):
    """A model of four versions: two that are equal, one that raises on some rows, one that differs on them."""
    store = tmp_path_factory.mktemp("four")
    rows = np.array([[1.0, 2.0], [3.0, 4.0], [40.0, 5.0]])
    for beyond in ("same", "same", "raises", "differs"):
        tepal.publish(Line(beyond).fit(rows, rows[:, 0]), name="line", X=rows, store=store)
    return store


@pytest.fixture(name="shared")
def _shared(four, tmp_path):
    """A copy, in which much was chosen: version 1 answers."""
    store = shutil.copytree(four, tmp_path / "model")
    run(store, "promote", "line", "2")
    run(store, "promote", "line", "1")
    run(store, "shadow", "line", "4")
    return store


class Stack(NamedTuple):
    """Two replicas, and nginx before them."""

    door: servers.Server
    replicas: tuple[servers.Server, servers.Server]

    @property
    def urls(self) -> list[str]:
        return [word for replica in self.replicas for word in ("--url", replica.url)]


@pytest.fixture(name="stack")
def _stack(shared):
    with (
        servers.gunicorn(shared, WEB_CONCURRENCY="1") as one,
        servers.gunicorn(shared, WEB_CONCURRENCY="1") as other,
        servers.nginx([f"127.0.0.1:{one.port}", f"127.0.0.1:{other.port}"]) as door,
    ):
        yield Stack(door, (one, other))


def load(server: servers.Server, **options) -> Load:
    return Load(server.port, rate=RATE, connections=8, questions=BEYOND, **options)


@contextlib.contextmanager
def rollout(store, number, *options):
    """The command as a process that is under way; it is not left behind."""
    command = [sys.executable, "-m", "tepal", "rollout", "line", number, *options]
    environ = {"MODEL_STORE": str(store), "PATH": ""}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, env=environ, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def rolled_out(store, number, *options) -> tuple[int, list[str], str]:
    """The command to its end: exit code, lines without their times, standard error."""
    with rollout(store, number, *options) as process:
        out, err = process.communicate(timeout=60)
    return process.returncode, [line.split("  ", 1)[1] for line in out.splitlines()], err


def chosen(store) -> choice.Choice:
    return choice.read(store / "line")


def test_a_good_version_goes_through_all_steps_and_is_pinned(shared, stack):
    with load(stack.door) as traffic:
        code, lines, err = rolled_out(shared, GOOD, "--steps", "50,100", "--every", "1", *stack.urls)

    print(traffic, *lines, sep="\n")
    assert (code, err) == (0, "")
    assert lines[0] == "line: from version 1 to version 2 in steps of 50, 100 %, 1 s each"
    assert [line.split(":")[0].removesuffix(" …") for line in lines[1:5]] == ["50 %", "50 %", "100 %", "100 %"]
    assert "0 errors, differs on 0 of" in lines[2]
    assert lines[5:] == ["line: version 2 answers, pinned", "line: version 4 is the shadow"]
    assert traffic.failures == []
    assert {version for _, _, version in traffic.versions} == {"1", "2"}
    assert run(shared, "rollback", "line").splitlines()[0] == "line: version 1 answers, pinned"


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (RAISES, r"requests failed, more than 1 %|it could not answer \d+ of \d+ rows, more than 1 %"),
        (DIFFERS, r"it differs on (\d+) of \1 rows, more than 25 %"),
    ],
    ids=["raises", "differs"],
)
def test_a_version_that_does_badly_goes_back_by_itself(number, reason, shared, stack):
    before = chosen(shared)

    # It needs no more than the first look, whatever the length of a step.
    with load(stack.door, allowed=(500,)):
        code, lines, err = rolled_out(shared, number, "--steps", "50,100", "--every", "45", *stack.urls)

    assert code == 1
    assert [line.split(":")[0] for line in lines[1:]] == ["50 % …", "50 %"]
    assert err.startswith("Error: went back: ")
    assert re.search(reason, err)
    assert err.endswith("; line: version 1 answers, pinned; line: version 4 is the shadow\n")
    assert err.count("\n") == 1
    assert chosen(shared) == before


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        ("100", r"went back: (\d+) of \1 requests failed, more than 1 %"),
        ("0.001", r"went back: it could not answer \d+ of \d+ rows, more than 1 %"),
    ],
    ids=["answers", "is the shadow"],
)
def test_a_version_that_takes_down_its_process_goes_back_by_itself(steps, reason, shared, stack):
    """Its own requests end two processes each, and are counted as its failures. As the shadow it harms nobody."""
    rows = np.array([[1.0, 2.0], [3.0, 4.0]])
    dies = tepal.publish(Line("dies").fit(rows, rows[:, 0]), name="line", X=rows, store=shared)
    before = chosen(shared)
    with Load(stack.door.port, rate=6, connections=4, questions=BEYOND, allowed=(500, 503, 504)) as traffic:
        code, lines, err = rolled_out(shared, str(dies.version), "--steps", steps, "--every", "45", *stack.urls)

    print(traffic, traffic.statuses, *lines, err, sep="\n")
    assert code == 1
    assert re.search(reason, err)
    assert traffic.failures == []
    # Both replicas, of one worker each, may just be starting another one.
    assert traffic.statuses[503] + traffic.statuses[504] <= traffic.sent / 10
    assert chosen(shared) == before
    if steps != "100":
        assert set(traffic.statuses) == {200}
        ended = sum(replica.log.read_text().count("was sent SIGSEGV") for replica in stack.replicas)
        assert 2 <= ended <= 4  # two of each replica, which count for themselves


def test_one_that_would_refuse_what_is_answered_goes_back(shared, stack):
    """Nobody's request fails with 5xx: it wants a column that no caller sends."""
    rows = np.array([[1.0, 2.0, 0.0], [3.0, 4.0, 0.0]])
    tepal.publish(Line().fit(rows, rows[:, 0]), name="line", X=rows, store=shared)
    with load(stack.door, allowed=(422,)):
        code, _, err = rolled_out(shared, "5", "--steps", "10", "--every", "45", *stack.urls)

    assert code == 1
    assert "went back: it could not answer" in err


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_told_to_stop_it_goes_back(name, shared, stack):
    before = chosen(shared)
    with rollout(shared, GOOD, "--steps", "50,100", "--every", "45", *stack.urls) as process:
        first, second = process.stdout.readline(), process.stdout.readline()  # printed as it is done
        assert "from version 1 to version 2" in first
        assert second.endswith("  50 % …\n")
        assert chosen(shared).split == {"1": 50.0, "2": 50.0}

        process.send_signal(signal.Signals[name])
        _, err = process.communicate(timeout=30)

    assert process.returncode == 1
    assert err.startswith(f"Error: went back: stopped by {name}; line: version 1 answers, pinned")
    assert chosen(shared) == before


def test_where_nobody_reads_what_it_prints_it_goes_back(shared, stack):
    before = chosen(shared)
    with rollout(shared, GOOD, "--every", "0.5", *stack.urls) as process:
        process.stdout.readline()
        process.stdout.close()
        process.wait(30)

    assert process.returncode != 0
    assert chosen(shared) == before


def test_where_a_replica_cannot_be_read_any_more_it_goes_back(shared, stack):
    before = chosen(shared)
    _, other = stack.replicas
    with rollout(shared, GOOD, "--steps", "50", "--every", "3", *stack.urls) as process:
        process.stdout.readline()
        process.stdout.readline()
        other.process.terminate()
        _, err = process.communicate(timeout=30)

    assert process.returncode == 1
    assert err.startswith(f"Error: went back: nothing listens at {other.url}; ")
    assert chosen(shared) == before


def test_a_replica_that_is_started_again_is_waited_for_and_its_counters_begin_again(shared):
    port = servers.free_port()
    command = ["env", f"PORT={port}", "WEB_CONCURRENCY=1", sys.executable, "-m", "api"]
    with contextlib.ExitStack() as first:
        server = first.enter_context(servers.program(command, port, shared))
        for turn in range(100):
            ask(port, "/models/line/predict", client=f"client-{turn}")
        with rollout(shared, GOOD, "--steps", "100", "--every", "8", "--url", server.url) as process:
            process.stdout.readline()
            process.stdout.readline()
            first.close()
            with servers.program(command, port, shared):
                out, err = process.communicate(timeout=60)

    assert (process.returncode, err) == (0, "")
    assert "100 %: 0 requests, 0 errors, too little to judge" in out


def test_each_replica_is_asked_for_what_it_saw(shared, stack):
    """The traffic is on the second one alone; without its address nothing is seen of it."""
    options = ("--steps", "100", "--every", "1")
    with load(stack.replicas[1], allowed=(500,)):
        code, _, err = rolled_out(shared, RAISES, *options, *stack.urls)
        assert (code, "requests failed" in err) == (1, True)

        code, lines, _ = rolled_out(shared, RAISES, *options, "--url", stack.replicas[0].url)
    assert (code, lines[-1]) == (0, "version 3 saw too little traffic to be judged")


def test_steps_that_end_below_100_leave_the_split(shared, stack):
    code, lines, _ = rolled_out(shared, GOOD, "--steps", "5,25", "--every", "0.5", *stack.urls)

    assert (code, lines[-3]) == (0, "line: version 1 75 %, version 2 25 %")
    left = chosen(shared)
    assert (left.pinned, left.split, left.shadow) == ("1", {"1": 75.0, "2": 25.0}, "4")

    code, lines, _ = rolled_out(shared, GOOD, "--steps", "50,100", "--every", "0.5", *stack.urls)

    assert (code, lines[0].split(" in ")[0]) == (0, "line: from version 1 to version 2")
    assert (chosen(shared).pinned, chosen(shared).split) == ("2", {})
    run(shared, "rollback", "line")
    assert chosen(shared).pinned == "1"


def test_too_little_traffic_is_told_and_no_reason_to_go_back(shared, stack):
    code, lines, err = rolled_out(shared, RAISES, "--steps", "50,100", "--every", "0.5", *stack.urls)

    assert (code, err) == (0, "")
    assert lines[2] == "50 %: 0 requests, 0 errors, too little to judge"
    assert lines[-1] == "version 3 saw too little traffic to be judged"
    assert chosen(shared).pinned == "3"


def refused_before_anything_moves(store, number, *options) -> str:
    file = store / "line" / choice.FILE
    before = file.stat()
    code, lines, err = rolled_out(store, number, *options)

    assert (code, lines) == (1, [])
    after = file.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    return err


def test_what_is_not_there_or_bad_is_refused_before_anything_moves(shared, stack):
    assert "has no version '9'; it has 1, 2, 3, 4" in refused_before_anything_moves(shared, "9", *stack.urls)
    assert "version 1 of 'line' answers already" in refused_before_anything_moves(shared, "1", *stack.urls)
    (shared / "line" / "2" / "model.pkl").write_bytes(b"damaged")
    assert "version 2 must not serve: model.pkl is damaged" in refused_before_anything_moves(shared, "2", *stack.urls)
    nobody = f"http://127.0.0.1:{servers.free_port()}"
    assert f"nothing listens at {nobody}" in refused_before_anything_moves(shared, "3", *stack.urls, "--url", nobody)


def test_a_version_that_the_service_finds_bad_is_refused_before_anything_moves(shared, tmp_path):
    """Whole here, and refused there."""
    there = shutil.copytree(shared, tmp_path / "there")
    (there / "line" / "2" / "model.pkl").write_bytes(b"damaged")
    with servers.gunicorn(there, WEB_CONCURRENCY="1") as api:
        err = refused_before_anything_moves(shared, "2", "--url", api.url)

    assert f"{api.url} cannot serve version 2 of 'line': model.pkl is damaged" in err


def test_a_service_over_another_repository_is_told_from_one_over_this(shared, tmp_path):
    before = chosen(shared)
    there = shutil.copytree(shared, tmp_path / "there")
    with servers.gunicorn(there, WEB_CONCURRENCY="1") as api:
        code, _, err = rolled_out(shared, GOOD, "--every", "0.5", "--url", api.url)

    assert code == 1
    assert err.startswith(
        f"Error: went back: {api.url} does not see what is chosen here; it serves another model repository"
    )
    assert chosen(shared) == before


def test_what_somebody_else_chooses_meanwhile_stands(shared, stack):
    with rollout(shared, GOOD, "--every", "45", *stack.urls) as process:
        process.stdout.readline()
        process.stdout.readline()
        run(shared, "promote", "line", "4")
        after = chosen(shared)
        _, err = process.communicate(timeout=30)

    assert process.returncode == 1
    said = "Error: stopped: somebody else has chosen for model 'line' meanwhile; line: version 4 answers, pinned; "
    assert err.startswith(said)
    assert chosen(shared) == after


def test_a_newest_version_that_answers_already_is_told_how_to_be_rolled_out(shared, stack):
    run(shared, "promote", "line", "latest")

    err = refused_before_anything_moves(shared, "4", *stack.urls)

    assert "version 4 of 'line' answers already; pin the one that shall answer meanwhile: tepal promote line 3" in err


def test_killed_with_no_chance_to_go_back_one_command_does(shared, stack):
    with rollout(shared, GOOD, "--every", "45", *stack.urls) as process:
        process.stdout.readline()
        process.stdout.readline()
        wait_for(lambda: chosen(shared).split)
        process.kill()

    assert run(shared, "rollback", "line").splitlines()[0] == "line: version 1 answers, pinned"
