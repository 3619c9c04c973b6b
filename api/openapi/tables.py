"""Rows as CSV, described by a pattern: a header in the model's order, then a row a line, as plainly as it can be written."""

from __future__ import annotations

import re
from typing import Any

from tepal.manifest import Manifest
from tepal.signature import Column
from tepal.wire.csv import write_columns

_CELLS = {
    "number": r"-?[0-9]{1,17}(\.[0-9]{1,17})?(e-?[0-9]{1,2})?",
    "integer": "[0-9]{1,18}",
    "boolean": "(true|false)",
    "string": r'("([^"]|"")+"|[^",\r\n]+)',
    "datetime": "(19|20)[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])(T([01][0-9]|2[0-3])(:[0-5][0-9]){2}Z)?",
}


def has_schema(manifest: Manifest) -> bool:
    """Whether a text can be told from such a table: of one column, nearly any text is one."""
    return len(manifest.signature.columns) > 1


def csv(manifest: Manifest) -> dict[str, Any]:
    """The schema of a CSV body."""
    header = _escaped(",".join(map(_quoted, manifest.signature.names)))
    row = ",".join(map(_cell, manifest.signature.columns))
    return {
        "type": "string",
        "description": "Columns in any order; without a header in the model's order. An empty cell is null.",
        "pattern": f"^{header}(\n{row})+\n?$".replace("\n", "\\n"),
    }


def _cell(column: Column) -> str:
    pattern = _CELLS[column.type]
    if column.categories is not None and column.unseen == "refuse":
        pattern = f"({'|'.join(_escaped(_quoted(category)) for category in column.categories)})"
    if column.type == "integer" and column.dtype != "uint64":
        pattern = f"-?{pattern}"
    if column.type == "datetime" and column.dtype.endswith("[D]"):
        pattern = pattern.partition("(T")[0]
    return f"({pattern})?" if column.nullable else pattern


def _quoted(text: str) -> str:
    """A cell as CSV has it."""
    return write_columns({"cell": [text]}, header=False).decode().rstrip("\n")


def _escaped(text: str) -> str:
    """A text as a pattern; fewer signs are escaped than by ``re.escape``, since ECMAScript takes no others."""
    return re.sub(r"([\\^$.*+?()\[\]{}|/])", r"\\\1", text)
