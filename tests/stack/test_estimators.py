"""Every estimator that predicts, in one model repository, before one real gunicorn."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

import tepal
from tepal import proof
from tests import estimators, servers, transports
from tests.wire import request

SHARE = 0.95

# Threads of native code that were started before the fork are dead after it; these start some wherever they may.
THREADED = (
    "lightgbm-two-classes",
    "xgboost-two-classes",
    "histgradientboostingclassifier-texts",
    "kmeans",
    "kneighborsregressor",
)


@pytest.fixture(name="walked", scope="module")
def _walked(walk):
    """Every case with what was published of it."""
    return {name: walk.published(name) for name in estimators.cases()}


def same_over_http(send, name, case):
    """Whether one row and a batch of them are answered as the estimator does; where not, the reason."""
    rows = estimators.records(case.X)
    for count, body in ((1, rows[0]), (25, rows[:25])):
        received = send(request("POST", f"/models/{name}/predict", json.dumps(body)))
        if received.status != 200:
            return f"{received.status}: {received.json['error']}"
        try:
            estimators.assert_same(case, slice(count), received.json, proof.TOLERANCE)
        except AssertionError as error:
            return f"{count} rows: {str(error)[:300]}"
    return None


def test_all_of_them_are_served_at_once_and_answer_what_they_answer_themselves(walk, walked, capsys):
    with servers.gunicorn(walk.store) as server:
        send = transports.over_http(server.port)
        assert send(request("GET", "/readyz")).status == 200
        wrong = {
            name: str(done) if isinstance(done, tepal.PublishError) else same_over_http(send, name, case)
            for name, (case, done) in walked.items()
        }
    wrong = {name: reason for name, reason in wrong.items() if reason is not None}
    kinds = {name.lower() for name in estimators.classes()}
    good = kinds - {name.split("-")[0] for name in wrong.keys() & estimators.of_scikit_learn().keys()}
    with capsys.disabled():
        print(f"\n{len(good)} of {len(kinds)} estimators of scikit-learn, {len(walked) - len(wrong)} of {len(walked)} cases")
        print(*(f"  {name}: {reason}" for name, reason in wrong.items()), sep="\n")
    assert len(good) >= SHARE * len(kinds)
    assert set(wrong) == set(estimators.REFUSED), "the table of refusals is as it is"


@pytest.mark.parametrize("threads", ["1", "4"])
def test_native_threads_do_not_hang_a_worker_that_was_forked(walk, tmp_path, threads):
    names = [name for name in THREADED if name in estimators.cases()]
    cases = {name: walk.published(name)[0] for name in names}
    for name in names:
        (tmp_path / name).symlink_to(walk.store / name)
    bodies = {name: json.dumps(estimators.records(case.X) * 20) for name, case in cases.items()}

    with servers.gunicorn(tmp_path, OMP_NUM_THREADS=threads) as server:
        before, send = server.workers(), transports.over_http(server.port)
        with ThreadPoolExecutor(2) as pool:
            asked = [(name, request("POST", f"/models/{name}/predict", bodies[name])) for _ in range(8) for name in names]
            answers = list(pool.map(lambda one: (one[0], send(one[1])), asked))
        after = server.workers()

    assert after == before
    for name, received in answers:
        assert received.status == 200, received.body
        wanted = estimators.expected(cases[name], slice(None))["predictions"]
        assert received.json["predictions"] == wanted * 20
