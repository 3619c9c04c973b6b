"""What MLflow's and SageMaker's clients write of frames with odd names and values, as they write it."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

import tepal
from api.app import create_app
from api.settings import Settings
from tests.transports import in_process
from tests.wire import request

WORDS = ["Infinity", "NaN", "Acme"]


class Length(RegressorMixin, BaseEstimator):
    """Answers a row with the length of its first value as text."""

    def fit(self, X, y=None):
        self.n_features_in_ = X.shape[1]
        self.feature_names_in_ = np.array(X.columns, dtype=object)
        return self

    def predict(self, X):
        return X.iloc[:, 0].map(lambda value: float(len(str(value)))).to_numpy()


def of_words(name):
    """A model of one column of words; it answers a word's place."""
    frame = pd.DataFrame({name: WORDS * 10})
    encoder = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), [name]))
    return make_pipeline(encoder, LinearRegression()).fit(frame, [0.0, 1.0, 2.0] * 10), frame


@pytest.fixture(scope="module", name="send")
def _send(tmp_path_factory):
    """A request to a service of these models."""
    store = tmp_path_factory.mktemp("odd-frames")
    numbers = np.random.default_rng(0).normal(0, 1, (50, 3))
    days = pd.DataFrame({"seen": pd.to_datetime(["2021-02-01", None] * 10)})
    three = pd.DataFrame(numbers, columns=["data", "strict", "c"])
    published = {
        "columns": of_words("columns"),
        "brand": of_words("brand"),
        "data": (LinearRegression().fit(three, numbers.sum(axis=1)), three),
        "days": (Length().fit(days), days),
        "unnamed": (LinearRegression().fit(numbers, numbers.sum(axis=1)), pd.DataFrame(numbers)),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's: it does not take numbers for names
        for name, (fitted, frame) in published.items():
            tepal.publish(fitted, name=name, X=frame, store=store)

    environ = {"MODEL_STORE": str(store)}
    apps = {name: create_app(Settings.from_environ({**environ, "DEFAULT_MODEL": name})) for name in published}

    def send(model, body, path="/invocations", **headers):
        received = in_process(apps[model])(request("POST", path, body, **headers))
        assert received.status == 200, received.body
        return [round(value, 9) for value in received.json["predictions"]]

    return send


@pytest.mark.parametrize("path", ["/invocations", "/predict"])
@pytest.mark.parametrize("rows", [2, 5000])
def test_a_frame_in_its_wrapper_is_one_whatever_its_columns_are_called(send, path, rows):
    words = [["Acme"], ["NaN"]] * (rows // 2)
    split = {"columns": ["columns"], "index": list(range(rows)), "data": words}
    assert send("columns", json.dumps({"dataframe_split": split}), path) == [2.0, 1.0] * (rows // 2)

    split = {"columns": ["c", "data", "strict"], "data": [[1, 2, 4]] * rows}
    assert send("data", json.dumps({"dataframe_split": split}), path) == [7.0] * rows
    assert send("data", json.dumps({"dataframe_records": [{"data": 1, "strict": 2, "c": 4}] * rows}), path) == [7.0] * rows


def test_without_the_wrapper_a_column_wins(send):
    assert send("data", json.dumps({"data": [1], "strict": [2], "c": [4], "columns": 0}), "/predict") == [7.0]


@pytest.mark.parametrize(
    "type_", ["text/csv", "application/octet-stream", "text/plain", "application/x-www-form-urlencoded", ""]
)
@pytest.mark.parametrize("path", ["/invocations", "/predict"])
def test_words_of_a_csv_are_words(send, type_, path):
    assert send("brand", "\n".join([*WORDS, ""]), path, content_type=type_) == [0.0, 1.0, 2.0]


@pytest.mark.parametrize("type_", ["application/json", ""])
def test_words_of_json_outside_of_texts_are_numbers(send, type_):
    """That is how Python writes them; NaN is null."""
    body = '{"dataframe_split":{"columns":["seen"],"data":[[NaN]]}}'

    assert send("days", body, content_type=type_) == send("days", '{"inputs":[{"seen":null}]}') == [3.0]


@pytest.mark.parametrize("path", ["/invocations", "/predict"])
def test_the_name_that_pandas_has_for_a_missing_moment_is_none(send, path):
    """MLflow's client writes it, and so does whoever asks a moment for its text."""
    body = {"dataframe_split": {"columns": ["seen"], "data": [["2021-02-01T00:00:00"], ["NaT"], [None]]}}

    assert send("days", json.dumps(body), path) == [19.0, 3.0, 3.0]


@pytest.mark.parametrize("path", ["/invocations", "/predict"])
@pytest.mark.parametrize("rows", [2, 5000])
def test_a_frame_of_columns_without_names_has_numbers_for_names(send, path, rows):
    split = {"columns": [2, 0, 1], "index": list(range(rows)), "data": [[4, 1, 2]] * rows}

    assert send("unnamed", json.dumps({"dataframe_split": split}), path) == [7.0] * rows


def test_a_method_that_is_not_taken_is_told_in_mlflow_s_keys(app):
    received = in_process(app)(request("GET", "/invocations"))

    assert received.status == 405
    assert received.json["message"] == received.json["error"]
    assert received.json["error_code"] == "BAD_REQUEST"
