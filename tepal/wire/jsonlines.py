"""JSON lines to a Table, and predictions to JSON lines: one JSON value a line (https://jsonlines.org).

Each line is one row, a record or a vector; the body is read as the JSON list of its lines would be.
Empty lines are skipped.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec

from tepal.errors import Invalid, Malformed
from tepal.notes import Notes
from tepal.prediction import Prediction
from tepal.signature import Signature
from tepal.table import Table
from tepal.wire import head, shapes, utf8
from tepal.wire.json import JsonReader

_EMPTY_LINES = re.compile(rb"\n\s*\n")


class JsonLinesReader:
    """Reads JSON lines against one signature, through its reader of JSON."""

    def __init__(self, signature: Signature, json: JsonReader):
        self._signature = signature
        self._json = json

    def read(self, body: bytes, notes: Notes, strict: bool = False) -> Table:
        """One row a line as a Table.

        notes: gets a warning for each unknown column; with ``strict`` they are refused instead.
        Raises Malformed where a line is no JSON, Invalid where the rows are not what the signature says.
        """
        body = utf8.unmarked(body)
        utf8.check(body)
        body = body.strip()
        if not body:
            raise Malformed("the body is empty; send a record or a vector a line")
        for part in head.of_lines(body, b"\n"):
            with contextlib.suppress(Malformed):
                self._refuse_early(part, strict)
        return self._table(body, notes, strict)

    def _refuse_early(self, part: bytes, strict: bool) -> None:
        try:
            self._table(part.strip(), Notes(), strict)
        except Invalid as error:
            head.refuse_early(error)

    def _table(self, body: bytes, notes: Notes, strict: bool) -> Table:
        return self.table(_EMPTY_LINES.sub(b"\n", body).split(b"\n"), notes, strict)

    def table(self, lines: Sequence[bytes], notes: Notes, strict: bool = False) -> Table:
        """The Table of lines of which none is empty, at least one. They are known to be UTF-8. Raises as ``read``."""
        if (table := self._json.fast_lines(lines)) is not None:
            return table
        return shapes.table_of_items(self._signature, self._json.values(lines), notes, strict)


def write(
    prediction: Prediction,
    probabilities: bool = True,
    notes: Notes | None = None,
    beside: Mapping[str, Sequence[Any]] = MappingProxyType({}),
) -> bytes:
    """One ``{"prediction": …, "probabilities": …}`` a line; no answer is null.

    notes: gets a warning for each answer that is no finite number. beside: columns to write before them.
    """
    chances = prediction.class_probabilities(notes) if probabilities else None
    rows: list[dict[str, Any]] = [{"prediction": label} for label in prediction.labels(notes)]
    if beside:
        rows = [{**dict(zip(beside, values)), **row} for values, row in zip(zip(*beside.values()), rows)]
    for row, chance in zip(rows, chances or ()):
        row["probabilities"] = chance
    return msgspec.json.Encoder().encode_lines(rows)
