"""Gradient boosting: the sums of its trees' leaves, added one by one from the first guess."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import expit

from tepal.runtime.compiled.columns import floats
from tepal.runtime.compiled.encode import ordinal_columns
from tepal.runtime.compiled.forms import Comes, NotCompilable, Predictor, Rows, Splits
from tepal.runtime.compiled.linear import softmax
from tepal.runtime.compiled.trees import AT_ONCE, Forest, head_above, in_order, place, singles, splits
from tepal.table import Array

Raw = Callable[[Rows], Array]


def classifier(model: Any, comes: Comes) -> Predictor:
    """GradientBoostingClassifier."""
    raw = _stages(model, comes)
    return _classifier(model, raw, 0.5 if _loss(model) == "ExponentialLoss" else 1.0, True, lambda: _splits(model))


def regressor(model: Any, comes: Comes) -> Predictor:
    """GradientBoostingRegressor."""
    raw = _stages(model, comes)

    def answer(rows: Rows, want: bool) -> tuple[Array, None]:
        return raw(rows).ravel(), None

    return Predictor(answer, splits=lambda: _splits(model))


def hist_classifier(model: Any, comes: Comes) -> Predictor:
    """HistGradientBoostingClassifier."""
    return _classifier(model, _hist(model, comes), 1.0, False, lambda: _hist_splits(model))


def hist_regressor(model: Any, comes: Comes) -> Predictor:
    """HistGradientBoostingRegressor."""
    raw = _hist(model, comes)
    link = type(model._loss.link).__name__
    if link not in ("IdentityLink", "LogLink"):
        raise NotCompilable(f"the {type(model).__name__} has a {link}")

    def answer(rows: Rows, want: bool) -> tuple[Array, None]:
        found = raw(rows).ravel()
        return np.exp(found) if link == "LogLink" else found, None

    return Predictor(answer, splits=lambda: _hist_splits(model))


def _loss(model: Any) -> str:
    return type(model._loss).__name__


def _classifier(model: Any, raw: Raw, half: float, zero_counts: bool, found_splits: Callable[[], list[Splits]]) -> Predictor:
    """half: what the second class's score is of twice its logit. zero_counts: whether a score of 0 is the second class."""
    if _loss(model) not in ("HalfBinomialLoss", "HalfMultinomialLoss", "ExponentialLoss"):
        raise NotCompilable(f"the {type(model).__name__} has the loss {_loss(model)}")
    classes = model.classes_

    def chances_of(scores: Array) -> Array:
        if scores.shape[1] > 1:
            return softmax(scores)
        found = np.empty((len(scores), 2))
        found[:, 1] = expit(scores[:, 0] if half == 1.0 else 2 * scores[:, 0])
        np.subtract(1, found[:, 1], out=found[:, 0])
        return found

    def answer(rows: Rows, want: bool) -> tuple[Array, Array | None]:
        scores = raw(rows)
        if scores.shape[1] == 1:
            flat = scores.ravel()
            chosen = (flat >= 0 if zero_counts else flat > 0).astype(np.intp)
        else:
            chosen = scores.argmax(axis=1)
        return classes[chosen], chances_of(scores) if want else None

    def flat_scores(rows: Rows) -> Array:
        scores = raw(rows)
        return scores.ravel() if scores.shape[1] == 1 else scores

    return Predictor(answer, flat_scores, lambda rows: chances_of(raw(rows)), splits=found_splits)


def _stages(model: Any, comes: Comes) -> Raw:
    from sklearn.ensemble._gradient_boosting import predict_stages

    if not isinstance(model.init_, str) and type(model.init_).__name__ not in ("DummyClassifier", "DummyRegressor"):
        raise NotCompilable(f"the {type(model).__name__} starts from a {type(model.init_).__name__}")
    first = model._raw_predict_init(np.zeros((1, model.n_features_in_), dtype=np.float32))
    single = singles(model, comes, missing=False)
    trees, rate = model.estimators_, model.learning_rate
    forest = Forest([tree.tree_ for tree in trees.ravel()], rate)

    def raw(rows: Rows) -> Array:
        matrix = single(rows)
        if len(matrix) <= AT_ONCE:
            leaves = forest.values(matrix).reshape(*trees.shape, len(matrix))
            return in_order(np.concatenate([np.broadcast_to(first.T, (1, trees.shape[1], len(matrix))), leaves])).T
        found = np.repeat(first, len(matrix), axis=0)
        predict_stages(trees, matrix, rate, found)
        return found

    return raw


def _splits(model: Any) -> list[Splits]:
    return splits([tree.tree_ for tree in model.estimators_.ravel()])


def _hist(model: Any, comes: Comes) -> Raw:
    matrix_of = _hist_rows(model, comes)
    forest = HistForest(model)

    def raw(rows: Rows) -> Array:
        matrix = matrix_of(rows)
        return forest.raw(matrix) if len(matrix) <= AT_ONCE else forest.raw_of_many(matrix)

    return raw


