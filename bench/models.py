"""The five models that every server is asked for, and the rows to ask them about. Run by each environment's own Python.

``python bench/models.py FOLDER`` fits them into FOLDER: two pickles each, fitted on arrays and on frames, and a note.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import joblib
import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC

NUMBERS = ["age", "hours_per_week", "capital_gain"]
WORDS = {
    "workclass": ["private", "public", "self_employed"],
    "education": ["school", "bachelor", "master", "doctorate"],
    "marital_status": ["single", "married", "divorced"],
    "occupation": ["craft", "sales", "clerical", "manager", "service"],
}


class Data(NamedTuple):
    """What a model is fitted on. rows: lists of values, or texts. labels: one text a row."""

    columns: list[str]
    rows: list[Any]
    labels: list[str]


class Model(NamedTuple):
    """kind: how its rows come: a ``matrix`` of numbers, a ``frame`` with words and gaps, or ``text``."""

    kind: str
    says: str
    estimator: Callable[[], Any]
    data: Callable[[], Data]


def iris() -> Data:
    found = load_iris()
    columns = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
    return Data(columns, found.data.tolist(), [str(name) for name in found.target_names[found.target]])


def cells() -> Data:
    found = load_breast_cancer()
    columns = [f"x{place}" for place in range(found.data.shape[1])]
    return Data(columns, found.data.tolist(), [str(name) for name in found.target_names[found.target]])


def people(count: int = 2000) -> Data:
    """Made up: three numbers with gaps, and four words."""
    rng = np.random.default_rng(0)
    rows, labels = [], []
    for _ in range(count):
        age, hours, gain = int(rng.integers(18, 80)), int(rng.integers(10, 70)), float(rng.choice([0, 0, 0, 5000.0]))
        words = [str(rng.choice(values)) for values in WORDS.values()]
        score = age / 20 + hours / 15 + gain / 2000 + 2 * (words[1] in {"master", "doctorate"}) + rng.normal()
        rows.append([age, None if rng.random() < 0.1 else hours, gain, *words])
        labels.append(">50K" if score > 6 else "<=50K")
    return Data([*NUMBERS, *WORDS], rows, labels)


def sentences(count: int = 3000) -> Data:
    """Made up: each subject has words of its own, and shares others."""
    rng = np.random.default_rng(0)
    syllables = ["ka", "lo", "mi", "ne", "po", "ru", "sa", "te", "vi", "zu"]
    vocabulary = ["".join(rng.choice(syllables, 3)) for _ in range(3000)]
    subjects = {name: rng.choice(3000, 300) for name in ("rivers", "stars", "trade", "music")}
    rows, labels = [], []
    for _ in range(count):
        subject = str(rng.choice(list(subjects)))
        places = [*rng.choice(subjects[subject], 8), *rng.choice(3000, 8)]
        rows.append(" ".join(vocabulary[place] for place in places))
        labels.append(subject)
    return Data(["text"], rows, labels)


def table_pipeline() -> Any:
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    words = OneHotEncoder(handle_unknown="ignore")
    return make_pipeline(
        ColumnTransformer([("numbers", numbers, NUMBERS), ("words", words, list(WORDS))]), LogisticRegression(max_iter=1000)
    )


MODELS = {
    "iris": Model("matrix", "SVC, 4 numbers", lambda: SVC(kernel="linear"), iris),
    "table": Model("frame", "ColumnTransformer with gaps and words, LogisticRegression, 7 columns", table_pipeline, people),
    "forest": Model(
        "matrix", "RandomForestClassifier of 100 trees, 30 numbers", lambda: RandomForestClassifier(random_state=0), cells
    ),
    "boosting": Model(
        "matrix", "HistGradientBoostingClassifier, 30 numbers", lambda: HistGradientBoostingClassifier(random_state=0), cells
    ),
    "text": Model(
        "text",
        "TfidfVectorizer, LogisticRegression, 16 words",
        lambda: make_pipeline(TfidfVectorizer(), LogisticRegression()),
        sentences,
    ),
}


def frame_of(data: Data) -> Any:
    """The rows as pandas has them."""
    import pandas as pd

    return pd.DataFrame(data.rows, columns=data.columns)


def container(kind: str, data: Data) -> Any:
    """The rows as an estimator of that kind is fitted with."""
    return np.array(data.rows) if kind == "matrix" else frame_of(data) if kind == "frame" else data.rows


def fit(folder: Path, names: list[str]) -> None:
    """NAME/model.joblib as most would pickle it, NAME/frame.joblib fitted on a DataFrame, NAME/model.json beside them."""
    for name in names:
        model, home = MODELS[name], folder / name
        data = model.data()
        home.mkdir(parents=True, exist_ok=True)
        joblib.dump(model.estimator().fit(container(model.kind, data), data.labels), home / "model.joblib")
        in_frames = frame_of(data)["text"] if model.kind == "text" else frame_of(data)
        joblib.dump(model.estimator().fit(in_frames, data.labels), home / "frame.joblib")
        (home / "model.json").write_text(json.dumps({"kind": model.kind, "columns": data.columns}))


if __name__ == "__main__":
    fit(Path(sys.argv[1]), sys.argv[2:] or list(MODELS))
