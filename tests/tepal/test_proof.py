"""The proof finds a form that is wrong, however little and wherever; and says how many rows it has looked at."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from tepal import edges, perturbed, proof, trial
from tepal.runtime.compiled import trees
from tepal.signature import derive
from tepal.table import Table
from tests.tepal.runtime.compiled.proving import MANY, sides

IRIS = load_iris()


@pytest.fixture
def linear():
    return sides(LinearRegression().fit(IRIS.data, IRIS.target * 1.0), IRIS.data)


@pytest.fixture
def logistic():
    return sides(LogisticRegression(max_iter=1000).fit(IRIS.data, IRIS.target), IRIS.data)


def prove(made, sabotage=lambda answer: answer):
    """The proof of a form whose answer was tampered with."""
    form = made.form()
    form.predictor = form.predictor._replace(answer=sabotage(form.predictor.answer))
    form.last = form.last._replace(predictor=form.predictor)
    return proof.prove(form, made.itself, made.table, trial.scale(made.predicted), MANY)


def test_a_form_that_is_right_is_proven(logistic):
    proven = prove(logistic)

    assert (proven.training, proven.perturbed, proven.extreme) == (150, MANY, 200)
    assert proven.boundaries >= 300
    assert proven.largest_difference < proof.TOLERANCE
    assert proven.alone >= 150 + proof.ALONE + 300


@pytest.mark.parametrize("rows", ["all", "one alone", "several"])
def test_a_form_that_is_wrong_by_a_billionth_is_not(linear, rows):
    wrong = {"all": lambda n: n > 0, "one alone": lambda n: n == 1, "several": lambda n: n > 1}[rows]

    def sabotage(answer):
        def wrongly(given, want):
            values, chances = answer(given, want)
            return values * (1 + 1e-9 * wrong(len(given))), chances

        return wrongly

    with pytest.raises(proof.Unequal, match="off by"):
        prove(linear, sabotage)


def test_a_probability_that_is_wrong_by_a_billionth_is_found(logistic):
    def sabotage(answer):
        def wrongly(rows, want):
            values, chances = answer(rows, True)
            return values, chances + 1e-9 if want else None

        return wrongly

    with pytest.raises(proof.Unequal, match="off by 1"):
        prove(logistic, sabotage)


def test_a_label_that_is_wrong_on_a_boundary_alone_is_found(logistic):
    """Of two classes that are as likely as each other to the last digits, the other one."""

    def sabotage(answer):
        def wrongly(rows, want):
            values, chances = answer(rows, True)
            ordered = np.sort(chances, axis=1)
            close = ordered[:, -1] - ordered[:, -2] < 1e-13
            return np.where(close, chances.argsort(axis=1)[:, -2], values), chances if want else None

        return wrongly

    with pytest.raises(proof.Unequal, match="boundary rows"):
        prove(logistic, sabotage)


@pytest.mark.parametrize("forest", [False, True])
def test_a_threshold_that_is_off_by_one_float32_is_found(monkeypatch, forest):
    """As a converter makes it that rounds to float32 the wrong way: wrong on a tie only."""
    kind = RandomForestClassifier(5, random_state=0) if forest else DecisionTreeClassifier(random_state=0)
    made = sides(kind.fit(IRIS.data.round(1), IRIS.target), IRIS.data.round(1))
    merged = trees._merged

    def rounded(given, head):
        whole = merged(given, head)
        state = whole.__getstate__()
        nodes = state["nodes"]
        inner = nodes["left_child"] > 0
        inner[: len(head.left)] = False
        down = np.nextafter(nodes["threshold"][inner].astype(np.float32), np.float32(-np.inf))
        nodes["threshold"][inner] = down
        whole.__setstate__(state)
        return whole

    monkeypatch.setattr(trees, "_merged", rounded)
    if not forest:
        monkeypatch.setattr(trees.Forest, "values", _as_if_two(rounded))

    with pytest.raises(proof.Unequal):
        prove(made)


def _as_if_two(rounded):
    """A single tree is walked as it is: have it rounded too."""

    def values(forest, matrix):
        if not hasattr(forest, "wrong"):
            forest.wrong = rounded([forest._tree, forest._tree], trees.head_above(2))
        walked = np.column_stack([matrix, np.zeros(len(matrix), dtype=np.float32)])
        leaves = forest.wrong.apply(walked)
        return forest._values[leaves - 1][None]

    return values


def test_rows_that_only_the_form_answers_are_found():
    holes = np.where(np.arange(600).reshape(150, 4) % 31 == 0, np.nan, IRIS.data)
    made = sides(LogisticRegression(max_iter=1000).fit(IRIS.data, IRIS.target), IRIS.data)
    nullable = derive(holes)[0]
    made = made._replace(signature=nullable, table=Table.from_matrix(nullable, IRIS.data))

    def sabotage(answer):
        return lambda rows, want: answer(np.nan_to_num(rows), want)

    assert prove(made).declined > 0
    with pytest.raises(proof.Unequal, match="which the estimator refuses"):
        prove(made, sabotage)


def test_a_form_that_cannot_take_the_training_proves_nothing(logistic):
    def sabotage(answer):
        def declines(rows, want):
            raise ValueError

        return declines

    with pytest.raises(proof.Unequal, match="cannot take rows of the training"):
        prove(logistic, sabotage)


def test_a_sequence_and_what_is_unknown_have_their_reasons(logistic):
    told = proof.outcome(logistic.itself, logistic.signature, logistic.table, 1.0, "sequence")

    assert (told.compiled, told.reason) == (False, "its rows are a sequence, which only the estimator itself answers")


def test_perturbed_rows_fit_the_signature_and_are_the_same_each_time():
    made = [perturbed.perturbed(Table.from_matrix(*_iris()), 500, np.random.default_rng(0)) for _ in range(2)]

    assert made[0].matrix.tobytes() == made[1].matrix.tobytes()
    assert np.isfinite(made[0].matrix).all(), "no missing value where training had none"
    low, high = IRIS.data.min(axis=0), IRIS.data.max(axis=0)
    outside = (made[0].matrix < low) | (made[0].matrix > high)
    assert 0.05 < outside.mean() < 0.5


def _iris():
    signature, _ = derive(IRIS.data)
    return signature, IRIS.data


def test_beside_a_threshold_are_the_next_floats_of_both_kinds():
    found = edges.around(0.1)

    assert {0.1, np.nextafter(0.1, 1), np.nextafter(0.1, 0)} <= set(found)
    assert float(np.float32(0.1)) in found
    assert float(np.nextafter(np.float32(0.1), np.float32(0))) in found
