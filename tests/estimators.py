"""The walk: every estimator of scikit-learn that predicts, fitted on a small table, and what people bring beside them.

A case is fitted when it is first asked for. ``assert_same`` is what "the same answers" means.
"""

from __future__ import annotations

import contextlib
import json
import pickle
import warnings
from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import DBSCAN, AgglomerativeClustering, KMeans
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.experimental import enable_halving_search_cv  # noqa: F401 makes all_estimators list them
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.feature_selection import SelectKBest, f_regression
from sklearn.impute import SimpleImputer
from sklearn.linear_model import (
    LinearRegression,
    LogisticRegression,
    Perceptron,
    Ridge,
    RidgeClassifier,
    SGDClassifier,
    TheilSenRegressor,
)
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.naive_bayes import BernoulliNB, MultinomialNB
from sklearn.neighbors import KernelDensity, KNeighborsClassifier, KNeighborsRegressor, LocalOutlierFactor, NearestNeighbors
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    StandardScaler,
    TargetEncoder,
)
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from sklearn.utils import all_estimators
from threadpoolctl import threadpool_limits

import tepal
from tepal import proof
from tepal.prediction import same

N = 60
PERTURBED = 1000  # rows of the proof of a compiled form
_RNG = np.random.default_rng(11)
# Positive, because some take nothing else; of four centres, so that there is something to find.
ROWS = np.abs(_RNG.normal(size=(N, 4)) + np.repeat(np.eye(4)[:3] * 3, N // 3, axis=0)) + 0.5
GROUPS = np.repeat(np.arange(3), N // 3)
TARGET = ROWS @ [1.0, 2.0, 0.5, 0.1]
TARGETS = np.column_stack([TARGET, ROWS[:, 0] ** 2])

LABELS = {
    "texts": np.array(["low", "mid", "high"])[GROUPS],
    "integers": np.array([-3, 7, 40])[GROUPS],
    "booleans": GROUPS == 1,
}


class Fitted(NamedTuple):
    """A fitted estimator, and what it was fitted on."""

    estimator: Any
    X: Any
    y: Any = None


Fit = Callable[[], Fitted]


def _chooses(alpha: str) -> dict[str, list[float]]:
    return {alpha: [0.1, 1.0]}


def _logistic() -> LogisticRegression:
    return LogisticRegression(max_iter=50)


# Estimators that are made of others.
_MADE_OF: dict[str, Callable[[Any], Any]] = {
    "ClassifierChain": lambda kind: kind(_logistic()),
    "FixedThresholdClassifier": lambda kind: kind(_logistic(), threshold=0.3),
    "GridSearchCV": lambda kind: kind(_logistic(), _chooses("C"), cv=2),
    "HalvingGridSearchCV": lambda kind: kind(_logistic(), _chooses("C"), cv=2, random_state=0),
    "HalvingRandomSearchCV": lambda kind: kind(Ridge(), _chooses("alpha"), cv=2, random_state=0),
    "MultiOutputClassifier": lambda kind: kind(_logistic()),
    "MultiOutputRegressor": lambda kind: kind(Ridge()),
    "OneVsOneClassifier": lambda kind: kind(_logistic()),
    "OneVsRestClassifier": lambda kind: kind(_logistic()),
    "OutputCodeClassifier": lambda kind: kind(_logistic(), random_state=0),
    "Pipeline": lambda kind: kind([("scale", StandardScaler()), ("model", _logistic())]),
    "RFE": lambda kind: kind(Ridge()),
    "RFECV": lambda kind: kind(_logistic(), cv=2),
    "RandomizedSearchCV": lambda kind: kind(Ridge(), _chooses("alpha"), n_iter=2, cv=2, random_state=0),
    "RegressorChain": lambda kind: kind(Ridge()),
    "SelfTrainingClassifier": lambda kind: kind(_logistic()),
    "StackingClassifier": lambda kind: kind(
        [("tree", DecisionTreeClassifier(random_state=0)), ("line", _logistic())], final_estimator=_logistic(), cv=2
    ),
    "StackingRegressor": lambda kind: kind([("ridge", Ridge()), ("line", LinearRegression())], cv=2),
    "TunedThresholdClassifierCV": lambda kind: kind(_logistic(), cv=2, random_state=0),
    "VotingClassifier": lambda kind: kind(
        [("tree", DecisionTreeClassifier(random_state=0)), ("line", _logistic())], voting="soft"
    ),
    "VotingRegressor": lambda kind: kind([("ridge", Ridge()), ("line", LinearRegression())]),
}

# What makes a fit quick, or possible at all.
_OPTIONS: dict[str, dict[str, Any]] = {
    "LocalOutlierFactor": {"novelty": True},
    "RadiusNeighborsClassifier": {"radius": 30.0},
    "RadiusNeighborsRegressor": {"radius": 30.0},
    "CCA": {"n_components": 1},
    "PLSCanonical": {"n_components": 1},
    "CategoricalNB": {"min_categories": 10},
    "OrthogonalMatchingPursuitCV": {"max_iter": 2},
}
_SMALL = {"n_estimators": 5, "random_state": 0, "cv": 2, "max_iter": 50, "n_alphas": 5, "max_subpopulation": 50}


# Those that say what two classes are, and nothing of a third.
_BINARY = ("FixedThresholdClassifier", "TunedThresholdClassifierCV")
_SEVERAL_TARGETS = ("CCA", "PLSCanonical", "MultiOutputRegressor", "RegressorChain")


@cache
def classes() -> dict[str, Any]:
    """Every estimator class of scikit-learn that has ``predict``, by name."""
    return {name: kind for name, kind in all_estimators() if hasattr(kind, "predict")}


def make(name: str) -> Any:
    """The estimator, not fitted, with what it needs to be made."""
    kind, own = classes()[name], _OPTIONS.get(name, {})
    if name in _MADE_OF:
        return _MADE_OF[name](kind)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of those that are to go
        estimator = kind(**own)
        known = estimator.get_params()
        return estimator.set_params(**{key: value for key, value in _SMALL.items() if key in known and key not in own})


def fitted(estimator: Any, X: Any, y: Any = None) -> Fitted:
    """A copy of the estimator, fitted without a word, on one thread: who asks for a case again changes no one else's."""
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore")
        return Fitted(deepcopy(estimator).fit(X, y), X, y)


def bare(name: str, labels: str = "texts") -> Fitted:
    """An estimator of scikit-learn on an array. labels: of ``LABELS``, for a classifier."""
    estimator = make(name)
    X, y = ROWS, TARGET
    if name == "IsotonicRegression":
        X = ROWS[:, :1]
    elif name == "CategoricalNB":
        X = ROWS.astype(int)
    if name in _SEVERAL_TARGETS or name.startswith("MultiTask"):
        y = TARGETS
    elif is_classifier(estimator):
        y = LABELS[labels]
        if name in _BINARY:
            y = np.where(GROUPS == 1, *np.unique(y)[:2])
        elif name == "MultiOutputClassifier":
            y = np.column_stack([y, y[::-1]])
        elif name == "ClassifierChain":
            y = np.column_stack([y == y[0], y == y[-1]])
        elif name == "SelfTrainingClassifier":
            y = y.astype(object) if labels == "texts" else y
    return fitted(estimator, X, y)


def of_scikit_learn() -> dict[str, Fit]:
    """The cases of scikit-learn's own estimators, on arrays: each, and each classifier with each kind of label."""
    found: dict[str, Fit] = {}
    for name in classes():
        for labels in LABELS if is_classifier(make(name)) else ("",):
            found["-".join(filter(None, (name.lower(), labels)))] = partial(bare, name, labels)
    return found


# How people hold their tables, and what their models answer with.


def table() -> pd.DataFrame:
    """Every type of column that a frame may have, with and without missing values."""
    count = np.arange(N)
    plans = ["basic", "plus", "pro"]
    return pd.DataFrame(
        {
            "age": count % 37 + 18,
            "height": np.where(count % 5 == 0, np.nan, ROWS[:, 0] * 50),
            "city": [["Rome", "Oslo", "Bern"][i % 3] for i in count],
            "street": [None if i % 11 == 0 else f"s{i % 7}" for i in count],
            "member": count % 2 == 0,
            "plan": pd.Categorical([plans[i * i % 3] for i in count], categories=["pro", "basic", "plus", "never"]),
            "size": pd.Categorical(
                [[3, 1, 2][i % 3] if i % 13 else None for i in count], categories=[3, 1, 2], ordered=True
            ),
            "visits": pd.array([None if i % 7 == 0 else i for i in count.tolist()], dtype="Int64"),
            "agreed": pd.array([None if i % 9 == 0 else i % 4 == 0 for i in count.tolist()], dtype="boolean"),
            "nick": pd.array([None if i % 8 == 0 else f"n{i % 3}" for i in count], dtype="string"),
            "joined": pd.Timestamp("2020-01-01") + pd.to_timedelta(count * 31, unit="h"),
            "weight": ROWS[:, 1].astype("float32"),
        },
        index=count[::-1],
    )


def days(frame: pd.DataFrame) -> np.ndarray:
    return ((frame - pd.Timestamp("2020-01-01")) / pd.Timedelta(days=1)).to_numpy()


def floats(frame: pd.DataFrame) -> np.ndarray:
    return frame.astype("Float64").to_numpy(dtype="float64", na_value=np.nan)


def _by(function: Callable[[Any], Any]) -> FunctionTransformer:
    return FunctionTransformer(function, feature_names_out="one-to-one")


def by_name() -> ColumnTransformer:
    """A transformer for ``table()``, by the names of its columns."""
    ignoring = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    return ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(add_indicator=True), StandardScaler()), ["age", "height", "weight"]),
            ("city", OneHotEncoder(sparse_output=False), ["city"]),
            ("texts", ignoring, ["street", "plan"]),
            ("size", OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["size"]),
            ("nick", make_pipeline(_by(objects), ignoring), ["nick"]),
            ("member", "passthrough", ["member"]),
            (
                "nullable",
                make_pipeline(_by(floats), SimpleImputer()),
                ["visits", "agreed"],
            ),
            ("joined", _by(days), ["joined"]),
        ]
    )


