"""Each family of estimators, over its parameters: what is compiled is proven to answer as the estimator does."""

from __future__ import annotations

import threading
import tracemalloc
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.feature_selection import SelectKBest
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV
from sklearn.naive_bayes import MultinomialNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    RobustScaler,
    StandardScaler,
)
from sklearn.svm import SVC, SVR, LinearSVC, NuSVC
from sklearn.tree import DecisionTreeClassifier

from tepal import edges
from tepal.errors import Invalid
from tepal.runtime.compiled import forms, trees
from tepal.runtime.compiled.forms import Comes, NotCompilable, SparseRows
from tepal.runtime.compiled.linear import sparse_times
from tepal.table import Table
from tests import estimators
from tests.tepal.runtime.compiled.proving import proven, sides

ROWS = np.random.default_rng(3).normal(size=(90, 5)).round(2)
HOLES = np.where(np.random.default_rng(4).random(ROWS.shape) < 0.15, np.nan, ROWS)
TEXTS = [f"{['a good', 'a bad', 'an odd'][i % 3]} day of {['Rome', 'Oslo'][i % 2]}, number {i % 5}!" for i in range(60)]


def labels(classes: int, names: str = "texts"):
    found = np.arange(len(ROWS)) * 7 % classes
    return {"texts": np.array(list("abcdef"))[found], "integers": found * 3 - 1, "booleans": found % 2 == 0}[names]


def fitted(estimator, X, y=None):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return estimator.fit(X, y)


quick = settings(max_examples=12, deadline=None)


@quick
@given(
    kind=st.sampled_from([RandomForestClassifier, ExtraTreesClassifier, RandomForestRegressor, ExtraTreesRegressor]),
    trees=st.sampled_from([1, 2, 3, 7, 16]),
    depth=st.sampled_from([1, 3, None]),
    outputs=st.sampled_from([1, 2]),
    holes=st.booleans(),
    classes=st.integers(2, 4),
)
def test_forests(kind, trees, depth, outputs, holes, classes):
    y = labels(classes) if "Classifier" in kind.__name__ else ROWS[:, 0] * 3
    y = y if outputs == 1 else np.column_stack([y, y[::-1]])
    X = HOLES if holes else ROWS

    outcome = proven(fitted(kind(trees, max_depth=depth, random_state=0), X, y), X, y)

    assert outcome.proof.largest_difference == 0, "the same numbers, added in the same order"
    assert outcome.proof.thresholds > 0


@quick
@given(
    classes=st.integers(2, 4),
    loss=st.sampled_from(["log_loss", "exponential"]),
    zero=st.booleans(),
    rate=st.sampled_from([0.1, 0.37, 1.0]),
)
def test_gradient_boosting(classes, loss, zero, rate):
    options = {"n_estimators": 7, "learning_rate": rate, "random_state": 0, "init": "zero" if zero else None}
    classifier = GradientBoostingClassifier(loss=loss if classes == 2 else "log_loss", **options)

    for model, y in ((classifier, labels(classes)), (GradientBoostingRegressor(**options), ROWS[:, 0])):
        assert proven(fitted(model, ROWS, y), ROWS, y).proof.largest_difference == 0


@quick
@given(
    classes=st.integers(2, 4),
    iterations=st.sampled_from([1, 2, 9]),
    loss=st.sampled_from(["squared_error", "poisson", "gamma", "quantile"]),
    holes=st.booleans(),
    categories=st.booleans(),
)
def test_histogram_boosting(classes, iterations, loss, holes, categories):
    X = (HOLES if holes else ROWS).copy()
    X[:, 2] = np.arange(len(X)) * 5 % 6
    options = {"max_iter": iterations, "min_samples_leaf": 3, "categorical_features": [2] if categories else None}
    regressor = HistGradientBoostingRegressor(loss=loss, quantile=0.4, **options)

    for model, y in ((HistGradientBoostingClassifier(**options), labels(classes)), (regressor, np.abs(ROWS[:, 0]) + 0.1)):
        assert proven(fitted(model, X, y), X, y).proof.largest_difference == 0


@quick
@given(
    kernel=st.sampled_from(["rbf", "linear", "poly", "sigmoid"]),
    kind=st.sampled_from([SVC, NuSVC, SVR]),
    classes=st.integers(2, 4),
    ties=st.booleans(),
)
def test_support_vector_machines(kernel, kind, classes, ties):
    options = {} if kind is SVR else {"break_ties": ties}
    y = ROWS[:, 0] if kind is SVR else labels(classes)

    assert proven(fitted(kind(kernel=kernel, **options), ROWS, y), ROWS, y).proof.largest_difference == 0


