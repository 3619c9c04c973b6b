"""Versions come, are chosen and go while requests are answered: nobody notices, and nobody gets another version."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tepal import publish
from tests import servers
from tests.models import Hoard
from tests.parts import FAULT_SECONDS as SECONDS
from tests.servers import ROOT
from tests.stack.load import RATE, Load
from train import iris


@pytest.fixture(name="shared")
def _shared(tmp_path):
    """A repository with two versions of iris."""
    for _ in range(2):
        iris.run("svm", iris.ALGORITHMS["svm"], tmp_path / "model")
    return tmp_path / "model"


@contextlib.contextmanager
def two_replicas(store: Path) -> Iterator[int]:
    """nginx before two gunicorns of two workers over the same repository; its port."""
    with replicated(store) as (door, _):
        yield door.port


@contextlib.contextmanager
def replicated(store: Path) -> Iterator[tuple[servers.Server, list[servers.Server]]]:
    """The same, as nginx and the two gunicorns."""
    with (
        servers.gunicorn(store) as one,
        servers.gunicorn(store) as other,
        servers.nginx([f"127.0.0.1:{one.port}", f"127.0.0.1:{other.port}"]) as door,
    ):
        yield door, [one, other]


def tepal(store: Path, *arguments: str) -> str:
    """Run a command as an operator does."""
    done = subprocess.run(
        [sys.executable, "-m", "tepal", *arguments],
        cwd=ROOT,
        env={"MODEL_STORE": str(store), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def ask(port: int, path: str = "/predict", method: str = "POST", client: str = "") -> tuple[int, dict]:
    """Status and JSON of one request."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    headers = {"X-Client-ID": client} if client else {}
    connection.request(method, path, "[5.9,3.0,5.1,1.8]" if method == "POST" else None, headers)
    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()
    return response.status, answer


def stale(load: Load, promotions: list[tuple[float, float, str]]) -> list[str]:
    """Answers by another version than the last promotion that had returned when they were asked for.

    promotions: each with its begin, its end and the version. One that was under way may have been seen already.
    """
    found = []
    for sent, answered, version in load.versions:
        returned = [number for _, ended, number in promotions if ended < sent]
        under_way = {number for began, ended, number in promotions if began < answered and ended >= sent}
        if version not in {*returned[-1:], *under_way}:
            found.append(f"version {version} at {sent:.3f}, promoted was {returned[-1:]}")
    return found


@pytest.mark.parametrize("killing", [False, True], ids=["alone", "while workers are killed"])
def test_promoted_back_and_forth_under_load_nothing_fails_and_nothing_is_stale(killing, shared):
    promotions = []
    kills = 0
    with replicated(shared) as (door, replicas):
        tepal(shared, "promote", "iris", "1")
        promotions.append((0.0, 0.0, "1"))
        with Load(door.port, rate=RATE) as load:
            end = time.monotonic() + SECONDS
            number = "1"
            while time.monotonic() < end:
                for _ in range(2):
                    time.sleep(1)
                    if killing:
                        kill_one_of(random.choice(replicas))
                        kills += 1
                number = "2" if number == "1" else "1"
                began = time.monotonic()
                tepal(shared, "promote", "iris", number)
                promotions.append((began, time.monotonic(), number))
    print(load, f"{len(promotions)} promotions, {kills} kills")

    assert load.failures == []
    assert stale(load, promotions) == []
    assert {version for _, _, version in load.versions} == {"1", "2"}


