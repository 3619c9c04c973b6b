"""From a fitted estimator to a version in the model repository."""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import sys
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np

from tepal import artifact, choice, drift, environment, known, proof, selftest, trial
from tepal import manifest as manifests
from tepal.errors import PublishError, TepalError
from tepal.manifest import Manifest
from tepal.signature import derive
from tepal.table import Table

# Rows on which golden rows are chosen, containers compared and the output's scale is read: quick on a big table too.
TRIAL_ROWS = 1000

# Characters of an estimator's description that are kept.
LONGEST = 5000


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
    code: str | Path | Collection[str | Path] | None = None,
    store: str | Path | None = None,
    promote: bool = False,
) -> Published:
    """Write a fitted estimator as a new version of the model ``name``.

    X: the rows that it was trained on: a DataFrame, a 2-D array ``(n, k)``, a mapping of column name to ``n``
    values (names for an estimator that was fitted on an array), or a list, Series or array of ``n`` strings. The request's
    columns, types, ranges and categories are read off it. y: the targets, ``(n,)``; only their names are read.
    rows: ``sequence`` where a row's answer depends on the rows before it. metrics, meta: JSON values to keep
    and show. code: the files of the user's own modules that the estimator may need; None for all that it does need.
    Their classes and functions, and those of the script or notebook itself, travel in the artifact by value.
    store: the model repository; ``MODEL_STORE``, else ``model``, where it is not given. promote: pin the new version, so
    that it answers whatever was pinned before; without it, it answers where none is pinned.

    The version appears whole or not at all, with the next number. Raises PublishError, which says what to do.
    """
    name = str(name)
    if not manifests.NAME.fullmatch(name):
        raise PublishError(
            f"{name!r} cannot be a model's name: 1–64 of a–z, 0–9, '_', '.', '-', the first a letter or digit"
        )
    trial.check_predicts(estimator)
    if rows not in ("independent", "sequence"):
        raise PublishError(f"rows is {rows!r}; it is 'independent' or 'sequence'")
    pickled, packages, by_value = environment.dump(estimator, None if code is None else environment.given(code))
    X = trial.in_trained_order(estimator, X)
    signature, arrays = derive(X)
    signature = known.with_known(signature, estimator)
    table = Table.from_columns(signature, arrays)
    picked = selftest.extremes(table, TRIAL_ROWS) if rows == "independent" else list(range(len(table)))
    tried = table.take(picked)
    outputs = trial.outputs(estimator, tried, y)
    signature = trial.with_container(pickled, outputs, signature, tried)
    signature = trial.with_unseen(pickled, outputs, signature, tried)
    tried, table = Table.from_columns(signature, tried.columns), Table.from_columns(signature, arrays)
    runtime = trial.open_runtime(pickled, outputs, signature)  # what will be served is what was pickled
    predicted = trial.predict(runtime, tried)
    trial.check_same(estimator, trial.rows_of(X, picked), predicted)
    history = trial.history(predicted) if rows == "sequence" else 0
    try:
        chosen = selftest.choose(tried, predicted.labels(), rows, history)
        golden = selftest.record(signature, runtime, tried.take(chosen).records(), rows, trial.scale(predicted))
        selftest.replay(signature, trial.open_runtime(pickled, outputs, signature), golden)
        msgspec.json.encode((signature, outputs))  # names and categories too
    except (TepalError, TypeError, ValueError) as error:
        raise PublishError(f"the rows of X cannot be sent and answered as they are: {error}") from error
    manifest = Manifest(
        format=manifests.FORMAT,
        name=name,
        version=0,  # its number is known when it is written
        task=trial.task(estimator),
        estimator=_describe(estimator),
        signature=signature,
        outputs=tuple(outputs),
        rows=rows,
        golden=golden,
        metrics=_json_mapping("metrics", metrics),
        meta=_json_mapping("meta", meta),
        python=platform.python_version(),
        packages=packages | (environment.versions(["pandas"]) if signature.container in ("frame", "series") else {}),
        by_value=by_value,
        files={manifests.PICKLE: hashlib.sha256(pickled).hexdigest()},
        created=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        command=_command(),
        n_rows=len(table),
        history=history,
        drift=drift.measure(table),
        runtime=proof.outcome(trial.open_runtime(pickled, outputs, signature), signature, table, golden.scale, rows),
    )
    where = store_from_environ() if store is None else Path(store)
    try:
        version, path = artifact.write(where / name, pickled, manifest)
    except OSError as error:
        raise PublishError(f"cannot write to the model repository {where}/: {error.strerror}") from error
    if promote:
        try:
            choice.promote(where / name, str(version))
        except TepalError as error:
            raise PublishError(f"version {version} is published in {path}/, and not pinned: {error}") from error
    return Published(name, version, path)


def _describe(estimator: Any) -> str:
    """The estimator as one line of Python, as scikit-learn prints it."""
    try:
        try:
            text = estimator.__repr__(N_CHAR_MAX=LONGEST)  # its own limit leaves out the middle of a pipeline
        except TypeError:  # not scikit-learn's own repr
            text = repr(estimator)
    except Exception:  # noqa: BLE001 a class of the user's own, which answers without it
        text = type(estimator).__name__
    return " ".join(text.split())[:LONGEST]


def _json_mapping(what: str, values: Mapping[str, Any] | None) -> dict[str, Any]:
    try:
        decoded: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(dict(values or {}), enc_hook=_from_numpy))
    except (TypeError, ValueError, NotImplementedError, RecursionError) as error:
        raise PublishError(f"{what} must hold JSON values: {error}") from None
    return decoded


def _from_numpy(value: Any) -> Any:
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise NotImplementedError(f"{type(value).__name__} is none")


def _command() -> str:
    program, *arguments = sys.orig_argv or ["python"]
    return shlex.join([Path(program).name, *arguments])[:500]
