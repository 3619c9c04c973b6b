"""A table of examples from a file, as the rows that an estimator was trained on.

A file of text does not say what its columns were in training. What ``pandas.read_csv`` would make of them is taken,
because it is what most training data went through; the estimator says the rest.
"""

from __future__ import annotations

import csv
import difflib
import importlib.util
import re
import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from tepal.errors import PublishError

Array = npt.NDArray[Any]

# What pandas.read_csv takes for a missing value.
MISSING = frozenset(
    "|#N/A|#N/A N/A|#NA|-1.#IND|-1.#QNAN|-NaN|-nan|1.#IND|1.#QNAN|<NA>|N/A|NA|NULL|NaN|None|n/a|nan|null".split("|")  # noqa: SIM905
)

_INTEGER = re.compile(r"[+-]?[0-9]+")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?(Z|[+-][0-9]{2}:?[0-9]{2})?)?")
# Enough rows to see whether an estimator takes a container at all.
TRIED = 20


class Targets(NamedTuple):
    """The names of an estimator's outputs, as ``publish`` reads them off ``y``."""

    columns: list[str]


class Examples(NamedTuple):
    """Rows for ``publish``. X, y: its parameters. ignored: columns of the file that the model does not know."""

    X: Any
    y: Targets | None
    ignored: list[str]


