"""From a fitted estimator to a version in the model repository."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import shlex
import sys
import warnings
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

import cloudpickle
import msgspec
import numpy as np

from tepal import artifact, selftest
from tepal import manifest as manifests
from tepal.errors import Invalid, ModelError, PublishError, TepalError
from tepal.manifest import Manifest, Task
from tepal.prediction import Output, Prediction
from tepal.runtime.sklearn import SklearnRuntime, columns_of, matrices_of
from tepal.signature import Column, Signature, derive
from tepal.table import Table

# Rows on which golden rows are chosen, containers compared and the output's scale is read: quick on a big table too.
TRIAL_ROWS = 1000
# No training data holds it, so it is what an unseen category looks like to an estimator.
UNSEEN = "\N{REPLACEMENT CHARACTER} never seen"


class Published(NamedTuple):
    """What was published: ``path`` is the folder of the new version."""

    name: str
    version: int
    path: Path


def store_from_environ() -> Path:
    """The model repository that ``MODEL_STORE`` names, ``model`` where it is not set."""
    return Path(os.environ.get("MODEL_STORE") or "model")


def publish(
    estimator: Any,
    *,
    name: str,
    X: Any,
    y: Any = None,
    rows: Literal["independent", "sequence"] = "independent",
    metrics: Mapping[str, Any] | None = None,
    meta: Mapping[str, Any] | None = None,
    store: str | Path | None = None,
) -> Published:
    """Write a fitted estimator as a new version of the model ``name``.

    X: the rows that it was trained on: a DataFrame, a 2-D array ``(n, k)``, a mapping of column name to ``n``
    values (names for an estimator that was fitted on an array), or a list of ``n`` strings. The request's
    columns, types, ranges and categories are read off it. y: the targets, ``(n,)``; only their names are read.
    rows: ``sequence`` where a row's answer depends on the rows before it. metrics, meta: JSON values to keep
    and show. store: the model repository; ``MODEL_STORE``, else ``model``, where it is not given.

    The version appears whole or not at all, with the next number. Raises PublishError, which says what to do.
    """
    if not manifests.NAME.fullmatch(str(name)):
        raise PublishError(
            f"{name!r} cannot be a model's name: 1–64 of a–z, 0–9, '_', '.', '-', the first a letter or digit"
        )
    if not callable(getattr(estimator, "predict", None)):
        raise PublishError(f"a {type(estimator).__name__} has no predict(); publish the fitted model or pipeline")
    if rows not in ("independent", "sequence"):
        raise PublishError(f"rows is {rows!r}; it is 'independent' or 'sequence'")
    pickled = _pickle(estimator)
    X = _in_trained_order(estimator, X)
    signature, arrays = derive(X)
    table = Table.from_columns(signature, arrays)
    picked = selftest.extremes(table, TRIAL_ROWS) if rows == "independent" else list(range(len(table)))
    trial = table.take(picked)
    outputs = _outputs(estimator, trial, y)
    signature = _with_container(pickled, outputs, signature, trial)
    signature = _with_unseen(pickled, outputs, signature, trial)
    trial = Table.from_columns(signature, trial.columns)
    runtime = _runtime(pickled, outputs, signature)  # what will be served is what was pickled
    predicted = _predict(runtime, trial)
    _check_same(estimator, _rows_of(X, picked), predicted)
    try:
        chosen = selftest.choose(trial, predicted.labels(), rows)
        golden = selftest.record(signature, runtime, trial.take(chosen).records(), rows, _scale(predicted))
        selftest.replay(signature, _runtime(pickled, outputs, signature), golden)
    except (TepalError, TypeError, ValueError) as error:
        raise PublishError(f"the rows of X cannot be sent and answered as they are: {error}") from error
    manifest = Manifest(
        format=manifests.FORMAT,
        name=name,
        version=0,  # its number is known when it is written
        task=_task(estimator),
        estimator=_describe(estimator),
        signature=signature,
        outputs=tuple(outputs),
        rows=rows,
        golden=golden,
        metrics=_json_mapping("metrics", metrics),
        meta=_json_mapping("meta", meta),
        python=platform.python_version(),
        packages=_packages(),
        by_value=b"cloudpickle" in pickled,
        files={manifests.PICKLE: hashlib.sha256(pickled).hexdigest()},
        created=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        command=_command(),
        n_rows=len(table),
    )
    where = store_from_environ() if store is None else Path(store)
    try:
        version, path = artifact.write(where / name, pickled, manifest)
    except OSError as error:
        raise PublishError(f"cannot write to the model repository {where}/: {error.strerror}") from error
    return Published(name, version, path)


def _in_trained_order(estimator: Any, X: Any) -> Any:
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


def _rows_of(X: Any, picked: list[int]) -> Any:
    """Rows of X as the user's own code would hand them to the estimator."""
    if hasattr(X, "iloc"):
        return X.iloc[picked]
    if isinstance(X, Mapping):
        return np.column_stack([np.asarray(values)[picked] for values in X.values()])
    if isinstance(X[0], str):
        return [X[row] for row in picked]
    return np.asarray(X)[picked]


