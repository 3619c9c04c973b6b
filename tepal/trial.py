"""What a fitted estimator turns out to be, found by trying it on rows of its own training data."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Mapping
from typing import Any

import cloudpickle
import msgspec
import numpy as np

from tepal import selftest
from tepal.errors import Invalid, ModelError, PublishError, TepalError
from tepal.manifest import Task
from tepal.prediction import Output, Prediction
from tepal.runtime.sklearn import SklearnRuntime, columns_of, matrices_of
from tepal.signature import Column, Signature
from tepal.table import Table

# No training data holds it, so it is what an unseen category looks like to an estimator.
UNSEEN = "\N{REPLACEMENT CHARACTER} never seen"


def in_trained_order(estimator: Any, X: Any) -> Any:
    """X with the columns' names that the estimator was fitted with, in its order. A frame has both."""
    names = getattr(estimator, "feature_names_in_", None)
    if names is None or hasattr(X, "iloc") or (isinstance(X, (list, tuple)) and len(X) > 0 and isinstance(X[0], str)):
        return X
    names = [str(name) for name in names]
    if isinstance(X, Mapping):
        if set(X) != set(names):
            raise PublishError(f"the model was fitted on the columns {', '.join(names[:20])}; X has others")
        return {name: X[name] for name in names}
    matrix = np.asarray(X)
    return dict(zip(names, matrix.T)) if matrix.ndim == 2 and matrix.shape[1] == len(names) else X


def rows_of(X: Any, picked: list[int]) -> Any:
    """Rows of X as the user's own code would hand them to the estimator."""
    if hasattr(X, "iloc"):
        return X.iloc[picked]
    if isinstance(X, Mapping):
        return np.column_stack([np.asarray(values)[picked] for values in X.values()])
    if isinstance(X[0], str):
        return [X[row] for row in picked]
    return np.asarray(X)[picked]


def check_same(estimator: Any, original: Any, served: Prediction) -> None:
    """Raise PublishError where what would be served is not what the estimator answers to the rows of X themselves."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # names of features, for an array
        values = np.asarray(estimator.predict(original))
        chances = estimator.predict_proba(original) if any(output.probabilities for output in served.outputs) else None
    own = columns_of(values, len(served.values[0]), len(served.outputs))
    pairs = list(zip(own, served.values))
    if chances is not None:
        pairs += [
            (a, b)
            for a, b in zip(matrices_of(chances, served.outputs), served.probabilities)
            if a is not None and b is not None
        ]
    for one, other in pairs:
        kind = np.asarray(one).dtype.kind
        if not np.array_equal(one, other, equal_nan=kind == "f"):
            row = int(np.flatnonzero(np.asarray(one != other).reshape(len(one), -1).any(axis=1))[0])
            raise PublishError(
                f"the model answers row {row} of the trial with {one[row]!r}, but {other[row]!r} when the row comes as a "
                f"request would bring it; its answers must depend on the rows' values alone"
            )


def open_runtime(pickled: bytes, outputs: list[Output], signature: Signature) -> SklearnRuntime:
    """A runtime over a copy of the estimator, opened from its pickle as the service opens it."""
    return SklearnRuntime(cloudpickle.loads(pickled), outputs, signature.container)


def predict(runtime: SklearnRuntime, table: Table) -> Prediction:
    """The answer to rows of X. Raises PublishError with the estimator's own words where it has none."""
    try:
        return runtime.predict(table)
    except TepalError as error:
        cause = error.__cause__ or error
        raise PublishError(f"the model cannot predict the rows of X: {type(cause).__name__}: {cause}") from error