def read(path: Path, as_text: Collection[str] = ()) -> dict[str, Array]:
    """The columns of a table: CSV, JSON (lines), npy or Parquet by extension.

    as_text: columns that stay text though every cell of them is a number. A CSV whose first line holds nothing but
    numbers has no header, its columns are ``x0, x1, …``, as are those of a ``.npy``.
    Raises PublishError where it cannot be read.
    """
    if path.suffix not in _READERS:
        raise PublishError(f"{path.name} is none of {', '.join(_READERS)}, which --examples tells by the file's name")
    try:
        columns = _read_csv(path, as_text) if path.suffix == ".csv" else _READERS[path.suffix](path)
    except (OSError, UnicodeDecodeError, ValueError, csv.Error, msgspec.DecodeError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise PublishError(f"{path.name} cannot be read: {why}") from error
    if not columns or not len(next(iter(columns.values()))):
        raise PublishError(f"{path.name} holds no rows")
    return columns


def arrange(columns: Mapping[str, Array], estimator: Any, targets: Sequence[str] = ()) -> Examples:
    """Hand the columns to an estimator as it was trained: its own columns in its own order, in its own container.

    targets: the columns that it predicts. Raises PublishError where its columns are not there.
    """
    for target in targets:
        if target not in columns:
            raise PublishError(f"--target {target}: the examples have no such column{_near(target, columns)}")
    rest = {name: values for name, values in columns.items() if name not in targets}
    y = Targets(list(targets)) if targets else None
    names = getattr(estimator, "feature_names_in_", None)
    if names is not None:
        wanted = [str(name) for name in names]
        missing = [name for name in wanted if name not in rest]
        if missing:
            raise PublishError(
                f"the model was trained on {', '.join(map(repr, missing[:20]))}, which the examples do not have"
                f"{_near(missing[0], rest)}"
            )
        X = _that_predicts(estimator, _containers({name: rest[name] for name in wanted}, named=True))
        return Examples(X, y, [name for name in rest if name not in wanted])
    count = getattr(estimator, "n_features_in_", None)
    if count is not None and count != len(rest):
        raise PublishError(
            f"the model was trained on {count} column{'s' if count > 1 else ''}, the examples have {len(rest)}: "
            f"{', '.join(list(rest)[:20])}; name those that it predicts: --target NAME"
        )
    X = _that_predicts(estimator, _containers(rest, named=False))
    unread = _unread(estimator, X) if count is None and hasattr(X, "iloc") else []
    return Examples(X.drop(columns=unread) if unread else X, y, unread)


def _unread(estimator: Any, frame: Any) -> list[str]:
    """The columns that the estimator never looks at: it answers the same without them."""
    unread: list[str] = []
    rows = frame.iloc[:1000]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in frame.columns:
            try:
                same = np.array_equal(estimator.predict(rows), estimator.predict(rows.drop(columns=[*unread, name])))
            except Exception:  # noqa: BLE001, S112 - an estimator may raise anything where a column is gone
                continue
            if same:
                unread.append(str(name))
    return unread


def _containers(columns: dict[str, Array], named: bool) -> Iterable[Any]:
    """The ways in which these columns may have been handed to ``fit``, the likeliest first.

    named: whether the estimator remembers columns' names, which only a frame has.
    """
    kinds = {values.dtype.kind for values in columns.values()}
    if not named and kinds <= set("biuf"):
        yield dict(zip(columns, np.column_stack(list(columns.values())).T))  # an array has one type for all
    if len(columns) == 1 and all(isinstance(text, str) for text in next(iter(columns.values())).tolist()):
        yield next(iter(columns.values())).tolist()
    if importlib.util.find_spec("pandas") is not None:
        yield _frame(columns)
        dates = [name for name, values in columns.items() if _is_dates(values)]
        if dates:
            yield _frame(columns, dates)
    yield columns


def _frame(columns: dict[str, Array], dates: Sequence[str] = ()) -> Any:
    import pandas as pd

    frame = pd.DataFrame(columns)
    for name in dates:
        frame[name] = pd.to_datetime(frame[name], format="ISO8601")
    return frame


def _is_dates(values: Array) -> bool:
    texts = [value for value in values.tolist() if isinstance(value, str)] if values.dtype == object else []
    return bool(texts) and all(_DATE.fullmatch(text) for text in texts)


def _that_predicts(estimator: Any, containers: Iterable[Any]) -> Any:
    """The first container that the estimator takes; where it takes none the first, whose error ``publish`` shows."""
    tried = list(containers)
    for X in tried:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # names of features, for an array
                estimator.predict(_first(X))
        except Exception:  # noqa: BLE001, S112 - an estimator may raise anything at what it was not trained on
            continue
        return X
    return tried[0]


def _first(X: Any) -> Any:
    if isinstance(X, list):
        return X[:TRIED]
    if isinstance(X, Mapping):
        return np.column_stack([values[:TRIED] for values in X.values()])
    return X.iloc[:TRIED]


def _near(name: str, names: Iterable[str]) -> str:
    names = list(names)
    near = difflib.get_close_matches(name, names, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; they have {', '.join(names[:20])}"


def _read_csv(path: Path, as_text: Collection[str] = ()) -> dict[str, Array]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = [row for row in csv.reader(file) if row]
    if not rows:
        return {}
    header = [f"x{i}" for i in range(len(rows[0]))] if all(map(_is_number, rows[0])) else rows.pop(0)
    _check_names(header)
    for number, row in enumerate(rows, 1):
        if len(row) != len(header):
            raise ValueError(f"row {number} has {len(row)} cells, the header {len(header)}")
    return {name: _typed(cells, name in as_text) for name, cells in zip(header, zip(*rows))}


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell


def _typed(cells: Sequence[str], as_text: bool) -> Array:
    """Cells of text as what they all are: integers, numbers, booleans, or text."""
    present = [cell for cell in cells if cell not in MISSING]
    if not as_text and present:
        whole = all(_INTEGER.fullmatch(cell) for cell in present) and all(abs(int(cell)) < 2**63 for cell in present)
        if whole and len(present) == len(cells):
            return np.array([int(cell) for cell in cells], dtype=np.int64)
        if whole or all(map(_is_number, present)):
            return np.array([np.nan if cell in MISSING else float(cell) for cell in cells])
        if {cell.lower() for cell in present} <= {"true", "false"}:
            return _of_values([None if cell in MISSING else cell.lower() == "true" for cell in cells])
    return _of_values([None if cell in MISSING else cell for cell in cells])


def _of_values(values: Sequence[Any]) -> Array:
    """Python's own values as an array; None becomes NaN, as in pandas."""
    kinds = {type(value) for value in values}
    if kinds == {bool}:
        return np.array(values)
    if kinds == {int} and all(abs(value) < 2**63 for value in values):
        return np.array(values, dtype=np.int64)
    if kinds <= {int, float, type(None)}:
        return np.array([np.nan if value is None else float(value) for value in values])
    array = np.empty(len(values), dtype=object)
    array[:] = [np.nan if value is None else value for value in values]
    return array


def _read_lines(path: Path) -> dict[str, Array]:
    return _of_records([msgspec.json.decode(line) for line in path.read_bytes().splitlines() if line.strip()])


def _read_json(path: Path) -> dict[str, Array]:
    decoded = msgspec.json.decode(path.read_bytes())
    if isinstance(decoded, dict) and {"columns", "data"} <= decoded.keys():  # pandas' split
        decoded = [dict(zip(decoded["columns"], row)) for row in decoded["data"]]
    return _of_records(decoded)


def _of_records(rows: Any) -> dict[str, Array]:
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("it holds no records, {…} with the columns' names")
    names = list(dict.fromkeys(name for row in rows for name in row))
    return {name: _of_values([row.get(name) for row in rows]) for name in names}


def _read_npy(path: Path) -> dict[str, Array]:
    matrix = np.load(path, allow_pickle=False)
    if matrix.ndim != 2:
        raise ValueError(f"it has {matrix.ndim} dimensions, not rows and columns")
    return {f"x{i}": column for i, column in enumerate(matrix.T)}


def _read_parquet(path: Path) -> dict[str, Array]:
    try:
        import pandas as pd

        frame = pd.read_parquet(path)
    except ImportError:
        raise PublishError(f"{path.name} is Parquet, which needs two more packages: pip install pandas pyarrow") from None
    _check_names([str(name) for name in frame.columns])
    return {str(name): frame[name] for name in frame.columns}


def _check_names(names: Sequence[str]) -> None:
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(f"it has more than one column named {twice[0]!r}")


_READERS = {
    ".csv": _read_csv,
    ".jsonl": _read_lines,
    ".ndjson": _read_lines,
    ".json": _read_json,
    ".npy": _read_npy,
    ".parquet": _read_parquet,
}