def _check_same(estimator: Any, original: Any, served: Prediction) -> None:
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


def _pickle(estimator: Any) -> bytes:
    try:
        pickled: bytes = cloudpickle.dumps(estimator)  # what the user's own script defines goes in by value
    except Exception as error:  # whatever a foreign object's __reduce__ raises
        raise PublishError(f"the estimator cannot be pickled: {type(error).__name__}: {error}") from error
    return pickled


def _runtime(pickled: bytes, outputs: list[Output], signature: Signature) -> SklearnRuntime:
    return SklearnRuntime(cloudpickle.loads(pickled), outputs, signature.container)


def _predict(runtime: SklearnRuntime, table: Table) -> Prediction:
    try:
        return runtime.predict(table)
    except TepalError as error:
        cause = error.__cause__ or error
        raise PublishError(f"the model cannot predict the rows of X: {type(cause).__name__}: {cause}") from error


def _outputs(estimator: Any, trial: Table, y: Any) -> list[Output]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # names of features: the container is settled after this
        try:
            values = np.asarray(estimator.predict(trial.container()))
        except Exception as error:  # an estimator may raise anything
            raise PublishError(f"the model cannot predict the rows of X: {type(error).__name__}: {error}") from error
    count = values.shape[1] if values.ndim == 2 else 1
    names = _target_names(y, count)
    classes = getattr(estimator, "classes_", None)
    if classes is None or _task(estimator) != "classification":
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


def _with_container(pickled: bytes, outputs: list[Output], signature: Signature, trial: Table) -> Signature:
    """Spare each request a DataFrame where the same rows as an array get the same answer, bit for bit."""
    if signature.container != "frame" or any(column.type in ("string", "datetime") for column in signature.columns):
        return signature
    plain = msgspec.structs.replace(signature, container="array")
    array, frame = _runtime(pickled, outputs, plain), _runtime(pickled, outputs, signature)
    rows = [range(len(trial)), *([row] for row in range(min(len(trial), selftest.MAX_ROWS)))]  # a batch, and rows alone
    try:
        same = all(
            _identical(array.predict(Table.from_columns(plain, part.columns)), _predict(frame, part))
            for part in map(trial.take, rows)
        )
    except TepalError:
        return signature
    return plain if same else signature


def _identical(one: Prediction, other: Prediction) -> bool:
    pairs = [*zip(one.values, other.values), *zip(one.probabilities, other.probabilities)]
    return all(a is b or (a is not None and b is not None and np.array_equal(a, b)) for a, b in pairs)


def _with_unseen(pickled: bytes, outputs: list[Output], signature: Signature, trial: Table) -> Signature:
    """Try a category that training never saw in each column, to tell a warning from a refusal."""
    runtime = _runtime(pickled, outputs, signature)

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


def _scale(predicted: Prediction) -> float:
    scales = [float(np.nanmax(np.abs(array))) for array in predicted.values if array.dtype.kind == "f" and array.size]
    return max([1.0, *[scale for scale in scales if np.isfinite(scale)]]) if scales else 1.0


def _task(estimator: Any) -> Task:
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


def _describe(estimator: Any) -> str:
    """The estimator as one line of Python, as scikit-learn prints it."""
    return " ".join(repr(estimator).split())[:500]


def _packages() -> dict[str, str]:
    """The packages that decide what a pickle answers, with their versions here."""
    versions = {package: artifact.installed(package) for package in ("scikit-learn", "numpy", "scipy")}
    return {package: version for package, version in versions.items() if version is not None}


def _json_mapping(what: str, values: Mapping[str, Any] | None) -> dict[str, Any]:
    try:
        decoded: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(dict(values or {}), enc_hook=_from_numpy))
    except (TypeError, ValueError, NotImplementedError) as error:
        raise PublishError(f"{what} must hold JSON values: {error}") from None
    return decoded


def _from_numpy(value: Any) -> Any:
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise NotImplementedError(f"{type(value).__name__} is none")


def _command() -> str:
    program, *arguments = sys.orig_argv or ["python"]
    return shlex.join([Path(program).name, *arguments])[:500]
