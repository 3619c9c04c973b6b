"""Every format that rows come in, by its short name; and which one a body is that does not say so.

A body is looked at in this order:
1. It starts with the magic of NumPy, of Parquet or of an Arrow stream: ``npy``, ``parquet``, ``arrow``.
2. It starts with ``{`` or ``[``: ``json``; where it is no JSON but its first line alone is, ``jsonlines``.
3. Its first line holds a comma or is a column's name, or the model has one column and there are several lines: ``csv``.
4. Anything else is read as JSON, which says what is wrong with it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from tepal.errors import Malformed
from tepal.notes import Notes
from tepal.signature import Signature
from tepal.table import Table
from tepal.wire import arrow_stream, npy, parquet, utf8
from tepal.wire.arrow_stream import ArrowStreamReader
from tepal.wire.csv import CsvReader
from tepal.wire.inference import TensorReader
from tepal.wire.json import JsonReader
from tepal.wire.jsonlines import JsonLinesReader
from tepal.wire.npy import NpyReader
from tepal.wire.parquet import ParquetReader
from tepal.wire.query import QueryReader
from tepal.wire.room import DEFAULT_MB

_MAGIC = {npy.MAGIC: "npy", parquet.MAGIC: "parquet", arrow_stream.MAGIC: "arrow"}


class Readers:
    """A reader of each format for one signature; made once when a model is loaded."""

    def __init__(self, signature: Signature):
        self._names = frozenset(signature.names)
        self.json = JsonReader(signature)
        self.csv = CsvReader(signature)
        self.jsonlines = JsonLinesReader(signature, self.json)
        self.npy = NpyReader(signature)
        self.arrow = ArrowStreamReader(signature)
        self.parquet = ParquetReader(signature)
        self.query = QueryReader(signature)
        self.tensors = TensorReader(signature, self.npy)

    def read(self, format_: str | None, body: bytes, notes: Notes, strict: bool = False, most_mb: int = DEFAULT_MB) -> Table:
        """A body of ``json``, ``jsonlines``, ``csv``, ``npy``, ``arrow`` or ``parquet`` as a Table.

        None: the bytes themselves tell which. most_mb: MiB that the last two may inflate to.
        Raises Malformed, Invalid, TooLarge and NotInstalled, as each reader does.
        """
        if format_ is None:
            format_ = by_magic(body)
        if format_ is None:
            return self._look(body, notes, strict)
        reader: Any = getattr(self, format_)
        if format_ in ("arrow", "parquet"):
            columns: Table = reader.read(body, notes, strict, most_mb)
            return columns
        table: Table = reader.read(body, notes, strict)
        return table

    def _look(self, body: bytes, notes: Notes, strict: bool) -> Table:
        start = utf8.unmarked(body[:256]).lstrip()
        if start[:1] in (b"{", b"["):
            try:
                return self.json.read(body, notes, strict)
            except Malformed:
                if not _lines_of_json(body):
                    raise
                return self.jsonlines.read(body, notes, strict)
        return (self.csv if self._is_csv(body) else self.json).read(body, notes, strict)

    def _is_csv(self, body: bytes) -> bool:
        text = utf8.unmarked(body).strip()
        first, *others = text.split(b"\n", 1)
        if len(self._names) == 1 and others:
            return True
        return b"," in first or first.strip(b' \t\r"').decode(errors="replace") in self._names


def by_magic(body: bytes) -> str | None:
    """The format of a body that begins as only that one does; None for text."""
    return next((format_ for magic, format_ in _MAGIC.items() if body.startswith(magic)), None)


def _lines_of_json(body: bytes) -> bool:
    first, *others = utf8.unmarked(body).strip().split(b"\n", 1)
    try:
        msgspec.json.decode(first, type=msgspec.Raw)
    except (msgspec.MsgspecError, RecursionError):
        return False
    return bool(others)
