"""Predictions as columns side by side: what CSV and Parquet hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tepal.notes import Notes
from tepal.prediction import Output, Prediction, class_key


def names(outputs: Sequence[Output], probabilities: bool = True) -> list[str]:
    """``prediction`` and ``probability_<class>``; of several outputs ``<output>`` and ``probability_<output>_<class>``."""
    single = len(outputs) == 1
    found = ["prediction"] if single else [output.name for output in outputs]
    for output in outputs if probabilities else ():
        if output.probabilities and output.classes is not None:
            found += [f"probability_{'' if single else output.name + '_'}{class_key(label)}" for label in output.classes]
    return found


def of(prediction: Prediction, probabilities: bool = True, notes: Notes | None = None) -> dict[str, list[Any]]:
    """Each column by its name as plain Python values, ``n`` each; None where there is no answer.

    notes: gets a warning for each answer that is no finite number.
    """
    labels = prediction.labels(notes)
    several = len(prediction.outputs) > 1
    columns = [[row[output.name] for row in labels] for output in prediction.outputs] if several else [labels]
    for output, matrix in zip(prediction.outputs, prediction.probabilities):
        if probabilities and matrix is not None and output.classes is not None:
            columns += [_finite(column) for column in matrix.T]
    given = probabilities and any(matrix is not None for matrix in prediction.probabilities)
    return dict(zip(names(prediction.outputs, given), columns))


def _finite(column: Any) -> list[Any]:
    finite = np.isfinite(column)
    values: list[Any] = column.tolist()
    return values if finite.all() else [value if fine else None for value, fine in zip(values, finite.tolist())]