def some_by_name() -> ColumnTransformer:
    """A quicker transformer for ``table()``: by names, a slice of names, and what is left."""
    return ColumnTransformer(
        [
            ("city", OneHotEncoder(sparse_output=False), ["city"]),
            ("age", StandardScaler(), ["age"]),
            ("height", SimpleImputer(), slice("height", "height")),
        ]
    )


def objects(frame: pd.DataFrame) -> np.ndarray:
    return frame.fillna("").to_numpy(dtype=object)


TEXTS = [f"{['a good', 'a bad', 'an odd'][i % 3]} day of {['Rome', 'Oslo'][i % 2]}, number {i % 5}" for i in range(N)]
OPINIONS = np.array(["good", "bad", "odd"])[np.arange(N) % 3]


def lower(texts: Any) -> Any:
    return texts.str.lower()


class Answers(RegressorMixin, BaseEstimator):
    """Answers in a container of its own kind."""

    def __init__(self, kind: str):
        self.kind = kind

    def fit(self, X: Any, y: Any = None) -> Answers:
        self.n_features_in_ = 4
        return self

    def predict(self, X: Any) -> Any:
        first = np.asarray(X)[:, 0]
        return {
            "frame": lambda: pd.DataFrame({"low": first, "many": (first * 10).astype(int), "name": first.astype(str)}),
            "series": lambda: pd.Series(first, index=np.arange(len(first))[::-1], name="z"),
            "list": first.tolist,
            "list of texts": lambda: [f"n{value:.0f}" for value in first],
            "list of lists": lambda: [[value, value * 2] for value in first.tolist()],
            "missing": lambda: pd.Series([None if value > 2 else int(value) for value in first.tolist()], dtype="Int64"),
            "texts or none": lambda: np.array([None if value > 2 else "low" for value in first], dtype=object),
            "datetimes": lambda: np.datetime64("2020-01-01") + first.astype("timedelta64[D]"),
            "timestamps": lambda: pd.Series(pd.Timestamp("2020-01-01") + pd.to_timedelta(first.astype(int), unit="h")),
            "column": lambda: first.reshape(-1, 1),
            "booleans": lambda: first > 2,
            "float32": lambda: first.astype("float32"),
            "unsigned": lambda: first.astype("uint8"),
            "complex": lambda: first * 1j,
        }[self.kind]()


