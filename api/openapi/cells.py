"""JSON Schemas of one value of a column: in JSON, in a query string, in a tensor.

What the estimator itself refuses is an ``enum``. A range or a list of categories that was seen in training is no limit,
since what is outside gets a warning: it stands in words, and under ``x-seen``.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from tepal.signature import Column

Schema = dict[str, Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_SHOWN = 20  # categories in a sentence; ``x-seen`` has them all
_INT64 = (-(2**63), 2**63 - 1)


def plain(column: Column) -> Schema:
    """A value of a column in JSON, without a word."""
    schema = _CELLS[column.type](column)
    return _or_null(schema) if column.nullable else schema


def told(column: Column, example: Any) -> Schema:
    """The same with what training saw of the column."""
    schema = _told(plain(column), column)
    return schema if example is None else {**schema, "examples": [example]}


def of_tensor(column: Column) -> Schema:
    """A value of a column as a tensor holds it: a datetime is text there."""
    schema = _CELLS[column.type](column)
    schema = schema["anyOf"][0] if column.type == "datetime" else schema
    return _or_null(schema) if column.nullable else schema


def of_query(column: Column) -> Schema:
    """A value of a column in a query string, where the empty text is null and eight characters could be a date."""
    if column.type != "datetime":
        schema = _CELLS[column.type](column)
        return _told({**schema, "minLength": 1} if schema == {"type": "string"} else schema, column)
    moment, number = _datetime(column)["anyOf"]
    low, high = number["minimum"], number["maximum"]
    ranges = ((low, -10_000_000), (-999_999, 9_999_999), (100_000_000, high))
    numbers = [{**number, "minimum": first, "maximum": last} for first, last in ranges]
    return _told({"anyOf": [moment, *numbers]}, column)


def _told(schema: Schema, column: Column) -> Schema:
    words, seen = _words(column), _seen(column)
    if words:
        schema = {**schema, "description": words}
    return {**schema, "x-seen": seen} if seen else schema


def _seen(column: Column) -> Schema:
    if column.minimum is not None:
        return {"minimum": column.minimum, "maximum": column.maximum}
    return {} if column.categories is None or column.unseen == "refuse" else {"categories": list(column.categories)}


def _words(column: Column) -> str:
    said = []
    if column.minimum is not None:
        said.append(f"{column.minimum!r}–{column.maximum!r} in training; outside of it comes a warning.")
    if column.categories is not None and column.unseen == "warn":
        shown = ", ".join(column.categories[:_MOST_SHOWN]) + (", …" if len(column.categories) > _MOST_SHOWN else "")
        said.append(f"In training: {shown}; another one comes with a warning.")
    if column.type == "datetime":
        said.append("ISO 8601, or Unix milliseconds.")
    if column.nullable:
        said.append("null is a missing value.")
    return " ".join(said)


def _or_null(schema: Schema) -> Schema:
    if "anyOf" in schema:
        return {"anyOf": [*schema["anyOf"], {"type": "null"}]}
    if "enum" in schema:
        return {**schema, "type": [schema["type"], "null"], "enum": [*schema["enum"], None]}
    return {**schema, "type": [schema["type"], "null"]}


def _number(_: Column) -> Schema:
    return {"type": "number", "format": "double"}


def _integer(column: Column) -> Schema:
    low, high = (0, 2**64 - 1) if column.dtype == "uint64" else _INT64
    return {"type": "integer", "format": "int64", "minimum": low, "maximum": high}


def _boolean(_: Column) -> Schema:
    return {"type": "boolean"}


def _string(column: Column) -> Schema:
    if column.categories is not None and column.unseen == "refuse":
        return {"type": "string", "enum": list(column.categories)}
    return {"type": "string"}


class _Unit(NamedTuple):
    """A unit in which training had datetimes. milliseconds: of one. time: what may stand after the day; a moment that the
    unit would round is refused.
    """

    milliseconds: int
    time: str


_HOUR = "([01][0-9]|2[0-3])"
_SIXTY = "[0-5][0-9]"
_UNITS = {
    "h": _Unit(3_600_000, f"{_HOUR}:00:00"),
    "m": _Unit(60_000, f"{_HOUR}:{_SIXTY}:00"),
    "s": _Unit(1000, f"{_HOUR}:{_SIXTY}:{_SIXTY}"),
    "ms": _Unit(1, rf"{_HOUR}:{_SIXTY}:{_SIXTY}(\.[0-9]{{1,3}})?"),
    "us": _Unit(1, rf"{_HOUR}:{_SIXTY}:{_SIXTY}(\.[0-9]{{1,6}})?"),
}
_DAY = "(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
# Nanoseconds reach from September 1677 to April 2262, all others further than the years of Python.
_YEARS = {"ns": "(16(7[89]|[89][0-9])|1[7-9][0-9]{2}|2[01][0-9]{2}|22([0-5][0-9]|6[01]))"}
_ANY_YEAR = "(00(0[2-9]|[1-9][0-9])|0[1-9][0-9]{2}|[1-8][0-9]{3}|9([0-8][0-9]{2}|9([0-8][0-9]|9[0-8])))"


def _datetime(column: Column) -> Schema:
    unit = column.dtype.partition("[")[2].rstrip("]")
    if unit == "D":
        step = 86_400_000
        text = {"type": "string", "format": "date"}
    else:
        step, time = _UNITS.get(unit, _UNITS["us"])
        offset = "Z" if unit == "h" else f"(Z|[+-]{_HOUR}:00)"
        text = {"type": "string", "format": "date-time", "pattern": f"^{_YEARS.get(unit, _ANY_YEAR)}-{_DAY}T{time}{offset}$"}
    low, high = (_milliseconds(datetime(year, 1, 1, tzinfo=UTC)) for year in (2, 9999))
    if unit == "ns":
        low, high = (sign * (2**63 // 10**6) for sign in (-1, 1))
    number: Schema = {"type": "integer", "format": "int64", "minimum": low, "maximum": high}
    if step > 1:
        number["multipleOf"] = step
    return {"anyOf": [text, number]}


def _milliseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)


_CELLS = {"number": _number, "integer": _integer, "boolean": _boolean, "string": _string, "datetime": _datetime}