@quick
@given(
    scaler=st.sampled_from(
        [StandardScaler(), MinMaxScaler(clip=True), MinMaxScaler((-1, 2)), MaxAbsScaler(), RobustScaler(), "passthrough"]
    ),
    more=st.sampled_from(
        [
            PolynomialFeatures(2),
            PolynomialFeatures((2, 3), interaction_only=True, include_bias=False),
            PCA(3, whiten=True),
            PCA(2),
            "passthrough",
            make_union(PCA(2), MaxAbsScaler()),
        ]
    ),
    last=st.sampled_from(
        [
            LogisticRegression(max_iter=200),
            SGDClassifier(loss="log_loss", random_state=0),
            MLPClassifier((4,), max_iter=20, random_state=0),
            DecisionTreeClassifier(random_state=0),
        ]
    ),
    names=st.sampled_from(["texts", "integers", "booleans"]),
    holes=st.booleans(),
)
def test_pipelines_of_numbers(scaler, more, last, names, holes):
    steps = [SimpleImputer(add_indicator=True)] if holes else []
    X, y = (HOLES if holes else ROWS), labels(3, names)

    proven(fitted(make_pipeline(*steps, scaler, more, last), X, y), X, y)


def frame():
    count = np.arange(len(ROWS))
    return pd.DataFrame(
        {
            "age": count * 7 % 60 + 18,
            "height": HOLES[:, 0],
            "city": np.array(["Rome", "Oslo", "Bern"], dtype=object)[count % 3],
            "street": [None if i % 11 == 0 else f"s{i % 7}" for i in count],
            "member": count % 2 == 0,
            "plan": pd.Categorical(np.array(["basic", "plus", "pro"])[count * count % 3]),
            "width": ROWS[:, 1].astype("float32"),
        }
    )


@quick
@given(
    sparse=st.booleans(),
    unknown=st.sampled_from(["error", "ignore", "infrequent_if_exist"]),
    drop=st.sampled_from([None, "first", "if_binary"]),
    rare=st.sampled_from([None, 12]),
    ordinal=st.booleans(),
    last=st.sampled_from([LogisticRegression(max_iter=200), Ridge(), DecisionTreeClassifier(random_state=0)]),
)
def test_tables(sparse, unknown, drop, rare, ordinal, last):
    encoder = OneHotEncoder(handle_unknown=unknown, drop=drop, min_frequency=rare, sparse_output=sparse)
    numbered = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2)
    columns = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), ["height", "age"]),
            ("one hot", encoder, ["city", "plan", "member"]),
            ("street", numbered if ordinal else OneHotEncoder(handle_unknown="ignore"), ["street"]),
        ],
        remainder="passthrough",
        sparse_threshold=0.9 if sparse else 0.0,
    )
    y = ROWS[:, 0] if isinstance(last, Ridge) else labels(3)

    proven(fitted(make_pipeline(columns, last), frame(), y), frame(), y)


@quick
@given(
    vectorizer=st.sampled_from(
        [
            CountVectorizer(binary=True),
            CountVectorizer(analyzer="char_wb", ngram_range=(1, 3)),
            TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2)),
            TfidfVectorizer(norm="l1", stop_words=["of"]),
            TfidfVectorizer(norm=None, use_idf=False, lowercase=False),
            HashingVectorizer(n_features=64, alternate_sign=False),
            make_union(TfidfVectorizer(), TfidfVectorizer(analyzer="char", ngram_range=(2, 2))),
        ]
    ),
    last=st.sampled_from([LogisticRegression(), MultinomialNB(), SGDClassifier(random_state=0), Ridge()]),
)
def test_texts(vectorizer, last):
    y = np.arange(60) % 7 / 3 if isinstance(last, Ridge) else np.array(["good", "bad", "odd"])[np.arange(60) % 3]

    proven(fitted(make_pipeline(vectorizer, last), TEXTS, y), TEXTS, y, many=300)


