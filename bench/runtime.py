"""What one row costs through scikit-learn's own predict and through its compiled form: one interleaved run, as a table.

    .venv/bin/python bench/runtime.py

Each model is published into a folder of its own and loaded twice. Times are of the process's own CPU, the medians of the
rounds, in microseconds for a row with its probabilities, where the model has them.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable
from itertools import product
from pathlib import Path
from time import perf_counter, process_time_ns
from typing import Any

import msgspec
import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris, make_classification
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB, MultinomialNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC, LinearSVC
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).parents[1]))

import tepal
from tepal import repository
from tepal.notes import Notes

ROUNDS = 15
ROWS = 4000


def iris(estimator: Any) -> tuple[Any, Any]:
    X, y = load_iris(return_X_y=True)
    return estimator.fit(X, y), X


def numbers(estimator: Any) -> tuple[Any, Any]:
    X, y = make_classification(ROWS, 20, n_informative=10, n_classes=3, random_state=0)
    return estimator.fit(X, y), X


def table(last: Any) -> tuple[Any, Any]:
    """A pipeline over six numbers, some missing, and six columns of categories."""
    import pandas as pd

    random = np.random.default_rng(0)
    frame = pd.DataFrame({f"n{i}": random.normal(size=ROWS) for i in range(6)})
    frame.loc[random.random(ROWS) < 0.1, "n0"] = np.nan
    for i in range(6):
        frame[f"c{i}"] = random.choice([f"category {j}" for j in range(4 + 3 * i)], ROWS)
    y = (frame["n1"] + (frame["c0"] == "category 1") + random.normal(size=ROWS) > 0.5).to_numpy()
    numeric, categorical = [f"n{i}" for i in range(6)], [f"c{i}" for i in range(6)]
    often = SimpleImputer(strategy="most_frequent")
    columns = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), numeric),
            ("categories", make_pipeline(often, OneHotEncoder(handle_unknown="ignore")), categorical),
        ]
    )
    return make_pipeline(columns, last).fit(frame, y), frame


def text(last: Any) -> tuple[Any, Any]:
    random = np.random.default_rng(0)
    words = ["".join(parts) for parts in product(("ba", "do", "ki", "lu", "ne"), ("ra", "so", "ti", "vu"), "nrsx")]
    texts = [" ".join(random.choice(words, 12)) for _ in range(ROWS)]
    y = ["yes" if "ban" in text or "dor" in text else "no" for text in (t.replace("ra", "") for t in texts)]
    return make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), last).fit(texts, y), texts


MODELS: dict[str, Callable[[], tuple[Any, Any]]] = {
    "SVC, Iris": lambda: iris(SVC()),
    "LogisticRegression, Iris": lambda: iris(LogisticRegression(max_iter=1000)),
    "scaled SVC, Iris": lambda: iris(make_pipeline(StandardScaler(), SVC())),
    "Ridge, 20 columns": lambda: numbers(Ridge()),
    "LinearSVC, calibrated": lambda: numbers(CalibratedClassifierCV(LinearSVC(), cv=3)),
    "GaussianNB": lambda: numbers(GaussianNB()),
    "MLPClassifier": lambda: numbers(MLPClassifier((50,), max_iter=20, random_state=0)),
    "table, logistic": lambda: table(LogisticRegression(max_iter=1000)),
    "table, forest of 100": lambda: table(RandomForestClassifier(100, random_state=0)),
    "forest of 100": lambda: numbers(RandomForestClassifier(100, random_state=0)),
    "extra trees, regression": lambda: numbers(ExtraTreesRegressor(100, random_state=0)),
    "GradientBoosting": lambda: numbers(GradientBoostingClassifier(random_state=0)),
    "HistGradientBoosting": lambda: numbers(HistGradientBoostingClassifier(random_state=0)),
    "text, logistic": lambda: text(LogisticRegression(max_iter=1000)),
    "text, naive Bayes": lambda: text(MultinomialNB()),
}


def cost(ask: Callable[[Any], Any], given: list[Any], seconds: float) -> float:
    """Microseconds of CPU that a call takes; a different row each time, so that no cache knows its way."""
    calls, began = 0, process_time_ns()
    until = began + seconds * 1e9
    while (now := process_time_ns()) < until:
        for one in given:
            ask(one)
        calls += len(given)
    return (now - began) / calls / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1, help="rows of one call")
    parser.add_argument("only", nargs="*", help="models whose name holds any of these")
    options = parser.parse_args()
    print(f"{'model':28} {'scikit-learn':>12} {'compiled':>9} {'ratio':>6} {'proof':>7}  largest difference")
    with tempfile.TemporaryDirectory() as folder:
        for name, make in MODELS.items():
            if options.only and not any(part in name for part in options.only):
                continue
            estimator, X = make()
            began = perf_counter()
            published = tepal.publish(estimator, name="model", X=X, store=folder)
            seconds = perf_counter() - began
            versions = [repository.load(published.path, runtime=runtime) for runtime in ("sklearn", "auto")]
            golden = versions[0].manifest.golden.rows
            bodies = [msgspec.json.encode([golden[(at + i) % len(golden)] for i in range(options.rows)]) for at in range(32)]
            rounds = []
            for _ in range(ROUNDS):
                found = []
                for version in versions:
                    tables = [version.readers.json.read(body, Notes()) for body in bodies]
                    found.append(cost(version.runtime.predict, tables, 0.03))
                rounds.append(found)
            slow, fast = (statistics.median(times) for times in zip(*rounds))
            proven = versions[1].manifest.runtime
            told = f"{proven.proof.largest_difference:.1e}" if proven and proven.proof else versions[1].not_compiled
            print(f"{name:28} {slow:12.1f} {fast:9.1f} {slow / fast:6.1f} {seconds:6.1f}s  {told}", flush=True)


if __name__ == "__main__":
    with threadpool_limits(1):  # as it is served
        main()
