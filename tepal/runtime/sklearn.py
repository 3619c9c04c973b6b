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
        self._estimator = estimator
        self._outputs = outputs
        self._history = history
        self._has_probabilities = any(output.probabilities for output in outputs)

    def predict(self, table: Table, probabilities: bool = True) -> Prediction:
        """The estimator's own answer for the rows of ``table``, all in one call.

        Raises Invalid where the estimator refuses the rows with a ValueError, ModelError where it fails otherwise.
        """
        rows = table.container()
        want = probabilities and self._has_probabilities
        try:
            values = self._estimator.predict(rows)
            chances = self._estimator.predict_proba(rows) if want else None
        except ValueError as error:
            raise Invalid(f"the model refused the rows: {_first_line(error)}") from error
        except (Exception, SystemExit) as error:  # user code may leave by sys.exit; the worker must not
            raise ModelError("the model failed on these rows") from error
        return Prediction(
            self._outputs,
            columns_of(values, len(table), len(self._outputs)),
            [None] * len(self._outputs) if chances is None else matrices_of(chances, self._outputs),
            self._history,
        )


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
