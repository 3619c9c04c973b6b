"""NumPy's .npy format to a Table, and predictions to it. Nothing is ever unpickled.

The array is 2-D, rows by columns in the signature's order. A value means what the JSON value of its type means:
a float's NaN and a datetime's NaT are null, an infinite number fits no column, text is text and no number.
"""

from __future__ import annotations

import ast
import io
import math
import struct
from typing import Any, NamedTuple

import numpy as np

from tepal.errors import MAX_LISTED, BadCells, Invalid, Malformed
from tepal.notes import Notes
from tepal.prediction import Prediction, class_key, plain
from tepal.signature import Signature
from tepal.table import Array, Table
from tepal.wire import cells, head, shapes

MAGIC = b"\x93NUMPY"

# Rows that are looked at first, so that to refuse an array that is unfit throughout costs little.
HEAD_ROWS = 10_000

# NumPy's own bound on what it lets Python's parser see.
MAX_HEADER = 10_000
_LENGTH = {1: "<H", 2: "<I", 3: "<I"}  # how the version of the format writes the length of its header
_KEYS = {"descr", "fortran_order", "shape"}
_READ_HERE = "a 2-D array of numbers, booleans, fixed-width text or datetime64"


class _Header(NamedTuple):
    dtype: np.dtype[Any]
    fortran: bool
    shape: tuple[int, ...]
    start: int


class NpyReader:
    """Reads .npy bodies against one signature."""

    def __init__(self, signature: Signature):
        self._signature = signature

    def read(self, body: bytes, notes: Notes, strict: bool = False) -> Table:
        """The rows of a 2-D array as a Table. Its columns have no names, so there is nothing to warn of.

        Raises Malformed where the bytes are no .npy file, Invalid where they are not what the signature says.
        """
        return self.table(self._array(body, _header(body)), notes, strict)

    def table(self, array: Array, notes: Notes, strict: bool = False) -> Table:
        """The rows of an array of as many columns as the signature has, at least one row. Raises Invalid as ``read``."""
        if self._signature.numeric and array.dtype.kind in "fiu":
            with np.errstate(invalid="ignore"):  # a NaN of another width may be a signalling one
                matrix = np.array(array, dtype=np.float64, order="C")
            nulls = [column.nullable for column in self._signature.columns]
            matrix[np.isnan(matrix)] = np.nan  # one null like another: a NaN has room for other bits
            unfit = ~np.where(nulls, ~np.isinf(matrix), np.isfinite(matrix))
            if not unfit.any():
                return Table.from_matrix(self._signature, matrix)
            raise self._unfit(matrix, unfit)
        if len(array) > HEAD_ROWS:
            try:
                self._table(array[:HEAD_ROWS], Notes(), strict)
            except Invalid as error:
                head.refuse_early(error, f"{HEAD_ROWS} rows")
        return self._table(array, notes, strict)

    def _unfit(self, matrix: Array, unfit: Array) -> Invalid:
        bad = BadCells()
        first = np.flatnonzero(unfit.any(axis=1))[:MAX_LISTED]
        for row in first.tolist():
            for column in np.flatnonzero(unfit[row]).tolist():
                value = matrix[row, column].item()
                cells.report(bad, self._signature.columns[column], row, None if math.isnan(value) else value)
        bad.count(int(np.count_nonzero(unfit)) - bad.total)
        return bad.invalid()

    def _table(self, array: Array, notes: Notes, strict: bool) -> Table:
        columns = [values_of(array[:, i]) for i in range(array.shape[1])]
        return shapes.table_of_columns(self._signature, columns, (), notes, strict)

    def _array(self, body: bytes, header: _Header) -> Array:
        dtype, shape, names = header.dtype, header.shape, self._signature.names
        if dtype.kind not in "fiubUSM" or (dtype.kind == "f" and dtype.itemsize > 8) or dtype.str[1:] == "M8":
            raise Invalid(f"the array is of dtype {str(dtype)[:60]}, which is not read here; send {_READ_HERE}")
        if len(shape) != 2:
            raise Invalid(f"the array is {len(shape)}-D; send a 2-D array, rows by columns")
        if shape[0] == 0:
            raise Invalid("there are no rows to predict")
        if shape[1] != len(names):
            raise Invalid(f"the array has {shape[1]} columns, the model takes {len(names)} ({', '.join(names[:20])})")
        size, held = shape[0] * shape[1] * dtype.itemsize, len(body) - header.start
        if size != held or size == 0:
            raise Malformed(f"the array's header says {size} bytes of values, the body has {held}")
        flat = np.frombuffer(body, dtype=dtype, offset=header.start)
        return flat.reshape(shape, order="F" if header.fortran else "C")


