"""Parquet (https://parquet.apache.org/docs/file-format/) to a Table, and predictions to it.

What the headers of the pages say of sizes is looked at first: only then is anything inflated, and never more than may be.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from tepal.errors import Invalid, Malformed
from tepal.notes import Notes, quoted
from tepal.prediction import Prediction
from tepal.signature import Signature
from tepal.table import Table
from tepal.wire import arrow, thrift
from tepal.wire.arrow import ArrowReader
from tepal.wire.room import CELL, DEFAULT_MB, Room
from tepal.wire.thrift import field

MAGIC = b"PAR1"  # at both ends
_ENCRYPTED = b"PARE"
_BROKEN = "the body is no whole Parquet file"

# Each costs as much as many rows.
_MOST_PAGES = 10_000
_MOST_FOOTER = 1024 * 1024  # bytes, which are read in Python

# Fields by their numbers (parquet.thrift): of the footer, a group of rows, a column in it, what is said of that.
_GROUPS = 4
_COLUMNS, _ROWS = 1, 3
_META = 3
_VALUES, _LENGTH, _FIRST_PAGE, _FIRST_DICTIONARY = 5, 7, 9, 11

# Of a page's header.
_INFLATED, _STORED, _DATA_PAGE, _DATA_PAGE_2 = 2, 3, 5, 8
_ENCODING = {_DATA_PAGE: 2, _DATA_PAGE_2: 4}

# Encodings whose values are no more than the page has bytes, or than there are rows: the others repeat parts of texts, or
# say a count of texts that is believed.
_PLAIN, _PLAIN_DICTIONARY, _RLE, _DELTA_BINARY_PACKED, _RLE_DICTIONARY, _BYTE_STREAM_SPLIT = 0, 2, 3, 5, 8, 9
_BOUNDED = (_PLAIN, _PLAIN_DICTIONARY, _RLE, _DELTA_BINARY_PACKED, _RLE_DICTIONARY, _BYTE_STREAM_SPLIT)


class ParquetReader:
    """Reads Parquet files, whole in memory, against one signature."""

    def __init__(self, signature: Signature):
        self._arrow = ArrowReader(signature)

    def read(self, body: bytes, notes: Notes, strict: bool = False, most_mb: int = DEFAULT_MB) -> Table:
        """All rows of a file as a Table.

        notes: gets a warning for each unknown column; with ``strict`` they are refused instead.
        Raises NotInstalled without pyarrow, Malformed where the bytes are no whole file, TooLarge where they inflate to
        more than ``most_mb`` MiB, Invalid where they are not what the signature says.
        """
        pa = arrow.pyarrow()
        if not body:
            raise Malformed("the body is empty; send a Parquet file")
        if body.endswith(_ENCRYPTED):
            raise Malformed("the file is encrypted, and there is no key here")
        if not (body.startswith(MAGIC) and body.endswith(MAGIC)) or len(body) < 12:
            raise Malformed(_BROKEN)
        try:
            rows, names = self._rows(pa, body, most_mb)
        except (pa.ArrowException, OSError, ValueError):  # ValueError: a name that is not UTF-8
            raise Malformed(_BROKEN) from None
        return self._arrow.table(rows, notes, strict, left_out=names, most_mb=most_mb)

    def _rows(self, pa: Any, body: bytes, most_mb: int) -> tuple[Any, list[str]]:
        from pyarrow import parquet

        groups = _groups(memoryview(body))
        said = parquet.read_metadata(pa.BufferReader(body))
        schema = said.schema.to_arrow_schema()
        wanted = self._arrow.wanted(schema)
        rows = max(said.num_rows, sum(group.rows for group in groups))
        if not rows:
            raise Invalid("there are no rows to predict")
        Room(most_mb).take(rows * max(1, len(wanted)) * CELL)
        room, pages = Room(most_mb), 0
        for name, place in _places(said.schema, wanted).items():
            for size in _sizes(memoryview(body), groups, place, name):
                room.take(size)
                pages += 1
                if pages > _MOST_PAGES:
                    raise Invalid(f"the file has more than {_MOST_PAGES} pages; write it with larger ones")
        # Texts are left in their dictionary: written out, a few bytes could stand for any number of long ones.
        file = parquet.ParquetFile(pa.BufferReader(body), metadata=said, read_dictionary=wanted, pre_buffer=False)
        return file.read(columns=wanted, use_threads=False), schema.names


class _Chunk(NamedTuple):
    """A column's pages: where they begin and end, and how many values are read of them."""

    start: int
    stop: int
    values: int


