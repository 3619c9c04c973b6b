"""Encoders of categories: what scikit-learn searches in a sorted array at each call, looked up in a dictionary."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tepal.runtime.compiled.forms import Comes, Declined, NotCompilable, Rows, SparseRows, Step
from tepal.signature import Column
from tepal.table import Array

MISSING = object()  # what NaN is looked up as, which does not equal itself
UNKNOWN = object()

Known = dict[Any, Any]


def one_hot(encoder: Any, comes: Comes) -> Step:
    """OneHotEncoder: each category a column that is 1."""
    cells_of = _cells(encoder, comes)
    dtype = np.dtype(encoder.dtype)
    tables = [_places(encoder, at) for at in range(len(encoder.categories_))]
    width = sum(encoder._n_features_outs)

    def positions(row: list[Any]) -> list[int]:
        found = []
        for table, cell in zip(tables, row):
            place = _found(table, cell)
            if place is not None:
                found.append(place)
        return found

    if encoder.sparse_output:
        ones = np.ones(len(tables))

        def sparse(rows: Rows) -> SparseRows:
            places = [np.array(positions(row), dtype=np.intp) for row in cells_of(rows)]
            return SparseRows([(at, ones[: len(at)]) for at in places], width)

        return Step(sparse, Comes(width=width, sparse=True))

    def dense(rows: Rows) -> Array:
        cells = cells_of(rows)
        found = np.zeros((len(cells), width), dtype=dtype)
        for filled, row in zip(found, cells):
            for place in positions(row):
                filled[place] = 1
        return found

    return Step(dense, Comes(width=width))


def _places(encoder: Any, at: int) -> Known:
    """Of the column with the number ``at``: category to its column of the output, None where it has none."""
    offset = int(sum(encoder._n_features_outs[:at]))
    dropped = None if encoder._drop_idx_after_grouping is None else encoder._drop_idx_after_grouping[at]
    grouped = encoder._default_to_infrequent_mappings[at] if encoder._infrequent_enabled else None
    infrequent = encoder._infrequent_indices[at] if encoder._infrequent_enabled else None

    def place(code: int) -> int | None:
        code = code if grouped is None else int(grouped[code])
        if dropped is not None and code >= dropped:
            return None if code == dropped else int(offset + code - 1)
        return offset + code

    found = {_key(category): place(code) for code, category in enumerate(encoder.categories_[at].tolist())}
    if encoder.handle_unknown != "error":
        joins = infrequent is not None and encoder.handle_unknown in ("infrequent_if_exist", "warn")
        found[UNKNOWN] = place(int(infrequent[0])) if joins and infrequent is not None else None
    return found


def ordinal(encoder: Any, comes: Comes) -> Step:
    """OrdinalEncoder: each category a number."""
    return Step(ordinal_columns(encoder, comes), Comes(width=len(encoder.categories_)))


def ordinal_columns(encoder: Any, comes: Comes) -> Callable[[Rows], Array]:
    """From what comes to the numbers of the categories, one column each."""
    if encoder._infrequent_enabled:
        raise NotCompilable("the OrdinalEncoder groups what is infrequent")
    tables = []
    for at, categories in enumerate(encoder.categories_):
        found: Known = {_key(category): code for code, category in enumerate(categories.tolist())}
        if at in encoder._missing_indices:
            found[_key(categories.tolist()[encoder._missing_indices[at]])] = encoder.encoded_missing_value
        if encoder.handle_unknown == "use_encoded_value":
            found[UNKNOWN] = encoder.unknown_value
        tables.append(found)
    return _looked_up(tables, _cells(encoder, comes), np.dtype(encoder.dtype))


def target(encoder: Any, comes: Comes) -> Step:
    """TargetEncoder: each category the mean of its target, one for each class where there are several."""
    classes = len(encoder.classes_) if encoder.target_type_ == "multiclass" else 1
    tables = []
    for number, encodings in enumerate(encoder.encodings_):
        at = number // classes
        means = np.atleast_1d(encoder.target_mean_)
        found: Known = {_key(category): encodings[code] for code, category in enumerate(encoder.categories_[at].tolist())}
        found[UNKNOWN] = means[number % classes if len(means) > 1 else 0]
        tables.append(found)
    once = _cells(encoder, comes)
    repeated = (lambda rows: [[cell for cell in row for _ in range(classes)] for row in once(rows)]) if classes > 1 else once
    return Step(_looked_up(tables, repeated, np.dtype(np.float64)), Comes(width=len(tables)))


def _looked_up(tables: list[Known], cells_of: Callable[[Rows], Any], dtype: Any) -> Callable[[Rows], Array]:
    def numbers(rows: Rows) -> Array:
        found = [[_found(table, cell) for table, cell in zip(tables, row)] for row in cells_of(rows)]
        return np.array(found, dtype=dtype)

    return numbers


def _found(table: Known, cell: Any) -> Any:
    """What stands for a cell; declines one that the encoder refuses."""
    try:
        return table[cell]
    except KeyError:
        pass
    key = _key(cell)
    if key not in table:
        key = UNKNOWN
    if key not in table:
        raise Declined
    return table[key]


def _key(value: Any) -> Any:
    return MISSING if isinstance(value, float) and value != value else value  # noqa: PLR0124


def _cells(encoder: Any, comes: Comes) -> Callable[[Rows], Any]:
    """From what comes to the cells of each row, as Python's own values; a missing one as the encoder meets it."""
    if comes.sparse or (comes.columns is None and comes.width is None):
        raise NotCompilable(f"the {type(encoder).__name__} gets sparse rows, or texts")
    if comes.columns is None:
        return lambda rows: rows.tolist()
    as_nan = [at for at, column in enumerate(comes.columns) if missing_is_nan(column)]
    for column in comes.columns:
        if column.type == "datetime":
            raise NotCompilable(f"the {type(encoder).__name__} gets the datetime column {column.name!r}")
    refused = [at for at, column in enumerate(comes.columns) if _is_nullable_extension(column)]

    def cells(rows: Rows) -> Any:
        columns = [column.tolist() for column in rows]
        for at in as_nan:
            if None in columns[at]:
                columns[at] = [np.nan if cell is None else cell for cell in columns[at]]
        for at in refused:
            if None in columns[at]:
                raise Declined
        return list(zip(*columns))

    return cells


def missing_is_nan(column: Column) -> bool:
    """Whether a missing value of the column is NaN to an estimator, not None."""
    return column.missing == "nan" or column.levels is not None or column.trained_as == "str"


def _is_nullable_extension(column: Column) -> bool:
    return column.trained_as[:1].isupper() or column.trained_as in ("boolean", "string")
