"""What a fitted estimator turns out to be, found by trying it on rows of its own training data."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cloudpickle
import msgspec
import numpy as np

from tepal import selftest
from tepal.errors import Invalid, ModelError, PublishError, TepalError
from tepal.manifest import Task
from tepal.prediction import Output, Prediction, plain, unanswered
from tepal.runtime.sklearn import SklearnRuntime, columns_of, copied, matrices_of
from tepal.signature import Column, Signature
from tepal.table import Array, Table

# No training data holds it, so it is what an unseen category looks like to an estimator.
UNSEEN = "\N{REPLACEMENT CHARACTER} never seen"

# Relative, of a float64: far less than what a value that was rounded to float32 would make.
LAST_DIGIT = 1e-12


def check_predicts(estimator: Any) -> None:
    """Raise PublishError where this is no object that predicts rows, with what to publish instead."""
    kind = type(estimator).__name__
    if isinstance(estimator, type):
        name = estimator.__name__
        raise PublishError(f"{name} is a class, not a fitted model; publish what fit returns: {name}(…).fit(X, y)")
    if isinstance(estimator, (Mapping, list, tuple, set)):
        raise PublishError(f"a {kind} is no model; publish each model in it by itself, under a name of its own")
    if isinstance(estimator, (str, bytes, Path)):
        raise PublishError(f"a {kind} is no model; give the fitted model itself, or publish a file with: tepal publish FILE")
    try:
        if callable(estimator.predict):
            return
    except AttributeError as error:  # scikit-learn says why where the class could predict
        if hasattr(type(estimator), "predict") and not isinstance(getattr(estimator, "steps", None), list):
            own = str(error.__cause__ or error).splitlines()[0]
            raise PublishError(f"this {kind} has no predict() as it is: {own}") from None
    if hasattr(estimator, "fit_predict"):
        raise PublishError(
            f"{kind} has no predict(): it labels only the rows that it was fitted on; publish a model that can label "
            f"others, say a classifier that was fitted on those labels"
        )
    if hasattr(estimator, "transform"):
        raise PublishError(
            f"a {kind} transforms rows and has no predict(); publish a pipeline that ends in a classifier, a regressor "
            f"or another model that predicts"
        )
    raise PublishError(f"a {kind} has no predict(); publish the fitted model or pipeline")


def in_trained_order(estimator: Any, X: Any) -> Any:
    """X with the columns' names that the estimator was fitted with, in its order, where it has them."""
    names = getattr(estimator, "feature_names_in_", None)
    if names is None or _is_text(X):
        return X
    names = [str(name) for name in names]
    if hasattr(X, "iloc"):
        own = list(X.columns)
        return X[names] if own != names and set(own) == set(names) else X
    if isinstance(X, Mapping):
        if set(X) != set(names):
            raise PublishError(f"the model was fitted on the columns {', '.join(names[:20])}; X has others")
        return {name: X[name] for name in names}
    matrix = np.asarray(X)
    return dict(zip(names, matrix.T)) if matrix.ndim == 2 and matrix.shape[1] == len(names) else X


def _is_text(X: Any) -> bool:
    """Whether X is a list, a Series or an array of texts, which are one column without a name."""
    if hasattr(X, "iloc"):
        return not hasattr(X, "columns")
    if isinstance(X, (list, tuple)):
        return len(X) > 0 and isinstance(X[0], str)
    return isinstance(X, np.ndarray) and X.ndim == 1


def rows_of(X: Any, picked: list[int]) -> Any:
    """Rows of X as the user's own code would hand them to the estimator."""
    if hasattr(X, "iloc"):
        return X.iloc[picked]
    if isinstance(X, Mapping):
        return np.column_stack([np.asarray(values)[picked] for values in X.values()])
    if isinstance(X, (list, tuple)) and _is_text(X):
        return [X[row] for row in picked]
    return np.asarray(X)[picked]


def check_same(estimator: Any, original: Any, served: Prediction) -> None:
    """Raise PublishError where what would be served is not what the estimator answers to the rows of X themselves.

    A difference in a last digit is none: the estimator differs so from itself, with where the rows lie in memory and
    with the order in which threads add up.
    """
    for one, other in zip(_parts_of(_answers(estimator, original, served)), _parts_of(served), strict=True):
        if not _close(one, other):
            row = next(i for i in range(len(one)) if not _close(one[i : i + 1], other[i : i + 1]))
            raise PublishError(
                f"the model answers row {row} of the trial with {one[row]!r}, but {other[row]!r} when the row comes as a "
                f"request would bring it; its answers must depend on the rows' values alone"
            )