def kill_one_of(replica: servers.Server) -> None:
    """A worker of it, with no chance to end what it does."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(random.choice(replica.workers()), signal.SIGKILL)


def test_a_large_version_that_appears_does_not_slow_the_answers(shared, tmp_path):
    """Each process loads it aside, from a file of 64 MiB, in the midst of its requests."""
    versions = int(max(SECONDS / 4, 2))
    aside = tmp_path / "aside"
    rows = np.array([[1.0, 2.0], [3.0, 4.0]])
    for _ in range(versions):
        publish(Hoard(table=64 * 1024 * 1024).fit(rows, rows[:, 0]), name="large", X=rows, store=aside)
    with replicated(shared) as (door, _):
        with Load(door.port, rate=RATE, path="/models/iris/predict") as quiet:
            time.sleep(2 * versions)
        (shared / "large").mkdir()
        with Load(door.port, rate=RATE, path="/models/iris/predict") as busy:
            for number in range(1, versions + 1):
                (aside / "large" / str(number)).rename(shared / "large" / str(number))
                time.sleep(2)
        wait_for(lambda: str(versions) in ask(door.port, "/models/large", "GET")[1]["versions"])
    print(f"quiet: {quiet}; {versions} versions: {busy}; p99 {busy.p99 / quiet.p99:.1f} × quiet")

    assert (quiet.failures, busy.failures) == ([], [])


def test_a_version_that_appears_under_load_answers_within_seconds_and_no_request_fails(shared):
    with two_replicas(shared) as port, Load(port, rate=RATE) as load:
        time.sleep(1)
        published = time.monotonic()
        iris.run("svm", iris.ALGORITHMS["svm"], shared)
        there = time.monotonic()
        time.sleep(5)
    late = [version for sent, _, version in load.versions if sent > there + 4]

    assert load.failures == []
    assert late
    assert set(late) == {"3"}
    assert {version for sent, _, version in load.versions if sent < published} == {"2"}


def test_a_new_version_is_asked_for_at_once_after_it_was_promoted(shared):
    with two_replicas(shared) as port:
        assert ask(port)[1]["version"] == "2"
        for number in ("3", "4", "5"):
            iris.run("svm", iris.ALGORITHMS["svm"], shared)
            tepal(shared, "promote", "iris", number)

            assert {ask(port)[1]["version"] for _ in range(8)} == {number}


def test_a_bad_version_that_appears_touches_no_good_one(shared):
    with two_replicas(shared) as port:
        bad = shutil.copytree(shared / "iris" / "2", shared / "iris" / "3")
        (bad / "model.pkl").write_bytes(b"damaged")
        wait_for(lambda: "3" in ask(port, "/models/iris", "GET")[1]["versions"])

        assert ask(port)[1]["version"] == "2"
        status, card = ask(port, "/models/iris/versions/3", "GET")
        assert (status, card["status"]) == (200, "not_ready")
        assert ask(port, "/readyz", "GET")[0] == 200


def test_a_version_whose_files_are_damaged_while_it_serves_goes_on(shared):
    with servers.gunicorn(shared) as api:
        assert ask(api.port)[1]["version"] == "2"
        (shared / "iris" / "2" / "model.pkl").write_bytes(b"damaged")
        time.sleep(3)

        assert {ask(api.port)[1]["version"] for _ in range(8)} == {"2"}
    with servers.gunicorn(shared) as api:
        assert ask(api.port)[1]["version"] == "1"  # started again, it is not trusted any more


def test_a_pinned_version_that_is_bad_at_the_start_answers_503_and_no_other_does(shared):
    tepal(shared, "promote", "iris", "2")
    (shared / "iris" / "2" / "model.pkl").write_bytes(b"damaged")

    with servers.gunicorn(shared) as api:
        status, answer = ask(api.port)
        assert (status, answer["code"]) == (503, "not_ready")
        assert "version 2, which is pinned: model.pkl is damaged" in answer["error"]
        assert ask(api.port, "/models/iris/versions/1/predict")[0] == 200


def test_models_come_and_go(shared):
    with servers.gunicorn(shared) as api:
        iris.run("logistic", iris.ALGORITHMS["logistic"], shared)
        wait_for(lambda: ask(api.port, "/models/iris-logistic/predict")[0] == 200)
        shutil.rmtree(shared / "iris-logistic")
        wait_for(lambda: ask(api.port, "/models/iris-logistic/predict")[0] == 404)


def test_a_version_that_kills_its_process_when_it_is_loaded_is_refused_and_the_service_lives(shared, tmp_path):
    script = f"""
import ctypes, numpy as np, tepal
from sklearn.base import BaseEstimator, RegressorMixin
class Bomb(RegressorMixin, BaseEstimator):
    def fit(self, X, y=None):
        self.n_features_in_ = 1
        return self
    def predict(self, X):
        return np.asarray(X)[:, 0]
    def __setstate__(self, state):
        import os
        if os.environ.get("TEPAL_TEST_BOMB"):
            ctypes.string_at(0)
        self.__dict__.update(state)
rows = np.array([[1.0], [2.0]])
tepal.publish(Bomb().fit(rows), name="bomb", X=rows, store={str(shared)!r})
"""
    with servers.gunicorn(shared, TEPAL_TEST_BOMB="1") as api:
        with Load(api.port, rate=20, path="/models/iris/predict", retry=True) as load:
            subprocess.run([sys.executable, "-c", script], env={"PYTHONPATH": str(ROOT), "PATH": ""}, check=True)
            wait_for(lambda: "took down the process" in str(tried(api.port, "/models/bomb")), seconds=20)
            time.sleep(2)
        before = set(api.workers())
        time.sleep(2)

        assert set(api.workers()) == before
        assert len(load.failures) <= 4, load.failures  # two workers died, with what they held
        assert ask(api.port, "/models/iris/predict")[0] == 200


def tried(port: int, path: str) -> object:
    """What is answered, or why nothing is."""
    try:
        return ask(port, path, "GET")
    except (OSError, http.client.HTTPException) as error:
        return error


def wait_for(holds, seconds: float = 10) -> None:
    """Until it holds; fails where it does not come to that."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.1)
