"""Warnings beside an answer: what a row holds that the model never saw in training."""

from __future__ import annotations

from operator import gt, lt
from typing import Any

import msgspec
import numpy as np

from tepal.errors import MAX_LISTED, BadCells
from tepal.signature import Column, Signature
from tepal.table import Array, Table

# Columns up to which one row is compared value by value, faster than by NumPy.
FEW = 16


class Note(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A warning to the caller. row counts from 0; none where the warning is about the whole body."""

    row: int | None = None
    column: str | None = None
    message: str


class Notes:
    """The warnings of one answer: the first ``MAX_LISTED`` are kept, all are counted."""

    __slots__ = ("listed", "total")

    def __init__(self) -> None:
        self.listed: list[Note] = []
        self.total = 0

    @property
    def full(self) -> bool:
        """Whether further warnings are only counted, so that wording one would be wasted."""
        return self.total >= MAX_LISTED

    def add(self, message: str, row: int | None = None, column: str | None = None) -> None:
        self.total += 1
        if len(self.listed) < MAX_LISTED:
            self.listed.append(Note(row=row, column=column, message=message))

    def count(self, many: int) -> None:
        """Count warnings that are not worded."""
        self.total += many

    def extend(self, others: Notes) -> None:
        """Have the warnings of ``others`` too, after one's own."""
        self.total += others.total
        self.listed = (self.listed + others.listed)[:MAX_LISTED]


class SeenInTraining:
    """Compares rows with what training held; made once for a signature, called for every request."""

    def __init__(self, signature: Signature):
        self._columns = [
            (i, column, frozenset(column.categories or ()))
            for i, column in enumerate(signature.columns)
            if column.minimum is not None or column.categories is not None
        ]
        # One comparison for the whole matrix where every column is a number: the common and the hot case.
        self._low = np.array([-np.inf if c.minimum is None else c.minimum for c in signature.columns])
        self._high = np.array([np.inf if c.maximum is None else c.maximum for c in signature.columns])
        self._lows, self._highs = self._low.tolist(), self._high.tolist()

    def check(self, table: Table, notes: Notes) -> None:
        """Note every number outside its column's range and every text outside its column's categories.

        Raises Invalid, with the near names, for texts that the estimator itself would refuse.
        """
        if table.matrix is not None and not self._any_outside(table.matrix):
            return
        refused = BadCells()
        for i, column, known in self._columns:
            array = table.columns[i]
            if column.categories is None:
                _note_range(column, array, notes)
                continue
            for row, value in enumerate(array.tolist()):
                if value is None or value in known:
                    continue
                if column.unseen == "refuse":
                    _refuse(column, row, value, refused)
                else:
                    hint = "" if notes.full else _did_you_mean(column.near(value[:100]))
                    notes.add(f"{quoted(value)} was never seen in training{hint}", row, column.name)
        refused.raise_any()

    def _any_outside(self, matrix: Array) -> bool:
        if len(matrix) == 1 and len(self._lows) <= FEW:
            row = matrix[0].tolist()
            return any(map(lt, row, self._lows)) or any(map(gt, row, self._highs))
        return bool(((matrix < self._low) | (matrix > self._high)).any())


def _note_range(column: Column, array: Array, notes: Notes) -> None:
    low, high = column.minimum, column.maximum
    rows = _outside(array, low, high)
    for place, row in enumerate(rows):
        if notes.full:
            notes.count(len(rows) - place)
            return
        value = array[row].item() if isinstance(array[row], np.generic) else array[row]
        notes.add(f"{value!r} is outside the range {low!r}–{high!r} seen in training", row, column.name)


def _outside(array: Array, low: Any, high: Any) -> list[int]:
    if array.dtype == object:
        return [row for row, value in enumerate(array) if value is not None and not low <= value <= high]
    rows: list[int] = np.flatnonzero((array < low) | (array > high)).tolist()  # NaN is neither
    return rows


def _refuse(column: Column, row: int, value: str, refused: BadCells) -> None:
    if refused.full:
        refused.count()
        return
    near = column.near(value[:100])
    refused.add(
        f"row {row}: column '{column.name}' does not know {quoted(value)}{_did_you_mean(near)}",
        row=row,
        column=column.name,
        expected="a category seen in training",
        got=quoted(value),
        **({"near": near} if near else {}),
    )


def _did_you_mean(near: list[str]) -> str:
    return f"; did you mean {quoted(near[0])}?" if near else ""


def quoted(value: str, limit: int = 60) -> str:
    """A text as a JSON string for a message, cut where it is longer than ``limit`` characters."""
    return msgspec.json.encode(value if len(value) <= limit else value[: limit - 1] + "…").decode()
