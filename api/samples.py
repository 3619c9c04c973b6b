"""What a model may be asked, for examples: the row that its card shows, in each format, and what it answered to it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec
import numpy as np

from api.message import JSON
from api.negotiate import CSV
from tepal.manifest import Manifest
from tepal.prediction import Prediction, class_key
from tepal.wire import csv

_MOST_EXPECTED = 3  # rows whose answers are told one by one


def records(manifest: Manifest) -> list[dict[str, Any]]:
    """The rows of the example: one, or all of a sequence."""
    example = manifest.example
    moments = {column.name: column.dtype for column in manifest.signature.columns if column.type == "datetime"}
    return [
        {name: _moment(value, moments[name]) if name in moments else value for name, value in record.items()}
        for record in (example if isinstance(example, list) else [example])
    ]


def _moment(value: str | None, dtype: str) -> str | None:
    """A datetime as RFC 3339 has it: in full, with its zone; a day alone where training had days."""
    if value is None or dtype.endswith("[D]"):
        return value
    return f"{datetime.fromisoformat(value[:26]).isoformat()}Z"


def vectors(manifest: Manifest) -> list[list[Any]]:
    """The same rows in the signature's order."""
    names = manifest.signature.names
    return [[record[name] for name in names] for record in records(manifest)]


def vector(manifest: Manifest) -> list[Any]:
    """The first row as a vector. For a model of one column it is one row too."""
    return vectors(manifest)[0]


def split(manifest: Manifest) -> dict[str, Any]:
    """The rows as pandas' ``to_dict("split")``."""
    return {"columns": list(manifest.signature.names), "data": vectors(manifest)}


def csv_text(manifest: Manifest) -> str:
    """The rows as CSV with a header."""
    return csv.write_columns(dict(zip(manifest.signature.names, zip(*vectors(manifest))))).decode()


def prediction(manifest: Manifest) -> Prediction:
    """What the model answered to the example when it was published."""
    golden = manifest.golden
    answers, rows = (golden.together, len(golden.rows)) if golden.alone is None else (golden.alone, 1)
    values, chances = answers.predictions[:rows], (answers.probabilities or [])[:rows]
    several = len(manifest.outputs) > 1
    columns, matrices = [], []
    for output in manifest.outputs:
        column = np.empty(rows, dtype=object)
        column[:] = [value[output.name] if several else value for value in values]
        columns.append(column)
        keys = [class_key(label) for label in output.classes or ()]
        of_output = [row[output.name] if several else row for row in chances] if output.probabilities else []
        matrix = [[np.nan if row[key] is None else row[key] for key in keys] for row in of_output]
        matrices.append(np.array(matrix, dtype=np.float64) if matrix else None)
    return Prediction(manifest.outputs, columns, matrices)


def answer(manifest: Manifest) -> dict[str, Any]:
    """The same as the native routes say it, without the warnings that a sequence may get."""
    predicted = prediction(manifest)
    said = {"model": manifest.name, "version": str(manifest.version), "predictions": predicted.labels()}
    chances = predicted.class_probabilities()
    return said if chances is None else {**said, "probabilities": chances}


class Ask(NamedTuple):
    """One request with what to expect. expects: predictions by row, where it is answered; column: which one is missed."""

    name: str
    method: str
    path: str
    content_type: str = ""
    body: str = ""
    status: int = 200
    rows: int = 0
    expects: Mapping[int, Any] = MappingProxyType({})
    misses: str = ""


def asks(manifest: Manifest) -> list[Ask]:
    """What one may ask a model: its rows in several shapes, its card, and a request that is refused."""
    path, card = f"/models/{manifest.name}/predict", f"/models/{manifest.name}"
    rows, sequence = records(manifest), manifest.rows == "sequence"
    expected = dict(enumerate(answer(manifest)["predictions"]))
    last = dict(list(expected.items())[-_MOST_EXPECTED:])
    found = [
        Ask("Records", "POST", path, JSON, _json(rows), rows=len(rows), expects=last),
        Ask("CSV", "POST", path, CSV, csv_text(manifest), rows=len(rows), expects=last),
    ]
    if not sequence:
        batch, answers = manifest.golden.rows[:_MOST_EXPECTED], manifest.golden.alone
        names = manifest.signature.names
        matrix = [[record[name] for name in names] for record in batch]
        found[:1] = [
            Ask("A record", "POST", path, JSON, _json(rows[0]), rows=1, expects=last),
            Ask("A vector", "POST", path, JSON, _json(vector(manifest)), rows=1, expects=last),
            Ask(
                "A batch of vectors",
                "POST",
                path,
                JSON,
                _json(matrix),
                rows=len(batch),
                expects=dict(enumerate(answers.predictions[: len(batch)])) if answers else {},
            ),
        ]
    first, *others = manifest.signature.names
    missing = {name: rows[0][name] for name in others} or {f"{first}?": rows[0][first]}
    return [
        *found,
        Ask("The card", "GET", card),
        Ask("A column is missing", "POST", path, JSON, _json(missing), status=422, misses=first),
    ]


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
