"""Transformers of numbers: scalers, imputers, projections, selections; each a few operations of NumPy."""

from __future__ import annotations

from collections.abc import Callable
from math import isnan
from typing import Any

import numpy as np

from tepal.runtime.compiled.columns import floats
from tepal.runtime.compiled.encode import missing_is_nan
from tepal.runtime.compiled.forms import Comes, Declined, NotCompilable, Rows, SparseRows, Step
from tepal.table import Array

Change = Callable[[Array], Array]


def standard(scaler: Any, comes: Comes) -> Step:
    """StandardScaler."""
    if comes.sparse:
        return _sparse_scaled(scaler, comes, scaler.scale_, centred=scaler.with_mean)
    mean, scale = scaler.mean_ if scaler.with_mean else None, scaler.scale_ if scaler.with_std else None

    def change(matrix: Array) -> Array:
        if mean is not None:
            matrix = matrix - mean.astype(matrix.dtype, copy=False)
        return matrix if scale is None else matrix / scale.astype(matrix.dtype, copy=False)

    return _step(scaler, comes, change)


def min_max(scaler: Any, comes: Comes) -> Step:
    """MinMaxScaler."""
    low, high = scaler.feature_range

    def change(matrix: Array) -> Array:
        matrix = _times(matrix, scaler.scale_)
        matrix += scaler.min_
        return _clipped(matrix, low, high) if scaler.clip else matrix

    return _step(scaler, comes, change)


def max_abs(scaler: Any, comes: Comes) -> Step:
    """MaxAbsScaler."""
    if comes.sparse and not scaler.clip:
        return _sparse_scaled(scaler, comes, scaler.scale_, centred=False)

    def change(matrix: Array) -> Array:
        matrix = matrix.copy("K")
        matrix /= scaler.scale_
        return _clipped(matrix, -1.0, 1.0) if scaler.clip else matrix

    return _step(scaler, comes, change)


def robust(scaler: Any, comes: Comes) -> Step:
    """RobustScaler."""

    def change(matrix: Array) -> Array:
        matrix = matrix.copy("K")
        if scaler.with_centering:
            matrix -= scaler.center_
        if scaler.with_scaling:
            matrix /= scaler.scale_
        return matrix

    return _step(scaler, comes, change)


def _times(matrix: Array, scale: Array) -> Array:
    found = matrix.copy("K")  # as it lies: another order is another kernel of BLAS's, and another last digit
    found *= scale
    return found


def _clipped(matrix: Array, low: float, high: float) -> Array:
    if np.isinf(matrix).any():
        raise Declined  # scikit-learn would not have let it come so far
    found: Array = np.clip(matrix, matrix.dtype.type(low), matrix.dtype.type(high), out=matrix)
    return found


def _sparse_scaled(scaler: Any, comes: Comes, scale: Array | None, centred: bool) -> Step:
    if centred:
        raise NotCompilable(f"the {type(scaler).__name__} refuses sparse rows")
    factors = None if scale is None else 1.0 / scale

    def apply(rows: SparseRows) -> SparseRows:
        if factors is None:
            return rows
        return SparseRows([(at, values * factors[at]) for at, values in rows.rows], rows.width)

    return Step(apply, comes)


def _step(transformer: Any, comes: Comes, change: Change, width: int | None = None) -> Step:
    """A step over a matrix of floats: those of training's own width, or 64 bits, as scikit-learn makes them."""
    matrix_of = floats(transformer, comes)

    def apply(rows: Rows) -> Array:
        matrix = matrix_of(rows)
        return change(matrix if matrix.dtype.kind == "f" else matrix.astype(np.float64))

    return Step(apply, Comes(width=transformer.n_features_in_ if width is None else width))


def imputer(imputer: Any, comes: Comes) -> Step:
    """SimpleImputer: of numbers, or of texts."""
    if comes.columns is not None and any(column.type == "string" for column in comes.columns):
        return _texts_imputer(imputer, comes)
    if not (isinstance(imputer.missing_values, float) and isnan(imputer.missing_values)):
        raise NotCompilable("the SimpleImputer fills in what is not NaN")
    statistics = np.asarray(imputer.statistics_, dtype=np.float64)
    kept = None if imputer.keep_empty_features or not np.isnan(statistics).any() else np.flatnonzero(~np.isnan(statistics))
    flags = imputer.indicator_.features_ if imputer.add_indicator else None
    valid = statistics if kept is None else statistics[kept]

    def change(matrix: Array) -> Array:
        # A sum of squares is NaN where a value is, and need not be looked through where none is.
        missing = np.isnan(matrix) if flags is not None or isnan(np.vdot(matrix, matrix)) else None
        found = matrix if kept is None else matrix[:, kept]
        if missing is not None:
            found = np.where(missing if kept is None else missing[:, kept], valid.astype(matrix.dtype), found)
            if flags is not None:
                found = np.concatenate([found, missing[:, flags]], axis=1)
        return found

    return _step(imputer, comes, change, len(valid) + (0 if flags is None else len(flags)))


