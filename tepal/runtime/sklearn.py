"""Runs a fitted scikit-learn estimator, and anything that predicts as one does."""

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import Iterator, Sequence
from types import NoneType
from typing import Any

import numpy as np
import numpy.typing as npt

from tepal.errors import Invalid, ModelError, without_paths
from tepal.prediction import Output, Prediction
from tepal.table import Table

# The scalar product of numbers with themselves up to which none is infinite, be it as a float32.
FINITE = float(np.finfo(np.float32).max) ** 2


class SklearnRuntime:
    """A fitted estimator, set to run on the thread that calls it. Safe to call from several threads.

    One thread a request is the faster choice for requests of a few rows (a forest on one row takes 5–10 times
    longer with ``n_jobs=-1``), and the safe one: a pool of threads that was started before a fork is dead in the
    child, which then waits for it for ever.
    """

    name = "sklearn"

    def __init__(self, estimator: Any, outputs: Sequence[Output], container: str = "array", history: int = 0):
        """container: how rows will come (see Signature). history: as the manifest has it.

        The estimator is changed and must be no one else's.
        """
        on_one_thread(estimator)
        if container != "frame" and getattr(estimator, "feature_names_in_", None) is not None:
            # Rows come in the signature's order without names, which scikit-learn would warn of at each call.
            for part in list(_parts(estimator)):
                vars(part).pop("feature_names_in_", None)
        self.estimator = estimator
        self.outputs = outputs
        self._history = history
        self._gets_its_own = container in ("frame", "list")  # which are made for each call
        self._steps = _steps(estimator)
        self._has_probabilities = any(output.probabilities for output in outputs)
        # Nothing is computed on the way to the estimator that could be no number, so that its check of X is the only one.
        self._is_alone = type(estimator).__module__.startswith("sklearn.") and len(list(_parts(estimator))) == 1

    def predict(self, table: Table, probabilities: bool = True) -> Prediction:
        """The estimator's own answer for the rows of ``table``, all in one call.

        Raises Invalid where the estimator refuses the rows with a ValueError, ModelError where it fails otherwise.
        """
        rows = table.container()
        if not (self._is_alone or self._gets_its_own):
            rows = copied(rows)  # a step may change what it gets, and others still read the table
        want = probabilities and self._has_probabilities
        try:
            if want and self._steps is not None:
                before, last = self._steps
                for step in before:
                    rows = step.transform(rows)
                values, chances = last.predict(rows), last.predict_proba(rows)
            else:
                again = copied(rows) if want and not self._is_alone else rows
                with self._checked(table.matrix):
                    values = self.estimator.predict(rows)
                    chances = self.estimator.predict_proba(again) if want else None
        except ValueError as error:
            raise Invalid(f"the model refused the rows: {_first_line(error)}") from error
        except (Exception, SystemExit) as error:  # user code may leave by sys.exit; the worker must not
            raise ModelError("the model failed on these rows") from error
        return Prediction(
            self.outputs,
            columns_of(values, len(table), len(self.outputs)),
            [None] * len(self.outputs) if chances is None else matrices_of(chances, self.outputs),
            self._history,
        )

    def _checked(self, matrix: npt.NDArray[Any] | None) -> contextlib.AbstractContextManager[Any]:
        """Have scikit-learn take it that rows are finite, ``(n, k)`` float64, where a look at them here says so."""
        if self._is_alone and matrix is not None and np.vdot(matrix, matrix) <= FINITE:
            from sklearn import config_context  # came with the estimator; nothing else here needs it

            spared: contextlib.AbstractContextManager[Any] = config_context(assume_finite=True)
            return spared
        return contextlib.nullcontext()


def copied(rows: Any) -> Any:
    """The same rows once more, in the same order of memory."""
    return rows.copy("K") if isinstance(rows, np.ndarray) else rows.copy()


def _steps(estimator: Any) -> tuple[list[Any], Any] | None:
    """The steps before a pipeline's last one, and that: so that rows are transformed once for labels and probabilities.

    Only of scikit-learn's own pipeline with a last step of its own, which leaves the rows that it gets as they are. Each
    step is asked by itself: a pipeline that ends in a step without a fitted attribute takes itself for not fitted.
    """
    kind = type(estimator)
    if (kind.__module__, kind.__name__) != ("sklearn.pipeline", "Pipeline") or len(estimator.steps) < 2:
        return None
    *before, last = (step for _, step in estimator.steps if step not in (None, "passthrough"))
    return (before, last) if type(last).__module__.startswith("sklearn.") else None


