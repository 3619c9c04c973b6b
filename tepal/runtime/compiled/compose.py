"""What is made of other estimators: pipelines, columns side by side, searches, calibration, votes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isfinite
from typing import Any

import numpy as np
from scipy.special import expit

from tepal.runtime.compiled import forms
from tepal.runtime.compiled.columns import floats
from tepal.runtime.compiled.forms import Comes, Declined, Last, NotCompilable, Predictor, Rows, SparseRows, Step
from tepal.table import Array

Part = tuple[Callable[[Rows], Rows], Step]


def pipeline(model: Any, comes: Comes) -> Predictor:
    """Pipeline: its steps, then its last one."""
    before = steps(model.steps[:-1], comes)
    final = model.steps[-1][1]
    inner = forms.predictor(final, before.gives)
    last = inner.last or Last(final, inner, before.gives, _itself)
    apply, answer, scores, chances = before.apply, inner.answer, inner.scores, inner.chances
    return Predictor(
        lambda rows, want: answer(apply(rows), want),
        scores and (lambda rows: scores(apply(rows))),
        chances and (lambda rows: chances(apply(rows))),
        min(before.most, inner.most),
        inner.splits,
        last._replace(before=lambda rows: last.before(apply(rows))),
    )


def pipeline_step(model: Any, comes: Comes) -> Step:
    """Pipeline of transformers only."""
    return steps(model.steps, comes)


def steps(named: Sequence[tuple[str, Any]], comes: Comes) -> Step:
    """Transformers one after the other."""
    found = []
    for _, transformer in named:
        if transformer is None or transformer == "passthrough":
            continue
        found.append(forms.step(transformer, comes))
        comes = found[-1].gives
    applies = [one.apply for one in found]

    def apply(rows: Rows) -> Rows:
        for one in applies:
            rows = one(rows)
            # A sum of squares is finite where every number is. What is not, the next step may refuse.
            is_matrix = isinstance(rows, np.ndarray) and rows.dtype.kind == "f"
            if is_matrix and not isfinite(np.vdot(rows, rows)) and np.isinf(rows).any():
                raise Declined
        return rows

    return Step(
        apply,
        comes,
        min((one.most for one in found), default=Step._field_defaults["most"]),
    )


def _itself(rows: Rows) -> Rows:
    return rows


def search(model: Any, comes: Comes) -> Predictor:
    """GridSearchCV and its like: the best estimator."""
    return forms.predictor(model.best_estimator_, comes)


def columns(transformer: Any, comes: Comes) -> Step:
    """ColumnTransformer: each of its transformers on its columns, side by side."""
    parts = []
    for name, inner, chosen in transformer.transformers_:
        at = [int(place) for place in transformer._transformer_to_input_indices[name]]
        if inner == "drop" or not at:
            continue
        take, given = _taken(_placed(transformer, comes, at), comes, single=isinstance(chosen, (str, int)))
        one = Step(_itself, given) if inner == "passthrough" else forms.step(inner, given)
        parts.append((take, one))
    return _side_by_side(transformer, parts, sparse=transformer.sparse_output_)


def union(model: Any, comes: Comes) -> Step:
    """FeatureUnion: each of its transformers on all that comes, side by side."""
    if model.transformer_weights:
        raise NotCompilable("the FeatureUnion has weights")
    parts: list[Part] = []
    for _, inner in model.transformer_list:
        if inner != "drop":
            parts.append((_itself, Step(_itself, comes) if inner == "passthrough" else forms.step(inner, comes)))
    return _side_by_side(model, parts, sparse=any(one.gives.sparse for _, one in parts))


def _placed(transformer: Any, comes: Comes, at: list[int]) -> list[int]:
    """Where columns that the transformer has by a number are now: by their names, where it knows them."""
    names = getattr(transformer, "feature_names_in_", None)
    if names is None or comes.columns is None:
        return at
    here = {column.name: place for place, column in enumerate(comes.columns)}
    return [here[str(names[place])] for place in at]


def _taken(at: list[int], comes: Comes, single: bool) -> tuple[Callable[[Rows], Rows], Comes]:
    """How some of the columns are taken out of what comes, and what they are. single: as one list of texts."""
    if comes.columns is not None:
        chosen = [comes.columns[place] for place in at]
        if single:
            if chosen[0].type != "string":
                raise NotCompilable("the ColumnTransformer hands on one column that is no text")
            first = at[0]
            return (lambda rows: rows[first].tolist()), Comes()
        return (lambda rows: [rows[place] for place in at]), Comes(columns=tuple(chosen))
    if comes.width is None or comes.sparse or single:
        raise NotCompilable("the ColumnTransformer gets texts, or sparse rows")
    if at == list(range(at[0], at[-1] + 1)):
        return (lambda rows: rows[:, at[0] : at[-1] + 1]), Comes(width=len(at))
    return (lambda rows: rows[:, at]), Comes(width=len(at))


def _side_by_side(stacker: Any, parts: list[Part], sparse: bool) -> Step:
    if not parts:
        raise NotCompilable(f"the {type(stacker).__name__} has no columns")
    widths = [_width(stacker, one.gives) for _, one in parts]
    most = min(one.most for _, one in parts)
    if sparse:
        offsets = np.cumsum([0, *widths]).tolist()
        makes = [(take, one.apply, _sparsely(stacker, one.gives), offset) for (take, one), offset in zip(parts, offsets)]

        def apply_sparse(rows: Rows) -> SparseRows:
            blocks = [(sparsely(apply(take(rows))), offset) for take, apply, sparsely, offset in makes]
            found = [
                (
                    np.concatenate([block[row][0] + offset for block, offset in blocks]),
                    np.concatenate([block[row][1] for block, _ in blocks]),
                )
                for row in range(len(blocks[0][0]))
            ]
            return SparseRows(found, offsets[-1])

        return Step(apply_sparse, Comes(width=offsets[-1], sparse=True), most)
    full = [(take, one.apply, floats(stacker, one.gives, densely=True)) for take, one in parts]

    def apply(rows: Rows) -> Array:
        found = [densely(apply(take(rows))) for take, apply, densely in full]
        return found[0] if len(found) == 1 else np.concatenate(found, axis=1)

    return Step(apply, Comes(width=sum(widths)), most)


def _width(stacker: Any, gives: Comes) -> int:
    if gives.width is None and gives.columns is None:
        raise NotCompilable(f"the {type(stacker).__name__} hands on texts")
    return gives.width if gives.width is not None else len(gives.columns or ())


def _sparsely(stacker: Any, gives: Comes) -> Callable[[Rows], list[tuple[Array, Array]]]:
    """What one part gives, as positions and values of each row."""
    if gives.sparse:
        return lambda rows: rows.rows
    matrix_of = floats(stacker, gives)
    at = np.arange(_width(stacker, gives))
    return lambda rows: [(at, np.asarray(row, dtype=np.float64)) for row in matrix_of(rows)]


def calibrated(model: Any, comes: Comes) -> Predictor:
    """CalibratedClassifierCV: the mean of its calibrated classifiers."""
    parts = [_calibrated_part(part, comes) for part in model.calibrated_classifiers_]
    classes = model.classes_
    each = [part for part, _ in parts]

    def chances(rows: Rows) -> Array:
        total = np.zeros((_count(rows), len(classes)))
        for part in each:
            total += part(rows)
        total /= len(each)
        return total

    def answer(rows: Rows, want: bool) -> tuple[Array, Array | None]:
        found = chances(rows)
        return classes[found.argmax(axis=1)], found if want else None

    return Predictor(answer, None, chances, min(most for _, most in parts))


def _count(rows: Rows) -> int:
    return len(rows.rows) if isinstance(rows, SparseRows) else len(rows[0]) if _is_columns(rows) else len(rows)


def _is_columns(rows: Rows) -> bool:
    return isinstance(rows, list) and bool(rows) and isinstance(rows[0], np.ndarray)


def _calibrated_part(part: Any, comes: Comes) -> tuple[Callable[[Rows], Array], int]:
    if part.method not in ("sigmoid", "isotonic"):
        raise NotCompilable(f"the CalibratedClassifierCV calibrates by {part.method}")
    inner = forms.predictor(part.estimator, comes)
    many = len(part.classes)
    response = inner.scores or (inner.chances and _response(inner.chances, many))
    if response is None:
        raise NotCompilable(f"the {type(part.estimator).__name__} gives no scores to calibrate")
    calibrators = [_calibrator(calibrator) for calibrator in part.calibrators]
    at = np.searchsorted(part.classes, part.estimator.classes_) + (many == 2)

    def chances(rows: Rows) -> Array:
        scores = response(rows)
        scores = scores.reshape(-1, 1) if scores.ndim == 1 else scores
        found = np.zeros((len(scores), many))
        for column, calibrator, place in zip(scores.T, calibrators, at):
            found[:, place] = calibrator(column)
        if many == 2:
            found[:, 0] = 1.0 - found[:, 1]
        else:
            total = np.sum(found, axis=1)[:, np.newaxis]
            uniform = np.full_like(found, 1 / many)
            found = np.divide(found, total, out=uniform, where=total != 0)
        found[(found > 1.0) & (found <= 1.0 + 1e-5)] = 1.0
        return found

    return chances, inner.most


def _response(chances: Callable[[Rows], Any], many: int) -> Callable[[Rows], Array]:
    """What calibration looks at where there is no score: of two classes the chance of the second."""
    return (lambda rows: chances(rows)[:, 1]) if many == 2 else chances


def _calibrator(calibrator: Any) -> Callable[[Array], Array]:
    kind = type(calibrator).__name__
    if kind == "_SigmoidCalibration":
        return lambda scores: expit(-(calibrator.a_ * scores + calibrator.b_))
    if kind == "IsotonicRegression" and hasattr(calibrator, "f_") and calibrator.out_of_bounds == "clip":
        low, high, between = calibrator.X_min_, calibrator.X_max_, calibrator.f_

        def predict(scores: Array) -> Array:
            found: Array = between(np.clip(scores, low, high))
            return found.astype(scores.dtype)

        return predict
    raise NotCompilable(f"the CalibratedClassifierCV has a {kind}")


def each_against_the_rest(model: Any, comes: Comes) -> Predictor:
    """OneVsRestClassifier, of one label a row."""
    if model.multilabel_:
        raise NotCompilable("the OneVsRestClassifier answers several labels")
    inner = [forms.predictor(estimator, comes) for estimator in model.estimators_]
    if len(inner) == 1:
        raise NotCompilable("the OneVsRestClassifier is of two classes")
    by_scores = all(one.scores is not None for one in inner)
    responses = [one.scores or (one.chances and _response(one.chances, 2)) for one in inner]
    if None in responses:
        raise NotCompilable("the OneVsRestClassifier is made of what gives no scores")
    asked: list[Any] = [one.scores if by_scores else response for one, response in zip(inner, responses)]
    probable = [one.chances for one in inner]
    classes = model.label_binarizer_.classes_

    def chances(rows: Rows) -> Array:
        found = np.array([one(rows)[:, 1] for one in probable if one is not None]).T
        total = np.sum(found, axis=1)[:, np.newaxis]
        np.divide(found, total, out=found, where=total != 0)
        return found

    def answer(rows: Rows, want: bool) -> tuple[Array, Array | None]:
        maxima, best = np.full(_count(rows), -np.inf), np.zeros(_count(rows), dtype=int)
        for at in reversed(range(len(asked))):  # of equal scores the first counts
            scores = asked[at](rows)
            np.maximum(maxima, scores, out=maxima)
            best[maxima == scores] = at
        return classes[best], chances(rows) if want and None not in probable else None

    return Predictor(answer, None, None, min(one.most for one in inner))


def each_output(model: Any, comes: Comes) -> Predictor:
    """MultiOutputClassifier and MultiOutputRegressor: an estimator for each output."""
    inner = [forms.predictor(estimator, comes) for estimator in model.estimators_]

    def answer(rows: Rows, want: bool) -> tuple[Array, list[Any] | None]:
        found = [one.answer(rows, want) for one in inner]
        values = np.asarray([values for values, _ in found]).T
        return values, [chances for _, chances in found] if want else None

    return Predictor(answer, most=min(one.most for one in inner))


def soft_vote(model: Any, comes: Comes) -> Predictor:
    """VotingClassifier by probabilities."""
    if model.voting != "soft":
        raise NotCompilable("the VotingClassifier counts votes")
    inner = [forms.predictor(estimator, comes) for estimator in model.estimators_]
    asked = [one.chances for one in inner if one.chances is not None]
    if len(asked) < len(inner):
        raise NotCompilable("the VotingClassifier has members without a compiled probability")
    weights, classes = model._weights_not_none, model.le_.classes_

    def chances(rows: Rows) -> Array:
        found: Array = np.average(np.asarray([one(rows) for one in asked]), axis=0, weights=weights)
        return found

    def answer(rows: Rows, want: bool) -> tuple[Array, Array | None]:
        found = chances(rows)
        return classes[found.argmax(axis=1)], found if want else None

    return Predictor(answer, None, chances, min(one.most for one in inner))


def mean_vote(model: Any, comes: Comes) -> Predictor:
    """VotingRegressor."""
    inner = [forms.predictor(estimator, comes) for estimator in model.estimators_]
    weights = model._weights_not_none

    def answer(rows: Rows, want: bool) -> tuple[Array, None]:
        values = np.asarray([one.answer(rows, False)[0] for one in inner]).T
        return np.average(values, axis=1, weights=weights), None

    return Predictor(answer, most=min(one.most for one in inner))


def frozen(model: Any, comes: Comes) -> Predictor:
    """FrozenEstimator, and others that only hand on what another answers."""
    is_frozen = type(model).__name__ == "FrozenEstimator"  # which has every attribute of what it froze, as though its own
    return forms.predictor(model.estimator if is_frozen else model.estimator_, comes)
