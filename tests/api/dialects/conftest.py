"""Models of every kind that publishes, and what asks them past any server."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.cluster import KMeans
from sklearn.linear_model import LinearRegression
from sklearn.tree import DecisionTreeClassifier

import tepal
from api.answer import answer
from api.message import Request
from tepal import Repository
from tests.wire import Received


class Rolling(RegressorMixin, BaseEstimator):
    """The mean of each number and the one before it."""

    def fit(self, X, y=None):
        self.n_features_in_ = 1
        return self

    def predict(self, X):
        return pd.Series(np.asarray(X, dtype=float)[:, 0]).rolling(2).mean().to_numpy()


def publish_more(store):
    """Several labels a row, several numbers, whole numbers, a sequence, gaps among integers, big integers."""
    rng = np.random.default_rng(3)
    X = pd.DataFrame({"a": rng.normal(size=60), "b": rng.normal(size=60)})
    labels = pd.DataFrame({"size": np.where(X["a"] > 0, "large", "small"), "side": np.where(X["b"] > 0, "right", "left")})
    tepal.publish(DecisionTreeClassifier(random_state=0).fit(X, labels), name="labels", X=X, y=labels, store=store)
    numbers = pd.DataFrame({"sum": X["a"] + X["b"], "gap": X["a"] - X["b"]})
    tepal.publish(LinearRegression().fit(X, numbers), name="numbers", X=X, y=numbers, store=store)
    groups = KMeans(3, n_init=1, random_state=0).fit(X)
    tepal.publish(groups, name="groups", X=X, store=store)
    prices = np.arange(40.0).reshape(-1, 1) + 1
    tepal.publish(Rolling().fit(prices), name="prices", X=prices, rows="sequence", store=store)
    gaps = pd.DataFrame(
        {"n": pd.array([1, None, 3, 4] * 10, dtype="Int64"), "when": pd.date_range("2020-01-01", periods=40)}
    )
    tepal.publish(First().fit(gaps), name="gaps", X=gaps, store=store)
    big = pd.DataFrame({"key": np.array([2**62 + 1, 2**62 + 3] * 10), "one": [1, 2] * 10})
    tepal.publish(First().fit(big), name="big", X=big, store=store)


class First(RegressorMixin, BaseEstimator):
    """Answers a row of a DataFrame with the last digit of its first value, or with -1 for none."""

    def fit(self, X, y=None):
        self.feature_names_in_ = np.array(X.columns, dtype=object)
        self.n_features_in_ = X.shape[1]
        return self

    def predict(self, X):
        return np.array([-1 if pd.isna(value) else int(value) % 10 for value in X.iloc[:, 0]])


@pytest.fixture(scope="session")
def kinds(store, repository, tmp_path_factory):
    """The models of the session and more, loaded, by name."""
    more = tmp_path_factory.mktemp("more")
    publish_more(more)
    models = [*repository.models.values(), *Repository.open(more).models.values()]
    return Repository(models)


@pytest.fixture(scope="session")
def ask(quiet_context, kinds):
    """Sends a request; ``default`` is the model that answers where the path names none."""

    def send(method, path, body=b"", *, default=None, **headers) -> Received:
        repository = Repository(kinds.models.values(), default_model=default)
        context = quiet_context._replace(repository=repository)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        response = answer(
            context, Request(method, path, {}, named), lambda: body.encode() if isinstance(body, str) else body
        )
        return Received(response.status, {k.lower(): v for k, v in response.headers.items()}, response.body)

    return send
