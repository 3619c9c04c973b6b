"""The input contract of a model, derived from the data that it was trained on."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from tepal.errors import PublishError

Container = Literal["array", "columns", "frame", "list", "series", "vector"]
Type = Literal["number", "integer", "boolean", "string", "datetime"]

# A string column with more distinct values than this is taken for free text: a list that nobody would read
# helps nobody, and its rarest members are not what an unseen value should be warned against.
MAX_CATEGORIES = 1000


class Column(msgspec.Struct, frozen=True, omit_defaults=True):
    """One input column as it was seen in training.

    type: how a value is written by a client. dtype: NumPy's name of the column in a Table.
    trained_as: the dtype in training, NumPy's or pandas' name, where the model must get another than ``dtype``.
    missing: what stood for a missing value in a column of objects.
    nullable: training had missing values. minimum, maximum: the range seen in training (``number`` and
    ``integer``). categories: the values seen in training (``string``; none for free text).
    unseen: what a value outside ``categories`` gets: a warning, or a refusal where the estimator itself refuses.
    levels, ordered: the categories of pandas' own dtype, in its order, where the column had that in training.
    """

    name: str
    type: Type
    dtype: str
    nullable: bool = False
    minimum: float | int | None = None
    maximum: float | int | None = None
    categories: tuple[str, ...] | None = None
    unseen: Literal["warn", "refuse"] = "warn"
    trained_as: str = ""
    missing: Literal["none", "nan"] = "none"
    levels: tuple[str | int | float | bool, ...] | None = None
    ordered: bool = False

    def near(self, value: str) -> list[str]:
        """The categories that a person may have meant by ``value``, best first, three at most."""
        return difflib.get_close_matches(value, self.categories or (), n=3, cutoff=0.6)


class Signature(msgspec.Struct, frozen=True):
    """The columns of a model in the order of training, and the container that its estimator wants.

    container: ``array`` (2-D), ``frame`` (pandas, by name), or ``columns``: an array that lies in memory as a frame
    does, column by column, which decides how sums of its values are rounded. For text models a ``list`` of strings,
    or, where nothing else will do, a ``series`` (pandas) or a ``vector`` (a 1-D array) of them.
    """

    columns: tuple[Column, ...]
    container: Container = "array"

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def numeric(self) -> bool:
        """Whether every column is a float64 number, so that rows are one float64 matrix."""
        return all(column.type == "number" for column in self.columns)


Examples = Any  # a DataFrame, a 2-D array, a mapping of name to column, or a list, Series or 1-D array of strings


def derive(examples: Examples) -> tuple[Signature, list[npt.NDArray[Any]]]:
    """Read the signature off training data; return it with the data as one array a column.

    examples: a pandas DataFrame (its names); a 2-D array or nested list, ``(n, k)`` (``x0, x1, …``); a mapping
    of column name to a sequence of ``n`` values, for an estimator that was fitted on those columns side by
    side; or a list, a Series or a 1-D array of ``n`` strings (one column named ``text``).
    Raises PublishError where a column is of no type that a client could send.
    """
    container: Container = "array"
    named: list[tuple[str, Any]]
    if hasattr(examples, "columns") and hasattr(examples, "iloc"):
        container = "frame"
        named = [(_text_name(name), examples.iloc[:, i]) for i, name in enumerate(examples.columns)]
    elif isinstance(examples, Mapping):
        named = [(_text_name(name), values) for name, values in examples.items()]
    elif isinstance(examples, (list, tuple)) and examples and all(isinstance(item, str) for item in examples):
        container, named = "list", [("text", examples)]
    elif _is_text(examples):
        if isinstance(examples, list):
            examples = np.array(examples, dtype=object)  # or else a missing one is the text "nan"
        container, named = ("series" if hasattr(examples, "iloc") else "vector"), [("text", examples)]
    else:
        named = _array_columns(examples)
    names = [name for name, _ in named]
    if not names:
        raise PublishError("X has no columns; give the rows that the model was trained on")
    if len(set(names)) != len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise PublishError(f"X has more than one column named {twice[0]!r}; give each column its own name")
    arrays, columns = [], []
    for name, values in named:
        column, array = _derive_column(name, values, categorical=container in ("array", "frame"))
        column = msgspec.structs.replace(column, trained_as=_trained_as(values, column.dtype), missing=_missing(values))
        columns.append(_with_levels(column, values))
        arrays.append(array)
    lengths = {len(array) for array in arrays}
    if len(lengths) != 1 or lengths == {0}:
        raise PublishError("X must have at least one row, and the same number in every column")
    return Signature(tuple(columns), container), arrays


def _trained_as(values: Any, dtype: str) -> str:
    trained = str(getattr(values, "dtype", dtype))
    # What Arrow held in training comes as NumPy's own; whether the model answers that alike is tried.
    return "" if trained == dtype or trained.startswith(("<U", "|S")) or trained.endswith("[pyarrow]") else trained


def _with_levels(column: Column, values: Any) -> Column:
    """The column with the categories of pandas' own dtype, which some estimators go by, where it has that."""
    if column.trained_as != "category":
        return column
    levels = tuple(_python(level) for level in values.dtype.categories)
    categories = column.categories and tuple(sorted({*column.categories, *levels}))
    return msgspec.structs.replace(column, levels=levels, ordered=bool(values.dtype.ordered), categories=categories)


