"""The card of a model, as lines for a person."""

from __future__ import annotations

import msgspec
import pytest

from tepal import card
from tepal.manifest import Answers, Golden, Manifest
from tepal.prediction import Output
from tepal.signature import Column, Signature

PLAIN = Manifest(
    format=1,
    name="churn",
    version=7,
    task="classification",
    estimator="LogisticRegression()",
    signature=Signature((Column("age", "number", "float64", False, 18.0, 90.25),)),
    outputs=(Output("y", ("stays", "leaves"), probabilities=True),),
    rows="independent",
    golden=Golden([{"age": 40.0}], None, Answers(["stays"])),
    metrics={},
    meta={},
    python="3.11.7",
    packages={"scikit-learn": "1.9.1"},
    by_value=False,
    files={"model.pkl": "ab" * 32},
    created="2026-11-21T17:58:19Z",
    command="python train.py",
    n_rows=1200,
)


def told(width=100, **changes):
    return card.lines(msgspec.structs.replace(PLAIN, **changes), "✓ Checked.", width)


def test_a_card_reads_from_top_to_bottom():
    assert told(metrics={"accuracy": 0.912345678}, meta={"commit": "1a2b3c"}) == [
        "churn, version 7",
        "================",
        "",
        "Says which of 2 classes a row is of: stays or leaves. It was fitted to 1,200 rows on 21 November",
        "2026, as a logistic regression.",
        "",
        "What it takes",
        "-------------",
        "  column  type    seen in training",
        "  age     number  18 to 90.25",
        "",
        "What it answers",
        "---------------",
        "  prediction  stays or leaves, with the probability of each",
        "",
        "How good it is",
        "--------------",
        "  accuracy  0.912346",
        "",
        "How it was made",
        "---------------",
        "  when                 2026-11-21 17:58:19 UTC",
        "  on                   1,200 rows",
        "  by                   python train.py",
        "  with                 Python 3.11.7, scikit-learn 1.9.1",
        "  estimator            LogisticRegression()",
        "  runs                 by scikit-learn: it was published before models were compiled",
        "  commit               1a2b3c",
        "  sha256 of model.pkl  abababababababab…",
        "",
        "Ask it",
        "------",
        "  curl http://127.0.0.1:8080/models/churn/predict \\",
        "    -d '{\"age\":40.0}'",
        "",
        "✓ Checked.",
    ]


@pytest.mark.parametrize("width", [60, 72, 100])
def test_a_long_list_of_categories_is_cut_and_counted(width):
    cities = tuple(f"city number {i}" for i in range(200))
    column = Column("city", "string", "object", True, categories=cities, unseen="refuse")

    lines = told(width, signature=Signature((column,)))

    text = " ".join(" ".join(lines).split())
    listed = text.count("city number")
    assert f"… and {200 - listed} more; another is refused" in text
    assert max(map(len, lines[: lines.index("Ask it")])) <= width


def test_a_wide_table_is_cut_and_counted():
    columns = tuple(Column(f"x{i}", "number", "float64") for i in range(1000))

    lines = told(signature=Signature(columns))

    assert "  … and 940 more columns" in lines
    assert len(lines) < 110


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"task": "regression", "outputs": (Output("y"),)}, "Answers each row with a number."),
        ({"task": "clustering", "outputs": (Output("y"),)}, "Says which cluster a row is in."),
        (
            {"task": "outlier detection", "outputs": (Output("y", (-1, 1)),)},
            "Says whether a row is like those that it has seen",
        ),
        (
            {"task": "regression", "outputs": (Output("low"), Output("high"))},
            "Answers 2 things about each row: low and high.",
        ),
        ({"task": "prediction", "outputs": (Output("y"),)}, "Answers each row with a value."),
        ({"outputs": (Output("y", tuple(range(500))),)}, "Says which of 500 classes a row is of: 0, 1, 2, 3,"),
        ({"rows": "sequence"}, "an answer depends on the rows before it"),
        ({"n_rows": 1}, "It was fitted to 1 row on 21 November 2026"),
    ],
)
def test_the_first_sentences_say_what_it_is(changes, sentence):
    lines = told(**changes)

    assert sentence in " ".join(lines[3 : lines.index("What it takes")])


def test_a_confusion_matrix_is_a_table_where_it_fits():
    def matrix(size):
        labels = [f"class {i}" for i in range(size)]
        return {"confusion_matrix": {"labels": labels, "counts": [[100 * i + j for j in range(size)] for i in range(size)]}}

    lines = told(metrics=matrix(2))

    start = lines.index("  confusion matrix: rows are the true classes, columns the predicted")
    assert lines[start + 1 : start + 4] == [
        "             class 0  class 1",
        "    class 0        0        1",
        "    class 1      100      101",
    ]
    assert "  confusion matrix: 20 by 20, too wide for here; see --json" in told(metrics=matrix(20))


def test_metrics_of_any_shape_are_told():
    lines = told(
        metrics={
            "r2": {"north": 0.5, "south": 1.0},
            "folds": [0.25, 1234567.5, 1e20],
            "note": "good\nenough",
            "none": None,
            "n": 3,
        }
    )

    start = lines.index("How good it is") + 2
    assert lines[start : start + 5] == [
        "  r2     north 0.5, south 1",
        "  folds  0.25, 1234568, 1e+20",
        "  note   good enough",
        "  none   null",
        "  n      3",
    ]


@pytest.mark.parametrize(
    ("estimator", "words"),
    [
        ("SVC(kernel='linear')", "support vector classifier"),
        ("Pipeline(steps=[('a', StandardScaler()), ('b', Ridge(alpha=2))])", "standard scaler, then Ridge"),
        ("Pipeline(steps=[('a', ColumnTransformer(transformers=[('n', SimpleImputer(), ['a(']), ('c', One",
         "column transformer, then more"),
        ("GridSearchCV(estimator=SVC(), param_grid={'C': [1]})", "best of a grid search over support vector classifier"),
        ("TransformedTargetRegressor(regressor=Pipeline(steps=[('s', PCA()), ('r', Ridge())]))",
         "transformed target regressor over principal components, then Ridge"),
        ("StackingClassifier(estimators=[('a', SVC())])", "stacking classifier"),
        ("<mine.Model object at 0x7f>", "Model"),
        ("", "estimator"),
        ("???", "???"),
    ],
)  # fmt: skip
def test_an_estimator_is_told_in_words(estimator, words):
    assert card.in_words(estimator) == words


def test_a_request_quotes_what_a_shell_would_read():
    lines = told(golden=Golden([{"text": "it's $5"}], None, Answers(["stays"])))

    assert """    -d '{"text":"it'"'"'s $5"}'""" in lines


def test_every_model_of_the_tests_has_a_card(store, repository):
    for model in repository.models.values():
        for version in model.versions.values():
            assert card.lines(version.manifest, "✓", 60)[0] == f"{model.name}, version {version.number}"
