"""CSV to a Table, and predictions to CSV (RFC 4180; any line end; the delimiter is a comma).

The first line is a header when any of its cells is a column's name, or when none of them fits its column's type.
Everything is text here, so a cell is read as its column's type (``cells.from_text``) and an empty one is null.
Empty lines are skipped, but for a model of one column, where each is an empty cell.
"""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from tepal.errors import BadCells, Invalid, Malformed
from tepal.notes import Notes, quoted
from tepal.prediction import Prediction, class_key
from tepal.signature import Column, Signature
from tepal.table import Table
from tepal.wire import cells, columns, head, shapes, utf8
from tepal.wire.cells import MISSING

# A cell may be as long as the body: JSON has no limit of its own either. Python's default is 128 KiB.
csv.field_size_limit(2**31 - 1)

Rows = list[list[str]]

ONLY_A_HEADER = "there are no rows to predict; the first line was read as a header"

# How JSON reads a column of numbers, and what such a column is made of: no word is, neither nan nor null.
_QUICK: dict[str, tuple[bytes, Callable[[bytes], list[Any]]]] = {
    "number": (b"0123456789+-.eE, \t", msgspec.json.Decoder(list[float | None]).decode),
    "integer": (b"0123456789+-, \t", msgspec.json.Decoder(list[int | None]).decode),
}


def limit_cells(characters: int) -> int:
    """Let no cell be longer, in this process; return the limit that was. A longer one makes the rows no CSV."""
    return csv.field_size_limit(characters)


class CsvReader:
    """Reads CSV bodies against one signature."""

    def __init__(self, signature: Signature):
        self._signature = signature

    def read(self, body: bytes, notes: Notes, strict: bool = False) -> Table:
        """The rows of a CSV body as a Table.

        notes: gets a warning for each unknown column; with ``strict`` they are refused instead.
        Raises Malformed where the bytes are no CSV, Invalid where they are not what the signature says.
        """
        text = utf8.decoded(utf8.unmarked(body))
        if not text.strip(" \t\r\n"):
            raise Malformed("the body is empty; send the rows as CSV")
        for part in head.of_lines(text, "\n"):
            with contextlib.suppress(Malformed):
                self._refuse_early(part, strict)
        return self._table(self._split(text), notes, strict)

    def _refuse_early(self, part: str, strict: bool) -> None:
        rows = self._split(part)
        if len(rows) < 2:
            return  # a header, if that
        try:
            self._table(rows, Notes(), strict)
        except Invalid as error:
            head.refuse_early(error)

    def _split(self, text: str) -> Rows:
        return list(self.records(io.StringIO(text, newline="")))

    def _table(self, rows: Rows, notes: Notes, strict: bool) -> Table:
        header = self.header(rows[0])
        if header is None:
            return self.table(None, rows, notes, strict)
        if len(rows) == 1:
            raise Invalid(ONLY_A_HEADER)
        return self.table(header, rows[1:], notes, strict)

    def records(self, lines: Iterable[str]) -> Iterator[list[str]]:
        """The cells of each record, header and all. lines: each with its own end, which may be within a record.

        Raises Malformed at the record that is no CSV.
        """
        rows = csv.reader(lines, strict=True)
        try:
            if len(self._signature.names) == 1:
                yield from (row or [""] for row in rows)
            else:
                yield from filter(None, rows)
        except csv.Error as error:
            raise Malformed(f"the body is not CSV: {error}") from None

    def header(self, first: Sequence[str]) -> list[str] | None:
        """The names in the first record; None where that is a row. Raises Invalid where it can be neither."""
        mark = next((mark for mark in ";\t|" if mark in first[0]), "")
        if mark and len(first) == 1 < len(self._signature.names):
            raise Invalid(f"the cells of the first line are separated by {mark!r}; send commas")
        header = _header(self._signature, first)
        if header is not None:
            _check_header(header)
        return header

    def table(
        self, header: Sequence[str] | None, rows: Rows, notes: Notes, strict: bool = False, beside: Container[str] = ()
    ) -> Table:
        """The rows under a header as a Table, at least one. beside: unknown columns that nobody needs to be told of.

        Raises Invalid as ``read``.
        """
        names = self._signature.names
        if header is None:
            _check_widths(rows, len(names), f"the model takes {len(names)} values ({', '.join(names[:20])})")
            named = dict(zip(names, zip(*rows)))
        else:
            _check_widths(rows, len(header), f"the header has {len(header)}")
            named = dict(zip(header, zip(*rows)))
        unknown = [name for name in named if name not in names and name not in beside]
        missing = (MISSING,) * len(rows)
        read = [_values(column, named.get(column.name, missing)) for column in self._signature.columns]
        return shapes.table_of_columns(self._signature, read, unknown, notes, strict)


