"""What came out of a model, and when two answers are the same answer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from tepal.notes import Notes


class Output(msgspec.Struct, frozen=True, omit_defaults=True):
    """One output of a model. classes: the labels as trained, where it has them; numbers otherwise."""

    name: str
    classes: tuple[str | int | float | bool, ...] | None = None
    probabilities: bool = False


class Prediction:
    """The answer for ``n`` rows.

    values: one array ``(n,)`` an output, labels or numbers. probabilities: one array ``(n, classes)`` an
    output that has them, None for one that has not.
    """

    __slots__ = ("outputs", "probabilities", "values")

    def __init__(
        self,
        outputs: Sequence[Output],
        values: Sequence[npt.NDArray[Any]],
        probabilities: Sequence[npt.NDArray[Any] | None],
    ):
        self.outputs = outputs
        self.values = values
        self.probabilities = probabilities

    def labels(self, notes: Notes | None = None) -> list[Any]:
        """One prediction a row as plain Python values; an object a row where there are several outputs.

        A value that is no finite number is None, with a warning in ``notes``.
        """
        columns = [_finite(array, output.name, notes) for output, array in zip(self.outputs, self.values)]
        if len(columns) == 1:
            return columns[0]
        names = [output.name for output in self.outputs]
        return [dict(zip(names, row)) for row in zip(*columns)]

    def class_probabilities(self, notes: Notes | None = None) -> list[dict[str, Any]] | None:
        """One ``{class: probability}`` a row (``{output: {…}}`` for several outputs); None where there are none."""
        columns: dict[str, list[dict[str, Any]]] = {}
        for output, matrix in zip(self.outputs, self.probabilities):
            if matrix is not None and output.classes is not None:
                keys = [class_key(label) for label in output.classes]
                rows = matrix.tolist()
                if not np.isfinite(matrix).all():
                    rows = [_finite(np.asarray(row), output.name, notes) for row in rows]
                columns[output.name] = [dict(zip(keys, row)) for row in rows]
        if not columns:
            return None
        if len(self.outputs) == 1:
            return next(iter(columns.values()))
        return [dict(zip(columns, row)) for row in zip(*columns.values())]


def class_key(label: Any) -> str:
    """A class label as a JSON object's key: the text that it has in ``predictions``, without quotes."""
    return label if isinstance(label, str) else msgspec.json.encode(label).decode()


def _finite(array: npt.NDArray[Any], name: str, notes: Notes | None) -> list[Any]:
    values: list[Any] = array.tolist()
    if array.dtype == object:
        values = [value.item() if isinstance(value, np.generic) else value for value in values]
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        for row in np.flatnonzero(~np.isfinite(array)).tolist():
            values[row] = None
            if notes is not None:
                notes.add(f"the model's answer for '{name}' is not a finite number", row)
    return values


def same(expected: Any, got: Any, scale: float, tolerance: float) -> bool:
    """Whether two plain answers are the same: labels equal, floats within ``tolerance``, relative.

    scale: the output's scale in training; the tolerance is of the value or of it, where that is larger.
    """
    if isinstance(expected, dict):
        return isinstance(got, dict) and expected.keys() == got.keys() and all(
            same(value, got[key], scale, tolerance) for key, value in expected.items()
        )  # fmt: skip
    numbers = isinstance(expected, (int, float)) and isinstance(got, (int, float))
    if numbers and (isinstance(expected, float) or isinstance(got, float)) and not isinstance(got, bool):
        return math.isclose(expected, got, rel_tol=tolerance, abs_tol=tolerance * scale)
    return type(expected) is type(got) and bool(expected == got)
