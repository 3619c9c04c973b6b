"""One cell: a value as a client writes it, made into what a column holds, or refused with the reason.

Every format ends here, so that the same value in two formats gives the same answer.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
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
# The Python types that a column's values may have; a value of one of them may still be unfit.
_KINDS: dict[str, set[type]] = {
    "number": {int, float},
    "integer": {int, float},
    "boolean": {bool},
    "string": {str},
    "datetime": {int, float, str},
}


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


def whole(column: Column, values: Sequence[Any]) -> Array | None:
    """One column's array, or None where at least one of the values does not fit. Much quicker than a ``read`` each."""
    if set(map(type, values)) - _kinds(column):
        return None
    try:
        array = build(column, values)
    except (Unfit, OverflowError):
        return None
    return None if array.dtype.kind == "f" and np.isinf(array).any() else array


def count_unfit(column: Column, values: Sequence[Any]) -> int:
    """How many of the values ``read`` would refuse."""
    kinds = _kinds(column)
    wrong = sum(many for kind, many in Counter(map(type, values)).items() if kind not in kinds)
    if column.type in ("integer", "datetime"):  # the right type is not enough
        wrong += sum(not _fits(column, value) for value in values if type(value) in kinds)
    return wrong


def _kinds(column: Column) -> set[type]:
    return _KINDS[column.type] | {type(None)} if column.nullable else _KINDS[column.type]


def _fits(column: Column, value: Any) -> bool:
    try:
        read(column, value)
    except Unfit:
        return False
    return True


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
        if column.type == "datetime":
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
    """A number as float64. Raises Malformed where float64 cannot hold it, Unfit for infinity, which NumPy's format has."""
    try:
        as_float64 = float(value)
    except OverflowError:
        raise Malformed(f"the number {_short(str(value))} is too large for a 64-bit float") from None
    if math.isinf(as_float64):
        raise Unfit
    return as_float64


_INTEGER = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]++)?")
_BOOLEANS = {"true": True, "false": False}


class Ambiguous(str):
    """A text that could mean two values of its column, and so fits none."""

    __slots__ = ()


def from_text(column: Column, text: str) -> Any:
    """The JSON value that a text means in its column (CSV, query string); the text itself where it means none there.

    The empty text is None. Spaces and tabs around what is no string do not count. ``true`` and ``false`` are read
    in any case, ``1`` and ``0`` are no booleans. Digits in a datetime column are Unix milliseconds, but for eight
    of them, which could be a date. Raises Malformed for a number that float64 cannot hold.
    """
    plain = text if column.type == "string" else text.strip(" \t")
    if not plain:
        return None
    if column.type == "string":
        return text
    if column.type == "boolean":
        return _BOOLEANS.get(plain.lower(), text)
    if column.type == "datetime":
        if not _NUMBER.fullmatch(plain):
            return plain
        return Ambiguous(text) if len(plain) == 8 and _INTEGER.fullmatch(plain) else number(plain)
    return number(plain) if _NUMBER.fullmatch(plain) else text


def number(text: str) -> int | float:
    """A number's text as JSON would have it: an integer is exact, a float never loses an integer that it rounds.

    Raises Malformed where float64 cannot hold it.
    """
    if _INTEGER.fullmatch(text):
        digits = text.lstrip("+-0")
        if len(digits) > 400:  # int() refuses thousands of digits, and takes its time
            raise Malformed(f"the number {_short(text)} is too large for a 64-bit float")
        integer = int(digits or "0")
        return -integer if text[0] == "-" else integer
    value = float(text)
    if math.isinf(value):
        raise Malformed(f"the number {_short(text)} is too large for a 64-bit float")
    if abs(value) < EXACT_FLOAT:
        return value
    exact = Decimal(text)
    return int(exact) if exact == exact.to_integral_value() else value


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
    if isinstance(value, float) and math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, str):
        value = str(value[:100])
    elif isinstance(value, list):
        value = value[:50]  # more than is shown, and quicker than all
    elif isinstance(value, dict):
        value = dict(islice(value.items(), 50))
    try:
        return _short(msgspec.json.encode(value).decode())
    except (msgspec.MsgspecError, RecursionError, OverflowError):
        return _short(str(value))


def _spoken(value: Any) -> str:
    noun = {str: "the string ", Ambiguous: "the string ", bool: "the boolean ", list: "the list ", dict: "the object "}.get(
        type(value), ""
    )
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


def _checked_datetime(column: Column, value: int | float | str) -> int | float | str:
    _datetimes(column, [value])
    return value


def _datetimes(column: Column, values: Sequence[Any]) -> Array:
    """Raises Unfit where the column's own unit would round a moment, or could not hold it."""
    known = {value: _datetime(value) for value in set(values)}  # days come again and again
    if NOT_A_TIME in known and not column.nullable:
        raise Unfit
    moments = np.array([known[value] for value in values], dtype="datetime64[us]")
    try:
        array = moments.astype(column.dtype)
    except OverflowError:  # numpy 2.5; older ones wrap, which the comparison finds
        raise Unfit from None
    if ((array.astype("datetime64[us]") != moments) & ~np.isnat(moments)).any():
        raise Unfit
    return array


# What pandas calls a missing moment, and what clients write that take its name for its text.
NOT_A_TIME = "NaT"

# What datetime.fromisoformat would cut off: a seventh and further decimal that is not 0.
_BEYOND_MICROSECONDS = re.compile(r"[.,]\d{6}\d*[1-9]")


def _datetime(value: Any) -> np.datetime64:
    """ISO 8601 text (a zone is turned into UTC) or Unix milliseconds. Raises Unfit for anything else."""
    if value is None or value == NOT_A_TIME:
        return np.datetime64("NaT", "us")
    try:
        if isinstance(value, (int, float)):
            value = _integer(value) if isinstance(value, float) else value
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
