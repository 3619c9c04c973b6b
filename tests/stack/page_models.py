"""Models that the page must show well: numbers beyond 2^53, a band, a sequence, markup for names, very many columns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

import tepal

MARKUP = "<img src=x onerror=alert(1)>"
COLUMNS, CATEGORIES = 200, 1000


class First(RegressorMixin, BaseEstimator):
    """Answers a row with the value of its first column, as it is."""

    def fit(self, X, y=None):
        self.n_features_in_ = np.shape(X)[1]
        return self

    def predict(self, X):
        return np.asarray(X)[:, 0]


class Before(First):
    """Answers a row with the value of the row before it; the first has none."""

    def predict(self, X):
        return np.concatenate([[np.nan], np.asarray(X, dtype=float)[:-1, 0]])


class Hill(RegressorMixin, BaseEstimator):
    """Over days, a hill around the 1st of March, with a band around it."""

    def fit(self, X, y=None):
        self.feature_names_in_ = np.array(list(X.columns), dtype=object)
        self.n_features_in_ = X.shape[1]
        return self

    def predict(self, X):
        days = (X["day"] - pd.Timestamp("2024-03-01")) / pd.Timedelta(days=1)
        height = X["size"].to_numpy() * np.exp(-((days.to_numpy() / 30) ** 2))
        return np.column_stack([height, height * 0.8, height * 1.2])


class Named(ClassifierMixin, BaseEstimator):
    """Of two classes the first, with a probability of 0.75, whatever the row."""

    def __init__(self, classes=("a", "b")):
        self.classes = classes

    def fit(self, X, y=None):
        self.feature_names_in_ = np.array(list(X.columns), dtype=object)
        self.n_features_in_ = X.shape[1]
        self.classes_ = np.array(self.classes, dtype=object)
        return self

    def predict(self, X):
        return np.repeat(self.classes_[:1], len(X))

    def predict_proba(self, X):
        return np.tile([0.75, 0.25], (len(X), 1))


def publish(store: Path) -> None:
    """Publish big, before, hill, markup and wide."""
    big = pd.DataFrame({"id": [2**53 + 1, 2**53 + 3, 2**62 + 1], "rate": [0.1, 0.2, 0.3]})
    tepal.publish(First().fit(big[["id"]]), name="big", X=big[["id"]], store=store)
    rows = np.arange(100.0).reshape(-1, 1)
    tepal.publish(Before().fit(rows), name="before", X=rows, rows="sequence", store=store)
    days = pd.DataFrame({"day": pd.date_range("2024-03-01", periods=60), "size": np.linspace(10, 50, 60)})
    hill = Hill().fit(days)
    outputs = pd.DataFrame(hill.predict(days), columns=["height", "low", "high"])
    tepal.publish(hill, name="hill", X=days, y=outputs, store=store)
    frame = pd.DataFrame({MARKUP: ["plain", MARKUP] * 10, "__proto__": np.arange(20.0)})
    named = Named((MARKUP, "</script>")).fit(frame)
    metrics = {MARKUP: 0.5, "confusion_matrix": [[3, 1], [0, 4]]}
    tepal.publish(named, name="markup", X=frame, metrics=metrics, meta={MARKUP: MARKUP, "data": [MARKUP]}, store=store)
    many = {f"column_{i:03}": np.linspace(0, i + 1, CATEGORIES) for i in range(COLUMNS - 1)}
    wide = pd.DataFrame({"city": [f"city {i:04}" for i in range(CATEGORIES)], **many})
    tepal.publish(Named().fit(wide), name="wide-" + "long-name-" * 5, X=wide, store=store)
