"""Columns of a request as one matrix of numbers, as scikit-learn makes it of a DataFrame."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tepal.runtime.compiled.forms import Comes, Declined, NotCompilable, Rows
from tepal.signature import Column
from tepal.table import Array

# The whole numbers up to which each is a float64 too.
EXACT = 2**53


def floats(part: Any, comes: Comes, densely: bool = False) -> Callable[[Rows], Array]:
    """What comes as a matrix of numbers, missing ones NaN: as it is where it is one, float64 or float32 where not.

    part: the step that wants it. densely: whether sparse rows may be made full, because it makes no difference to it.
    Raises NotCompilable where not all is numbers.
    """
    if comes.sparse:
        if not densely:
            raise NotCompilable(f"the {type(part).__name__} gets sparse rows")
        return lambda rows: rows.dense()
    if comes.columns is not None:
        return _beside_each_other(comes.columns, part)
    if comes.width is None:
        raise NotCompilable(f"the {type(part).__name__} gets texts")
    return _itself


def _itself(rows: Rows) -> Array:
    matrix: Array = rows
    return matrix


def _beside_each_other(columns: tuple[Column, ...], part: Any) -> Callable[[Rows], Array]:
    for column in columns:
        if column.type not in ("number", "integer", "boolean") or column.levels is not None:
            raise NotCompilable(f"the {type(part).__name__} gets the {column.type} column {column.name!r}")
    whole = [at for at, column in enumerate(columns) if column.type == "integer"]
    narrow = any(column.trained_as in ("float32", "float16") for column in columns)

    def matrix(rows: Rows) -> Array:
        dtype = np.result_type(*rows) if narrow else np.float64
        if len(rows[0]) == 1:
            cells = [column.item() for column in rows]
            for at in whole:
                _check_exact(cells[at])
            return np.array([cells], dtype=dtype)
        found = np.empty((len(rows[0]), len(rows)), dtype=dtype)
        for at, column in enumerate(rows):
            found[:, at] = np.array(column.tolist(), dtype=dtype) if column.dtype == object else column
        if whole and np.nanmax(np.abs(found[:, whole]), initial=0.0) > EXACT:
            raise Declined
        return found

    return matrix


def _check_exact(value: Any) -> None:
    if value is not None and not -EXACT <= value <= EXACT:
        raise Declined
