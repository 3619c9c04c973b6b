"""Models of odd kinds that take whatever number a float64 can be: what the description of the API is held against.

A tree takes no more than a float32 can, and says so by a refusal that no signature knows of: those of tests/models.py
would be refused rows that fit their description.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LinearRegression
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline

import tepal
from tests.models import people
from train import iris


class Counts(ClassifierMixin, BaseEstimator):
    """Labels a row by how many of its cells are missing or false, in any table."""

    def fit(self, X, y):
        self.classes_ = np.arange(4)
        self.n_features_in_ = X.shape[1]
        return self

    def predict(self, X):
        return np.minimum([sum(value is None or value is False for value in row) for row in X.to_numpy(object)], 3)

    def predict_proba(self, X):
        return np.eye(4)[self.predict(X)]


class Sums(RegressorMixin, BaseEstimator):
    """Answers each row with the sum of the first column up to it, the first row with nothing."""

    def fit(self, X, y=None):
        self.n_features_in_ = 1
        return self

    def predict(self, X):
        with np.errstate(over="ignore", invalid="ignore"):
            return np.concatenate([[np.nan], np.cumsum(np.asarray(X, dtype=float)[:, 0])[1:]])


def publish_all(store: Path) -> Path:
    """Publish them into ``store``, some in two versions that take other rows."""
    for algorithm, recipe in iris.ALGORITHMS.items():
        iris.run(algorithm, recipe, store)
    frame, labels = people()
    frame["joined"] = frame["joined"].astype("datetime64[s]")
    frame["seen"] = frame["joined"].where(frame["age"] > 20).dt.tz_localize("UTC")
    frame["smokes"] = frame["member"].astype(object).where(frame["age"] > 30, None)
    tepal.publish(Counts().fit(frame, labels), name="people", X=frame, y=labels, store=store)
    rng = np.random.default_rng(5)
    rows = rng.normal(size=(40, 3))
    wide = {"data": rows[:, 0], "strict": rows[:, 1], 'a, "b" [c]': rows[:, 2]}
    several = LinearRegression().fit(rows, pd.DataFrame({"low": rows[:, 0], "high": rows.sum(axis=1)}))
    tepal.publish(several, name="range", X=wide, y=pd.DataFrame({"low": rows[:, 0], "high": rows.sum(axis=1)}), store=store)
    one = LinearRegression().fit(rows[:, :1], rows[:, 1])
    tepal.publish(one, name="range", X=rows[:, :1], store=store)
    tepal.publish(Sums().fit(rows[:, :1]), name="sums", X=rows[:, :1], rows="sequence", store=store)
    texts = ["good day", "good morning", "bad day", "bad luck"]
    words = make_pipeline(CountVectorizer(), MultinomialNB()).fit(texts, [True, True, False, False])
    tepal.publish(words, name="words", X=texts, store=store)
    return store