ANSWERS = (
    *("frame", "series", "list", "list of texts", "list of lists", "missing", "texts or none", "datetimes", "timestamps"),
    *("column", "booleans", "float32", "unsigned"),
)


class Raises(ClassifierMixin, BaseEstimator):
    """Has ``predict_proba``, which is of no use."""

    def fit(self, X: Any, y: Any) -> Raises:
        self.classes_ = np.unique(y)
        return self

    def predict(self, X: Any) -> Any:
        return self.classes_[(np.asarray(X)[:, 0] > 2).astype(int)]

    def predict_proba(self, X: Any) -> Any:
        raise NotImplementedError("not with these settings")


def _on_arrays() -> dict[str, Fit]:
    two = np.column_stack([LABELS["texts"], np.array(["x", "y"])[GROUPS % 2]])
    several = np.column_stack([GROUPS == 0, GROUPS != 1]).astype(int)
    column = TARGET.reshape(-1, 1)
    missing = np.where(np.arange(N * 4).reshape(N, 4) % 7 == 0, np.nan, ROWS)
    cities = np.array([["Rome", "Oslo", "Bern"][i % 3] for i in range(N)]).reshape(-1, 1)
    forest = partial(RandomForestClassifier, n_estimators=5, random_state=0, n_jobs=2)
    made: dict[str, tuple[Any, Any, Any]] = {
        "two-texts-forest": (forest(), ROWS, two),
        "two-texts-neighbours": (KNeighborsClassifier(), ROWS, two),
        "two-texts-logistic": (MultiOutputClassifier(_logistic()), ROWS, pd.DataFrame(two, columns=["level", "letter"])),
        "two-in-a-grid": (GridSearchCV(KNeighborsClassifier(), {"n_neighbors": [2, 3]}, cv=2), ROWS, two),
        "several-forest": (forest(), ROWS, several),
        "several-neighbours": (KNeighborsClassifier(), ROWS, several),
        "several-one-vs-rest": (OneVsRestClassifier(_logistic()), ROWS, several),
        "several-one-vs-rest-svc": (OneVsRestClassifier(LinearSVC()), ROWS, several),
        "several-network": (MLPClassifier(max_iter=20, random_state=0), ROWS, several),
        "several-ridge": (RidgeClassifier(), ROWS, several),
        "several-chain": (ClassifierChain(_logistic(), random_state=0), ROWS, several),
        "one-column-linear": (LinearRegression(), ROWS, column),
        "one-column-ridge": (make_pipeline(StandardScaler(), Ridge()), ROWS, pd.DataFrame(column, columns=["price"])),
        "one-column-neighbours": (KNeighborsRegressor(), ROWS, column),
        "one-column-classes": (MultiOutputClassifier(_logistic()), ROWS, LABELS["texts"].reshape(-1, 1)),
        "svc-plain": (make_pipeline(StandardScaler(), SVC()), ROWS, LABELS["texts"]),
        "svc-linear": (LinearSVC(), ROWS, LABELS["booleans"]),
        "hinge": (make_pipeline(StandardScaler(), SGDClassifier(loss="hinge", random_state=0)), ROWS, LABELS["integers"]),
        "log-loss": (make_pipeline(StandardScaler(), SGDClassifier(loss="log_loss", random_state=0)), ROWS, LABELS["texts"]),
        "one-vs-rest-svc": (OneVsRestClassifier(LinearSVC()), ROWS, LABELS["texts"]),
        "vote-hard": (VotingClassifier([("a", _logistic()), ("b", SVC())]), ROWS, LABELS["texts"]),
        "grid-of-svc": (GridSearchCV(LinearSVC(), _chooses("C"), cv=2), ROWS, LABELS["texts"]),
        "raises": (Raises(), ROWS, LABELS["booleans"]),
        "objects": (_logistic(), ROWS, LABELS["texts"].astype(object)),
        "numpy-texts": (_logistic(), ROWS, np.array([np.str_(label) for label in LABELS["texts"]], dtype=object)),
        "pandas-texts": (_logistic(), ROWS, pd.Series(LABELS["texts"], name="level")),
        "pandas-category": (forest(), ROWS, pd.Series(LABELS["texts"], dtype="category")),
        "floats": (DecisionTreeClassifier(random_state=0), ROWS, LABELS["integers"].astype(float)),
        "float32": (LinearRegression(), ROWS.astype("float32"), TARGET.astype("float32")),
        "integers": (DecisionTreeRegressor(random_state=0), ROWS.astype("int32"), TARGET),
        "booleans": (BernoulliNB(), ROWS > 2, LABELS["texts"]),
        "lists": (_logistic(), ROWS.tolist(), LABELS["texts"].tolist()),
        "missing": (HistGradientBoostingClassifier(max_iter=5), missing, LABELS["texts"]),
        "missing-imputed": (make_pipeline(SimpleImputer(), TheilSenRegressor(max_subpopulation=20)), missing, TARGET),
        "texts-in-a-column": (make_pipeline(OneHotEncoder(), _logistic()), cities, LABELS["texts"]),
        "objects-in-a-column": (make_pipeline(OneHotEncoder(), LinearRegression()), cities.astype(object), TARGET),
        "mixed-objects": (
            make_pipeline(ColumnTransformer([("c", OneHotEncoder(), [0])], remainder="passthrough"), Ridge()),
            np.column_stack([cities.astype(object), ROWS.astype(object)]),
            TARGET,
        ),
        "components": (make_pipeline(PCA(2), KMeans(3, n_init=1, random_state=0)), ROWS, None),
        "selected": (make_pipeline(SelectKBest(f_regression, k=2), PolynomialFeatures(2), Ridge()), ROWS, TARGET),
        "union": (make_pipeline(FeatureUnion([("a", PCA(2)), ("b", StandardScaler())]), _logistic()), ROWS, LABELS["texts"]),
        "logarithm": (TransformedTargetRegressor(Ridge(), func=np.log, inverse_func=np.exp), ROWS, TARGET),
        "outliers": (make_pipeline(StandardScaler(), IsolationForest(n_estimators=5, random_state=0)), ROWS, None),
        "mixture": (make_pipeline(StandardScaler(), GaussianMixture(3, random_state=0)), ROWS, None),
        "as-pandas": (make_pipeline(StandardScaler(), PCA(2), _logistic()).set_output(transform="pandas"), ROWS, GROUPS),
        "dummy-prior": (DummyClassifier(strategy="prior"), ROWS, LABELS["texts"]),
        "dummy-several": (DummyClassifier(strategy="most_frequent"), ROWS, two),
        "search-in-a-pipeline": (
            make_pipeline(StandardScaler(), RandomizedSearchCV(SVC(), _chooses("C"), n_iter=2, cv=2, random_state=0)),
            ROWS,
            LABELS["texts"],
        ),
        "calibrated-svc": (CalibratedClassifierCV(LinearSVC(), cv=2), ROWS, LABELS["texts"]),
    }
    made |= {f"answers-{kind.replace(' ', '-')}": (Answers(kind), ROWS, None) for kind in ANSWERS}
    if "probability" in SVC().get_params():
        made["svc-probability"] = (SVC(probability=True, random_state=0), ROWS, LABELS["texts"])
    found = {name: partial(fitted, *parts) for name, parts in made.items()}
    with contextlib.suppress(ImportError):  # scikit-learn 1.6
        from sklearn.frozen import FrozenEstimator

        def frozen() -> Fitted:
            inner = fitted(_logistic(), ROWS, LABELS["texts"]).estimator
            return fitted(CalibratedClassifierCV(FrozenEstimator(inner), cv=2), ROWS, LABELS["texts"])

        found["frozen"] = frozen
        found["frozen-alone"] = lambda: Fitted(FrozenEstimator(fitted(_logistic(), ROWS, GROUPS).estimator), ROWS, GROUPS)
    return found