def outputs(estimator: Any, trial: Table, y: Any) -> list[Output]:
    """What the estimator answers: one output a column of its predictions, named by ``y`` where that has names."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # names of features: the container is settled after this
        try:
            values = np.asarray(estimator.predict(trial.container()))
        except Exception as error:  # an estimator may raise anything
            raise PublishError(f"the model cannot predict the rows of X: {type(error).__name__}: {error}") from error
    count = values.shape[1] if values.ndim == 2 else 1
    names = _target_names(y, count)
    classes = getattr(estimator, "classes_", None)
    if classes is None or task(estimator) != "classification":
        return [Output(name) for name in names]
    if count > 1 and not (isinstance(classes, list) and len(classes) == count):
        return [Output(name) for name in names]  # multilabel: each output is 0 or 1
    lists = [classes] if count == 1 else list(classes)
    chances = callable(getattr(estimator, "predict_proba", None))
    return [Output(name, tuple(np.asarray(labels).tolist()), chances) for name, labels in zip(names, lists)]


def _target_names(y: Any, count: int) -> list[str]:
    if hasattr(y, "columns") and len(y.columns) == count == len({str(column) for column in y.columns}):
        return [str(column) for column in y.columns]
    if count == 1:
        return [str(getattr(y, "name", None) or "y")]
    return [f"y{i}" for i in range(count)]


def with_container(pickled: bytes, outputs: list[Output], signature: Signature, trial: Table) -> Signature:
    """Spare each request a DataFrame where the same rows as an array get the same answer, bit for bit."""
    if signature.container != "frame" or any(column.type in ("string", "datetime") for column in signature.columns):
        return signature
    plain = msgspec.structs.replace(signature, container="array")
    array, frame = open_runtime(pickled, outputs, plain), open_runtime(pickled, outputs, signature)
    rows = [range(len(trial)), *([row] for row in range(min(len(trial), selftest.MAX_ROWS)))]  # a batch, and rows alone
    try:
        same = all(
            _identical(array.predict(Table.from_columns(plain, part.columns)), predict(frame, part))
            for part in map(trial.take, rows)
        )
    except TepalError:
        return signature
    return plain if same else signature


def _identical(one: Prediction, other: Prediction) -> bool:
    pairs = [*zip(one.values, other.values), *zip(one.probabilities, other.probabilities)]
    return all(a is b or (a is not None and b is not None and np.array_equal(a, b)) for a, b in pairs)


def with_unseen(pickled: bytes, outputs: list[Output], signature: Signature, trial: Table) -> Signature:
    """Try a category that training never saw in each column, to tell a warning from a refusal."""
    runtime = open_runtime(pickled, outputs, signature)

    def tried(index: int, column: Column) -> Column:
        if column.categories is None:
            return column
        row = Table.from_columns(signature, trial.take([0]).columns)
        cells = list(row.columns)
        cells[index] = np.array([UNSEEN], dtype=object)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an encoder that ignores the unseen says so; a request's warning will
            try:
                runtime.predict(Table.from_columns(signature, cells))
            except (Invalid, ModelError):
                return msgspec.structs.replace(column, unseen="refuse")
        return column

    columns = tuple(tried(i, column) for i, column in enumerate(signature.columns))
    return msgspec.structs.replace(signature, columns=columns)


def scale(predicted: Prediction) -> float:
    """The largest absolute number among the answers, at least 1: what a tolerance of them is relative to."""
    scales = [float(np.nanmax(np.abs(array))) for array in predicted.values if array.dtype.kind == "f" and array.size]
    return max([1.0, *[scale for scale in scales if np.isfinite(scale)]]) if scales else 1.0


def task(estimator: Any) -> Task:
    """What kind of model it is, by scikit-learn's own word."""
    from sklearn.base import is_classifier, is_clusterer, is_outlier_detector, is_regressor

    kinds: list[tuple[Any, Task]] = [
        (is_outlier_detector, "outlier detection"),
        (is_clusterer, "clustering"),
        (is_classifier, "classification"),
        (is_regressor, "regression"),
    ]
    for is_kind, task in kinds:
        with contextlib.suppress(Exception):  # an estimator without scikit-learn's tags is of no kind it knows
            if is_kind(estimator):
                return task
    return "classification" if hasattr(estimator, "classes_") else "prediction"