def _header(body: bytes) -> _Header:
    """What the header says, checked before anything is made of it."""
    if not body:
        raise Malformed("the body is empty; send an array as numpy.save writes it")
    broken = Malformed("the body is no .npy file as numpy.save writes it")
    major = body[6] if len(body) > 6 else 0
    if not body.startswith(MAGIC) or major not in _LENGTH:
        raise broken
    start = 8 + struct.calcsize(_LENGTH[major])
    if len(body) < start:
        raise broken
    (length,) = struct.unpack_from(_LENGTH[major], body, 8)
    if length > MAX_HEADER or len(body) < start + length:
        raise broken
    try:
        said = ast.literal_eval(body[start : start + length].decode("utf-8" if major == 3 else "latin-1").strip())
        if not isinstance(said, dict) or said.keys() != _KEYS or not isinstance(said["shape"], tuple):
            raise broken
        if not all(type(many) is int and many >= 0 for many in said["shape"]) or not isinstance(said["fortran_order"], bool):
            raise broken
        dtype = np.dtype(said["descr"]) if isinstance(said["descr"], str) else np.dtype(np.void)
    except (ValueError, TypeError, SyntaxError, OverflowError, RecursionError, MemoryError):
        raise broken from None
    return _Header(dtype, said["fortran_order"], said["shape"], start + length)


def values_of(array: Array) -> list[Any]:
    """One column's values as JSON would have them."""
    kind = array.dtype.kind
    if kind == "f":
        return [None if value != value else value for value in array.tolist()]  # noqa: PLR0124 NaN alone
    if kind == "M":
        array = array.astype(array.dtype.newbyteorder("="))  # NumPy spells the other byte order's moments wrong
        rest = {"Y": "-01-01", "M": "-01"}.get(np.datetime_data(array.dtype)[0], "")
        return [None if text == "NaT" else text + rest for text in np.datetime_as_string(array).tolist()]
    if kind in "US":
        try:
            texts = [text.decode() for text in array.tolist()] if kind == "S" else array.tolist()
            "".join(texts).encode()
        except (UnicodeError, ValueError):
            raise Malformed("the array holds text that is not valid Unicode") from None
        return list(texts)
    return list(array.tolist())


def write(prediction: Prediction) -> bytes:
    """The predictions as an array ``(n,)``, or ``(n, outputs)`` where there are several.

    Labels are fixed-width text or what they were trained as. No answer is NaN, or the empty text among texts;
    outputs of different kinds are all text.
    """
    columns = [_answers(array) for array in prediction.values]
    if len({column.dtype.kind for column in columns}) > 1:
        labels = prediction.labels()
        columns = [_column(["" if row[output.name] is None else class_key(row[output.name]) for row in labels])
                   for output in prediction.outputs]  # fmt: skip
    array = columns[0] if len(columns) == 1 else np.column_stack(columns)
    written = io.BytesIO()
    np.save(written, array, allow_pickle=False)
    return written.getvalue()


def _answers(array: Array) -> Array:
    """A model's answers ``(n,)`` as they are written; quick where they are no objects."""
    if array.dtype.kind == "f":
        return np.where(np.isfinite(array), array, np.nan).astype(np.float64)
    if array.dtype.kind == "i":
        return array.astype(np.int64)
    return array if array.dtype.kind in "Ub" else _column(plain(array))


def _column(labels: list[Any]) -> Array:
    present = {type(label) for label in labels} - {type(None)}
    if present <= {int, float}:
        return np.array(labels, dtype=None if present == {int} and None not in labels else np.float64)
    if present == {bool} and None not in labels:
        return np.array(labels)
    return np.array(["" if label is None else class_key(label) for label in labels], dtype=np.str_)