def test_most_of_what_predicts_is_compiled_and_nothing_that_is_differs():
    """The walk over scikit-learn's estimators and what people make of them; the cases of other libraries are not ours."""
    outcomes = {}
    for name, fit in estimators.cases().items():
        if name in estimators.REFUSED or name.startswith(("lightgbm", "xgboost", "answers")):
            continue
        case = fit()
        outcomes[name] = sides(case.estimator, case.X, case.y).outcome(300)

    wrong = {name: outcome.reason for name, outcome in outcomes.items() if "equal" in (outcome.reason or "")}
    failed = {name: outcome.reason for name, outcome in outcomes.items() if "failed" in (outcome.reason or "")}
    compiled = sum(outcome.compiled for outcome in outcomes.values())
    assert (wrong, failed) == ({}, {})
    print(f"{compiled} of {len(outcomes)} are compiled")
    assert compiled >= 0.6 * len(outcomes)


def test_a_head_leads_to_each_tree_by_its_number():
    for count in (2, 3, 5, 8, 100):
        head = trees.head_above(count)
        for number in range(count):
            node = 0
            while node < count - 1:
                node = head.left[node] if number <= head.parts[node] else head.right[node]
            assert node == count - 1 + number


def test_a_sum_is_made_from_the_first_to_the_last():
    values = np.random.default_rng(0).normal(size=(1000, 1, 1)) * 10.0 ** np.random.default_rng(1).uniform(
        -9, 9, (1000, 1, 1)
    )
    for shape in ((1000, 1, 1), (500, 1, 2), (100, 10, 1), (50, 4, 5)):
        given = values.reshape(shape)
        total = np.zeros(shape[1:])
        for one in given:
            total = total + one

        assert trees.in_order(given).tobytes() == total.tobytes()


@pytest.mark.parametrize("columns", [0, 1, 4])
def test_a_product_of_sparse_rows_is_scipys_own(columns):
    import scipy.sparse

    random = np.random.default_rng(5)
    matrix = scipy.sparse.random(40, 300, 0.2, format="csr", random_state=1)
    matrix.sort_indices()
    right = random.normal(size=(300, columns) if columns else 300)
    rows = [(row.indices, row.data) for row in (matrix[at] for at in range(40))]

    assert sparse_times(right)(SparseRows(rows, 300)).tobytes() == (matrix @ right).tobytes()


INTEGERS = pd.DataFrame({"n": np.arange(1, 91), "v": ROWS[:, 0]})


def applied(function):
    """A function of the whole numbers, beside the others, before a step that refuses what is infinite."""
    beside = ColumnTransformer([("f", FunctionTransformer(function), ["n"])], remainder="passthrough")
    return make_pipeline(beside, StandardScaler(), HistGradientBoostingRegressor(max_iter=5))


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_whole_numbers_wrap_where_the_estimator_s_do(dtype):
    X = INTEGERS.astype({"n": dtype})
    made = sides(fitted(applied(np.square), X, ROWS[:, 1]), X, ROWS[:, 1])

    assert not made.outcome().compiled
    assert proven(fitted(applied(np.log1p), INTEGERS, ROWS[:, 1]), INTEGERS, ROWS[:, 1])


@pytest.mark.parametrize("scaler", [RobustScaler(), MinMaxScaler(), MaxAbsScaler(), StandardScaler()])
def test_a_batch_lies_in_memory_as_the_estimator_has_it(scaler):
    """Or else BLAS adds up in another order, which shows on a boundary between two labels."""
    X = pd.DataFrame(ROWS, columns=list("abcde"))
    made = sides(fitted(make_pipeline(scaler, LinearSVC()), X, labels(2)), X, labels(2))
    assert made.signature.container == "columns"
    asked = made.compiled()

    def answers(rows):
        return asked.predict(Table.from_matrix(made.signature, rows)).values[0]

    rows = edges.on_boundaries(answers, ROWS, np.random.default_rng(0))
    batches = [Table.from_matrix(made.signature, rows[at : at + 8]) for at in range(0, len(rows), 8)]

    for batch in batches:
        assert asked.predict(batch).values[0].tolist() == made.itself.predict(batch).values[0].tolist()


def test_the_columns_of_a_search_over_an_imputer_are_found():
    """Its `estimator` is not fitted, only what it found is."""
    search = GridSearchCV(make_pipeline(SimpleImputer(), LogisticRegression()), {"logisticregression__C": [1.0]}, cv=2)

    assert proven(fitted(search, HOLES, labels(2)), HOLES, labels(2))


