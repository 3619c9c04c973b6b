"""Every format that rows come in, by its short name; and which one a body is that does not say so.

A body is looked at in this order:
1. It starts with the magic of NumPy: ``npy``.
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
from tepal.wire import npy, utf8
from tepal.wire.csv import CsvReader
from tepal.wire.json import JsonReader
from tepal.wire.jsonlines import JsonLinesReader
from tepal.wire.npy import NpyReader
from tepal.wire.query import QueryReader


class Readers:
    """A reader of each format for one signature; made once when a model is loaded."""

    def __init__(self, signature: Signature):
        self._names = frozenset(signature.names)
        self.json = JsonReader(signature)
        self.csv = CsvReader(signature)
        self.jsonlines = JsonLinesReader(signature, self.json)
        self.npy = NpyReader(signature)
        self.query = QueryReader(signature)

    def read(self, format_: str | None, body: bytes, notes: Notes, strict: bool = False) -> Table:
        """A body of ``json``, ``jsonlines``, ``csv`` or ``npy`` as a Table; None: the bytes themselves tell which.

        Raises Malformed and Invalid, as each reader does.
        """
        if format_ is None:
            return self._look(body, notes, strict)
        reader: Any = getattr(self, format_)
        table: Table = reader.read(body, notes, strict)
        return table

    def _look(self, body: bytes, notes: Notes, strict: bool) -> Table:
        if body.startswith(npy.MAGIC):
            return self.npy.read(body, notes, strict)
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


def _lines_of_json(body: bytes) -> bool:
    first, *others = utf8.unmarked(body).strip().split(b"\n", 1)
    try:
        msgspec.json.decode(first, type=msgspec.Raw)
    except (msgspec.MsgspecError, RecursionError):
        return False
    return bool(others)
