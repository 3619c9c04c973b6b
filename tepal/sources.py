"""Rows from a file, a chunk at a time, so that a file of any length needs the memory of one chunk.

CSV, JSON lines and Parquet, by the file's extension; the text ones may be gzipped. A chunk is read as the body of a
request is, so that the same value gets the same answer.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from tepal.errors import FileError, Invalid, Malformed
from tepal.notes import Notes, quoted
from tepal.signature import Signature
from tepal.table import Table
from tepal.wire import csv, shapes, utf8
from tepal.wire.arrow import ArrowReader, pyarrow
from tepal.wire.formats import Readers

# A chunk ends where it has so many bytes of text or cells of Parquet, however few its rows: documents, wide tables.
CHUNK_BYTES = 4 * 1024 * 1024
CHUNK_CELLS = 500_000

# Characters of a cell, about as many as the service takes: a quote that is never closed would be a cell of all the rest.
MOST_CELL = 16 * 1024 * 1024

_STEP = 100  # rows between two looks at the bytes
_LINE_END = re.compile(r"\r\n|\r|\n")
_CUT_SHORT = (EOFError, zlib.error, gzip.BadGzipFile)

Kept = Mapping[str, Any]


class Request(NamedTuple):
    """What is asked of a file: its rows for one model.

    keep: names of columns to carry along. strict: unknown columns are refused.
    """

    path: Path
    signature: Signature
    readers: Readers
    keep: Sequence[str] = ()
    strict: bool = False


class Source(Protocol):
    """A file of rows, open. Each of its chunks has a length, in rows."""

    def chunks(self, most: int | None) -> Iterator[Any]:
        """The rows in order, at most so many at a time; all in one chunk where ``most`` is None.

        Raises Malformed, with the place, where the file cannot be read on, Invalid where it has no rows.
        """

    def read(self, chunk: Any, notes: Notes) -> tuple[Table, Kept]:
        """A chunk as a Table, and the columns to carry along: plain values, or arrays of Arrow.

        Raises Malformed and Invalid as the readers of ``tepal.wire``: rows count from the chunk's first.
        """

    def place(self, row: int) -> str:
        """Where a row of the file is, for a message."""

    def done(self) -> float:
        """How much of the file has been read, from 0 to 1."""

    def close(self) -> None: ...


@contextlib.contextmanager
def opened(request: Request) -> Iterator[Source]:
    """The rows of a file. Raises FileError where it cannot be opened, or is of no format that is read here."""
    kinds: dict[str, Callable[[Request], Source]]
    kinds = {"csv": CsvSource, "jsonlines": JsonLinesSource, "parquet": ParquetSource}
    kind = kinds[format_of(request.path)]
    if not request.path.is_file():
        raise FileError(f"there is no file {request.path}")
    try:
        source = kind(request)
    except OSError as error:
        raise FileError(f"{request.path} cannot be read: {error.strerror or error}") from None
    with contextlib.closing(source):
        yield source


def format_of(path: Path) -> str:
    """``csv``, ``jsonlines`` or ``parquet``, by the extension. Raises FileError for any other."""
    name = path.name.lower()
    formats = {".csv": "csv", ".jsonl": "jsonlines", ".ndjson": "jsonlines"}
    found = {**formats, ".parquet": "parquet", **{f"{ending}.gz": format_ for ending, format_ in formats.items()}}
    for ending, format_ in found.items():
        if name.endswith(ending):
            return format_
    raise FileError(f"the name {path.name!r} ends in no known format; it may be {', '.join(found)}")


class _Text:
    """What CSV and JSON lines share: bytes that may be gzipped, and where in them things are."""

    def __init__(self, request: Request):
        self._request = request
        self._size = max(1, request.path.stat().st_size)
        self._file = request.path.open("rb")
        self._gzipped = request.path.name.lower().endswith(".gz")
        self._stream = io.BufferedReader(gzip.GzipFile(fileobj=self._file)) if self._gzipped else self._file

    def done(self) -> float:
        return min(1.0, self._file.tell() / self._size)

    def close(self) -> None:
        self._stream.close()
        self._file.close()

    def _again(self) -> io.BufferedReader:
        """The file from its start, to find the place of something in it."""
        path = self._request.path
        return io.BufferedReader(gzip.GzipFile(path)) if self._gzipped else path.open("rb")

    def _start(self) -> None:
        start = self._stream.peek(4)
        if not start:
            raise Malformed("the file is empty")
        utf8.check_start(start)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except UnicodeDecodeError:
            with self._again() as lines:
                bad = next((number for number, line in enumerate(lines, 1) if not _is_utf8(line)), 0)
            raise Malformed(f"line {bad} is not UTF-8; save the file as UTF-8 (in Excel: CSV UTF-8)") from None
        except _CUT_SHORT:
            raise Malformed("the file is not a whole gzip") from None


class CsvSource(_Text):
    """CSV, with a header or without. A chunk is a list of records, each a list of cells."""

    def __init__(self, request: Request):
        super().__init__(request)
        self._csv = request.readers.csv
        self._limit = csv.limit_cells(MOST_CELL)
        self._header: list[str] | None = None

    def chunks(self, most: int | None) -> Iterator[list[list[str]]]:
        with self._explained():
            self._start()
            self._text = io.TextIOWrapper(self._stream, "utf-8-sig", newline="")  # to be kept: it closes what it reads
            records = self._records()
            first = next(records, None)
            if first is None:
                raise Malformed("the file is empty")
            self._header = self._csv.header(first)
            missing = [name for name in self._request.keep if name not in (self._header or ())]
            if missing:
                has = f"it has {', '.join(self._header[:20])}" if self._header else "its first line is no header"
                raise Invalid(f"there is no column {quoted(missing[0])} to keep; {has}")
            if self._header is None:
                records = chain([first], records)
            empty = True
            for chunk in _cut(records, most, self._stream.tell):
                empty = False
                yield chunk
            if empty:
                raise Invalid(csv.ONLY_A_HEADER)

    def read(self, chunk: list[list[str]], notes: Notes) -> tuple[Table, Kept]:
        keep = self._request.keep
        table = self._csv.table(self._header, chunk, notes, self._request.strict, beside=keep)
        places = [(name, (self._header or []).index(name)) for name in keep]
        return table, {name: [record[i] for record in chunk] for name, i in places}

    def close(self) -> None:
        csv.limit_cells(self._limit)
        super().close()

    def place(self, row: int) -> str:
        return f"row {row} (line {self._line(row + (self._header is not None))})"

    def _records(self) -> Iterator[list[str]]:
        try:
            yield from self._csv.records(self._text)
        except Malformed as error:
            why = str(error).removeprefix("the body is not CSV: ")
            raise Malformed(f"line {self._line(None)} is not CSV: {why}") from None

    def _line(self, record: int | None) -> int:
        """The line, from 1, at which a record starts; None: the one that cannot be read."""
        reached = last = 0

        def counted(text: io.TextIOWrapper) -> Iterator[str]:
            nonlocal reached
            for line in text:
                reached += 1
                yield line

        with io.TextIOWrapper(self._again(), "utf-8-sig", newline="") as text, contextlib.suppress(Malformed):
            for number, cells in enumerate(self._csv.records(counted(text))):
                if number == record:
                    return reached - sum(len(_LINE_END.findall(cell)) for cell in cells)
                last = reached
        return last + 1


class JsonLinesSource(_Text):
    """JSON lines. A chunk is a list of lines, of which none is empty."""

    _first: bytes | None = None

    def chunks(self, most: int | None) -> Iterator[list[bytes]]:
        with self._explained():
            self._start()
            if self._stream.peek(4).startswith(utf8.MARK):
                self._stream.read(len(utf8.MARK))
            empty = True
            for chunk in _cut((line for line in self._stream if not line.isspace()), most, self._stream.tell):
                b"".join(chunk).decode()  # msgspec skips over what no type asks for without looking at its encoding
                empty = False
                yield chunk
            if empty:
                raise Malformed("the file is empty")

    def read(self, chunk: list[bytes], notes: Notes) -> tuple[Table, Kept]:
        first, self._first = self._first, chunk[0].lstrip()[:1]
        if first not in (None, self._first) and {first, self._first} == {b"{", b"["}:
            raise Invalid("row 0 is a record or vector unlike the rows before; use records only or vectors only")
        keep, signature = self._request.keep, self._request.signature
        if not keep:
            return self._request.readers.jsonlines.table(chunk, notes, self._request.strict), {}
        items = self._request.readers.json.values(chunk)
        for row, item in enumerate(items):
            if not isinstance(item, dict):
                raise Invalid(f"row {row} is no record, so that it has no column {quoted(keep[0])} to keep")
        missing = [name for name in keep if first is None and not any(name in item for item in items)]
        if missing:
            raise Invalid(f"there is no column {quoted(missing[0])} to keep; row 0 has {', '.join(list(items[0])[:20])}")
        kept = {name: [item.get(name) for item in items] for name in keep}
        beside = {*keep} - {*signature.names}
        items = [{name: value for name, value in item.items() if name not in beside} for item in items]
        return shapes.table_of_items(signature, items, notes, self._request.strict), kept

    def place(self, row: int) -> str:
        with self._again() as stream:
            numbers = (number for number, line in enumerate(stream, 1) if not line.isspace())
            return f"row {row} (line {next(islice(numbers, row, None))})"


class ParquetSource:
    """Parquet. A chunk is one of Arrow's record batches."""

    def __init__(self, request: Request):
        pa = pyarrow()
        from pyarrow import parquet

        self._request = request
        self._reader = ArrowReader(request.signature)
        try:
            # Without a buffer of this size a column of a whole row group would be in memory.
            self._file = parquet.ParquetFile(request.path, buffer_size=64 * 1024, pre_buffer=False)
        except pa.ArrowInvalid:
            raise Malformed(f"{request.path}: the file is not Parquet, or was cut short") from None
        self._rows: int = self._file.metadata.num_rows
        self._seen = 0

    def chunks(self, most: int | None) -> Iterator[Any]:
        if not self._rows:
            raise Invalid("there are no rows to predict")
        names = self._file.schema_arrow.names
        missing = [name for name in self._request.keep if name not in names]
        if missing:
            raise Invalid(f"there is no column {quoted(missing[0])} to keep; it has {', '.join(names[:20])}")
        wanted = [name for name in names if name in {*self._request.signature.names, *self._request.keep}]
        pa = pyarrow()
        try:
            if most is None:
                yield from self._file.read(columns=wanted, use_threads=False).combine_chunks().to_batches()
                return
            size = max(1, min(most, CHUNK_CELLS // max(1, len(wanted))))
            for batch in self._file.iter_batches(size, columns=wanted, use_threads=False):
                self._seen += len(batch)
                yield batch
        except (pa.ArrowException, OSError) as error:
            raise Malformed(f"the file is damaged: {str(error).splitlines()[0][:200]}") from None

    def read(self, chunk: Any, notes: Notes) -> tuple[Table, Kept]:
        keep = self._request.keep
        names = self._file.schema_arrow.names
        rows = pyarrow().Table.from_batches([chunk])
        table = self._reader.table(rows, notes, self._request.strict, beside=keep, left_out=names)
        return table, {name: chunk.column(name) for name in keep}

    def place(self, row: int) -> str:
        return f"row {row}"

    def done(self) -> float:
        return self._seen / self._rows

    def close(self) -> None:
        self._file.close()


def _cut(rows: Iterator[Any], most: int | None, read: Callable[[], int]) -> Iterator[list[Any]]:
    """The rows in lists of at most ``most``, shorter where a list has ``CHUNK_BYTES``. read: how many bytes were."""
    while True:
        before, chunk = read(), list(islice(rows, most if most is None else min(most, _STEP)))
        if not chunk:
            return
        while most is not None and len(chunk) < most and read() - before < CHUNK_BYTES:
            more = list(islice(rows, min(most - len(chunk), _STEP)))
            if not more:
                break
            chunk += more
        yield chunk


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True
