"""Twenty models in one service: each answers as itself, and they cost little more than one."""

from __future__ import annotations

import contextlib
import time

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

import tepal
from tests import servers
from tests.stack.test_memory import Holdings
from tests.transports import over_http
from tests.wire import request

MANY = 20
KINDS = (SVC, lambda: make_pipeline(StandardScaler(), LogisticRegression()), DecisionTreeClassifier)


@pytest.fixture(scope="module", name="many")
def _many(tmp_path_factory):
    """A repository with twenty small models of three kinds, each with labels of its own."""
    store = tmp_path_factory.mktemp("many")
    X, y = load_iris(return_X_y=True)
    for number in range(MANY):
        labels = np.char.add(f"of-{number}-", y.astype(str))
        tepal.publish(KINDS[number % len(KINDS)]().fit(X, labels), name=f"model-{number}", X=X, y=labels, store=store)
    return store


def answers(server, number: int) -> str:
    """What a model says to an iris."""
    received = over_http(server.port)(request("POST", f"/models/model-{number}/predict", "[5.9,3.0,5.1,1.8]"))
    assert received.status == 200, received.body
    return received.json["predictions"][0]


def test_each_answers_as_itself_and_all_together_are_not_much_more_than_one(many):
    memory, start = {}, {}
    for models in (1, MANY):
        names = ",".join(f"model-{number}" for number in range(models))
        with contextlib.ExitStack() as stack:
            began = time.monotonic()
            server = stack.enter_context(servers.gunicorn(many, MODELS=names))
            start[models] = time.monotonic() - began
            for _ in range(4):  # so that each worker is asked
                assert [answers(server, number) for number in range(models)] == [f"of-{n}-2" for n in range(models)]
            memory[models] = Holdings.of(server).memory
            ready = over_http(server.port)(request("GET", "/readyz")).json
            assert ready["models"] == {f"model-{number}": "1" for number in range(models)}
    print(
        f"{MANY} models: PSS {memory[MANY]:.0f} MiB, {memory[MANY] / memory[1]:.2f} × that of one; "
        f"start {start[MANY]:.2f} s, {start[MANY] / start[1]:.2f} × that of one"
    )

    assert memory[MANY] < 1.5 * memory[1]