def _on_frames() -> dict[str, Fit]:
    frame, level = table(), pd.Series(LABELS["texts"], name="level")
    numbers = frame[["age", "height", "weight"]]
    chosen = frame[["plan", "city", "size", "age"]].assign(city=frame["city"].astype("category"))
    made: dict[str, tuple[Any, Any, Any]] = {
        "frame-logistic": (make_pipeline(by_name(), _logistic()), frame, level),
        "frame-forest": (make_pipeline(by_name(), RandomForestRegressor(5, random_state=0, n_jobs=2)), frame, TARGET),
        "frame-two": (make_pipeline(some_by_name(), LinearRegression()), frame, pd.DataFrame(TARGETS, columns=["a", "b"])),
        "frame-svc": (make_pipeline(some_by_name(), LinearSVC()), frame, LABELS["booleans"]),
        "frame-clusters": (make_pipeline(some_by_name(), KMeans(3, n_init=1, random_state=0)), frame, None),
        "frame-grid": (
            GridSearchCV(make_pipeline(some_by_name(), Ridge()), {"ridge__alpha": [1.0, 2.0]}, cv=2),
            frame,
            TARGET,
        ),
        "frame-stack": (
            StackingClassifier([("a", make_pipeline(some_by_name(), _logistic()))], final_estimator=_logistic(), cv=2),
            frame,
            level,
        ),
        "frame-as-pandas": (make_pipeline(some_by_name(), _logistic()).set_output(transform="pandas"), frame, level),
        "frame-of-numbers": (make_pipeline(SimpleImputer(), _logistic()), numbers, level),
        "frame-with-holes": (HistGradientBoostingRegressor(max_iter=5), numbers, TARGET),
        "frame-nullable": (HistGradientBoostingRegressor(max_iter=5), frame[["visits", "agreed"]], TARGET),
        "frame-categories": (
            HistGradientBoostingClassifier(max_iter=5, categorical_features="from_dtype"),
            chosen,
            level,
        ),
        "frame-ordinal": (
            make_pipeline(
                ColumnTransformer([("o", OrdinalEncoder(), ["city", "street", "plan"])], remainder="drop"),
                SimpleImputer(),
                DecisionTreeClassifier(random_state=0),
            ),
            frame,
            level,
        ),
        "frame-target-encoded": (
            make_pipeline(ColumnTransformer([("t", TargetEncoder(random_state=0), ["city", "plan"])]), Ridge()),
            frame,
            TARGET,
        ),
        "frame-sparse": (make_pipeline(OneHotEncoder(), _logistic()), frame[["city", "member", "age"]], level),
        "frame-text": (
            make_pipeline(
                ColumnTransformer([("t", TfidfVectorizer(), "note"), ("c", OneHotEncoder(), ["city"])]), MultinomialNB()
            ),
            frame[["city"]].assign(note=TEXTS),
            OPINIONS,
        ),
        "frame-object": (make_pipeline(OneHotEncoder(), Ridge()), frame[["city", "street"]].astype(object), TARGET),
    }
    return {name: partial(fitted, *parts) for name, parts in made.items()}