def _missing(values: Any) -> Literal["none", "nan"]:
    if str(getattr(values, "dtype", "object")) not in ("object", "category"):
        return "none"
    return "nan" if any(value is not None and is_missing(value) for value in np.asarray(values, dtype=object)) else "none"


def _is_text(examples: Any) -> bool:
    if not isinstance(examples, (list, np.ndarray)) and not hasattr(examples, "iloc"):
        return False
    items = list(examples)
    return any(isinstance(item, str) for item in items) and all(isinstance(item, str) or _is_absent(item) for item in items)


def _is_absent(item: Any) -> bool:
    return np.ndim(item) == 0 and is_missing(item)


def _text_name(name: object) -> str:
    if isinstance(name, str) and name:
        return name
    if isinstance(name, int) and not isinstance(name, bool):
        return str(name)
    raise PublishError(f"column name {name!r} is not text; rename the columns before training")


def _array_columns(examples: Any) -> list[tuple[str, Any]]:
    if hasattr(examples, "toarray"):
        raise PublishError("X is sparse; give it as a dense array, X.toarray(): requests come as dense rows")
    try:
        matrix = np.asarray(examples)
    except ValueError:
        raise PublishError("the rows of X have different lengths") from None
    if matrix.ndim != 2:
        raise PublishError(f"X must have two dimensions, rows and columns; it has {matrix.ndim}")
    return [(f"x{i}", matrix[:, i]) for i in range(matrix.shape[1])]


_NO_COLUMN = {
    "m": "durations; make them numbers before training, say of seconds",
    "c": "complex numbers; make their parts two columns before training",
}


def _flat(name: str, values: Any) -> npt.NDArray[Any]:
    """A column's values as a plain array ``(n,)`` of a kind that a column may have."""
    if str(getattr(values, "dtype", "")).startswith("Sparse"):
        raise PublishError(f"column {name!r} is sparse; give X as a dense table, X.sparse.to_dense()")
    try:
        array = _plain(values)
    except ValueError:
        raise PublishError(f"column {name!r} holds lists of different lengths") from None
    if array.ndim != 1:
        raise PublishError(f"column {name!r} must be a flat list of values; it has {array.ndim} dimensions")
    if array.dtype.kind in _NO_COLUMN:
        raise PublishError(f"column {name!r} holds {_NO_COLUMN[array.dtype.kind]}")
    return array


