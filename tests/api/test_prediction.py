"""Whatever protocol asks: the same counts, the same drift, the same shadow, the same limits; warnings go to the log."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import LinearRegression, LogisticRegression

import tepal
from api import observe
from api.answer import answer
from api.drift import MOST_ROWS, Drift
from api.errors import Overloaded
from api.exchange import Exchange
from api.message import Context, Request
from api.metrics import SHADOW_GAP, SHADOW_PAIRS, SHADOW_ROWS, STAGES, Metrics
from api.settings import Settings
from api.shadow import MOST_PAIRS, Shadow, report
from tepal import Repository, choice
from tepal.notes import quoted

ROWS = [[0.5, 1.0], [9.0, -9.0]]
SENT = {
    "/predict": ROWS,
    "/models/m/predict": {"instances": ROWS},
    "/v1/models/m:predict": {"instances": ROWS},
    "/v2/models/m/infer": {"inputs": [{"name": "x", "shape": [2, 2], "datatype": "FP64", "data": ROWS}]},
    "/invocations": {"inputs": ROWS},
}
PINNED = {"/v1/models/m/versions/1:predict", "/v2/models/m/versions/1/infer"}
WARNINGS = {"9.0 is outside the range 0.0–2.0 seen in training", "-9.0 is outside the range 0.0–2.0 seen in training"}


@pytest.fixture(name="context")
def _context(tmp_path):
    """Of a model whose second version is asked as the shadow of the first."""
    X, y = np.array([[0.0, 0.0], [1.0, 2.0], [2.0, 1.0], [0.0, 2.0]] * 5), ["a", "b"] * 10
    for _ in range(2):
        tepal.publish(LogisticRegression().fit(X, y), name="m", X=X, y=y, store=tmp_path)
    choice.promote(tmp_path / "m", "1")
    choice.shadow(tmp_path / "m", "2")
    metrics = Metrics()
    settings = Settings.from_environ({"MODEL_STORE": str(tmp_path)})
    return Context(settings, Repository.open(tmp_path), metrics, Drift(metrics.tally), Shadow(metrics))


@pytest.fixture(name="lines")
def _lines(monkeypatch, tmp_path):
    """The log lines written so far, parsed."""
    path = tmp_path / "log"
    with path.open("wb") as file:
        monkeypatch.setattr(observe, "STDOUT", file.fileno())
        yield lambda: [json.loads(line) for line in path.read_text().splitlines() if line.isprintable()]


def ask(context, path, exchange=None):
    body = json.dumps(SENT.get(path) or SENT["/v1/models/m:predict" if path.startswith("/v1") else "/v2/models/m/infer"])
    return answer(context, Request("POST", path, {}, {}), body.encode, exchange)


@pytest.mark.parametrize("path", SENT)
def test_it_is_counted_compared_with_the_training_and_asked_of_the_shadow(context, lines, path):
    assert ask(context, path).status == 200

    deadline = time.monotonic() + 10
    while not context.metrics.sums(SHADOW_ROWS):
        assert time.monotonic() < deadline, "the shadow was not asked"
        time.sleep(0.01)
    version = context.repository.models["m"].default
    assert context.metrics.totals("m")["1"].requests == 1
    assert {stage for stage, *_ in context.metrics.sums(STAGES)} == {"decode", "predict", "encode"}
    assert context.drift.report(version).rows == 2
    assert context.metrics.sums(SHADOW_ROWS) == {("m", "1", "2", "agree"): [2.0]}


@pytest.mark.parametrize("path", PINNED)
def test_a_version_that_is_asked_for_by_its_number_has_no_shadow(context, lines, path):
    assert ask(context, path).status == 200
    assert not context.shadow._pending


@pytest.mark.parametrize("path", SENT)
def test_warnings_are_in_the_native_answer_and_in_the_log_of_all_others(context, lines, path):
    told = json.loads(ask(context, path).body)
    (line,) = lines()

    native = path.endswith("/predict")
    warnings = told["warnings"] if native else line["warnings"]
    assert {warning["message"] for warning in warnings} == WARNINGS
    assert ("warnings" in told, "warnings" in line) == (native, not native)
    assert line.get("warnings_total", 2) == 2


def test_what_a_warning_quotes_moves_no_cursor(store, context, lines):
    """A line of the log is one JSON object, whatever text is in it."""
    word = "gold\x1b[31m\u202e\n\x7f"
    row = {"age": 30, "height": None, "city": "Berlin", "plan": word, "member": True, "joined": "2020-02-01"}
    context = context._replace(repository=Repository.open(store, names=["people"]))

    body = json.dumps({"instances": [row]})
    answered = answer(context, Request("POST", "/v1/models/people:predict", {}, {}), body.encode)

    (line,) = lines()
    assert answered.status == 200
    assert line["warnings"] == [{"row": 0, "column": "plan", "message": f"{quoted(word)} was never seen in training"}]


@pytest.mark.parametrize("path", SENT)
def test_where_every_thread_is_busy_it_is_refused(context, lines, path):
    refused = ask(context, path, Exchange(8, full=True))

    assert (refused.status, refused.code) == (503, "overloaded")
    assert json.loads(refused.body)["error"] == str(Overloaded())


def test_a_large_batch_of_the_training_itself_has_not_drifted(context):
    """Though what comes is in order, and each nth row alike."""
    hours = np.arange(12_000)[:, None] % 24.0
    tepal.publish(LinearRegression().fit(hours, hours[:, 0]), name="hours", X=hours, store=context.settings.model_store)
    context.repository.refresh()

    body = json.dumps(hours.tolist())
    assert answer(context, Request("POST", "/models/hours/predict", {}, {}), body.encode).status == 200

    report = context.drift.report(context.repository.models["hours"].default)
    assert [column.state for column in report.columns] == ["stable"]
    assert report.rows == MOST_ROWS


class Next(RegressorMixin, BaseEstimator):
    """Answers a row with the whole number after its first value, or with that as a text."""

    def __init__(self, add=0, kind=np.int64):
        self.add, self.kind = add, kind

    def fit(self, X, y=None):
        self.n_features_in_ = 1
        return self

    def predict(self, X):
        return (np.asarray(X)[:, 0].astype(np.int64) + self.add).astype(self.kind)


@pytest.mark.parametrize(("kind", "pairs"), [(np.int64, 0), (str, MOST_PAIRS + 1)])
def test_a_shadow_that_differs_on_every_row_of_a_large_batch_is_counted_and_bounded(context, kind, pairs):
    """What a client sends makes no more than so many series; numbers are not counted one by one at all."""
    rows = np.arange(20_000.0)[:, None]
    home = context.settings.model_store / "next"
    for add in (0, 1):
        tepal.publish(Next(add, kind), name="next", X=rows[:100], store=home.parent)
    choice.promote(home, "1")
    choice.shadow(home, "2")
    context.repository.refresh()

    body = json.dumps(rows.tolist())
    assert answer(context, Request("POST", "/models/next/predict", {}, {}), body.encode).status == 200
    last = SHADOW_PAIRS if pairs else SHADOW_GAP  # what is counted last
    deadline = time.monotonic() + 30
    while sum(amount for (amount,) in context.metrics.sums(last).values()) < 20_000:
        assert time.monotonic() < deadline, "the shadow was not asked"
        time.sleep(0.01)

    told = report(context.metrics, "next", "2")
    assert told["disagreement"] == 1
    assert len(context.metrics.sums(SHADOW_PAIRS)) == pairs
    if pairs:
        assert told["where"][0] == {"answered": "other", "shadow": "other", "rows": 20_000 - MOST_PAIRS}
    else:
        assert told["mean_difference"] == 1
