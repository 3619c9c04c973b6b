"""What a model takes and gives as tensors: tensors to a Table, and predictions to tensors.

NaN is null, an infinite number fits no column.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import NoneType
from typing import Any, NamedTuple

import numpy as np

from tepal.errors import Invalid
from tepal.manifest import Manifest
from tepal.notes import Notes, quoted
from tepal.prediction import Output, Prediction, class_key
from tepal.signature import Column, Signature
from tepal.table import Array, Table
from tepal.wire import cells, shapes
from tepal.wire.cells import MISSING
from tepal.wire.npy import NpyReader, values_of
from tepal.wire.tensors import BYTES, Tensor, check


class Described(NamedTuple):
    """A tensor that a model takes or gives. shape: -1 stands for the rows. names: of its columns or classes, in order."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    names: Sequence[Any] = ()


class TensorReader:
    """Reads tensors against one signature: one of all columns in their order, or one for each by its name."""

    def __init__(self, signature: Signature, npy: NpyReader):
        self._signature = signature
        self._npy = npy
        self._takes = (
            f"one tensor of shape [n, {len(signature.names)}], or one for each of {', '.join(signature.names[:20])}"
        )

    def read(self, tensors: Sequence[Tensor], notes: Notes, strict: bool = False) -> Table:
        """The rows of a request's inputs as a Table.

        notes: gets a warning for each input that is no column; with ``strict`` they are refused instead.
        Raises Invalid where they are not what the signature says.
        """
        if not tensors:
            raise Invalid(f"there are no inputs; send {self._takes}")
        table = self._table(tensors, notes, strict)
        for tensor in tensors:  # last, because what is wrong with a cell is better told by its row and column
            check(tensor)
        return table

    def _table(self, tensors: Sequence[Tensor], notes: Notes, strict: bool) -> Table:
        names, first = self._signature.names, tensors[0]
        if len(tensors) == 1 and (first.name not in names or first.shape[1:] == (len(names),) or len(names) == 1):
            return self._of_matrix(first, notes, strict)
        by_name = {tensor.name: tensor for tensor in tensors}
        if len(by_name) < len(tensors):
            raise Invalid("two of the inputs have the same name")
        if by_name.keys().isdisjoint(names):
            raise Invalid(f"none of the inputs is a column of the model; send {self._takes}")
        return self._of_columns(by_name, notes, strict)

    def _of_matrix(self, tensor: Tensor, notes: Notes, strict: bool) -> Table:
        width = len(self._signature.names)
        shape = (*tensor.shape, 1) if len(tensor.shape) == width == 1 else tensor.shape
        if len(shape) != 2 or shape[1] != width:
            raise Invalid(f"input {quoted(tensor.name)} has shape {list(tensor.shape)}; send {self._takes}")
        if not shape[0]:
            raise Invalid("there are no rows to predict")
        if isinstance(tensor.values, np.ndarray):
            return self._npy.table(tensor.values.reshape(shape), notes, strict)
        columns = [tensor.values[i::width] for i in range(width)]
        return shapes.table_of_columns(self._signature, columns, (), notes, strict)

    def _of_columns(self, tensors: dict[str, Tensor], notes: Notes, strict: bool) -> Table:
        rows = {name: tensor.shape[0] for name, tensor in tensors.items() if tensor.shape[1:] in ((), (1,)) and tensor.shape}
        if len(rows) < len(tensors):
            odd = next(tensor for name, tensor in tensors.items() if name not in rows)
            raise Invalid(f"input {quoted(odd.name)} has shape {list(odd.shape)}; a column has shape [n] or [n, 1]")
        if len(set(rows.values())) > 1:
            said = ", ".join(f"{quoted(name)} {many}" for name, many in list(rows.items())[:20])
            raise Invalid(f"the inputs have different numbers of rows: {said}")
        count = next(iter(rows.values()))
        if not count:
            raise Invalid("there are no rows to predict")
        missing = (MISSING,) * count
        columns = [_plain(tensors[name]) if name in tensors else missing for name in self._signature.names]
        unknown = [name for name in tensors if name not in self._signature.names]
        return shapes.table_of_columns(self._signature, columns, unknown, notes, strict)


def _plain(tensor: Tensor) -> list[Any]:
    return values_of(tensor.values) if isinstance(tensor.values, np.ndarray) else tensor.values


def inputs(signature: Signature) -> list[Described]:
    """What a model takes: one tensor where all columns are numbers, else one for each column."""
    if signature.numeric and len(signature.names) > 1:
        return [Described("input", "FP64", (-1, len(signature.names)), signature.names)]
    return [Described(column.name, _datatype_of_column(column), (-1,)) for column in signature.columns]


def _datatype_of_column(column: Column) -> str:
    if column.type == "integer" and column.dtype == "uint64":
        return "UINT64"
    return {"number": "FP64", "integer": "INT64", "boolean": "BOOL"}.get(column.type, BYTES)


def outputs(manifest: Manifest) -> list[Described]:
    """What a model gives: ``predict`` and, where it has them, ``predict_proba``.

    Several outputs have the names of the outputs, and ``predict_proba_<output>``.
    """
    single = len(manifest.outputs) == 1
    golden = manifest.golden.together.predictions
    given = []
    for output in manifest.outputs:
        seen = output.classes if output.classes is not None else [row if single else row[output.name] for row in golden]
        given.append(Described("predict" if single else output.name, _datatype(seen), (-1,)))
    for output in manifest.outputs:
        if output.probabilities and output.classes is not None:
            classes = [class_key(label) for label in output.classes]
            given.append(Described(_proba(output, single), "FP64", (-1, len(classes)), classes))
    return given


def _proba(output: Output, single: bool) -> str:
    return "predict_proba" if single else f"predict_proba_{output.name}"


def _datatype(values: Sequence[Any]) -> str:
    """The datatype of plain values. No answer is NaN among numbers, and no value of any other."""
    kinds = set(map(type, values))
    if kinds == {bool}:
        return "BOOL"
    if kinds == {int} and all(cells.INT64.min <= value <= cells.INT64.max for value in values):
        return "INT64"
    return "FP64" if kinds <= {int, float, NoneType} else BYTES


def of_prediction(prediction: Prediction, described: Sequence[Described], notes: Notes) -> list[Tensor]:
    """The tensors of a prediction that are ``described``, of all that ``outputs`` knows, in that order.

    notes: gets a warning for each answer that is no finite number. A value that is none is None.
    """
    single = len(prediction.outputs) == 1
    labels = prediction.labels(notes)
    found: dict[str, Any] = {}
    for output, matrix in zip(prediction.outputs, prediction.probabilities):
        found["predict" if single else output.name] = labels if single else [row[output.name] for row in labels]
        if matrix is not None:
            found[_proba(output, single)] = np.asarray(matrix, dtype=np.float64).ravel()
    return [_tensor(tensor, found[tensor.name], len(labels)) for tensor in described]


def _tensor(described: Described, values: Array | list[Any], rows: int) -> Tensor:
    datatype = described.datatype
    if isinstance(values, list):
        fitting = _datatype(values)
        if datatype != BYTES and (datatype, fitting) != ("FP64", "INT64"):
            datatype = fitting  # another one where no answer is among labels, and theirs has nothing for that
        if datatype == BYTES:
            values = [value if value is None else class_key(value) for value in values]
    return Tensor(described.name, datatype, (rows, *described.shape[1:]), values)
