"""What came out of a model, and when two answers are the same answer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from tepal.notes import Notes
from tepal.signature import is_missing


class Output(msgspec.Struct, frozen=True, omit_defaults=True):
    """One output of a model. classes: the labels as trained, where it has them; numbers otherwise."""

    name: str
    classes: tuple[str | int | float | bool, ...] | None = None
    probabilities: bool = False


class Prediction:
    """The answer for ``n`` rows.

    values: one array ``(n,)`` an output, labels or numbers. probabilities: one array ``(n, classes)`` an
    output that has them, None for one that has not. history: how many rows at the start a sequence model
    cannot answer, because it needs so many before them.
    """

    __slots__ = ("history", "outputs", "probabilities", "values")

    def __init__(
        self,
        outputs: Sequence[Output],
        values: Sequence[npt.NDArray[Any]],
        probabilities: Sequence[npt.NDArray[Any] | None],
        history: int = 0,
    ):
        self.outputs = outputs
        self.values = values
        self.probabilities = probabilities
        self.history = history

    def labels(self, notes: Notes | None = None) -> list[Any]:
        """One prediction a row as plain Python values; an object a row where there are several outputs.

        A datetime is its ISO 8601 text. A missing value, or one that is no finite number, is None, with a
        warning in ``notes``.
        """
        columns = [plain(array) for array in self.values]
        if notes is not None and any(None in column for column in columns):
            self._note_unanswered(notes)
        if len(columns) == 1:
            return columns[0]
        names = [output.name for output in self.outputs]
        return [dict(zip(names, row)) for row in zip(*columns)]

    def _note_unanswered(self, notes: Notes) -> None:
        missing = [(output.name, unanswered(array)) for output, array in zip(self.outputs, self.values)]
        early = sorted({row for _, rows in missing for row in rows if row < self.history})
        if early:
            those = f"row {early[0]}" if len(early) == 1 else f"rows {early[0]}–{early[-1]}"
            needs = f"{self.history} earlier row{'s' * (self.history > 1)}"
            notes.add(f"no answer for {those}: the model needs {needs} before it can answer", early[0])
        for name, rows in missing:
            for row in rows:
                if row >= self.history:
                    notes.add(f"the model's answer for '{name}' is not a finite number", row)

    def class_probabilities(self, notes: Notes | None = None) -> list[dict[str, Any]] | None:
        """One ``{class: probability}`` a row (``{output: {…}}`` for several outputs); None where there are none."""
        columns: dict[str, list[dict[str, Any]]] = {}
        for output, matrix in zip(self.outputs, self.probabilities):
            if matrix is not None and output.classes is not None:
                keys = [class_key(label) for label in output.classes]
                rows = matrix.tolist()
                if not np.isfinite(matrix).all():
                    rows = [plain(row) for row in np.asarray(matrix, dtype=np.float64)]
                    for row in np.flatnonzero(~np.isfinite(matrix).all(axis=1)).tolist():
                        if notes is not None:
                            notes.add(f"a probability of '{output.name}' is not a finite number", row)
                columns[output.name] = [dict(zip(keys, row)) for row in rows]
        if not columns:
            return None
        if len(self.outputs) == 1:
            return next(iter(columns.values()))
        return [dict(zip(columns, row)) for row in zip(*columns.values())]


def class_key(label: Any) -> str:
    """A class label as a JSON object's key: the text that it has in ``predictions``, without quotes."""
    return label if isinstance(label, str) else msgspec.json.encode(label).decode()


def unanswered(array: npt.NDArray[Any]) -> list[int]:
    """The rows of a model's answers ``(n,)`` that hold a missing value, or one that is no finite number."""
    kind = array.dtype.kind
    if kind == "f":
        rows: list[int] = np.flatnonzero(~np.isfinite(array)).tolist()
    elif kind == "M":
        rows = np.flatnonzero(np.isnat(array)).tolist()
    elif kind == "O":
        rows = [row for row, value in enumerate(array.tolist()) if type(value) is not str and _plain_object(value) is None]
    else:
        rows = []
    return rows


def plain(array: npt.NDArray[Any]) -> list[Any]:
    """A model's answers ``(n,)`` as plain Python values; None for those that ``unanswered`` finds."""
    if array.dtype.kind == "O":
        return [value if type(value) is str else _plain_object(value) for value in array.tolist()]
    values: list[Any] = [_iso(value) for value in array] if array.dtype.kind == "M" else array.tolist()
    for row in unanswered(array):
        values[row] = None
    return values


def _iso(value: np.datetime64) -> str:
    text = str(np.datetime_as_string(value))
    return text.rstrip("0").rstrip(".") if "." in text else text


def _plain_object(value: Any) -> Any:
    if isinstance(value, np.datetime64):
        return None if np.isnat(value) else _iso(value)
    if isinstance(value, np.generic):
        value = value.item()
    if is_missing(value) or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return value.isoformat() if hasattr(value, "isoformat") else value


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
