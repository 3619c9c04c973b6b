"""Golden rows: chosen and answered at publish, replayed before a version may serve."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

import msgspec
import numpy as np
from threadpoolctl import threadpool_limits

from tepal.errors import ArtifactError, TepalError
from tepal.manifest import Answers, Golden
from tepal.notes import Notes
from tepal.prediction import Prediction, same
from tepal.signature import Signature, is_missing
from tepal.table import Table
from tepal.wire.json import JsonReader

# Another machine's numpy may round a last digit otherwise; a wrong model is off by far more.
TOLERANCE = 1e-9
# Enough for an extreme, a null and a typical row of most tables, few enough to replay at every start.
MAX_ROWS = 32


class Runtime(Protocol):
    """What answers a table."""

    def predict(self, table: Table, probabilities: bool = True, /) -> Prediction: ...


Ask = Callable[[list[dict[str, Any]]], Answers]


def extremes(table: Table, most: int) -> list[int]:
    """Indices of at most ``most`` rows that show what a table holds: extremes and nulls, and rows spread evenly."""
    chosen: dict[int, None] = {}
    for column, array in zip(table.signature.columns, table.columns):
        missing = np.array([is_missing(value) for value in array])
        present = np.flatnonzero(~missing)
        chosen.update(dict.fromkeys(np.flatnonzero(missing)[:1].tolist()))
        if present.size and column.type in ("number", "integer", "datetime"):
            chosen.update(dict.fromkeys((int(present[array[present].argmin()]), int(present[array[present].argmax()]))))
    spread = np.linspace(0, len(table) - 1, min(len(table), most), dtype=int).tolist()
    return sorted(list(dict.fromkeys([*chosen, *spread]))[:most])


def choose(table: Table, answers: Sequence[Any], rows: str, history: int = 0) -> list[int]:
    """Indices of the golden rows: the first row of each answer, then the extremes.

    A sequence model gets the last rows of the training data, in order, with the ``history`` that they need.
    """
    if rows == "sequence":
        return list(range(max(0, len(table) - history - MAX_ROWS), len(table)))
    first_of = {msgspec.json.encode(answer): i for i, answer in reversed(list(enumerate(answers)))}
    chosen = dict.fromkeys([*sorted(first_of.values())[: MAX_ROWS // 4], *extremes(table, MAX_ROWS)])
    return sorted(list(chosen)[:MAX_ROWS])


def record(signature: Signature, runtime: Runtime, rows: list[dict[str, Any]], kind: str, scale: float) -> Golden:
    """Answer the golden rows by the way that a request takes. rows: records, at least one."""
    reader = JsonReader(signature)
    ask = partial(_together, reader, runtime)
    with threadpool_limits(1):  # as it will be served
        return Golden(rows, None if kind == "sequence" else _alone(ask, rows), ask(rows), scale)


def replay(signature: Signature, runtime: Runtime, golden: Golden) -> None:
    """Answer the golden rows again, in the shapes in which they were recorded.

    Raises ArtifactError with the row, what was expected and what came, where an answer is not the same.
    """
    reader = JsonReader(signature)
    try:
        with threadpool_limits(1):  # a thread started here would be dead after the fork of a worker
            check(golden, partial(_together, reader, runtime))
    except ArtifactError:
        raise
    except TepalError as error:
        raise ArtifactError(f"the self-test failed: {error}") from error


def check(golden: Golden, ask: Ask) -> None:
    """Compare what is answered now with what was recorded: the rows alone, and all together.

    ask: answers rows given as records, one answer each. Raises as ``replay``.
    """
    if golden.alone is not None:
        _compare(golden, golden.alone, _alone(ask, golden.rows), "alone")
    _compare(golden, golden.together, ask(golden.rows), "in a batch")


def body(golden: Golden) -> bytes:
    """The golden rows as a client would send them."""
    return msgspec.json.encode(golden.rows)


def _together(reader: JsonReader, runtime: Runtime, rows: list[dict[str, Any]]) -> Answers:
    prediction = runtime.predict(reader.read(msgspec.json.encode(rows), Notes()))
    return Answers(prediction.labels(), prediction.class_probabilities())


def _alone(ask: Ask, rows: list[dict[str, Any]]) -> Answers:
    each = [ask([row]) for row in rows]
    chances = [chance for answers in each if answers.probabilities for chance in answers.probabilities]
    return Answers([answers.predictions[0] for answers in each], chances or None)


def _compare(golden: Golden, expected: Answers, got: Answers, how: str) -> None:
    pairs = [("prediction", expected.predictions, got.predictions, golden.scale)]
    if expected.probabilities is not None:
        pairs.append(("probabilities", expected.probabilities, got.probabilities or [], 1.0))
    for what, wanted, came, scale in pairs:
        if len(wanted) != len(came) or len(wanted) != len(golden.rows):
            raise ArtifactError(f"the self-test got {len(came)} {what}, expected {len(wanted)}")
        for row, (expected_one, got_one) in enumerate(zip(wanted, came)):
            if not same(expected_one, got_one, scale, TOLERANCE):
                raise ArtifactError(
                    f"golden row {row} ({how}) is not answered as recorded: "
                    f"{what} expected {_json(expected_one)}, got {_json(got_one)}"
                )


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()[:200]
