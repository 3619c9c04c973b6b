"""From a table to what the first step of a compiled form gets: no DataFrame, and no copy where none is needed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tepal.runtime.compiled.forms import Comes, NotCompilable, Rows
from tepal.signature import Column, Signature
from tepal.table import Array, Table, as_trained

# NumPy's names of the dtypes of a Table's columns that a matrix can hold.
_NUMERIC = ("float64", "int64", "uint64", "bool")


def entry(signature: Signature) -> tuple[Callable[[Table], Rows], Comes]:
    """How the rows of a table are handed to the first step, and what it gets then. Raises NotCompilable."""
    columns, container = signature.columns, signature.container
    if container == "list":
        return Table.container, Comes()
    if container in ("series", "vector"):
        raise NotCompilable(f"it takes its texts as a {container} only")
    numbers = all(column.dtype in _NUMERIC and _is_numpy(column) for column in columns)
    if container == "frame" or not numbers:
        return _columns(columns), Comes(columns=columns)
    return _matrix(signature), Comes(width=len(columns))


def _is_numpy(column: Column) -> bool:
    """Whether training had the column in one of NumPy's dtypes of numbers."""
    return column.trained_as == "" or column.trained_as.startswith(("float", "int", "uint", "bool"))


def _columns(columns: tuple[Column, ...]) -> Callable[[Table], Rows]:
    cast = [(at, column) for at, column in enumerate(columns) if column.trained_as.startswith(("float", "int", "uint"))]

    def handed(table: Table) -> list[Array]:
        found = list(table.columns)
        for at, column in cast:
            found[at] = as_trained(column, found[at])
        return found

    return handed


def _matrix(signature: Signature) -> Callable[[Table], Rows]:
    columns = signature.columns
    if any(column.trained_as for column in columns):
        return Table.container
    common: Any = np.result_type(*(column.dtype for column in columns))

    def handed(table: Table) -> Array:
        if len(table) == 1:
            # Both C's and Fortran's order, so that it does not matter which of them the container has.
            matrix = table.matrix
            return np.array([[column.item() for column in table.columns]], dtype=common) if matrix is None else matrix
        found: Array = table.container()
        return found

    return handed
