"""Traffic between versions: split by weight, sticky by client, and a shadow that costs the answers nothing."""

from __future__ import annotations

import http.client
import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.svm import SVC

import tepal
from tests import servers
from tests.parts import FAULT_SECONDS
from tests.stack.load import RATE, ROUND, UNMOVED, Load, slowed
from tests.stack.test_swap import ask, wait_for
from tests.stack.test_swap import tepal as run
from train import iris

REQUESTS = 20_000


@pytest.fixture(name="shared")
def _shared(tmp_path):
    """Two versions of iris that agree, and a third one that always says setosa."""
    store = tmp_path / "model"
    for _ in range(2):
        iris.run("svm", iris.ALGORITHMS["svm"], store)
    X, y = iris.load_iris(return_X_y=True)
    names = iris.load_iris().target_names[y]
    always = DummyClassifier(strategy="constant", constant="setosa").fit(X, names)
    tepal.publish(always, name="iris", X=dict(zip(iris.COLUMNS, X.T)), y=names, store=store)
    run(store, "promote", "iris", "1")
    return store


def versions_of(port: int, clients: list[str]) -> list[str]:
    """The version that each of the clients got, asked on a few connections."""

    def some(part: list[str]) -> list[str]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        got = []
        for client in part:
            connection.request("POST", "/predict?probabilities=false", "[5.9,3.0,5.1,1.8]", {"X-Client-ID": client})
            response = connection.getresponse()
            assert response.status == 200
            got.append(json.loads(response.read())["version"])
        connection.close()
        return got

    with ThreadPoolExecutor(8) as pool:
        parts = pool.map(some, [clients[i::8] for i in range(8)])
    found = [""] * len(clients)
    for i, part in enumerate(parts):
        found[i::8] = part
    return found


def test_a_split_is_what_it_says_and_a_client_stays_on_its_side(shared):
    clients = [f"client-{i}" for i in range(REQUESTS)]
    with servers.gunicorn(shared) as api, servers.nginx([f"127.0.0.1:{api.port}"]) as door:
        run(shared, "split", "iris", "1=90", "2=10")
        first = versions_of(door.port, clients)
        again = versions_of(door.port, clients[:2_000])
        card = ask(door.port, "/models/iris", "GET")[1]

    assert first[:2_000] == again
    share = Counter(first)["2"] / REQUESTS
    print(f"10 % asked for, {share:.2%} given")
    assert abs(share - 0.1) < 4 * np.sqrt(0.1 * 0.9 / REQUESTS)
    assert card["traffic"]["split"] == {"1": 90.0, "2": 10.0}
    counted = {number: told["requests"] for number, told in card["traffic"]["since_start"].items()}
    assert counted == {"3": 0} | dict(Counter(first + again))


def test_without_a_name_a_client_is_its_address(shared):
    with servers.gunicorn(shared) as api, servers.nginx([f"127.0.0.1:{api.port}"]) as door:
        run(shared, "split", "iris", "1=50", "2=50")

        assert len({ask(door.port)[1]["version"] for _ in range(20)}) == 1


def test_a_shadow_that_differs_is_found_and_told_of(shared):
    with servers.gunicorn(shared) as api:
        run(shared, "shadow", "iris", "3")
        for _ in range(30):
            assert ask(api.port)[1]["version"] == "1"

        def told():
            return ask(api.port, "/models/iris", "GET")[1]["traffic"]["shadow"]

        wait_for(lambda: sum(told()["rows"].values()) == 30)
        report = told()
        assert report["rows"] == {"agree": 0, "differ": 30, "failed": 0, "skipped": 0}
        assert report["disagreement"] == 1.0
        assert report["where"] == [{"answered": "virginica", "shadow": "setosa", "rows": 30}]


def test_a_shadow_that_agrees_does_not_differ(shared):
    with servers.gunicorn(shared) as api:
        run(shared, "shadow", "iris", "2")
        for _ in range(10):
            ask(api.port)

        wait_for(lambda: ask(api.port, "/models/iris", "GET")[1]["traffic"]["shadow"]["rows"]["agree"] == 10)
        assert ask(api.port, "/models/iris", "GET")[1]["traffic"]["shadow"]["disagreement"] == 0.0


def test_a_shadow_that_differs_does_not_slow_the_answers(shared):
    """p99 with it as a ratio to that without."""

    with servers.gunicorn(shared) as api, servers.nginx([f"127.0.0.1:{api.port}"]) as door:
        ratio = slowed(
            door.port,
            lambda: time.sleep(ROUND),
            before=lambda: run(shared, "shadow", "iris", "3"),
            after=lambda: run(shared, "shadow", "iris", "off"),
        )
    assert ratio <= UNMOVED


class Slow(SVC):
    """Takes 20 ms of a core for each call."""

    def predict(self, X):
        end = time.thread_time() + 0.02
        while time.thread_time() < end:
            pass
        return super().predict(X)


def test_a_slow_shadow_does_not_slow_the_answers(shared):
    X, y = iris.load_iris(return_X_y=True)
    names = iris.load_iris().target_names[y]
    slow = Slow(kernel="linear").fit(X, names)
    tepal.publish(slow, name="iris", X=dict(zip(iris.COLUMNS, X.T)), y=names, store=shared)
    seconds = max(FAULT_SECONDS / 2, 3)
    with servers.gunicorn(shared) as api, servers.nginx([f"127.0.0.1:{api.port}"]) as door:
        with Load(door.port, rate=RATE) as quiet:
            time.sleep(seconds)
        run(shared, "shadow", "iris", "4")
        with Load(door.port, rate=RATE) as shadowed:
            time.sleep(seconds)
        rows = ask(door.port, "/models/iris", "GET")[1]["traffic"]["shadow"]["rows"]
    print(f"p99 {shadowed.p99 / quiet.p99:.2f} × quiet, {rows}")

    assert (quiet.failures, shadowed.failures) == ([], [])
    assert rows["agree"] > 0
    assert rows["differ"] == rows["failed"] == 0
    assert rows["skipped"] > 0  # it could never keep up, and need not