def _on_texts() -> dict[str, Fit]:
    def words(last: Any) -> Any:
        return make_pipeline(TfidfVectorizer(), last)

    lowered = make_pipeline(FunctionTransformer(lower), CountVectorizer(lowercase=False), MultinomialNB())
    made: dict[str, tuple[Any, Any, Any]] = {
        "text-list": (words(MultinomialNB()), TEXTS, OPINIONS),
        "text-series": (words(_logistic()), pd.Series(TEXTS, index=range(N, 0, -1), name="note"), OPINIONS),
        "text-object-series": (words(LinearSVC()), pd.Series(TEXTS, dtype=object), OPINIONS),
        "text-array": (words(Ridge()), np.array(TEXTS), TARGET),
        "text-object-array": (words(SGDClassifier(random_state=0)), np.array(TEXTS, dtype=object), OPINIONS),
        "text-series-lowered": (lowered, pd.Series(TEXTS), OPINIONS),
        "text-array-of-its-own": (
            make_pipeline(FunctionTransformer(shouted), CountVectorizer(lowercase=False), MultinomialNB()),
            np.array(TEXTS),
            OPINIONS,
        ),
        "text-hashed": (make_pipeline(HashingVectorizer(n_features=64), Perceptron()), TEXTS, OPINIONS),
        "text-searched": (GridSearchCV(words(_logistic()), {"logisticregression__C": [1, 2]}, cv=2), TEXTS, OPINIONS),
    }
    return {name: partial(fitted, *parts) for name, parts in made.items()}


