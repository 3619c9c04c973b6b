"""Arrow's columns to a Table, and predictions to them: what Parquet holds. Needs pyarrow, which is an extra.

A value means what the JSON value of its type means: a float's NaN and any null are null, an infinite number fits no
column, a date or timestamp is ISO 8601 text (in UTC where it has a zone), a decimal is the number that it spells, and
a dictionary holds what it stands for.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np

from tepal.errors import BadCells, Invalid, Malformed, NotInstalled
from tepal.notes import Notes, quoted
from tepal.prediction import Output, Prediction, class_key
from tepal.signature import Signature
from tepal.table import Array, Table
from tepal.wire import cells, columns, head, shapes
from tepal.wire.cells import MISSING
from tepal.wire.room import CELL, Room

INSTALL = "pip install pyarrow, or build the image with it: EXTRAS=arrow docker compose up --build"
READ_HERE = "numbers, booleans, text, dates, timestamps or decimals"

_KINDS = ("null", "boolean", "integer", "floating", "decimal", "date", "timestamp", "string", "large_string", "string_view")

# Rows that are looked at first, so that to refuse what is unfit throughout costs little.
HEAD_ROWS = 10_000

# A frame's index, which pandas writes beside its columns.
_PANDAS_INDEX = re.compile(r"__index_level_\d+__")


def pyarrow(what: str = "Parquet") -> Any:
    """The package. Raises NotInstalled, which says how to get it. what: the format that needs it."""
    try:
        import pyarrow
    except ImportError:
        raise NotInstalled(f"{what} needs pyarrow, which is not installed here; run: {INSTALL}") from None
    return pyarrow


def is_here() -> bool:
    """Whether pyarrow is installed; to ask imports nothing."""
    return sys.modules.get("pyarrow") is not None or ("pyarrow" not in sys.modules and find_spec("pyarrow") is not None)


class ArrowReader:
    """Reads Arrow's columns against one signature. pyarrow is imported when there is something to read."""

    def __init__(self, signature: Signature):
        self._signature = signature

    def wanted(self, schema: Any) -> list[str]:
        """The model's columns that a schema has, in its order. Raises Invalid where one cannot be read."""
        names = schema.names
        twice = [name for name, many in Counter(names).items() if many > 1]
        if twice:
            raise Invalid(f"the column {quoted(twice[0])} is there more than once")
        bad = BadCells()
        for column in self._signature.columns:
            if column.name in names and not _is_read(type_ := schema.field(column.name).type):
                got = str(type_)[:60]
                sentence = f"column '{column.name}' is of Arrow's type {got}, which is not read here; send {READ_HERE}"
                bad.add(sentence, column=column.name, expected=column.type, got=got)
        bad.raise_any()
        return [name for name in names if name in self._signature.names]

    def table(
        self,
        rows: Any,
        notes: Notes,
        strict: bool = False,
        beside: Container[str] = (),
        left_out: Iterable[str] = (),
        most_mb: int | None = None,
    ) -> Table:
        """The rows of a ``pyarrow.Table`` as a Table.

        beside: unknown columns that nobody needs to be told of. left_out: names of columns that were not read, unknown too.
        notes: gets a warning for each unknown column; with ``strict`` they are refused instead.
        Raises Malformed where a column is damaged, Invalid where the rows are not what the signature says, TooLarge
        where they stand for more than ``most_mb`` MiB.
        """
        names, known = rows.schema.names, self._signature.names
        self.wanted(rows.schema)
        if not len(rows):
            raise Invalid("there are no rows to predict")
        unknown = [
            name for name in dict.fromkeys((*names, *left_out))
            if name not in known and name not in beside and not _PANDAS_INDEX.fullmatch(name)
        ]  # fmt: skip
        given = {name: rows.column(name).chunks for name in names if name in known}
        Room(most_mb).take(len(rows) * len(given) * CELL)
        _check(chunk for chunks in given.values() for chunk in chunks)
        matrix = self._matrix(given)
        if matrix is not None and not (strict and unknown):
            # The columns fit, so that this only words the warnings.
            for name in unknown:
                shapes.note_unknown(name, notes)
            return Table.from_matrix(self._signature, matrix)
        if len(rows) > HEAD_ROWS:
            self._refuse_early(rows.slice(0, HEAD_ROWS), unknown, strict, most_mb)
        return shapes.table_of_columns(self._signature, self._values(rows, most_mb), unknown, notes, strict)

    def _values(self, rows: Any, most_mb: int | None) -> list[Sequence[Any]]:
        read, missing = _Values(most_mb), (MISSING,) * len(rows)
        names = rows.schema.names
        return [read.column(rows.column(name).chunks) if name in names else missing for name in self._signature.names]

    def _refuse_early(self, first: Any, unknown: list[str], strict: bool, most_mb: int | None) -> None:
        """Raise where what is wrong with the first rows is more than would be listed of all."""
        try:
            shapes.table_of_columns(self._signature, self._values(first, most_mb), unknown, Notes(), strict)
        except Invalid as error:
            head.refuse_early(error, f"{HEAD_ROWS} rows")

    def _matrix(self, given: dict[str, Any]) -> Array | None:
        """All columns as float64 ``(n, k)``; None where they must be looked at one by one."""
        types = pyarrow().types
        columns = []
        for column in self._signature.columns if self._signature.numeric else ():
            chunks = given.get(column.name)
            if not chunks or not (types.is_floating(chunks[0].type) or types.is_integer(chunks[0].type)):
                return None
            with np.errstate(invalid="ignore"):  # a NaN of another width may be a signalling one
                parts = [chunk.to_numpy(zero_copy_only=False).astype(np.float64) for chunk in chunks]
            floats = np.concatenate(parts)
            if np.isinf(floats).any() or (np.isnan(floats).any() and not column.nullable):
                return None
            columns.append(floats)
        if not columns:
            return None
        matrix = np.column_stack(columns)
        matrix[np.isnan(matrix)] = np.nan  # one null like another: a NaN has room for other bits
        return matrix