class _Group(NamedTuple):
    """A group of rows, and what each column has of it."""

    rows: int
    columns: list[_Chunk]


def _groups(body: memoryview) -> list[_Group]:
    """The groups that the footer tells of. pyarrow's own objects for them can end the process (26.0)."""
    (length,) = struct.unpack_from("<I", body, len(body) - 8)
    if length > _MOST_FOOTER:
        raise Invalid("the file has a footer of more than 1 MiB; write it with fewer groups of rows")
    start = len(body) - 8 - length
    if start < len(MAGIC):
        raise Malformed(_BROKEN)
    footer, _ = thrift.struct(body[: len(body) - 8], start)
    return [_group(group, start) for group in field(footer, _GROUPS, list)]


def _group(group: Any, end: int) -> _Group:
    """end: where the columns end, and the footer begins."""
    rows = field(group, _ROWS, int)
    if rows < 0:
        raise Malformed(_BROKEN)
    return _Group(rows, [_chunk(field(column, _META, dict), rows, end) for column in field(group, _COLUMNS, list)])


def _chunk(column: dict[int, Any], rows: int, end: int) -> _Chunk:
    start, values = field(column, _FIRST_PAGE, int), field(column, _VALUES, int)
    if not rows and not values:
        return _Chunk(0, 0, 0)  # where it would be, nobody looks
    if _FIRST_DICTIONARY in column and 0 < (dictionary := field(column, _FIRST_DICTIONARY, int)) < start:
        start = dictionary
    stop = start + field(column, _LENGTH, int)
    if not 0 < start <= stop <= end:
        raise Malformed(_BROKEN)
    return _Chunk(start, stop, values)


def _places(schema: Any, wanted: list[str]) -> dict[str, int]:
    """Which of the file's columns each name is. Raises Invalid where it could be several."""
    found: dict[str, int] = {}
    paths = [schema.column(place).path for place in range(len(schema))]
    for name in wanted:
        fitting = [place for place, path in enumerate(paths) if path == name or path.startswith(f"{name}.")]
        if len(fitting) != 1:
            raise Invalid(f"the column {quoted(name)} is there more than once")
        found[name] = fitting[0]
    return found


def _sizes(body: memoryview, groups: list[_Group], place: int, name: str) -> Iterator[int]:
    """How many bytes each page of a column becomes. Raises Malformed where one is not where the file says."""
    for group in groups:
        if place >= len(group.columns) or group.columns[place].values != group.rows:
            raise Malformed(_BROKEN)
        at, end, _ = group.columns[place]
        while at < end:
            header, at = thrift.struct(body[:end], at)
            _check_encoding(header, name)
            stored, inflated = field(header, _STORED, int), field(header, _INFLATED, int)
            if stored < 0 or inflated < 0:
                raise Malformed(_BROKEN)
            at += stored
            yield inflated


def _check_encoding(header: dict[int, Any], name: str) -> None:
    for kind, encoding in _ENCODING.items():
        if kind in header and field(header[kind], encoding, int) not in _BOUNDED:
            raise Invalid(
                f"column {quoted(name)} is written in an encoding whose size cannot be told before; "
                "write it as PLAIN or with a dictionary"
            )


def write(prediction: Prediction, probabilities: bool = True, about: Mapping[str, str] = {}) -> bytes:
    """A file of one row group: ``prediction``, then ``probability_<class>`` each; of several outputs as CSV has them.

    Labels are as trained, null is no answer. about: what its schema says of itself.
    """
    pa = arrow.pyarrow()
    from pyarrow import parquet

    batch = arrow.answer(prediction, probabilities, about)
    written = pa.BufferOutputStream()
    parquet.write_table(pa.Table.from_batches([batch]), written)
    data: bytes = written.getvalue().to_pybytes()
    return data