def shouted(texts: np.ndarray) -> np.ndarray:
    return np.char.upper(texts[texts.argsort().argsort()].astype(str)).reshape(texts.shape)


def _of_other_packages() -> dict[str, Fit]:
    frame, level = table(), pd.Series(LABELS["texts"], name="level")
    chosen = frame[["plan", "size", "age", "height", "member"]]
    made: dict[str, tuple[Any, Any, Any]] = {}
    if find_spec("lightgbm"):
        import lightgbm

        small = {"n_estimators": 5, "min_child_samples": 2, "verbose": -1, "n_jobs": 1}
        made |= {
            "lightgbm-classifier": (lightgbm.LGBMClassifier(**small), ROWS, LABELS["texts"]),
            "lightgbm-two-classes": (lightgbm.LGBMClassifier(**{**small, "n_jobs": None}), ROWS, LABELS["booleans"]),
            "lightgbm-regressor": (lightgbm.LGBMRegressor(**small), ROWS, TARGET),
            "lightgbm-frame": (lightgbm.LGBMClassifier(**small), frame[["age", "height", "weight"]], level),
            "lightgbm-categories": (lightgbm.LGBMRegressor(**small), chosen, TARGET),
            "lightgbm-pipeline": (make_pipeline(StandardScaler(), lightgbm.LGBMClassifier(**small)), ROWS, GROUPS),
        }
    if find_spec("xgboost"):
        import xgboost

        small = {"n_estimators": 5, "max_depth": 3}
        made |= {
            "xgboost-classifier": (xgboost.XGBClassifier(**small), ROWS, GROUPS),
            "xgboost-two-classes": (xgboost.XGBClassifier(**small, n_jobs=-1), ROWS, (GROUPS == 1).astype(int)),
            "xgboost-regressor": (xgboost.XGBRegressor(**small), ROWS, TARGET),
            "xgboost-two-targets": (xgboost.XGBRegressor(**small), ROWS, TARGETS),
            "xgboost-forest": (xgboost.XGBRFClassifier(**small), ROWS, GROUPS),
            "xgboost-frame": (xgboost.XGBClassifier(**small), frame[["age", "height", "weight"]], GROUPS),
            "xgboost-categories": (xgboost.XGBRegressor(**small, enable_categorical=True), chosen, TARGET),
            "xgboost-pipeline": (make_pipeline(some_by_name(), xgboost.XGBRegressor(**small)), frame, TARGET),
        }
    return {name: partial(fitted, *parts) for name, parts in made.items()}


