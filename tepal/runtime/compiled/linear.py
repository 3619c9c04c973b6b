"""Linear models: one product of matrices, in the same call that scikit-learn makes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import expit

from tepal.runtime.compiled.forms import Comes, NotCompilable, Predictor, Rows, SparseRows, check_finite, is_matrix
from tepal.table import Array

# From how many rows on scipy's product of a sparse matrix is faster than one row after the other.
MOST_SPARSE = 24


def classifier(model: Any, comes: Comes) -> Predictor:
    """A classifier whose scores are linear in the row."""
    if getattr(getattr(model, "_label_binarizer", None), "y_type_", "").startswith("multilabel"):
        raise NotCompilable(f"the {type(model).__name__} answers several labels")
    scores = _flat(product(model, comes))
    classes = model.classes_
    chances = _chances(model)

    def answer(rows: Rows, want: bool) -> tuple[Array, Array | None]:
        found = scores(rows)
        chosen = (found > 0).astype(np.intp) if found.ndim == 1 else found.argmax(axis=1)
        return classes.take(chosen), chances(found) if want and chances else None

    return Predictor(answer, scores, chances and (lambda rows: chances(scores(rows))), _most(comes))


def regressor(model: Any, comes: Comes) -> Predictor:
    """A regressor that is linear in the row, or the exponential of that."""
    linear = product(model, comes)
    if type(model).__name__ in ("SGDRegressor", "PassiveAggressiveRegressor"):
        linear = _flat(linear)
    inverse = _inverse_link(model)

    def answer(rows: Rows, want: bool) -> tuple[Array, None]:
        found = linear(rows)
        return inverse(found) if inverse else found, None

    return Predictor(answer, most=_most(comes))


def _most(comes: Comes) -> int:
    return MOST_SPARSE if comes.sparse else sys.maxsize


def product(model: Any, comes: Comes) -> Callable[[Rows], Array]:
    """``rows @ coef_.T + intercept_``; declines what does not come out finite, as nothing does that goes in otherwise."""
    coefficients, intercept = model.coef_, model.intercept_
    if not isinstance(coefficients, np.ndarray):
        raise NotCompilable(f"the {type(model).__name__}'s coefficients are sparse")
    is_matrix(model, comes)
    transposed = coefficients.T if coefficients.ndim == 2 else coefficients
    times = sparse_times(transposed) if comes.sparse else None

    def linear(rows: Rows) -> Array:
        found: Array = (times(rows) if times else rows @ transposed) + intercept
        check_finite(found)
        return found

    return linear


def sparse_times(right: Array) -> Callable[[SparseRows], Array]:
    """A product of sparse rows and ``right``, ``(k, m)`` or ``(k,)``, which adds in the order in which scipy does."""
    left = right.reshape(-1, 1).T if right.ndim == 1 else right.T  # a view: the coefficients as they are

    def one(at: Array, values: Array) -> Any:
        if not len(at):
            return np.zeros(len(left))
        return np.add.accumulate(left.take(at, axis=1) * values, axis=1)[:, -1]

    def times(rows: SparseRows) -> Array:
        found = np.array([one(at, values) for at, values in rows.rows])
        return found.reshape(len(rows.rows), *right.shape[1:])

    return times


def _flat(linear: Callable[[Rows], Array]) -> Callable[[Rows], Array]:
    def scores(rows: Rows) -> Array:
        found = linear(rows)
        return found.reshape(-1) if found.ndim > 1 and found.shape[1] == 1 else found

    return scores


def _inverse_link(model: Any) -> Callable[[Array], Array] | None:
    loss = getattr(model, "_base_loss", None)
    link = type(loss.link).__name__ if loss is not None else "IdentityLink"
    if link not in ("IdentityLink", "LogLink"):
        raise NotCompilable(f"the {type(model).__name__} has a {link}")
    return np.exp if link == "LogLink" else None


def _chances(model: Any) -> Callable[[Array], Array] | None:
    """From scores to probabilities, where the model has them."""
    kind, binary = type(model).__name__, len(model.classes_) <= 2
    if kind in ("LogisticRegression", "LogisticRegressionCV", "LinearDiscriminantAnalysis"):
        return two if binary else softmax
    if kind == "SGDClassifier" and model.loss == "log_loss":
        return two if binary else _each_against_the_rest
    if kind == "SGDClassifier" and model.loss == "modified_huber":
        raise NotCompilable("the SGDClassifier has probabilities of modified_huber")
    return None


def two(scores: Array) -> Array:
    """The probabilities of two classes, ``(n, 2)``, from the score of the second, ``(n,)``."""
    second: Array = expit(scores)
    found = np.empty((len(scores), 2), dtype=second.dtype)
    found[:, 1] = second
    np.subtract(1, second, out=found[:, 0])
    return found


def softmax(scores: Array) -> Array:
    """scikit-learn's own, in its order. scores: ``(n, classes)``, not changed."""
    found: Array = scores - np.maximum.reduce(scores, axis=1, keepdims=True)
    np.exp(found, out=found)
    found /= np.add.reduce(found, axis=1, keepdims=True)
    return found


def _each_against_the_rest(scores: Array) -> Array:
    found: Array = expit(scores)
    total = found.sum(axis=1)
    nothing = total == 0
    if nothing.any():
        found[nothing, :] = 1
        total[nothing] = found.shape[1]
    found /= total.reshape(len(found), -1)
    return found
