"""What cannot be published says why, and what to do, in one sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.cluster import DBSCAN
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import tepal
from tepal import PublishError, manifest
from tepal.repository import versions_on_disk

RNG = np.random.default_rng(0)
X = RNG.random((40, 3))
Y = np.array(["no", "yes"])[(X[:, 0] > 0.5).astype(int)]
FRAME = pd.DataFrame(X, columns=["a", "b", "c"])
FITTED = LogisticRegression().fit(X, Y)
BY_NAME = LogisticRegression().fit(FRAME, Y)


class Labels(ClassifierMixin, BaseEstimator):
    """Has the labels that it is given."""

    def __init__(self, labels):
        self.labels = labels

    @property
    def classes_(self):
        return self.labels

    def predict(self, X):
        return np.array([self.labels[0]] * len(X), dtype=np.asarray(self.labels).dtype)


class Ragged(BaseEstimator):
    """Answers with lists of different lengths."""

    def predict(self, X):
        return [[0.0] * (i % 3 + 1) for i in range(len(X))]


class Cube(BaseEstimator):
    """Answers with three dimensions."""

    def predict(self, X):
        return np.zeros((len(X), 2, 2))


@pytest.mark.parametrize(
    ("estimator", "examples", "message"),
    [
        (LogisticRegression(), X, r"the LogisticRegression is not fitted; call its fit\(X, y\) first, then publish it"),
        (make_pipeline(StandardScaler(), LogisticRegression()), X, "the Pipeline is not fitted; call its fit"),
        (GridSearchCV(LogisticRegression(), {"C": [1]}), X, "the GridSearchCV is not fitted; call its fit"),
        (LogisticRegression, X, r"LogisticRegression is a class, not a fitted model; publish what fit returns"),
        ({"model": FITTED}, X, "a dict is no model; publish each model in it by itself"),
        ([FITTED, FITTED], X, "a list is no model; publish each model in it by itself"),
        ("churn.pkl", X, "a str is no model; give the fitted model itself, or publish a file with: tepal publish FILE"),
        (Path("churn.pkl"), X, "is no model; give the fitted model itself"),
        (None, X, r"a NoneType has no predict\(\)"),
        (lambda rows: rows, X, r"a function has no predict\(\)"),
        (
            StandardScaler().fit(X),
            X,
            r"a StandardScaler transforms rows and has no predict\(\); publish a pipeline",
        ),
        (DBSCAN().fit(X), X, r"DBSCAN has no predict\(\): it labels only the rows that it was fitted on; publish"),
        (FITTED, X[:, :2], "X has 2 columns, and the model, which was fitted on 3, cannot predict it; give the rows"),
        (FITTED, np.column_stack([X, X]), "X has 6 columns, and the model, which was fitted on 3"),
        (BY_NAME, FRAME.rename(columns={"c": "d"}), "it lacks the columns c and has the columns d besides"),
        (BY_NAME, FRAME.assign(target=Y), "it has the columns target besides; give the rows of the training"),
        (BY_NAME, FRAME[["a", "b"]], "it lacks the columns c; give"),
        (BY_NAME, {"a": [1.0], "b": [1.0]}, "the model was fitted on the columns a, b, c; X has others"),
        (FITTED, X.reshape(4, 10, 3), "X must have two dimensions, rows and columns; it has 3"),
        (FITTED, X[0], "X must have two dimensions, rows and columns; it has 1"),
        (FITTED, 3.0, "X must have two dimensions, rows and columns; it has 0"),
        (FITTED, None, "X must have two dimensions"),
        (FITTED, sparse.csr_matrix(X), r"X is sparse; give it as a dense array, X.toarray\(\)"),
        (FITTED, FRAME.astype(pd.SparseDtype("float64", 0.0)), "column 'a' is sparse; give X as a dense table"),
        (FITTED, X[:0], "X must have at least one row"),
        (FITTED, FRAME.head(0), "X must have at least one row"),
        (FITTED, [], "X must have"),
        (FITTED, X[:, :0], "X has no columns"),
        (FITTED, X * 1j, "column 'x0' holds complex numbers; make their parts two columns before training"),
        (FITTED, pd.DataFrame({"t": pd.to_timedelta([1, 2], unit="s")}), "column 't' holds durations; make them numbers"),
        (
            FITTED,
            pd.DataFrame({"p": pd.period_range("2020", periods=2, freq="D")}),
            "column 'p' holds Period; a column",
        ),
        (FITTED, pd.DataFrame({"i": pd.cut([1.0, 2.0], 2)}), "column 'i' holds Interval; a column must be"),
        (Labels(np.array([b"no", b"yes"])), X, "the model answers 'y' with bytes"),
        (Labels(np.array([None, "yes"], dtype=object)), X, "one of the model's classes is a missing value; drop the rows"),
        (Labels(np.array([np.nan, 1.0])), X, "one of the model's classes is a missing value"),
        (Labels(np.array([("a",), 1], dtype=object)), X, r"classes are tuple; fit it on texts, .* y.astype\(str\)"),
        (Ragged(), X, "the model cannot be served: the model answered 40 rows with lists of different lengths"),
        (Cube(), X, r"the model answered 40 rows with an array of shape \(40, 2, 2\)"),
    ],
    ids=str,
)
def test_what_cannot_be_published_says_why(tmp_path, estimator, examples, message):
    with pytest.raises(PublishError, match=message) as refused:
        tepal.publish(estimator, name="m", X=examples, store=tmp_path)

    assert "\n" not in str(refused.value)
    assert versions_on_disk(tmp_path) == {}


def test_a_frame_in_another_order_is_put_in_that_of_the_training(tmp_path):
    path = tepal.publish(BY_NAME, name="m", X=FRAME[["c", "a", "b"]], store=tmp_path).path

    assert manifest.read(path).signature.names == ("a", "b", "c")


def test_columns_that_the_model_does_without_may_stay(tmp_path):
    transformer = ColumnTransformer([("d", OneHotEncoder(), ["d"])])
    estimator = make_pipeline(transformer, LogisticRegression()).fit(FRAME.assign(d=Y), Y)

    path = tepal.publish(estimator, name="m", X=FRAME.assign(d=Y), y=Y, store=tmp_path).path

    assert manifest.read(path).signature.names == ("a", "b", "c", "d")


def test_a_forest_that_adds_up_its_trees_in_any_order_can_be_published_at_any_time(tmp_path):
    forest = RandomForestRegressor(50, n_jobs=4, random_state=0).fit(X, RNG.random(40) * 1e6)

    for _ in range(5):
        tepal.publish(forest, name="m", X=X, store=tmp_path)

    assert len(versions_on_disk(tmp_path)["m"]) == 5
