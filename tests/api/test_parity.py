"""The service answers what the pickled model answers: all of Iris, in every shape, one by one and as one batch."""

from __future__ import annotations

import json

import joblib
import numpy as np
import pytest
from sklearn.datasets import load_iris

from tests.wire import request
from train.iris import COLUMNS

ROWS = load_iris().data


def records(rows):
    return [dict(zip(COLUMNS, row)) for row in rows.tolist()]


def backwards(rows):
    return {"columns": COLUMNS[::-1], "index": list(range(len(rows))), "data": rows[:, ::-1].tolist()}


SHAPES = {
    "records": records,
    "matrix": lambda rows: rows.tolist(),
    "split": lambda rows: {"columns": COLUMNS, "data": rows.tolist()},
    "split, another order": backwards,
    "columns": lambda rows: dict(zip(COLUMNS, rows.T.tolist())),
    "instances": lambda rows: {"instances": rows.tolist()},
    "inputs": lambda rows: {"inputs": dict(zip(COLUMNS, rows.T.tolist()))},
    "data": lambda rows: {"data": records(rows)},
    "dataframe_split": lambda rows: {"dataframe_split": backwards(rows)},
    "dataframe_records": lambda rows: {"dataframe_records": records(rows)},
    "records with a column that is ignored": lambda rows: [{**record, "id": i} for i, record in enumerate(records(rows))],
}
ONE_ROW = {"record": lambda rows: records(rows)[0], "vector": lambda rows: rows[0].tolist()}


def expected(store, name, rows):
    """Labels, and probabilities where there are any, of the pickle opened by joblib and called with these rows."""
    estimator = joblib.load(store / name / "1" / "model.pkl")
    chances = estimator.predict_proba(rows) if hasattr(estimator, "predict_proba") else None
    return estimator.predict(rows).tolist(), chances, estimator.classes_.tolist()


def assert_same(answer, labels, chances, classes):
    assert answer["predictions"] == labels
    if chances is None:
        assert "probabilities" not in answer
    else:
        got = np.array([[row[label] for label in classes] for row in answer["probabilities"]])
        assert got.tobytes() == chances.tobytes(), "bit for bit"


@pytest.mark.parametrize("name", ["iris", "iris-logistic"])
@pytest.mark.parametrize("shape", SHAPES)
def test_one_batch(transport, store, name, shape):
    received = transport(request("POST", f"/models/{name}/predict", json.dumps(SHAPES[shape](ROWS))))

    assert_same(received.json, *expected(store, name, ROWS))


@pytest.mark.parametrize("name", ["iris", "iris-logistic"])
@pytest.mark.parametrize("shape", {**SHAPES, **ONE_ROW})
def test_one_by_one(transport, store, name, shape):
    shaped = {**SHAPES, **ONE_ROW}[shape]
    for row in range(len(ROWS)):
        rows = ROWS[row : row + 1]

        received = transport(request("POST", f"/models/{name}/predict", json.dumps(shaped(rows))))

        assert_same(received.json, *expected(store, name, rows))