def _answers(estimator: Any, rows: Any, served: Prediction) -> Prediction:
    """What the estimator itself answers to the rows, as ``served`` holds it."""
    want = any(output.probabilities for output in served.outputs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # names of features, for an array
        try:
            values, chances = estimator.predict(copied(rows)), estimator.predict_proba(copied(rows)) if want else None
        except Exception as error:  # an estimator may raise anything
            said = f"{type(error).__name__}: {error}"
            raise PublishError(f"the model answers X as requests bring it, and not as it is: {said}") from error
    columns = columns_of(values, len(served.values[0]), len(served.outputs))
    none = [None] * len(served.outputs)
    return Prediction(served.outputs, columns, none if chances is None else matrices_of(chances, served.outputs))


def _parts_of(prediction: Prediction) -> list[Array]:
    return [*prediction.values, *(matrix for matrix in prediction.probabilities if matrix is not None)]


def _identical(one: Prediction, other: Prediction) -> bool:
    return all(_identical_arrays(a, b) for a, b in zip(_parts_of(one), _parts_of(other), strict=True))


def _identical_arrays(one: Array, other: Array) -> bool:
    if one.dtype.kind in "OM":
        return plain(one) == plain(other)
    return np.array_equal(one, other, equal_nan=one.dtype.kind == "f")


def _close(one: Array, other: Array) -> bool:
    if one.dtype.kind != "f" or one.dtype != other.dtype or _identical_arrays(one, other):
        return _identical_arrays(one, other)
    finite = np.abs(one[np.isfinite(one)])
    digit = LAST_DIGIT if one.dtype.itemsize == 8 else float(8 * np.finfo(one.dtype).eps)
    return np.allclose(one, other, rtol=digit, atol=digit * float(finite.max(initial=0.0)), equal_nan=True)


def open_runtime(pickled: bytes, outputs: list[Output], signature: Signature) -> SklearnRuntime:
    """A runtime over a copy of the estimator, opened from its pickle as the service opens it."""
    return SklearnRuntime(_opened(pickled), outputs, signature.container)


def _opened(pickled: bytes) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a class that is to go, say, which its user knows
        return cloudpickle.loads(pickled)


def predict(runtime: SklearnRuntime, table: Table) -> Prediction:
    """The answer to rows of X. Raises PublishError with the estimator's own words where it has none."""
    try:
        return runtime.predict(table)
    except TepalError as error:
        cause = error.__cause__ or error
        raise PublishError(f"the model cannot predict the rows of X: {type(cause).__name__}: {cause}") from error


def outputs(estimator: Any, trial: Table, y: Any) -> list[Output]:
    """What the estimator answers: one output a column of its predictions, named by ``y`` where that has names."""
    rows = trial.container()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # names of features: the container is settled after this
        try:
            values = estimator.predict(copied(rows))
        except (Exception, SystemExit) as error:  # an estimator may raise anything
            raise _no_answer(estimator, trial, error) from error
        try:
            chances = estimator.predict_proba(copied(rows))
        except (Exception, SystemExit):  # noqa: BLE001 there is none, or none with these settings: it answers without
            chances = None
    try:
        shape = np.shape(values)
    except ValueError:  # lists of different lengths: columns_of says so
        shape = ()
    count = shape[1] if len(shape) == 2 else 1
    if not count:
        raise PublishError("the model cannot be served: it answers the rows of X with no column at all")
    names = _target_names(y, values, count)
    try:
        columns = columns_of(values, len(trial), count)
    except ModelError as error:
        raise PublishError(f"the model cannot be served: {error}") from error
    for name, column in zip(names, columns):
        if column.dtype.kind not in "biufUOM":
            raise PublishError(
                f"the model answers '{name}' with {column.dtype.name}; fit it on numbers, texts, booleans or datetimes"
            )
    return [
        Output(name, labels, labels is not None and chances is not None)
        for name, labels in zip(names, _classes(estimator, columns, chances))
    ]


Labels = tuple[str | int | float | bool, ...]


def _no_answer(estimator: Any, trial: Table, error: BaseException) -> PublishError:
    """What to say of an estimator that does not answer the rows of X."""
    given, names = list(trial.signature.names), getattr(estimator, "feature_names_in_", None)
    count = getattr(estimator, "n_features_in_", None)
    if type(error).__name__ == "NotFittedError":
        return PublishError(f"the {type(estimator).__name__} is not fitted; call its fit(X, y) first, then publish it")
    if trial.signature.container == "frame" and names is not None and set(given) != set(map(str, names)):
        lacking = [str(name) for name in names if name not in given]
        further = [name for name in given if name not in names]
        told = [f"lacks the columns {', '.join(lacking[:20])}"] if lacking else []
        told += [f"has the columns {', '.join(further[:20])} besides"] if further else []
        return PublishError(f"X is not what the model was fitted on: it {' and '.join(told)}; give the rows of the training")
    if trial.signature.container in ("frame", "array") and isinstance(count, int) and count != len(given):
        return PublishError(
            f"X has {len(given)} columns, and the model, which was fitted on {count}, cannot predict it; "
            f"give the rows that it was trained on, without the target"
        )
    return PublishError(f"the model cannot predict the rows of X: {type(error).__name__}: {error}")


def _classes(estimator: Any, columns: Sequence[Array], chances: Any) -> list[Labels | None]:
    """The classes of each output, None for one that has none."""
    classes = getattr(estimator, "classes_", None)
    none: list[Labels | None] = [None] * len(columns)
    if classes is None:
        return [_components(columns[0], chances)] if len(columns) == 1 else none
    if task(estimator) != "classification":
        return none
    if len(columns) > 1 and getattr(chances, "ndim", 0) == 2:
        # Several labels a row: each is there or not, and its chance is that it is there (the runtime's matrices_of).
        values = np.column_stack(columns)
        has_label = values.dtype.kind in "bif" and set(np.unique(values).tolist()) <= {0, 1}
        return [_labels(np.array([0, 1], dtype=values.dtype))] * len(columns) if has_label else none
    if isinstance(classes, (list, tuple)) and len(classes) == len(columns) and np.ndim(classes[0]) == 1:
        return [_labels(one) for one in classes]
    return [_labels(classes)] if len(columns) == 1 else none


def _components(values: Array, chances: Any) -> Labels | None:
    """0, 1, … where an answer is the number of the largest chance, as a mixture's is."""
    if getattr(chances, "ndim", 0) == 2 and values.dtype.kind == "i" and np.array_equal(values, np.argmax(chances, axis=1)):
        return tuple(range(np.shape(chances)[1]))
    return None


def _labels(classes: Any) -> Labels:
    labels = plain(np.atleast_1d(np.asarray(classes)))
    for label in labels:
        if label is None:
            raise PublishError("one of the model's classes is a missing value; drop the rows without a label and fit again")
        if not isinstance(label, (str, int, float)):
            raise PublishError(
                f"the model's classes are {type(label).__name__}; fit it on texts, numbers, booleans or datetimes, "
                f"say with y.astype(str)"
            )
    return tuple(labels)


def _target_names(y: Any, values: Any, count: int) -> list[str]:
    for named in (y, values):
        if hasattr(named, "columns") and len(named.columns) == count == len({str(column) for column in named.columns}):
            return [str(column) for column in named.columns]
    if count == 1:
        return [str(getattr(y, "name", None) or "y")]
    return [f"y{i}" for i in range(count)]


def with_container(pickled: bytes, outputs: list[Output], signature: Signature, trial: Table) -> Signature:
    """Spare each request a container of pandas' where the same rows as an array, or a list of texts, get the same answer."""
    text = signature.container in ("series", "vector")
    if not text and (signature.container != "frame" or any(_needs_frame(column) for column in signature.columns)):
        return signature
    cheaper = msgspec.structs.replace(signature, container="list" if text else "columns")
    one, other = open_runtime(pickled, outputs, cheaper), open_runtime(pickled, outputs, signature)
    rows = [range(len(trial)), *([row] for row in range(min(len(trial), selftest.MAX_ROWS)))]  # a batch, and rows alone
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message=".*feature names")  # it would be said at each call
            found = [one.predict(Table.from_columns(cheaper, part.columns)) for part in map(trial.take, rows)]
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*feature names")  # of a frame whose names are numbers
            same = all(map(_identical, found, (predict(other, part) for part in map(trial.take, rows))))
    except (TepalError, Warning):
        return signature
    return cheaper if same else signature


