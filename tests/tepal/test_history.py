"""Rows at the start of a sequence, which a model that needs a history leaves without an answer."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin

import tepal
from api.app import create_app
from api.settings import Settings
from tepal import PublishError, manifest
from tests.transports import in_process
from tests.wire import request


class Rolling(RegressorMixin, BaseEstimator):
    """The mean of the last rows; with ``names``, of the last one too."""

    def __init__(self, window=25, names=()):
        self.window = window
        self.names = names

    def fit(self, X, y=None):
        self.n_features_in_ = 1
        return self

    def predict(self, X):
        price = pd.Series(np.asarray(X, dtype=float)[:, 0])
        mean = price.rolling(self.window + 1).mean()
        mean[price < 0] = np.nan
        return pd.DataFrame({"mean": mean, "last": price.shift(1)}) if self.names else mean.to_numpy()


PRICES = np.arange(100.0).reshape(-1, 1) + 1


@pytest.fixture(name="ask")
def _ask(tmp_path):
    """Publishes an estimator; returns what asks it."""

    def publish(estimator, X=PRICES):
        tepal.publish(estimator.fit(X), name="m", X=X, rows="sequence", store=tmp_path)
        send = in_process(create_app(Settings.from_environ({"MODEL_STORE": str(tmp_path)})))
        return lambda rows: send(request("POST", "/predict", json.dumps(rows))).json

    return publish


def test_one_warning_says_which_rows_have_no_answer_and_why(ask, tmp_path):
    answer = ask(Rolling())(PRICES[:40].tolist())

    assert answer["predictions"][:25] == [None] * 25
    assert answer["predictions"][25:] == Rolling().predict(PRICES[:40])[25:].tolist()
    assert answer["warnings"] == [
        {"row": 0, "message": "no answer for rows 0–24: the model needs 25 earlier rows before it can answer"}
    ]
    assert manifest.read(tmp_path / "m" / "1").history == 25


def test_fewer_rows_than_the_history_are_all_without_an_answer(ask):
    answer = ask(Rolling())(PRICES[:2].tolist())

    assert answer["predictions"] == [None, None]
    assert answer["warnings"][0]["message"].startswith("no answer for rows 0–1: the model needs 25 earlier rows")


def test_a_history_of_one_row_is_one_row(ask):
    answer = ask(Rolling(1))(PRICES[:3].tolist())

    assert answer["warnings"] == [
        {"row": 0, "message": "no answer for row 0: the model needs 1 earlier row before it can answer"}
    ]


def test_a_later_row_without_an_answer_is_told_by_itself(ask):
    rows = [[price] for price in [1, 2, 3, -4, 5, 6, 7]]

    answer = ask(Rolling(2))(rows)

    messages = [(warning["row"], warning["message"]) for warning in answer["warnings"] if "column" not in warning]
    assert messages == [
        (0, "no answer for rows 0–1: the model needs 2 earlier rows before it can answer"),
        (3, "the model's answer for 'y' is not a finite number"),
    ]


def test_of_several_outputs_the_longest_history_counts_and_is_told_once(ask):
    answer = ask(Rolling(3, ("mean", "last")))(PRICES[:5].tolist())

    assert answer["predictions"][:2] == [{"mean": None, "last": None}, {"mean": None, "last": 1.0}]
    assert [warning["message"] for warning in answer["warnings"]] == [
        "no answer for rows 0–2: the model needs 3 earlier rows before it can answer"
    ]


def test_a_model_that_answers_every_row_needs_no_history(ask, tmp_path):
    answer = ask(Rolling(0))(PRICES[:2].tolist())

    assert "warnings" not in answer
    assert manifest.read(tmp_path / "m" / "1").history == 0


def test_golden_rows_of_a_sequence_hold_answers_after_the_history(ask, tmp_path):
    ask(Rolling(60))

    golden = manifest.read(tmp_path / "m" / "1").golden
    assert sum(answer is not None for answer in golden.together.predictions) == 32


def test_a_model_that_answers_none_of_the_rows_is_refused(tmp_path):
    with pytest.raises(PublishError, match="answers none of the 20 rows of X for 'y'; give more rows"):
        tepal.publish(Rolling(), name="m", X=PRICES[:20], rows="sequence", store=tmp_path)


def test_why_a_row_is_null_is_told_before_what_was_outside_the_range(ask):
    answer = ask(Rolling())((PRICES + 1000).tolist())

    assert "before it can answer" in answer["warnings"][0]["message"]
    assert answer["warnings_total"] == 1 + len(PRICES)
