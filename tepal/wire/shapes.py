"""Parsed values in any of the shapes that a client may send, to a Table or to the reason why not.

This is the slow path: it runs where the fast one of a format gave up, and looks at every cell.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

from tepal.errors import BadCells, Invalid
from tepal.notes import Notes, quoted
from tepal.signature import Signature
from tepal.table import Table
from tepal.wire import cells
from tepal.wire.cells import MISSING

WRAPPERS = ("instances", "inputs", "data", "dataframe_split", "dataframe_records")

# Names are compared with this many others at most to find the one that was meant: more would cost more than it helps.
MOST_COMPARED = 200

# Rows side by side in the signature's order, MISSING where a column is not there; and the unknown columns.
Rows = tuple[list[Sequence[Any]], Iterable[str]]


def table_of(signature: Signature, value: Any, notes: Notes, strict: bool, inside: str | None = None) -> Table:
    """A Table from one parsed JSON value of any shape. inside: the wrapper that it stood in, where that is taken off.

    Raises Invalid that lists every bad cell. Unknown columns are noted, or refused where ``strict``.
    """
    rows, unknown = _Shapes(signature).rows(value, inside)
    return table_of_rows(signature, rows, unknown, notes, strict)


def table_of_items(signature: Signature, items: list[Any], notes: Notes, strict: bool) -> Table:
    """A Table from one parsed JSON value a row, each a record or a vector: what JSON lines hold. Raises as ``table_of``."""
    for row, item in enumerate(items):
        if not isinstance(item, (dict, list)):
            raise Invalid(f"row {row} is {cells.shown(item)}; a line takes a record or a vector")
    return table_of_rows(signature, *_Shapes(signature).rows(items), notes, strict)


def table_of_rows(
    signature: Signature, rows: list[Sequence[Any]], unknown: Iterable[str], notes: Notes, strict: bool
) -> Table:
    """A Table from rows of JSON values in the signature's order, MISSING where there is none. Raises as ``table_of``."""
    return table_of_columns(signature, list(zip(*rows)), unknown, notes, strict)


def table_of_columns(
    signature: Signature, columns: Sequence[Sequence[Any]], unknown: Iterable[str], notes: Notes, strict: bool
) -> Table:
    """A Table from columns of JSON values, as ``table_of_rows``. There is at least one row."""
    unknown = list(dict.fromkeys(unknown))
    bad = BadCells()
    if strict:
        _refuse_unknown(signature, unknown, bad)
    arrays = [cells.whole(column, values) for column, values in zip(signature.columns, columns)]
    doubtful = [i for i, array in enumerate(arrays) if array is None]
    _look_closer(signature, doubtful, columns, unknown, bad)
    bad.raise_any()
    for name in unknown:
        note_unknown(name, notes)
    # A column that was in doubt without a bad cell does not exist, but to read it once more costs nothing.
    for i in doubtful:
        arrays[i] = cells.build(signature.columns[i], columns[i])
    return Table.from_columns(signature, [array for array in arrays if array is not None])


def note_unknown(name: str, notes: Notes) -> None:
    """Warn of a column that the model does not have."""
    notes.add(f"the model has no column {quoted(name)}; it was ignored", column=name[:100])


def _look_closer(
    signature: Signature, doubtful: list[int], columns: Sequence[Sequence[Any]], unknown: list[str], bad: BadCells
) -> None:
    """Report the bad cells of the doubtful columns, row by row, and count those that are too many to list."""
    for row in range(len(columns[0]) if doubtful else 0):
        if bad.full:
            for i in doubtful:
                bad.count(cells.count_unfit(signature.columns[i], columns[i][row:]))
            return
        for i in doubtful:
            column, value = signature.columns[i], columns[i][row]
            if value is MISSING:
                _report_missing(bad, row, column.name, column.type, unknown)
                continue
            try:
                cells.read(column, value)
            except cells.Unfit:
                cells.report(bad, column, row, value)