def _needs_frame(column: Column) -> bool:
    return column.type in ("string", "datetime") or column.levels is not None


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


def history(predicted: Prediction) -> int:
    """How many rows at the start a sequence model leaves without an answer. predicted: for the rows of X, in order.

    Raises PublishError where it answers none of them.
    """
    found, rows = 0, len(predicted.values[0])
    for output, array in zip(predicted.outputs, predicted.values):
        missing = set(unanswered(array))
        leading = next((row for row in range(rows) if row not in missing), rows)
        if leading == rows:
            raise PublishError(
                f"the model answers none of the {rows} rows of X for '{output.name}'; "
                f"give more rows, in order, so that it has the history that it needs"
            )
        found = max(found, leading)
    return found


def scale(predicted: Prediction) -> float:
    """The largest absolute number among the answers, at least 1: what a tolerance of them is relative to."""
    scales = [float(np.nanmax(np.abs(array))) for array in predicted.values if array.dtype.kind == "f" and array.size]
    return max([1.0, *[scale for scale in scales if np.isfinite(scale)]]) if scales else 1.0


def task(estimator: Any) -> Task:
    """What kind of model it is, by scikit-learn's own word."""
    from sklearn import base

    kinds: list[tuple[str, Task]] = [
        ("is_outlier_detector", "outlier detection"),
        ("is_clusterer", "clustering"),
        ("is_classifier", "classification"),
        ("is_regressor", "regression"),
    ]
    for name, task in kinds:
        with contextlib.suppress(Exception):  # an estimator without scikit-learn's tags is of no kind it knows
            if getattr(base, name, _is_clusterer)(estimator):
                return task
    return "classification" if hasattr(estimator, "classes_") else "prediction"


def _is_clusterer(estimator: Any) -> bool:
    """What scikit-learn 1.5 has no function for."""
    return bool(estimator._estimator_type == "clusterer")  # noqa: SLF001