def _without_predict() -> dict[str, Fit]:
    """What must be refused: see ``REFUSED``."""
    found: dict[str, tuple[Any, Any]] = {
        "agglomerative": (AgglomerativeClustering(3), None),
        "dbscan": (DBSCAN(), None),
        "local-outlier-factor": (LocalOutlierFactor(), None),
        "without-refit": (GridSearchCV(Ridge(), _chooses("alpha"), cv=2, refit=False), TARGET),
        "scaler": (StandardScaler(), None),
        "pipeline-of-scalers": (make_pipeline(StandardScaler(), PCA(2)), None),
        "nearest": (NearestNeighbors(), None),
        "density": (KernelDensity(), None),
        "complex": (Answers("complex"), TARGET),
    }
    return {name: partial(fitted, estimator, ROWS, y) for name, (estimator, y) in found.items()}


# Why each of those cannot be published.
REFUSED = {
    "agglomerative": "labels only the rows that it was fitted on",
    "dbscan": "labels only the rows that it was fitted on",
    "local-outlier-factor": "novelty=True",
    "without-refit": "refit=False",
    "scaler": "transforms rows and has no predict",
    "pipeline-of-scalers": "transforms rows and has no predict",
    "nearest": "has no predict",
    "density": "has no predict",
    "complex": "answers 'y' with complex128",
}


@cache
def cases() -> dict[str, Fit]:
    """Every case of the walk, by the name of its model."""
    return {
        **of_scikit_learn(),
        **_on_arrays(),
        **_on_frames(),
        **_on_texts(),
        **_of_other_packages(),
        **_without_predict(),
    }


class Walk:
    """The cases, each of them fitted and published into one model repository when it is first asked for."""

    def __init__(self, store: Path):
        self.store = store
        self._walked: dict[str, tuple[Fitted, tepal.Published | tepal.PublishError]] = {}

    def published(self, name: str) -> tuple[Fitted, tepal.Published | tepal.PublishError]:
        """The case and what was published of it, or why it was refused."""
        if name not in self._walked:
            case = cases()[name]()
            try:
                # Of hundreds of models the whole proof would take minutes, and is that of a few rows over again.
                with threadpool_limits(1), pytest.MonkeyPatch.context() as patch:
                    patch.setattr(proof, "PERTURBED", PERTURBED)
                    done: Any = tepal.publish(case.estimator, name=name, X=case.X, y=case.y, store=self.store)
            except tepal.PublishError as error:
                done = error
            self._walked[name] = case, done
        return self._walked[name]


# What "the same answers" means.


def rows_of(X: Any, rows: slice) -> Any:
    """Those rows of X, as a user would take them: never X itself, which an estimator may know again."""
    return X.iloc[rows].copy() if hasattr(X, "iloc") else X[rows].copy()