def _report_missing(bad: BadCells, row: int, name: str, expected: str, unknown: list[str]) -> None:
    if bad.full:
        bad.count()
        return
    near = _near(name, unknown)
    hint = f"; the row has {quoted(near[0])}: did you mean '{name}'?" if near else ""
    detail = {"near": near} if near else {}
    bad.add(f"row {row}: column '{name}' is missing{hint}", row=row, column=name, expected=expected, got="nothing", **detail)


def _refuse_unknown(signature: Signature, unknown: list[str], bad: BadCells) -> None:
    for name in unknown:
        if bad.full:
            bad.count()
            continue
        near = _near(name, signature.names)
        hint = f"; did you mean '{near[0]}'?" if near else f"; it has {', '.join(signature.names[:20])}"
        detail = {"near": near} if near else {}
        bad.add(
            f"the model has no column {quoted(name)}{hint}",
            column=name[:100],
            expected="a column of the model",
            got=quoted(name),
            **detail,
        )


def _near(name: str, names: Iterable[str]) -> list[str]:
    """Names that differ from ``name`` by case, spaces or a slip of the finger, best first."""
    plain = {other[:100].lower().replace(" ", "_"): other for other in islice(names, MOST_COMPARED)}
    return [plain[key] for key in difflib.get_close_matches(name[:100].lower(), plain, n=3, cutoff=0.7)]


