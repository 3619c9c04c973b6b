"""One cell: a value as a client writes it, made into what a column holds, or refused with the reason.

Every format ends here, so that the same value in two formats gives the same answer.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import numpy as np

from tepal.errors import BadCells, Malformed
from tepal.signature import Column
from tepal.table import Array

# Above this float64 skips integers, so that a float no longer says which integer was meant.
EXACT_FLOAT = 2**53
INT64 = np.iinfo(np.int64)

_ARTICLE = {"number": "a number", "integer": "an integer", "boolean": "a boolean", "string": "a string"}
_EXPECTED = {"datetime": "datetime (ISO 8601 or Unix milliseconds)"}


class Missing:
    """Stands for a cell whose column is not there at all, which is not the same as null."""


MISSING = Missing()


class Unfit(Exception):
    """A value does not fit its column, or needs a closer look."""


def build(column: Column, values: Sequence[Any]) -> Array:
    """One column's array from values of the right JSON type (None where it is nullable), ``(n,)``.

    Raises Unfit where a value needs a closer look; ``read`` then says which and why.
    """
    if column.type == "number":
        return np.array(values, dtype=np.float64)  # None becomes NaN
    if column.type == "integer":
        values = [_integer(value) if type(value) is float else value for value in values]
        try:
            return _integers(column, values)
        except OverflowError:
            raise Unfit from None
    if column.type == "datetime":
        return _datetimes(column, values)
    if column.dtype == "bool":
        return np.array(values, dtype=bool)
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def read(column: Column, value: Any) -> Any:
    """Check one parsed JSON value against its column; return what ``build`` takes.

    Raises Unfit where it does not fit, Malformed for a number that float64 cannot hold.
    """
    if value is None and column.nullable:
        return None
    kind = type(value)
    if kind is int or kind is float:
        if column.type == "number":
            return as_float(value)
        if column.type == "integer":
            return _checked_integer(column, value)
        if column.type == "datetime" and kind is int:
            return _checked_datetime(column, value)
    elif kind is str:
        if column.type == "datetime":
            return _checked_datetime(column, value)
        if column.type == "string":
            return value
    elif kind is bool and column.type == "boolean":
        return value
    raise Unfit


def as_float(value: int | float) -> float:
    """A JSON number as float64. Raises Malformed where float64 cannot hold it."""
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if math.isinf(number):
        raise Malformed(f"the number {_short(str(value))} is too large for a 64-bit float")
    return number


def report(bad: BadCells, column: Column, row: int, value: Any) -> None:
    """Add to ``bad`` that this column cannot take this value."""
    if bad.full:
        bad.count()
        return
    sentence_noun = _ARTICLE.get(column.type) or f"a {_EXPECTED[column.type]}"
    bad.add(
        f"row {row}: column '{column.name}' expects {sentence_noun}, got {_spoken(value)}",
        row=row,
        column=column.name,
        expected=_EXPECTED.get(column.type, column.type),
        got=shown(value),
    )


def shown(value: Any) -> str:
    """A parsed JSON value as JSON text, shortened for a message."""
    try:
        return _short(msgspec.json.encode(value).decode())
    except (msgspec.MsgspecError, RecursionError, OverflowError):
        return _short(str(value))


def _spoken(value: Any) -> str:
    noun = {str: "the string ", bool: "the boolean ", list: "the list ", dict: "the object "}.get(type(value), "")
    return noun + shown(value)


def _short(text: str, limit: int = 60) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _integer(value: float) -> int:
    if value.is_integer() and abs(value) < EXACT_FLOAT:
        return int(value)
    raise Unfit


def _checked_integer(column: Column, value: int | float) -> int:
    as_float(value)  # refuses what no number column could hold, the same as everywhere
    integer = _integer(value) if isinstance(value, float) else value
    try:
        _integers(column, [integer])
    except OverflowError:
        raise Unfit from None
    return integer


def _integers(column: Column, values: Sequence[Any]) -> Array:
    if column.dtype != "object":
        return np.array(values, dtype=column.dtype)
    if any(value is not None and not INT64.min <= value <= INT64.max for value in values):
        raise OverflowError
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _checked_datetime(column: Column, value: int | str) -> int | str:
    _datetimes(column, [value])
    return value


def _datetimes(column: Column, values: Sequence[Any]) -> Array:
    """Raises Unfit where the column's own unit would round a moment, or could not hold it."""
    moments = np.array([_datetime(value) for value in values], dtype="datetime64[us]")
    try:
        array = moments.astype(column.dtype)
    except OverflowError:  # numpy 2.5; older ones wrap, which the comparison finds
        raise Unfit from None
    if ((array.astype("datetime64[us]") != moments) & ~np.isnat(moments)).any():
        raise Unfit
    return array


# What datetime.fromisoformat would cut off: a seventh and further decimal that is not 0.
_BEYOND_MICROSECONDS = re.compile(r"[.,]\d{6}\d*[1-9]")


def _datetime(value: Any) -> np.datetime64:
    """ISO 8601 text (a zone is turned into UTC) or Unix milliseconds. Raises Unfit for anything else."""
    if value is None:
        return np.datetime64("NaT", "us")
    try:
        if isinstance(value, int):
            moment = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=value)
        else:
            moment = datetime.fromisoformat(value)
        if moment.tzinfo is not None:
            moment = moment.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        raise Unfit from None
    if isinstance(value, str) and _BEYOND_MICROSECONDS.search(value):
        raise Unfit
    return np.datetime64(moment)
