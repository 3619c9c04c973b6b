"""Arrow's columns to a Table, and predictions to them: what Parquet holds. Needs pyarrow, which is an extra.

A value means what the JSON value of its type means: a float's NaN and any null are null, an infinite number fits no
column, a date or timestamp is ISO 8601 text (in UTC where it has a zone), a decimal is the number that it spells, and
a dictionary holds what it stands for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Sequence
from typing import Any

import numpy as np

from tepal.errors import Invalid, NotInstalled
from tepal.notes import Notes, quoted
from tepal.prediction import class_key
from tepal.signature import Signature
from tepal.table import Array, Table
from tepal.wire import cells, shapes
from tepal.wire.cells import MISSING


def pyarrow() -> Any:
    """The package. Raises NotInstalled, which says how to get it."""
    try:
        import pyarrow
    except ImportError:
        raise NotInstalled("Parquet needs pyarrow, which is not installed here; run: pip install 'tepal[arrow]'") from None
    return pyarrow


class ArrowReader:
    """Reads Arrow's record batches against one signature."""

    def __init__(self, signature: Signature):
        self._signature = signature
        self._pa = pyarrow()

    def table(
        self, batch: Any, notes: Notes, strict: bool = False, beside: Container[str] = (), left_out: Iterable[str] = ()
    ) -> Table:
        """The rows of a RecordBatch as a Table.

        beside: unknown columns that nobody needs to be told of. left_out: names of columns that were not read, unknown too.
        notes: gets a warning for each unknown column; with ``strict`` they are refused instead.
        Raises Invalid where the rows are not what the signature says.
        """
        names, known = batch.schema.names, self._signature.names
        twice = [name for name, many in Counter(names).items() if many > 1]
        if twice:
            raise Invalid(f"the column {quoted(twice[0])} is there more than once")
        if not len(batch):
            raise Invalid("there are no rows to predict")
        unknown = [name for name in (*names, *left_out) if name not in known and name not in beside]
        given = dict(zip(names, batch.columns))
        matrix = self._matrix(given)
        if matrix is not None and not (strict and unknown):
            # The columns fit, so that this only words the warnings.
            for name in unknown:
                shapes.note_unknown(name, notes)
            return Table.from_matrix(self._signature, matrix)
        missing = (MISSING,) * len(batch)
        read = [plain(given[name]) if name in given else missing for name in known]
        return shapes.table_of_columns(self._signature, read, unknown, notes, strict)

    def _matrix(self, given: dict[str, Any]) -> Array | None:
        """All columns as float64 ``(n, k)``; None where they must be looked at one by one."""
        types = self._pa.types
        columns = []
        for column in self._signature.columns if self._signature.numeric else ():
            array = given.get(column.name)
            if array is None or not (types.is_floating(array.type) or types.is_integer(array.type)):
                return None
            floats = array.cast(self._pa.float64(), safe=False).to_numpy(zero_copy_only=False)
            if np.isinf(floats).any() or (np.isnan(floats).any() and not column.nullable):
                return None
            columns.append(floats)
        if not columns:
            return None
        matrix = np.column_stack(columns)
        matrix[np.isnan(matrix)] = np.nan  # one null like another: a NaN has room for other bits
        return matrix


def plain(array: Any) -> list[Any]:
    """One column's values as JSON would have them, None for null."""
    pa = pyarrow()
    types = pa.types
    type_ = array.type
    if types.is_dictionary(type_):
        return plain(array.dictionary_decode())
    if types.is_timestamp(type_) or types.is_date(type_):
        moments = array.cast(pa.timestamp(type_.unit)) if types.is_timestamp(type_) and type_.tz else array
        texts = np.datetime_as_string(moments.to_numpy(zero_copy_only=False))
        return [None if text == "NaT" else text for text in texts.tolist()]
    if types.is_decimal(type_):
        return [None if value is None else cells.number(format(value, "f")) for value in array.to_pylist()]
    if types.is_floating(type_):
        return [None if value != value else value for value in array.to_numpy(zero_copy_only=False).tolist()]  # noqa: PLR0124
    if types.is_integer(type_) and not array.null_count:
        return list(array.to_numpy(zero_copy_only=False).tolist())
    return list(array.to_pylist())


def type_of(values: Any, classes: Sequence[Any] | None = None) -> Any:
    """Arrow's type for a column: of the labels as trained, or else of the first values, Arrow's own or plain ones.

    Numbers are int64 only where all are integers; what is of several types or of none of these is text.
    """
    pa = pyarrow()
    if isinstance(values, pa.Array):
        return values.type
    seen = classes if classes is not None else [value for value in values if value is not None]
    kinds = {type(value) for value in seen}
    for kind, type_ in ((bool, pa.bool_()), (int, pa.int64()), (str, pa.string())):
        if kinds == {kind}:
            return type_
    return pa.float64() if kinds <= {int, float} else pa.string()


def column(values: Any, type_: Any) -> Any:
    """A column as an Arrow array of a type. Raises Invalid where a value is of another."""
    pa = pyarrow()
    if isinstance(values, pa.Array):
        return values
    if type_ == pa.string():
        values = [None if value is None else class_key(value) for value in values]
    try:
        return pa.array(values, type=type_)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        raise Invalid(
            f"a column began with values of type {type_} and goes on with others; write CSV or JSON lines"
        ) from None