def _header(signature: Signature, first: Sequence[str]) -> list[str] | None:
    """The names in the first line; None where that is a row."""
    names = set(signature.names)
    stripped = [cell if cell in names else cell.strip(" \t") for cell in first]
    if not names.isdisjoint(stripped):
        return stripped
    filled = [(column, cell) for column, cell in zip(signature.columns, first) if cell.strip(" \t")]
    return None if any(_fits(column, cell) for column, cell in filled) or not any(map(str.strip, first)) else stripped


def _fits(column: Column, cell: str) -> bool:
    try:
        cells.read(column, cells.from_text(column, cell))
    except cells.Unfit:
        return False
    except Malformed:
        return True  # it is a number, though one that is refused
    return True


def _check_header(header: Sequence[str]) -> None:
    seen: set[str] = set()
    for name in header:
        if name in seen:
            raise Invalid(f"the header names {quoted(name)} more than once")
        seen.add(name)


def _check_widths(rows: Rows, width: int, wanted: str) -> None:
    if {*map(len, rows)} == {width}:
        return
    bad = BadCells()
    for row, values in enumerate(rows):
        if len(values) != width:
            got = shapes.count_of(values)
            bad.add(f"row {row} has {got}, {wanted}", row=row, expected=f"{width} values", got=got)
            if bad.full:
                bad.count(sum(len(others) != width for others in rows[row + 1 :]))
                break
    bad.raise_any()


def _values(column: Column, texts: Sequence[Any]) -> Sequence[Any]:
    """One column's JSON values. texts: all of them ``str``, or all MISSING."""
    if texts[0] is MISSING:
        return texts
    if column.type == "string":
        return [text or None for text in texts]
    if column.type in _QUICK:
        made_of, decode = _QUICK[column.type]
        joined = ",".join(texts)
        if joined.isascii() and not joined.encode().translate(None, made_of):
            joined = ",".join([text or "null" for text in texts]) if "" in texts else joined
            with contextlib.suppress(msgspec.MsgspecError):
                values = decode(b"[%s]" % joined.encode())
                if len(values) == len(texts):  # every cell is one value at least; one with a comma of its own is more
                    return values
    meant = {text: cells.from_text(column, text) for text in dict.fromkeys(texts)}  # the first bad one is the one to name
    return [meant[text] for text in texts]


def write(prediction: Prediction, probabilities: bool = True, header: bool = True) -> bytes:
    """UTF-8 lines that end in ``\\n``: the predictions, then the probabilities of each class.

    The columns are ``prediction`` and ``probability_<class>``; of several outputs ``<output>`` and
    ``probability_<output>_<class>``. No answer is an empty cell, in quotes where the line would be empty.
    """
    return write_columns(columns.of(prediction, probabilities), header)


def write_columns(named: Mapping[str, Sequence[Any]], header: bool = True) -> bytes:
    """Columns of plain values by their names, at least one row, as ``write`` writes them."""
    written = io.StringIO(newline="")
    writer = csv.writer(written, lineterminator="\n")
    if header:
        writer.writerow(named)
    writer.writerows(zip(*map(_texts, named.values())))
    return written.getvalue().encode()


def _texts(values: Sequence[Any]) -> Sequence[str]:
    kinds = set(map(type, values))
    if kinds == {str}:
        return values
    if kinds <= {int, float, bool}:  # one call for all of them
        return msgspec.json.encode(values)[1:-1].decode().split(",")
    return ["" if value is None else class_key(value) for value in values]