def test_what_is_frozen_answers_by_its_own_rules():
    """Not by those of what it is made of."""
    strict = FixedThresholdClassifier(LogisticRegression(), threshold=0.9)
    made = sides(fitted(FrozenEstimator(fitted(strict, ROWS, labels(2, "booleans"))), ROWS), ROWS)

    assert not made.outcome().compiled
    assert "FixedThresholdClassifier" in made.outcome().reason


REFUSING = {
    "a function's result": (applied(np.exp), INTEGERS, {"n": 1000, "v": 0.0}),
    "a function's other result": (applied(np.log), INTEGERS, {"n": 0, "v": 0.0}),
    "dropped on the way": (
        make_pipeline(StandardScaler(), SelectKBest(k=1), LogisticRegression()),
        ROWS / 10,
        [0, 1.7e308, 0, 0, 0],
    ),
    "refused on the way": (
        make_pipeline(PolynomialFeatures(interaction_only=True), StandardScaler(), HistGradientBoostingClassifier()),
        ROWS,
        [0, 1e200, 1e200, 0, 0],
    ),
    "missing": (make_pipeline(StandardScaler(), SVC()), ROWS, [np.nan, 0, 0, 0, 0]),
    "too large for a tree": (RandomForestClassifier(3), ROWS, [1e39, 0, 0, 0, 0]),
    "infinite on the way": (make_pipeline(PolynomialFeatures(3), DecisionTreeClassifier()), ROWS, [1e200, 0, 0, 0, 0]),
}


@pytest.mark.parametrize("name", REFUSING)
@pytest.mark.filterwarnings("ignore:overflow", "ignore:divide by zero", "ignore:invalid value")
def test_what_the_estimator_refuses_it_refuses_in_its_own_words(name):
    estimator, X, row = REFUSING[name]
    y = labels(3, "integers")
    made = sides(fitted(estimator, X, y), X, y)
    cells = [row[name] for name in X] if isinstance(row, dict) else row
    arrays = [np.array([cell], dtype=column.dtype) for cell, column in zip(cells, made.signature.columns)]
    table = Table.from_columns(made.signature, arrays)

    with pytest.raises(Invalid) as own:
        made.itself.predict(table)
    with pytest.raises(Invalid) as compiled:
        made.compiled().predict(table)

    assert str(compiled.value) == str(own.value)


class Mine(LogisticRegression):
    """Another predict under a class of scikit-learn."""

    def predict(self, X):
        return super().predict(X)[::-1]


def test_only_an_exact_class_is_compiled():
    for estimator in (
        Mine(),
        fitted(SVC(kernel=np.inner), ROWS, labels(2)),
        fitted(DecisionTreeClassifier(), ROWS, labels(2)),
    ):
        if isinstance(estimator, DecisionTreeClassifier):
            estimator.predict = estimator.predict
        with pytest.raises(NotCompilable):
            forms.predictor(fitted(estimator, ROWS, labels(2)) if isinstance(estimator, Mine) else estimator, Comes(width=5))


def test_a_forest_too_large_to_hold_twice_is_not_compiled(monkeypatch):
    monkeypatch.setattr(trees, "MOST_BYTES", 1000)
    made = sides(fitted(RandomForestClassifier(5), ROWS, labels(2)), ROWS, labels(2))

    assert made.outcome().reason == "its 5 trees would take more than 0 MiB a second time"


def test_threads_share_a_form():
    made = sides(fitted(make_pipeline(StandardScaler(), RandomForestClassifier(9)), ROWS, labels(3)), ROWS, labels(3))
    runtime, wrong = made.compiled(), []
    tables = [made.table.take([row]) for row in range(len(ROWS))]
    wanted = [runtime.predict(table).probabilities[0].tobytes() for table in tables]

    def ask(offset):
        for at in range(400):
            row = (at * 7 + offset) % len(tables)
            if runtime.predict(tables[row]).probabilities[0].tobytes() != wanted[row]:
                wrong.append(row)

    threads = [threading.Thread(target=ask, args=(offset,)) for offset in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []


def test_nothing_stays_of_a_call():
    made = sides(fitted(RandomForestClassifier(9), ROWS, labels(3)), ROWS, labels(3))
    runtime, table = made.compiled(), made.table.take([4])
    for _ in range(200):
        runtime.predict(table)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(2000):
            runtime.predict(table)
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()

    assert grown < 20_000
