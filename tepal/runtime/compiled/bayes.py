"""Naive Bayes: logarithms of probabilities, added in scikit-learn's order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tepal.runtime.compiled.columns import floats
from tepal.runtime.compiled.forms import Comes, Declined, NotCompilable, Predictor, Rows, as_float, check_finite, is_matrix
from tepal.runtime.compiled.linear import MOST_SPARSE, sparse_times
from tepal.table import Array


def gaussian(model: Any, comes: Comes) -> Predictor:
    """GaussianNB."""
    matrix_of = floats(model, comes)
    theta, variance = model.theta_, model.var_
    priors = [np.log(prior) for prior in model.class_prior_]
    norms = [-0.5 * np.sum(np.log(2.0 * np.pi * row)) for row in variance]

    def joint(rows: Rows) -> Array:
        matrix = as_float(matrix_of(rows))
        # (n, classes, k): each class's sum runs over the last axis, as that of its own (n, k) does.
        squares = (matrix[:, None, :] - theta) ** 2 / variance
        found: Array = priors + (norms - 0.5 * np.add.reduce(squares, axis=2))
        return found

    return _predictor(model, joint)


def multinomial(model: Any, comes: Comes) -> Predictor:
    """MultinomialNB."""
    return _discrete(model, comes, model.feature_log_prob_.T, model.class_log_prior_)


def complement(model: Any, comes: Comes) -> Predictor:
    """ComplementNB."""
    if len(model.classes_) == 1:
        raise NotCompilable("the ComplementNB is of one class")
    return _discrete(model, comes, model.feature_log_prob_.T, None)


def bernoulli(model: Any, comes: Comes) -> Predictor:
    """BernoulliNB."""
    absent = np.log(1 - np.exp(model.feature_log_prob_))
    return _discrete(
        model,
        comes,
        (model.feature_log_prob_ - absent).T,
        model.class_log_prior_ + absent.sum(axis=1),
        model.binarize,
    )


def _discrete(model: Any, comes: Comes, weights: Array, prior: Array | None, above: float | None = None) -> Predictor:
    """above: a number of which only is asked whether it is more than this."""
    matrix_of = None if comes.sparse else floats(model, comes)
    times = sparse_times(weights) if comes.sparse else None
    is_matrix(model, comes)
    if above is not None and comes.sparse:
        raise NotCompilable(f"the {type(model).__name__} binarizes sparse rows")
    positive = type(model).__name__ != "BernoulliNB"

    def joint(rows: Rows) -> Array:
        if times is not None:
            found = times(rows)
        else:
            matrix = matrix_of(rows) if matrix_of else rows
            check_finite(np.asarray(matrix, dtype=np.float64))
            if positive and np.minimum.reduce(matrix, axis=None) < 0:
                raise Declined
            found = (matrix if above is None else (matrix > above).astype(matrix.dtype)) @ weights
        if prior is not None:
            found = found + prior
        check_finite(found)
        return found

    return _predictor(model, joint)._replace(most=MOST_SPARSE if comes.sparse else Predictor._field_defaults["most"])


def _predictor(model: Any, joint: Callable[[Rows], Array]) -> Predictor:
    classes = model.classes_

    def chances_of(found: Array) -> Array:
        chances: Array = np.exp(found - log_sum_exp(found)[:, None])
        return chances

    def answer(rows: Rows, want: bool) -> tuple[Array, Array | None]:
        found = joint(rows)
        return classes[found.argmax(axis=1)], chances_of(found) if want else None

    return Predictor(answer, None, lambda rows: chances_of(joint(rows)))


def log_sum_exp(array: Array) -> Array:
    """The logarithm of the sum of exponentials over the second axis, in scikit-learn's own steps."""
    largest = np.maximum.reduce(array, axis=1, keepdims=True)
    is_largest = array == largest
    rest = np.where(is_largest, -np.inf, array)
    count = np.add.reduce(is_largest.astype(array.dtype), axis=1, keepdims=True)
    shift = np.where(np.isfinite(largest), largest, 0)
    total = np.add.reduce(np.exp(rest - shift), axis=1, keepdims=True)
    found: Array = np.log1p(np.where(total == 0, total, total / count)) + np.log(count) + largest
    return found[:, 0]
