"""A form beside the estimator that it was compiled from, over rows of the training."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

from tepal import environment, known, proof, trial
from tepal.manifest import Compiled
from tepal.prediction import Output, Prediction
from tepal.runtime.compiled.runtime import CompiledRuntime, Form
from tepal.runtime.sklearn import SklearnRuntime
from tepal.signature import Signature, derive
from tepal.table import Table

MANY = 600  # perturbed rows: the number of published models is another


class Sides(NamedTuple):
    """What publishing derives of a fitted estimator, as far as a proof needs it."""

    itself: SklearnRuntime
    signature: Signature
    outputs: list[Output]
    table: Table
    predicted: Prediction

    def form(self) -> Form:
        return Form(self.itself.estimator, self.signature, self.outputs)

    def compiled(self) -> CompiledRuntime:
        return CompiledRuntime(self.form(), self.itself)

    def outcome(self, many: int = MANY) -> Compiled:
        scale = trial.scale(self.predicted)
        return proof.outcome(self.itself, self.signature, self.table, scale, "independent", many)


def sides(estimator: Any, X: Any, y: Any = None) -> Sides:
    """As ``tepal.publish`` goes about it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pickled, _, _ = environment.dump(estimator)
        X = trial.in_trained_order(estimator, X)
        signature, arrays = derive(X)
        signature = known.with_known(signature, estimator)
        table = Table.from_columns(signature, arrays)
        outputs = trial.outputs(estimator, table, y)
        signature = trial.with_container(pickled, outputs, signature, table)
        signature = trial.with_unseen(pickled, outputs, signature, table)
        table = Table.from_columns(signature, arrays)
        runtime = trial.open_runtime(pickled, outputs, signature)
        return Sides(runtime, signature, outputs, table, runtime.predict(table))


def proven(estimator: Any, X: Any, y: Any = None, many: int = MANY) -> Compiled:
    """The outcome, which must be a proof."""
    outcome = sides(estimator, X, y).outcome(many)
    assert outcome.compiled, outcome.reason
    return outcome
