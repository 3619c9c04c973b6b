"""A query string's keys and values to a Table: each key a column, each repetition a row.

Everything is text here, so a value is read as its column's type (``cells.from_text``) and an empty one is null.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tepal.errors import Invalid
from tepal.notes import Notes
from tepal.signature import Signature
from tepal.table import Table
from tepal.wire import cells, shapes
from tepal.wire.cells import MISSING


class QueryReader:
    """Reads query strings against one signature."""

    def __init__(self, signature: Signature):
        self._signature = signature
        self._names = frozenset(signature.names)

    def read(
        self, query: Mapping[str, Sequence[str]], notes: Notes, strict: bool = False, options: Iterable[str] = ()
    ) -> Table:
        """The rows of a query as a Table. A key given once holds for every row.

        query: every value of each key, decoded. options: keys that mean something else, unless they are columns.
        notes: gets a warning for each unknown key; with ``strict`` they are refused instead.
        Raises Malformed for a number that float64 cannot hold, Invalid where the rows are not what the signature says.
        """
        names = self._signature.names
        given = {name: query[name] for name in names if query.get(name)}
        unknown = [name for name in query if name not in self._names and name not in options]
        if not given and not unknown:
            raise Invalid(f"the query has no columns; it takes {', '.join(names[:20])}")
        many = {name: len(values) for name, values in given.items() if len(values) > 1}
        if len(set(many.values())) > 1:
            (short, few), (long, most) = min(many.items(), key=_second), max(many.items(), key=_second)
            raise Invalid(
                f"'{short}' is given {few} times, '{long}' {most} times; repeat a column once a row, or give it once for all"
            )
        rows = max(many.values(), default=1)
        columns: list[Sequence[Any]] = []
        for column in self._signature.columns:
            texts = given.get(column.name)
            values = [MISSING] if texts is None else [cells.from_text(column, text) for text in texts]
            columns.append(values if len(values) == rows else values * rows)
        return shapes.table_of_columns(self._signature, columns, unknown, notes, strict)


def _second(pair: tuple[str, int]) -> int:
    return pair[1]