class _Shapes:
    def __init__(self, signature: Signature):
        self.names = signature.names
        self.width = len(self.names)

    def rows(self, value: Any, inside: str | None = None) -> Rows:
        """The rows of a value. inside: the wrapper that it came in, if any."""
        if isinstance(value, dict):
            rows = self._of_object(value, inside)
        elif isinstance(value, list):
            if inside == "dataframe_split":
                raise Invalid("'dataframe_split' takes an object with 'columns' and 'data'")
            if inside == "dataframe_records" and not all(isinstance(item, dict) for item in value):
                raise Invalid("'dataframe_records' takes a list of records")
            rows = self._of_list(value)
        else:
            raise Invalid(f"the rows are {cells.shown(value)}; send a record, a list of records or vectors, or columns")
        if not rows[0]:
            raise Invalid("there are no rows to predict")
        return rows

    def _of_object(self, value: dict[str, Any], inside: str | None) -> Rows:
        if inside == "dataframe_records":
            raise Invalid("'dataframe_records' takes a list of records")
        framed = inside == "dataframe_split" or not {"columns", "data"} & set(self.names)
        if "columns" in value and "data" in value and framed:
            return self._of_split(value)
        known = [name for name in self.names if name in value]
        if not known:
            if inside == "dataframe_split":
                raise Invalid("'dataframe_split' takes an object with 'columns' and 'data'")
            if inside is None and (wrappers := [name for name in WRAPPERS if name in value]):
                return self._of_wrapper(value, wrappers)
        if not value:
            raise Invalid(f"the object is empty; it takes {', '.join(self.names[:20])}")
        cells_of_known = [value[name] for name in known] or list(value.values())
        if all(isinstance(cell, list) for cell in cells_of_known):
            return self._of_columns(value)
        if len(cells_of_known) > 0 and all(isinstance(cell, dict) for cell in cells_of_known):
            raise Invalid("this looks like pandas' to_dict() as it comes; send to_dict(orient='records') or orient='split'")
        return self._of_records([value])

    def _of_wrapper(self, value: dict[str, Any], wrappers: list[str]) -> Rows:
        if len(wrappers) > 1:
            raise Invalid(f"the body has both '{wrappers[0]}' and '{wrappers[1]}'; send one of them")
        rows, unknown = self.rows(value[wrappers[0]], inside=wrappers[0])
        beside = [name for name in value if name not in (wrappers[0], "parameters")]
        return rows, [*beside, *unknown]

    def _of_list(self, value: list[Any]) -> Rows:
        kinds = {"record" if isinstance(item, dict) else "vector" if isinstance(item, list) else "value" for item in value}
        if len(kinds) > 1:
            raise Invalid(f"the rows mix a {' and a '.join(sorted(kinds))}; send records only or vectors only")
        if kinds == {"record"}:
            return self._of_records(value)
        if kinds == {"vector"}:
            return self._of_vectors(value), ()
        if self.width == 1:
            return [[item] for item in value], ()
        return self._of_vectors([value] if value else []), ()

    def _of_records(self, records: list[dict[str, Any]]) -> Rows:
        known = set(self.names)
        unknown = dict.fromkeys(name for record in records for name in record if name not in known)
        rows: list[Sequence[Any]] = [[record.get(name, MISSING) for name in self.names] for record in records]
        return rows, unknown

    def _of_vectors(self, vectors: list[list[Any]]) -> list[Sequence[Any]]:
        bad = BadCells()
        for row, vector in enumerate(vectors):
            if len(vector) != self.width:
                wanted, got = f"{self.width} values ({', '.join(self.names[:20])})", count_of(vector)
                bad.add(f"row {row} has {got}, the model takes {wanted}", row=row, expected=wanted, got=got)
        bad.raise_any()
        return list(vectors)

    def _of_split(self, value: dict[str, Any]) -> Rows:
        columns, data, index = value["columns"], value["data"], value.get("index")
        if isinstance(columns, list):  # a frame that was made of an array has numbers for names, 0, 1, …
            columns = [str(name) if type(name) is int else name for name in columns]
        if not isinstance(columns, list) or not all(isinstance(name, str) for name in columns):
            raise Invalid("'columns' takes a list of column names")
        if len(set(columns)) != len(columns):
            twice = Counter(columns).most_common(1)[0][0]
            raise Invalid(f"'columns' names {quoted(twice)} more than once")
        if not isinstance(data, list) or not all(isinstance(row, list) for row in data):
            raise Invalid("'data' takes a list of rows, each a list of values")
        if isinstance(index, list) and len(index) != len(data):
            raise Invalid(f"'index' has {count_of(index)}, 'data' has {count_of(data)}")
        bad = BadCells()
        for row, cells_ in enumerate(data):
            if len(cells_) != len(columns):
                bad.add(
                    f"row {row} has {count_of(cells_)}, 'columns' has {len(columns)}",
                    row=row, expected=f"{len(columns)} values", got=count_of(cells_),
                )  # fmt: skip
        bad.raise_any()
        rows, unknown = self._of_records([dict(zip(columns, row)) for row in data])
        beside = [name for name in value if name not in ("columns", "data", "index")]
        return rows, [*beside, *unknown]

    def _of_columns(self, value: dict[str, Any]) -> Rows:
        lists = {name: cell for name, cell in value.items() if isinstance(cell, list)}
        given = {name: lists[name] for name in self.names if name in lists}
        lengths = {name: len(cell) for name, cell in (given or lists).items()}
        if len(set(lengths.values())) > 1:
            (short, few), (long, many) = min(lengths.items(), key=_second), max(lengths.items(), key=_second)
            raise Invalid(f"the columns have different lengths: '{short}' has {few}, '{long}' has {many}")
        count = next(iter(lengths.values()))
        missing = [MISSING] * count
        rows: list[Sequence[Any]] = list(zip(*[given.get(name, missing) for name in self.names]))
        return rows, [name for name in value if name not in self.names]


def too_wide(signature: Signature, seen: int) -> Invalid:
    """The refusal of a first row that has more values than the model takes, of which ``seen`` were counted."""
    width, names = len(signature.names), ", ".join(signature.names[:20])
    return Invalid(f"row 0 has {seen} values or more, the model takes {width} values ({names})")


def count_of(values: Sequence[Any]) -> str:
    """``1 value``, ``2 values``."""
    return f"{len(values)} value" if len(values) == 1 else f"{len(values)} values"


def _second(pair: tuple[str, int]) -> int:
    return pair[1]
