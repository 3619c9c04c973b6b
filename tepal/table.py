"""Validated input rows on their way to a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tepal.signature import Column, Signature, is_missing

Array = npt.NDArray[Any]


class Table:
    """``n`` rows that fit a signature, as the model's own container wants them.

    matrix: ``(n, k)`` float64 where every column is a number, else None. columns: one array ``(n,)`` a column,
    in the signature's order: float64 (NaN is missing), int64 or uint64, bool, datetime64, or objects with None.
    """

    __slots__ = ("columns", "matrix", "signature")

    def __init__(self, signature: Signature, columns: Sequence[Array], matrix: Array | None = None):
        self.signature = signature
        self.matrix = matrix
        self.columns = columns

    @classmethod
    def from_matrix(cls, signature: Signature, matrix: Array) -> Table:
        """A table of numbers only. matrix: ``(n, k)`` float64, not copied."""
        return cls(signature, tuple(matrix.T), matrix)

    @classmethod
    def from_columns(cls, signature: Signature, columns: Sequence[Array]) -> Table:
        """A table of any types. columns: as the class says."""
        matrix = np.column_stack(columns) if signature.numeric else None
        return cls(signature, columns, matrix)

    def __len__(self) -> int:
        return len(self.columns[0])

    def take(self, rows: Sequence[int]) -> Table:
        """The rows with these indices, in that order, as a new table."""
        index = np.asarray(rows, dtype=np.intp)
        return Table.from_columns(self.signature, [column[index] for column in self.columns])

    def container(self) -> Any:
        """The rows as the estimator wants them: array, pandas DataFrame, or strings in a list, a Series or an array."""
        columns = self.signature.columns
        if self.signature.container == "list":
            return as_trained(columns[0], self.columns[0]).tolist()
        if self.signature.container == "vector":
            return as_trained(columns[0], self.columns[0])
        if self.signature.container == "series":
            import pandas as pd  # only where a model needs it: pandas is an extra

            return _series(pd, columns[0], self.columns[0])
        if self.signature.container == "frame":
            import pandas as pd

            return pd.DataFrame({column.name: _series(pd, column, array) for column, array in zip(columns, self.columns)})
        if self.matrix is not None and not any(column.trained_as for column in columns):
            matrix = self.matrix
        else:
            matrix = np.column_stack([as_trained(column, array) for column, array in zip(columns, self.columns)])
        return np.asfortranarray(matrix) if self.signature.container == "columns" else matrix

    def records(self) -> list[dict[str, Any]]:
        """The rows as plain Python values by column name: what a client would write in JSON."""
        names = self.signature.names
        cells = [
            [json_value(column, value) for value in array] for column, array in zip(self.signature.columns, self.columns)
        ]
        return [dict(zip(names, row)) for row in zip(*cells)]


def as_trained(column: Column, array: Array) -> Array:
    """The column in the dtype of training, unless that would lose what a client sent."""
    if array.dtype == object and column.missing == "nan":
        array = np.array([np.nan if value is None else value for value in array], dtype=object)
    if column.trained_as == "object":
        return array.astype(object)
    if column.trained_as and array.dtype.kind in "fiu" and not _is_extension(column):
        with np.errstate(over="ignore"):
            cast = array.astype(column.trained_as)
        lost = np.isinf(cast) if array.dtype.kind == "f" else cast != array
        return array if lost.any() else cast
    return array


def _series(pd: Any, column: Column, array: Array) -> Any:
    """The column as pandas had it in training."""
    if column.levels is not None:
        return pd.Series(_categorical(pd, column, array))
    if column.type == "datetime" and column.trained_as:
        return pd.Series(array).dt.tz_localize("UTC").astype(column.trained_as)
    if array.dtype == object:
        return pd.Series(as_trained(column, array), dtype=column.trained_as or "object")
    return pd.Series(array, dtype=column.trained_as) if _is_extension(column) else pd.Series(as_trained(column, array))


def _categorical(pd: Any, column: Column, array: Array) -> Any:
    """The column in pandas' own type of categories: what training did not know is one more, not a missing value."""
    levels = dict.fromkeys([*(column.levels or ()), *(value for value in array.tolist() if not is_missing(value))])
    return pd.Categorical(array, categories=list(levels), ordered=column.ordered)


def _is_extension(column: Column) -> bool:
    """Whether training had one of pandas' own dtypes: their names start with a capital, or are none of NumPy's."""
    return column.trained_as[:1].isupper() or column.trained_as in ("boolean", "string", "str")


def json_value(column: Column, value: Any) -> Any:
    """One cell as JSON would carry it: NaN and NaT become None, a datetime its ISO 8601 text."""
    if is_missing(value):
        return None
    if column.type == "datetime":
        return str(np.datetime_as_string(value))
    return value.item() if isinstance(value, np.generic) else value