def columns_of(values: Any, rows: int, outputs: int) -> list[npt.NDArray[Any]]:
    """What ``predict`` returned, as one array ``(n,)`` an output. Raises ModelError where its shape is another."""
    if hasattr(values, "iloc") and hasattr(values, "columns"):  # a frame, whose columns may be of different types
        if values.shape != (rows, outputs):
            raise ModelError(f"the model answered {rows} rows with a table of shape {values.shape}")
        return [_array(values.iloc[:, i]) for i in range(outputs)]
    try:
        array = _array(values)
    except ValueError as error:
        raise ModelError(f"the model answered {rows} rows with lists of different lengths") from error
    if array.shape == (rows,) and outputs == 1:
        return [array]
    if array.ndim == 2 and array.shape == (rows, outputs):
        return [array[:, i] for i in range(outputs)]
    raise ModelError(f"the model answered {rows} rows with an array of shape {array.shape}")


def _array(values: Any) -> npt.NDArray[Any]:
    # One of pandas' own types may hold what NumPy's number of that name cannot: a missing integer.
    own = hasattr(values, "iloc") and not isinstance(values.dtype, np.dtype)
    return np.asarray(values, dtype=object) if own else np.asarray(values)


def matrices_of(chances: Any, outputs: Sequence[Output]) -> list[npt.NDArray[Any] | None]:
    """What ``predict_proba`` returned, as one array ``(n, classes)`` an output.

    A model of several labels a row gives a list of such arrays; or one array ``(n, outputs)`` of the chance that a
    row has the label, the second of its two classes. Raises ModelError where it gives anything else.
    """
    if isinstance(chances, list) and len(chances) == len(outputs) and np.ndim(chances[0]) == 2:
        matrices = [np.asarray(one) for one in chances]
    else:
        matrix = np.asarray(chances)
        has_label = matrix.ndim == 2 and matrix.shape[1] == len(outputs) and len(outputs[0].classes or ()) == 2
        matrices = [np.column_stack([1 - one, one]) for one in matrix.T] if has_label else [matrix]
    if len(matrices) != len(outputs):
        raise ModelError(f"the model gave probabilities of shape {matrices[0].shape} for its {len(outputs)} outputs")
    for output, matrix in zip(outputs, matrices):
        if output.probabilities and (matrix.ndim != 2 or matrix.shape[1] != len(output.classes or ())):
            raise ModelError(
                f"the model gave probabilities of shape {matrix.shape} for its {len(output.classes or ())} classes"
            )
    return [matrix if output.probabilities else None for output, matrix in zip(outputs, matrices)]


_NUMPY_SCALAR = re.compile(r"\bnp\.\w+\(([^()]*)\)")


def _first_line(error: Exception) -> str:
    line = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
    return without_paths(_NUMPY_SCALAR.sub(r"\1", line))


def on_one_thread(estimator: Any) -> None:
    """Set the estimator, and every estimator inside it, to run on the thread that calls it."""
    for part in _parts(estimator):
        # None means one thread to scikit-learn, and all of them to lightgbm and xgboost.
        if isinstance(getattr(part, "n_jobs", ""), (int, NoneType)):
            with contextlib.suppress(Exception), warnings.catch_warnings():  # some deprecate it, some have it fixed
                warnings.simplefilter("ignore")
                part.n_jobs = 1
        with contextlib.suppress(Exception):  # not fitted, say
            if callable(getattr(part, "get_booster", None)):
                part.get_booster().set_param({"nthread": 1})  # xgboost's keeps a number of its own


def _parts(estimator: Any) -> Iterator[Any]:
    """The estimator and every estimator fitted inside it."""
    todo: list[Any] = [estimator]
    seen: set[int] = set()
    while todo:
        item = todo.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, (list, tuple)):
            todo.extend(item)
        elif isinstance(item, dict):
            todo.extend(item.values())
        elif hasattr(item, "__dict__") and (hasattr(item, "get_params") or hasattr(item, "predict")):
            yield item
            todo.extend(vars(item).values())
        elif isinstance(item, np.ndarray) and item.dtype == object:
            todo.extend(item.ravel().tolist())