def _is_read(type_: Any) -> bool:
    """Whether a column of this type is read here."""
    types = pyarrow().types
    if types.is_dictionary(type_):
        return not types.is_dictionary(type_.value_type) and _is_read(type_.value_type)
    return any(getattr(types, f"is_{kind}")(type_) for kind in _KINDS)


def _check(chunks: Iterable[Any]) -> None:
    """Raise Malformed where a column refers to what is not in it, or holds text that is none."""
    pa = pyarrow()
    try:
        for chunk in chunks:
            chunk.validate(full=True)
    except pa.ArrowException as error:
        raise Malformed(f"the body holds a damaged column: {' '.join(str(error).split())[:100]}") from None


def _viewed(array: Any) -> int:
    """How many bytes an array of views would be, written out: many may be of the same text. Each begins with its length."""
    views = array.buffers()[1]
    if views is None or not views.size:
        return 0
    lengths = np.frombuffer(views, dtype="<i4")[4 * array.offset : 4 * (array.offset + len(array)) : 4]
    return int(lengths.clip(0).sum(dtype=np.int64))


def plain(array: Any) -> list[Any]:
    """One column's values as JSON would have them, None for null."""
    return _Values(None).column([array])


class _Values:
    """Makes columns plain values, and counts what dictionaries and views stand for as if it were written out."""

    def __init__(self, most_mb: int | None):
        self._room = Room(most_mb)
        self._dictionaries: dict[Any, Array] = {}

    def column(self, chunks: Sequence[Any]) -> list[Any]:
        """The values of a column, whose chunks follow each other, as JSON would have them; None for null."""
        values: list[Any] = []
        for chunk in chunks:
            values += self._plain(chunk)
        return values

    def _plain(self, array: Any) -> list[Any]:
        pa = pyarrow()
        types, type_ = pa.types, array.type
        if types.is_dictionary(type_):
            return self._meant(array)
        if types.is_string_view(type_):
            self._room.take(_viewed(array))
        if types.is_timestamp(type_) or types.is_date(type_):  # NumPy's have no zone: they are UTC
            texts = np.datetime_as_string(array.to_numpy(zero_copy_only=False))
            return [None if text == "NaT" else text for text in texts.tolist()]
        if types.is_decimal(type_):
            decimals = array.to_pylist()
            meant = {value: None if value is None else cells.number(format(value, "f")) for value in dict.fromkeys(decimals)}
            return [meant[value] for value in decimals]
        if types.is_floating(type_):
            return [None if value != value else value for value in array.to_numpy(zero_copy_only=False).tolist()]  # noqa: PLR0124
        if types.is_integer(type_) and not array.null_count:
            return list(array.to_numpy(zero_copy_only=False).tolist())
        return list(array.to_pylist())

    def _meant(self, array: Any) -> list[Any]:
        """What the places in a dictionary stand for. Not written out by Arrow: each row may be the same long text."""
        dictionary = array.dictionary
        held = [None if buffer is None else buffer.address for buffer in dictionary.buffers()]
        known = (str(dictionary.type), *held, dictionary.offset, len(dictionary))
        if known not in self._dictionaries:
            self._room.take(len(dictionary) * CELL)
            values = np.empty(len(dictionary) + 1, dtype=object)  # the last one is null
            values[:-1] = self._plain(dictionary)
            self._dictionaries[known] = values
        values = self._dictionaries[known]
        places = array.indices.to_numpy(zero_copy_only=False)
        if array.indices.null_count:
            places = np.where(np.isnan(places), len(dictionary), places).astype(np.int64)
        meant = values[places]
        if values[:-1].size and isinstance(values[0], str | None):
            lengths = np.array([len(text or "") for text in values.tolist()])
            self._room.take(int(lengths[places].sum()))
        return list(meant.tolist())


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


def schema(values: Mapping[str, Any], outputs: Sequence[Output], kept: Container[str] = ()) -> Any:
    """Arrow's schema of columns as ``columns.of`` names them: labels as trained, probabilities as float64.

    kept: names of those that are no answers.
    """
    labels = dict(zip(columns.names(outputs, probabilities=False), outputs))
    numbers = Output("probability")
    return pyarrow().schema([
        (name, type_of(cells_) if name in kept else type_of(cells_, labels.get(name, numbers).classes))
        for name, cells_ in values.items()
    ])  # fmt: skip


def batch(values: Mapping[str, Any], schema_: Any) -> Any:
    """Columns by their names as a RecordBatch of a schema. Raises Invalid where a value is of another type."""
    return pyarrow().record_batch([column(values[field.name], field.type) for field in schema_], schema=schema_)


def answer(prediction: Prediction, probabilities: bool, about: Mapping[str, str]) -> Any:
    """The predictions as a RecordBatch; null for no answer. about: what its schema says of itself."""
    values = columns.of(prediction, probabilities)
    return batch(values, schema(values, prediction.outputs).with_metadata(dict(about)))