def _hist_rows(model: Any, comes: Comes) -> Callable[[Rows], Array]:
    """Rows to the float64 matrix that its trees see: categories as numbers, before the other columns."""
    if model._preprocessor is None:
        matrix_of = floats(model, comes)
        return lambda rows: np.ascontiguousarray(matrix_of(rows), dtype=np.float64)
    encoder = model._preprocessor.named_transformers_["encoder"]
    coded, numeric = np.flatnonzero(model.is_categorical_), np.flatnonzero(~model.is_categorical_)
    encode = ordinal_columns(encoder, _chosen(comes, coded))
    rest = floats(model, _chosen(comes, numeric)) if numeric.size else None
    by_column = comes.columns is not None

    def matrix(rows: Rows) -> Array:
        found = encode([rows[at] for at in coded] if by_column else rows[:, coded])
        if rest is None:
            return found
        others = rest([rows[at] for at in numeric] if by_column else rows[:, numeric])
        return np.ascontiguousarray(np.concatenate([found, others], axis=1), dtype=np.float64)

    return matrix


def _chosen(comes: Comes, at: Array) -> Comes:
    if comes.columns is None:
        return Comes(width=len(at))
    return Comes(columns=tuple(comes.columns[place] for place in at))


class HistForest:
    """The trees of a HistGradientBoosting model as one below a head, as in trees.py, over float64 and sets of categories."""

    def __init__(self, model: Any):
        from sklearn.ensemble._hist_gradient_boosting._predictor import _predict_from_raw_data

        self._walk = _predict_from_raw_data
        self._iterations = model._predictors
        self._trees = [tree for trees in model._predictors for tree in trees]
        self._each = model.n_trees_per_iteration_
        self._first = np.asarray(model._baseline_prediction, dtype=np.float64).reshape(self._each, 1)
        self._width = model.n_features_in_
        self._known, self._places = model._bin_mapper.make_known_categories_bitsets()
        self._more_places = np.append(self._places, np.zeros(1, dtype=self._places.dtype))
        self._nodes, self._sets = self._merged()
        self._numbers = np.arange(len(self._trees), dtype=np.float64)[:, None]

    def _merged(self) -> tuple[Array, Array]:
        head = head_above(len(self._trees))
        parts = [tree.nodes.copy() for tree in self._trees]
        sets = [np.asarray(tree.raw_left_cat_bitsets, dtype=np.uint32).reshape(-1, 8) for tree in self._trees]
        before = 0
        for nodes, own in zip(parts, sets):
            nodes["bitset_idx"][nodes["is_categorical"] != 0] += before
            before += len(own)
        nodes = np.concatenate([np.zeros(len(head.left), dtype=parts[0].dtype), *parts])
        roots = place(nodes, ("left", "right"), [len(part) for part in parts], head)
        top = nodes[: len(head.left)]
        top["left"], top["right"] = roots[head.left], roots[head.right]
        top["feature_idx"], top["num_threshold"] = self._width, head.parts
        return nodes, np.ascontiguousarray(np.concatenate(sets))

    def raw(self, matrix: Array) -> Array:
        """The sums, ``(n, trees an iteration)``, of a few rows. matrix: ``(n, k)`` float64."""
        rows, count = len(matrix), len(self._trees)
        walked = np.empty((count, rows, self._width + 1))
        walked[:, :, :-1] = matrix
        walked[:, :, -1] = self._numbers
        values = np.empty((count // self._each + 1, self._each, rows))
        values[0] = self._first
        self._walk(
            self._nodes,
            walked.reshape(-1, self._width + 1),
            self._sets,
            self._known,
            self._more_places,
            1,
            values[1:].reshape(-1),
        )
        return in_order(values).T

    def raw_of_many(self, matrix: Array) -> Array:
        """The same of many rows: one tree after the other."""
        total = np.empty((self._each, len(matrix)))
        total[:] = self._first
        found = np.empty(len(matrix))
        for trees in self._iterations:
            for each, tree in enumerate(trees):
                self._walk(tree.nodes, matrix, tree.raw_left_cat_bitsets, self._known, self._places, 1, found)
                total[each] += found
        return total.T


def _hist_splits(model: Any) -> list[Splits]:
    found = []
    for tree in (tree for trees in model._predictors for tree in trees):
        nodes = tree.nodes
        leaf = nodes["is_leaf"] != 0
        left = np.where(leaf, -1, nodes["left"].astype(np.intp))
        threshold = np.where(nodes["is_categorical"] != 0, np.nan, nodes["num_threshold"])
        found.append(Splits(left, nodes["right"].astype(np.intp), nodes["feature_idx"].astype(np.intp), threshold))
    return found
