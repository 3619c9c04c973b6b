"""JSON bytes to a Table: every shape that a client may send.

Good input takes the fast path: msgspec decodes straight into the types of the signature. Whatever that refuses
is read again by the slow path (``shapes.py``), which accepts a little more (unknown columns) and can say what
is wrong with the rest. The fast path must never accept what the slow path would refuse or read otherwise.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, cast

import msgspec
import numpy as np
from msgspec import Raw

from tepal.errors import Malformed
from tepal.notes import Notes
from tepal.signature import Signature
from tepal.table import Array, Table
from tepal.wire import cells, head, literals, shapes, utf8
from tepal.wire.skim import Skim

# Rows need four levels; what is deeper is no row, but may be a value that is told so.
MAX_DEPTH = 64
NESTED = "the body is nested too deeply; rows are at most a list of records inside one object"

_BLANK = b" \t\r\n"
_REFUSED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_TYPES: dict[str, Any] = {"number": float, "integer": int | float, "boolean": bool, "string": str, "datetime": int | str}

_ESCAPED = re.compile(r'["\\\x00-\x1f]')
_Scalar = str | int | float | bool | None

Rows = Sequence[tuple[Any, ...]]


class JsonReader:
    """Reads JSON bodies against one signature; made once when a model is loaded."""

    def __init__(self, signature: Signature):
        self._signature = signature
        names = signature.names
        types: list[Any] = [
            _TYPES[column.type] | None if column.nullable else _TYPES[column.type] for column in signature.columns
        ]
        fields = [f"c{i}" for i in range(len(names))]
        rename = dict(zip(fields, names))
        self._types = types
        self._numeric = signature.numeric
        self._nullable = any(column.nullable for column in signature.columns)
        self._slow = msgspec.json.Decoder(float_hook=literals.number).decode
        # msgspec takes no name that JSON would have to escape; a model with one is served by the slow path alone.
        self._has_fast = not any(_ESCAPED.search(name) for name in names)
        if not self._has_fast:
            return
        record = msgspec.defstruct("Record", list(zip(fields, types)), rename=rename, forbid_unknown_fields=True, gc=False)
        lists_of = [(field, _list_of(type_)) for field, type_ in zip(fields, types)]
        lists = msgspec.defstruct("Lists", lists_of, rename=rename, forbid_unknown_fields=True)
        # A column of the model that is itself called `data` wins over the wrapper of that name.
        wrappers = [name for name in (*shapes.WRAPPERS, "columns", "index", "parameters") if name not in names]
        envelope = msgspec.defstruct("Envelope", [(name, Raw, Raw()) for name in wrappers], forbid_unknown_fields=True)
        self._record = msgspec.json.Decoder(record).decode
        self._records = msgspec.json.Decoder(list[record]).decode  # type: ignore[valid-type]
        self._lists = msgspec.json.Decoder(lists).decode
        self._envelope = msgspec.json.Decoder(envelope).decode
        self._vectors = _vectors_decoder(tuple(types))
        self._skim = Skim(signature)
        self._row = msgspec.json.Decoder(_tuple_of(types)).decode
        self._vector = msgspec.json.Decoder(_vector_type(types)).decode

    def read(self, body: bytes, notes: Notes, strict: bool = False, inside: str | None = None) -> Table:
        """One body in any JSON shape as a Table.

        notes: gets a warning for each unknown column; with ``strict`` they are refused instead. inside: the wrapper that
        the body stood in, where somebody has unwrapped it.
        Raises Malformed where the bytes are no JSON, Invalid where they are not what the signature says.
        """
        if body.startswith(b"\xef\xbb\xbf"):  # Excel and PowerShell write a byte order mark
            body = utf8.unmarked(body)
        try:
            if len(body) > head.HEAD:
                _check(body)
                self._try_first(body)
            # msgspec skips over what no type asks for without looking at its encoding.
            if not body.isascii():
                body.decode()
            table = self._fast(body.lstrip(_BLANK), inside) if self._has_fast else None
        except (*_REFUSED, cells.Unfit, OverflowError):
            table = None
        return table if table is not None else self._explained(body, notes, strict, inside)

    def _try_first(self, body: bytes) -> None:
        """Raise where the first rows do not fit: some values are only looked at once all are read, which is late."""
        if self._has_fast:
            for part in head.of_list(body, at_most=4096):
                with contextlib.suppress(msgspec.DecodeError):  # it may have been cut at a wrong place
                    self._fast(part)

    def fast_lines(self, lines: Sequence[bytes]) -> Table | None:
        """The Table of one record or vector a line, at least one; None where ``values`` must look."""
        if not self._has_fast:
            return None
        try:
            if lines[0].lstrip(_BLANK)[:1] == b"{":
                return self._table([msgspec.structs.astuple(self._record(line)) for line in lines])
            return self._table([self._row(line) for line in lines])
        except (*_REFUSED, cells.Unfit, OverflowError):
            return None

    def values(self, lines: Sequence[bytes]) -> list[Any]:
        """The JSON value of each line. Raises Malformed that names the row."""
        values: list[Any] = []
        try:
            for line in lines:
                values.append(self._slow(line))
        except _REFUSED as error:
            why = str(malformed(line, error)).replace("the body", "the line", 1)
            raise Malformed(f"row {len(values)}: {why}") from None
        if _too_deep(values):
            raise Malformed(NESTED)
        return values

    def _fast(self, body: bytes, inside: str | None = None) -> Table | None:
        """The Table of a body, or None (or a raise) where the slow path must look. inside: the wrapper around it."""
        framed = inside in ("dataframe_split", "dataframe_records")
        if body[:1] == b"[":
            return None if framed and (inside == "dataframe_split" or self._second(body) != b"{") else self._array(body)
        if not framed:
            try:
                return self._table([msgspec.structs.astuple(self._record(body))])
            except msgspec.ValidationError:
                pass
        try:
            envelope = self._envelope(body)
        except msgspec.ValidationError:
            return None if framed else self._of_lists(self._lists(body))
        given = {name: bytes(raw) for name in envelope.__struct_fields__ if (raw := getattr(envelope, name))}
        if {"columns", "data"} <= given.keys() <= {"columns", "data", "index"} and inside != "dataframe_records":
            return self._split(given)
        parameters = given.pop("parameters", b"0")  # Vertex sends them; no model of ours takes any
        if _too_deep(msgspec.json.decode(parameters)):
            return None
        if inside is None and len(given) == 1:
            name, rows = given.popitem()
            if name in shapes.WRAPPERS:
                return self._fast(rows.lstrip(_BLANK), name)
        return None

    @staticmethod
    def _second(body: bytes) -> bytes:
        return body[1:64].lstrip(_BLANK)[:1]

    def _array(self, body: bytes) -> Table | None:
        second = self._second(body)
        if second == b"{":
            return self._table([msgspec.structs.astuple(record) for record in self._records(body)])
        if second == b"[":
            return self._table(self._vectors(body))
        values = self._vector(body)
        return self._table([(value,) for value in values] if len(self._types) == 1 else [tuple(values)])

    def _split(self, given: dict[str, bytes]) -> Table | None:
        columns = msgspec.json.decode(given["columns"], type=list[str])
        names = self._signature.names
        if len(columns) != len(names) or set(columns) != set(names):
            return None
        place = {name: i for i, name in enumerate(columns)}
        order = [place[name] for name in names]
        types = dict(zip(names, self._types))
        rows = _vectors_decoder(tuple(types[name] for name in columns))(given["data"])
        if "index" in given and len(msgspec.json.decode(given["index"], type=list[_Scalar])) != len(rows):
            return None
        if order != sorted(order):
            rows = [tuple([row[i] for i in order]) for row in rows]
        return self._table(rows)

    def _table(self, rows: Rows) -> Table | None:
        if not rows:
            return None
        if self._numeric:
            return Table.from_matrix(self._signature, self._matrix(rows))
        return self._of_columns(list(zip(*rows)))

    def _matrix(self, rows: Rows) -> Array:
        if self._nullable:
            return np.array(rows, dtype=np.float64)  # None becomes NaN
        count, width = len(rows), len(self._types)
        return np.fromiter(chain.from_iterable(rows), np.float64, count * width).reshape(count, width)  # in half the time

    def _of_lists(self, lists: msgspec.Struct) -> Table | None:
        columns = msgspec.structs.astuple(lists)
        if len({len(column) for column in columns}) != 1 or not columns[0]:
            return None
        return self._of_columns(columns)

    def _of_columns(self, columns: Sequence[Sequence[Any]]) -> Table:
        built = [cells.build(column, values) for column, values in zip(self._signature.columns, columns)]
        return Table.from_columns(self._signature, built)

    def _explained(self, body: bytes, notes: Notes, strict: bool, inside: str | None) -> Table:
        if len(body) > head.HEAD and self._has_fast:
            self._skim.refuse(body, strict, inside)
        try:
            value = self._slow(body)
        except _REFUSED as error:
            raise malformed(body, error) from None
        if _too_deep(value):
            raise Malformed(NESTED)
        return shapes.table_of(self._signature, value, notes, strict, inside)


def _check(body: bytes) -> None:
    """Raise Malformed where a large body is no JSON: to skip over its values costs a fiftieth of reading them in vain."""
    try:
        utf8.check(body)
        msgspec.json.decode(body, type=Raw)
    except (*_REFUSED, Malformed) as error:
        raise malformed(body, error) from None


def _list_of(type_: Any) -> Any:
    return list[type_]


def _tuple_of(types: Sequence[Any]) -> Any:
    return tuple[*types]  # type: ignore[valid-type]


def _vector_type(types: Sequence[Any]) -> Any:
    """A flat list is one row, but for a model of one column, where it is one row an element."""
    return _list_of(types[0]) if len(types) == 1 else _tuple_of(types)


@lru_cache(maxsize=256)  # a client's own column order costs one compilation, not one a request
def _vectors_decoder(types: tuple[Any, ...]) -> Callable[[bytes], Rows]:
    return cast(Callable[[bytes], Rows], msgspec.json.Decoder(_list_of(_tuple_of(types))).decode)


def _too_deep(value: Any) -> bool:
    """Whether a value is nested deeper than MAX_DEPTH: without this, each Python would have a limit of its own."""
    level = [value] if type(value) in (list, dict) else []
    for _ in range(MAX_DEPTH):
        inner = [item.values() if type(item) is dict else item for item in level]
        level = [child for items in inner for child in items if type(child) in (list, dict)]
        if not level:
            return False
    return True


_NOT_A_NUMBER = re.compile(rb"-?\b(nan|inf|infinity)\b", re.IGNORECASE)
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_AT_BYTE = re.compile(r"\(byte (\d+)\)")


def malformed(body: bytes, error: Exception) -> Malformed:
    """What is wrong with bytes that are no JSON, for a person who thought that they were."""
    if not body.strip():
        return Malformed("the body is empty; send the rows as JSON")
    try:
        utf8.check(body)
    except Malformed as no_text:
        return no_text
    if isinstance(error, RecursionError):
        return Malformed(NESTED)
    if "out of range" in str(error):
        return Malformed("the body holds a number that is too large for a 64-bit float")
    found = _AT_BYTE.search(str(error))
    at = int(found[1]) if found else len(body)
    if literal := _NOT_A_NUMBER.search(body[max(0, at - 9) : at + 9]):
        return Malformed(f"{literal[0].decode()} is not JSON; send null for a missing value")
    if body[at : at + 1] == b"'":
        return Malformed("the body is not JSON: names and text take double quotes, not single ones")
    if re.search("truncated|surrogate", str(error)) and _SURROGATE.search(body):  # msgspec's words for half of a pair
        return Malformed("the body holds half of a surrogate pair (\\ud800 to \\udfff), which is no character")
    if at == 0:
        return Malformed("the body is not JSON: rows start with { or [")
    reason = _AT_BYTE.sub("", str(error)).removeprefix("JSON is malformed: ").strip().lower()
    return Malformed(f"the body is not JSON: {reason} at byte {at}")