def records(X: Any) -> list[dict[str, Any]]:
    """The rows of X as a client writes them."""
    if hasattr(X, "columns"):
        columns = {str(name): X[name].tolist() for name in X.columns}
    elif isinstance(X[:1], list) and isinstance(X[0], list):
        columns = {f"x{i}": list(values) for i, values in enumerate(zip(*X))}
    elif getattr(X, "ndim", 1) == 2:
        columns = {f"x{i}": values.tolist() for i, values in enumerate(X.T)}
    else:
        columns = {"text": list(X)}
    return [dict(zip(columns, map(_plain, row))) for row in zip(*columns.values())]


def expected(case: Fitted, rows: slice) -> dict[str, Any]:
    """What the estimator itself answers to those rows, as the service must put it.

    The estimator is the pickled one: what it was fitted on may lie otherwise in memory, and then it differs from itself.
    """
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore")
        estimator, X = pickle.loads(pickle.dumps(case.estimator)), rows_of(case.X, rows)
        if hasattr(estimator, "get_params"):  # trees on several threads are added up in any order
            estimator.set_params(**{key: 1 for key in estimator.get_params() if key.split("__")[-1] == "n_jobs"})
        values = estimator.predict(X)
        try:
            chances = estimator.predict_proba(X)
        except (AttributeError, NotImplementedError):
            chances = None
    labels = getattr(estimator, "classes_", None)
    if hasattr(values, "columns"):
        answer = [dict(zip(map(str, values.columns), map(_plain, row))) for row in values.itertuples(index=False)]
        return {"predictions": answer}
    values = np.asarray(values, dtype=object) if isinstance(values, pd.Series) else np.asarray(values)
    if values.ndim == 1 or values.shape[1] == 1:
        answer = [_plain(value) for value in values.reshape(-1)]
        if chances is None:
            return {"predictions": answer}
        if isinstance(chances, list):
            (chances,), (labels,) = chances, labels
        labels = range(np.shape(chances)[1]) if labels is None else labels
        return {"predictions": answer, "probabilities": [dict(zip(map(_key, labels), map(_plain, row))) for row in chances]}
    names = (
        [str(name) for name in case.y.columns] if hasattr(case.y, "columns") else [f"y{i}" for i in range(values.shape[1])]
    )
    answers: dict[str, Any] = {"predictions": [dict(zip(names, map(_plain, row))) for row in values]}
    if isinstance(chances, list):
        pairs = [[dict(zip(map(_key, known), map(_plain, row))) for row in one] for known, one in zip(labels, chances)]
        answers["probabilities"] = [dict(zip(names, row)) for row in zip(*pairs)]
    elif chances is not None:  # of each label, that it is there
        off, on = _key(values.dtype.type(0)), _key(values.dtype.type(1))
        answers["probabilities"] = [
            {name: {off: float(1 - chance), on: float(chance)} for name, chance in zip(names, row)} for row in chances
        ]
    return answers


def assert_same(case: Fitted, rows: slice, answer: Mapping[str, Any], tolerance: float = 0.0) -> None:
    """Labels are equal, and of the same type; floats are equal bit for bit, which is what ``repr`` shows.

    tolerance: for floats that came through a compiled form, relative to the value or to the largest one.
    """
    wanted = expected(case, rows)
    assert wanted.keys() == answer.keys() & {"predictions", "probabilities"}
    for key, value in wanted.items():
        if tolerance and repr(value) != repr(answer[key]):
            scale = max([1.0, *(abs(one) for one in value if isinstance(one, float))])
            assert all(same(one, other, scale, tolerance) for one, other in zip(value, answer[key], strict=True)), key
        else:
            unequal = [pair for pair in zip(value, answer[key], strict=True) if repr(pair[0]) != repr(pair[1])]
            assert not unequal, (key, unequal)


def _plain(value: Any) -> Any:
    if isinstance(value, np.datetime64):
        return None if np.isnat(value) else str(value)
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or value is pd.NA or value is pd.NaT or value != value:  # noqa: PLR0124 NaN
        return None
    return value.isoformat() if hasattr(value, "isoformat") else value


def _key(label: Any) -> str:
    label = _plain(label)
    return label if isinstance(label, str) else json.dumps(label)
