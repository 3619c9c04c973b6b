"""Runs the compiled form of an estimator, and the estimator itself where the form declines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tepal.prediction import Output, Prediction
from tepal.runtime.compiled import entry, forms
from tepal.runtime.compiled.forms import Last, NotCompilable, Predictor, Rows
from tepal.runtime.sklearn import SklearnRuntime, columns_of, matrices_of
from tepal.signature import Signature
from tepal.table import Array, Table

Answer = tuple[list[Array], Sequence[Array | None]]


class Form:
    """A compiled estimator: from a table to one array an output, as ``Prediction`` holds them.

    It holds arrays of the estimator's own and changes nothing, so that several threads may call it, and a fork may.
    """

    def __init__(self, estimator: Any, signature: Signature, outputs: Sequence[Output]):
        """outputs: as the manifest has them. Raises NotCompilable with the reason, as a part of a sentence."""
        self.hand, self.comes = entry.entry(signature)
        try:
            self.predictor: Predictor = forms.predictor(estimator, self.comes)
        except NotCompilable:
            raise
        except Exception as error:  # another scikit-learn may have another inside
            raise NotCompilable(f"its inside is not as expected: {type(error).__name__}: {error}") from error
        self.most = self.predictor.most
        self.last = self.predictor.last or Last(estimator, self.predictor, self.comes, _itself)
        self.outputs = outputs
        self._has_probabilities = any(output.probabilities for output in outputs)
        self._shaped = _one if len(outputs) == 1 else _several

    def answer(self, table: Table, probabilities: bool) -> Answer:
        """Values and probabilities of each output. Raises whatever where the estimator itself should be asked."""
        want = probabilities and self._has_probabilities
        values, chances = self.predictor.answer(self.hand(table), want)
        return self._shaped(values, chances if want else None, len(table), self.outputs)


class CompiledRuntime:
    """A compiled form that was proven to answer as its estimator, with that beside it. Safe under threads."""

    name = "compiled"

    def __init__(self, form: Form, estimator: SklearnRuntime):
        self._form = form
        self._estimator = estimator

    def predict(self, table: Table, probabilities: bool = True) -> Prediction:
        """The answer for the rows of ``table``; raises as ``SklearnRuntime.predict`` does, in the estimator's own words."""
        if len(table) <= self._form.most:
            try:
                values, chances = self._form.answer(table, probabilities)
            except (Exception, SystemExit):  # noqa: BLE001, S110 what the form cannot take is the estimator's to answer, or to refuse
                pass
            else:
                return Prediction(self._form.outputs, values, chances)
        return self._estimator.predict(table, probabilities)


def _itself(rows: Rows) -> Rows:
    return rows


def _one(values: Array, chances: Any, rows: int, outputs: Sequence[Output]) -> Answer:
    only = chances[0] if isinstance(chances, list) else chances
    return [values if values.ndim == 1 else values[:, 0]], [only]


def _several(values: Array, chances: Any, rows: int, outputs: Sequence[Output]) -> Answer:
    nothing: list[Array | None] = [None] * len(outputs)
    return columns_of(values, rows, len(outputs)), nothing if chances is None else matrices_of(chances, outputs)