def _texts_imputer(imputer: Any, comes: Comes) -> Step:
    columns = comes.columns or ()
    nan = isinstance(imputer.missing_values, float) and isnan(imputer.missing_values)
    if imputer.add_indicator or not (nan or imputer.missing_values is None):
        raise NotCompilable("the SimpleImputer of texts marks them, or fills in what is not NaN or None")
    if any(
        column.type != "string" or column.trained_as[:1].isupper() or column.trained_as == "string" for column in columns
    ):
        raise NotCompilable("the SimpleImputer gets texts and other types")
    fills = imputer.statistics_.tolist()
    if any(not isinstance(fill, str) for fill in fills):
        raise NotCompilable("the SimpleImputer has no value to fill in for some column")
    filled = [(at, fills[at]) for at, column in enumerate(columns) if missing_is_nan(column) == nan]

    def apply(rows: Rows) -> list[Array]:
        found = list(rows)
        for at, fill in filled:
            cells = found[at].tolist()
            if None in cells:
                found[at] = np.array([fill if cell is None else cell for cell in cells], dtype=object)
        return found

    return Step(apply, comes)


def projection(model: Any, comes: Comes) -> Step:
    """PCA."""
    components = model.components_.T
    centre = model.mean_.reshape(1, -1) @ components
    scale = np.sqrt(model.explained_variance_)
    scale[scale < np.finfo(scale.dtype).eps] = np.finfo(scale.dtype).eps

    def change(matrix: Array) -> Array:
        found: Array = matrix @ components
        found -= centre
        if model.whiten:
            found /= scale
        return found

    return _step(model, comes, change, len(model.components_))


def polynomial(features: Any, comes: Comes) -> Step:
    """PolynomialFeatures: the products in the order in which scikit-learn makes them."""
    plan, before = _products(features), int(features.include_bias)
    count, full, given = features.n_features_in_, features._n_out_full, features.n_output_features_

    def change(matrix: Array) -> Array:
        made = np.empty((len(matrix), full), dtype=matrix.dtype, order=features.order)
        if before:
            made[:, 0] = 1
        if features._max_degree == 0:
            return made
        made[:, before : before + count] = matrix
        for start, end, by, to in plan:
            np.multiply(made[:, start:end], matrix[:, by : by + 1], out=made[:, to : to + end - start])
        if features._min_degree > 1:
            return np.concatenate([made[:, :before], made[:, full - given + before :]], axis=1)
        return made

    return _step(features, comes, change, given)


def _products(features: Any) -> list[tuple[int, int, int, int]]:
    """Columns from, to, the feature that they are multiplied by, and where the products go."""
    at, count = int(features.include_bias), features.n_features_in_
    index = [*range(at, at + count), at + count]
    at, plan = at + count, []
    for _ in range(2, features._max_degree + 1):
        made, end = [], index[-1]
        for feature in range(count):
            start = index[feature]
            made.append(at)
            if features.interaction_only:
                start += index[feature + 1] - index[feature]
            if end <= start:
                break
            plan.append((start, end, feature, at))
            at += end - start
        made.append(at)
        index = made
    return plan


def selection(selector: Any, comes: Comes) -> Step:
    """What keeps some columns and drops the others."""
    kept = np.flatnonzero(selector.get_support())
    if comes.sparse:
        place = np.full(comes.width or 0, -1)
        place[kept] = np.arange(len(kept))

        def apply(rows: SparseRows) -> SparseRows:
            found = []
            for at, values in rows.rows:
                stays = place[at] >= 0
                found.append((place[at][stays], values[stays]))
            return SparseRows(found, len(kept))

        return Step(apply, Comes(width=len(kept), sparse=True))
    matrix_of = floats(selector, comes)
    return Step(lambda rows: matrix_of(rows)[:, kept], Comes(width=len(kept)))


def function(transformer: Any, comes: Comes) -> Step:
    """FunctionTransformer that changes nothing, or that is one of NumPy's own functions of one number."""
    called = transformer.func
    if called is None and not transformer.validate:
        return Step(lambda rows: rows, comes)
    if not isinstance(called, np.ufunc) or called.nin != 1 or called.nout != 1 or transformer.kw_args:
        raise NotCompilable("there is no compiled form of FunctionTransformer over a function")
    ufunc = called
    for column in comes.columns or ():
        if column.type in ("integer", "boolean") and not _is_of_floats(ufunc, column.trained_as or column.dtype):
            raise NotCompilable(f"{ufunc.__name__} of the {column.type} column {column.name!r} is none of 64-bit floats")

    def change(matrix: Array) -> Array:
        found: Array = ufunc(matrix)
        return found

    width = comes.width if comes.width is not None else len(comes.columns or ())
    matrix_of = floats(transformer, comes)
    return Step(lambda rows: change(matrix_of(rows)), Comes(width=width))


def _is_of_floats(ufunc: np.ufunc, dtype: str) -> bool:
    """Whether NumPy makes 64-bit floats of such numbers before it computes, so that none is rounded, or wraps, otherwise."""
    try:
        given, found = ufunc.resolve_dtypes((np.dtype(dtype), None))
    except TypeError:
        return False
    return given == found == np.dtype(np.float64)
