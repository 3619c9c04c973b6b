"""Neural networks: one product of matrices a layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.neural_network._base import ACTIVATIONS

from tepal.runtime.compiled.columns import floats
from tepal.runtime.compiled.forms import Comes, NotCompilable, Predictor, Rows, check_finite
from tepal.table import Array


def classifier(network: Any, comes: Comes) -> Predictor:
    """MLPClassifier, of one label a row."""
    forward = _forward(network, comes)
    binarizer, classes = network._label_binarizer, network.classes_
    if binarizer.y_type_.startswith("multilabel"):
        raise NotCompilable("the MLPClassifier answers several labels")
    binary = network.n_outputs_ == 1

    def chances_of(found: Array) -> Array:
        return np.vstack([1 - found[:, 0], found[:, 0]]).T if binary else found

    def answer(rows: Rows, want: bool) -> tuple[Array, Array | None]:
        found = forward(rows)
        chosen = (found[:, 0] > 0.5).astype(np.intp) if binary else found.argmax(axis=1)
        return classes[chosen], chances_of(found) if want else None

    return Predictor(answer, None, lambda rows: chances_of(forward(rows)))


def regressor(network: Any, comes: Comes) -> Predictor:
    """MLPRegressor."""
    forward = _forward(network, comes)

    def answer(rows: Rows, want: bool) -> tuple[Array, None]:
        found = forward(rows)
        return found.ravel() if found.shape[1] == 1 else found, None

    return Predictor(answer)


def _forward(network: Any, comes: Comes) -> Callable[[Rows], Array]:
    matrix_of = floats(network, comes)
    layers = list(zip(network.coefs_, network.intercepts_))
    between, last = ACTIVATIONS[network.activation], ACTIVATIONS[network.out_activation_]

    def forward(rows: Rows) -> Array:
        values = matrix_of(rows)
        check_finite(np.asarray(values, dtype=np.float64))
        for at, (weights, offset) in enumerate(layers):
            values = values @ weights
            values += offset
            if at < len(layers) - 1:
                between(values)
        last(values)
        check_finite(values)
        return values

    return forward
