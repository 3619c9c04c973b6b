"""Small real models that the tests publish: every column type, every kind of answer."""

from __future__ import annotations

import ctypes
import time
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.impute import SimpleImputer
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder
from sklearn.tree import DecisionTreeClassifier

import tepal
from train import iris


class Temper(RegressorMixin, BaseEstimator):
    """Answers a row with its first value; no answer, a refusal or a crash for some."""

    def fit(self, X, y):
        self.n_features_in_ = 2
        return self

    def predict(self, X):
        first = np.asarray(X, dtype=float)[:, 0]
        if (first == 50).any():
            raise ValueError("50 is more than I can take\nand here is a secret")
        if (first > 100).any():
            raise RuntimeError("a secret")
        return np.where(first < 0, np.nan, first)


class Stall(RegressorMixin, BaseEstimator):
    """Takes over a row as many seconds as its first value says, in the way that its second value says."""

    WAYS = SLEEPS, SPINS, HOLDS = 0, 1, 2  # without the interpreter; in Python; in native code that never lets go of it
    DIES = 3  # and takes its process with it
    KEEPS = 4  # and as many megabytes, for ever

    def fit(self, X, y):
        self.n_features_in_ = 2
        self.kept_ = []
        return self

    def predict(self, X):
        for seconds, way in np.asarray(X, dtype=float):
            if way == self.SLEEPS:
                time.sleep(seconds)
            elif way == self.SPINS:
                end = time.thread_time() + seconds
                while time.thread_time() < end:
                    pass
            elif way == self.HOLDS:
                ctypes.PyDLL(None).usleep(int(seconds * 1e6))
            elif way == self.DIES:
                ctypes.string_at(0)
            elif way == self.KEEPS:
                self.kept_.append(b"x" * int(seconds * 1e6))
        return np.asarray(X, dtype=float)[:, 0]


class Hoard(RegressorMixin, BaseEstimator):
    """Answers a row with its first value; holds a table of some size, and keeps so many bytes of each call."""

    def __init__(self, table=0, keeps=0):
        self.table = table
        self.keeps = keeps

    def fit(self, X, y):
        self.n_features_in_ = 2
        self.table_ = np.random.default_rng(0).bytes(self.table)  # not zeros, whose pages are none
        self.kept_ = []
        return self

    def predict(self, X):
        self.kept_.append(bytes(self.keeps))
        return np.asarray(X, dtype=float)[:, 0]


def days(frame):
    return (frame - pd.Timestamp("2020-01-01")) / pd.Timedelta(days=1)


def people(rows: int = 300) -> tuple[pd.DataFrame, np.ndarray]:
    """A table with every column type, and the integer label of each row."""
    rng = np.random.default_rng(7)
    frame = pd.DataFrame(
        {
            "age": rng.integers(18, 90, rows),
            "height": np.where(rng.random(rows) < 0.2, np.nan, rng.normal(170, 10, rows).round(1)),
            "city": rng.choice(["Amsterdam", "Berlin", "Copenhagen"], rows),
            "plan": rng.choice(["basic", "premium"], rows),
            "member": rng.random(rows) < 0.5,
            "joined": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 1000, rows), unit="D"),
        }
    )
    return frame, (frame["age"] // 30 + frame["member"]).to_numpy()


def people_pipeline():
    return make_pipeline(
        ColumnTransformer(
            [
                ("numbers", SimpleImputer(), ["age", "height"]),
                ("city", OneHotEncoder(), ["city"]),
                ("plan", OneHotEncoder(handle_unknown="ignore"), ["plan"]),
                ("member", "passthrough", ["member"]),
                ("joined", FunctionTransformer(days), ["joined"]),
            ]
        ),
        DecisionTreeClassifier(random_state=0, max_depth=5),
    )


def publish_all(store: Path) -> Path:
    """Publish iris, iris-logistic, people, temper, stall and words into ``store``."""
    for algorithm, recipe in iris.ALGORITHMS.items():
        iris.run(algorithm, recipe, store)
    frame, labels = people()
    tepal.publish(people_pipeline().fit(frame, labels), name="people", X=frame, y=labels, store=store)
    rows = np.array([[1.0, 2.0], [3.0, 4.0], [40.0, 5.0]])
    tepal.publish(Temper().fit(rows, rows[:, 0]), name="temper", X=rows, store=store)
    publish_stall(store)
    texts = ["good day", "good morning", "bad day", "bad luck"]
    words = make_pipeline(CountVectorizer(), MultinomialNB()).fit(texts, [True, True, False, False])
    tepal.publish(words, name="words", X=texts, store=store)
    return store


def publish_stall(store: Path, name: str = "stall") -> None:
    """Publish stall into ``store``, by whatever name."""
    rows = np.array([[0.0, way] for way in Stall.WAYS])
    tepal.publish(Stall().fit(rows, rows[:, 0]), name=name, X=rows, store=store)