def _derive_column(name: str, values: Any, categorical: bool) -> tuple[Column, npt.NDArray[Any]]:
    array = _flat(name, values)
    kind = array.dtype.kind
    if kind == "f":
        if array.dtype.itemsize < 8:  # 2.3 as a float32 is 2.3 to a person, not 2.299999952316284
            array = np.array([float(str(value)) for value in array])
        array = array.astype(np.float64)
        missing = np.isnan(array)
        if np.isinf(array).any():
            raise PublishError(f"column {name!r} holds an infinite number; a client could never send it")
        seen = array[~missing]
        low, high = (float(seen.min()), float(seen.max())) if seen.size else (None, None)
        return Column(name, "number", "float64", bool(missing.any()), low, high), array
    if kind in "iu":
        # uint64 is kept only where int64 cannot hold what training held.
        dtype = "uint64" if kind == "u" and array.size and int(array.max()) > np.iinfo(np.int64).max else "int64"
        array = array.astype(dtype)
        low, high = (int(array.min()), int(array.max())) if array.size else (None, None)
        return Column(name, "integer", dtype, False, low, high), array
    if kind == "b":
        return Column(name, "boolean", "bool"), array
    if kind == "M":
        return Column(name, "datetime", str(array.dtype), bool(np.isnat(array).any())), array
    return _derive_object_column(name, array, categorical)


def _plain(values: Any) -> npt.NDArray[Any]:
    """A column as a plain NumPy array; pandas' own types become floats, datetimes or objects with None."""
    if hasattr(values, "dtype") and hasattr(values, "isna"):
        kind = getattr(values.dtype, "kind", "O")
        if kind == "M" and getattr(values.dtype, "tz", None) is not None:
            values = values.dt.tz_convert("UTC").dt.tz_localize(None)
        if isinstance(values.dtype, np.dtype) or kind == "M":
            return np.asarray(values)
        if not values.isna().any() and kind in "biuf":
            return np.asarray(values.to_numpy(dtype=values.dtype.numpy_dtype))
        return np.asarray(values.astype(object).where(values.notna(), None), dtype=object)
    return np.asarray(values)


def _derive_object_column(name: str, array: npt.NDArray[Any], categorical: bool) -> tuple[Column, npt.NDArray[Any]]:
    cells: Sequence[Any] = [None if is_missing(value) else _python(value) for value in array.tolist()]
    seen = [value for value in cells if value is not None]
    nullable = len(seen) < len(cells)
    as_objects = np.empty(len(cells), dtype=object)
    as_objects[:] = cells
    kinds = {type(value) for value in seen}
    if kinds == {bool}:
        return Column(name, "boolean", "object", nullable), as_objects
    if kinds == {int}:
        return Column(name, "integer", "object", nullable, min(seen), max(seen)), as_objects
    if kinds and kinds <= {int, float}:
        floats = np.array([np.nan if value is None else float(value) for value in cells])
        return Column(name, "number", "float64", nullable, float(min(seen)), float(max(seen))), floats
    if kinds == {str}:
        distinct = sorted(set(seen))
        categories = tuple(distinct) if categorical and len(distinct) <= MAX_CATEGORIES else None
        return Column(name, "string", "object", nullable, categories=categories), as_objects
    if not seen:
        raise PublishError(f"column {name!r} is empty in every row of X, so nothing says what belongs in it; drop it")
    if all(hasattr(value, "isoformat") for value in seen):
        raise PublishError(f"column {name!r} holds Python's own dates; convert it with pandas.to_datetime before training")
    held = ", ".join(sorted(kind.__name__ for kind in kinds))
    raise PublishError(
        f"column {name!r} holds {held}; a column must be numbers, integers, booleans, text or datetimes throughout"
    )


def _python(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def is_missing(value: Any) -> bool:
    """Whether a cell is None, NaN, NaT or pandas' NA: the last three do not equal themselves, or will not say."""
    if value is None:
        return True
    try:
        return bool(value != value)  # noqa: PLR0124
    except TypeError:  # pandas.NA has no truth value, which is how it is known without importing pandas
        return True
