"""Trees and forests: all trees of a forest as one, so that one call of scikit-learn's own walk finds a row's every leaf.

Above the trees lies a balanced head that asks for one more feature, the tree's number. A row is walked once for each number,
by the same comparison of a float32 with a float64, and the same way for a missing value, that a single tree makes.
Then the leaves' values are added in the order in which scikit-learn adds them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.tree._tree import Tree

from tepal.runtime.compiled.columns import floats
from tepal.runtime.compiled.forms import Comes, Declined, NotCompilable, Predictor, Rows, Splits
from tepal.table import Array

# The rows of a call up to which a walk through all trees at once is faster than one tree after the other.
AT_ONCE = 32
# Bytes that a forest may take a second time: as one tree beside its own.
MOST_BYTES = 512 * 1024 * 1024


def classifier(model: Any, comes: Comes) -> Predictor:
    """A tree or a forest that answers the class with the largest share, of one output or several."""
    summed = _summed(model, comes)
    several = model.n_outputs_ > 1
    counts = np.atleast_1d(model.n_classes_).tolist()
    classes = model.classes_ if several else [model.classes_]

    def shares(rows: Rows) -> list[Array]:
        total = summed(rows)
        return [total[:, output, :count] for output, count in enumerate(counts)]

    def chances(rows: Rows) -> Any:
        found = shares(rows)
        return found if several else found[0]

    def answer(rows: Rows, want: bool) -> tuple[Array, Any]:
        found = shares(rows)
        labels = [known.take(share.argmax(axis=1), axis=0) for known, share in zip(classes, found)]
        if not several:
            return labels[0], found[0] if want else None
        values = np.empty((len(labels[0]), len(labels)), dtype=classes[0].dtype)
        for output, label in enumerate(labels):
            values[:, output] = label
        return values, found if want else None

    return Predictor(answer, None, chances, splits=lambda: splits(_trees(model)))


def regressor(model: Any, comes: Comes) -> Predictor:
    """A tree or a forest that answers the mean of its trees."""
    summed = _summed(model, comes)
    several = model.n_outputs_ > 1

    def answer(rows: Rows, want: bool) -> tuple[Array, None]:
        total = summed(rows)
        return total[:, :, 0] if several else total[:, 0, 0], None

    return Predictor(answer, splits=lambda: splits(_trees(model)))


def splits(trees: Sequence[Any]) -> list[Splits]:
    """The thresholds of trees of scikit-learn's own kind."""
    return [Splits(tree.children_left, tree.children_right, tree.feature, tree.threshold) for tree in trees]


def _trees(model: Any) -> list[Any]:
    """The model's trees; a tree is a forest of one."""
    return [tree.tree_ for tree in model.estimators_] if hasattr(model, "estimators_") else [model.tree_]


def _summed(model: Any, comes: Comes) -> Callable[[Rows], Array]:
    """Rows to the mean of the trees' values, ``(n, outputs, classes)``."""
    first = model.estimators_[0] if hasattr(model, "estimators_") else model
    single = singles(first, comes, missing=bool(first._support_missing_values(np.zeros((1, 1)))))
    trees = _trees(model)
    shape = trees[0].value.shape[1:]
    mean = hasattr(model, "estimators_")
    forest = Forest(trees)

    def summed(rows: Rows) -> Array:
        matrix = single(rows)
        total = forest.sums(matrix) if len(matrix) <= AT_ONCE else _one_by_one(trees, matrix)
        if mean:
            total /= len(trees)
        return total.reshape(len(matrix), *shape)

    return summed


def _one_by_one(trees: Sequence[Any], matrix: Array) -> Array:
    total = np.zeros((len(matrix), trees[0].value[0].size))
    for tree in trees:
        total += tree.predict(matrix).reshape(total.shape)
    return total


def singles(model: Any, comes: Comes, missing: bool) -> Callable[[Rows], Array]:
    """Rows to a float32 matrix, as trees get it. Declines what is infinite there, or missing where that is not allowed."""
    matrix_of = floats(model, comes, densely=True)

    def single(rows: Rows) -> Array:
        matrix = np.ascontiguousarray(matrix_of(rows), dtype=np.float32)
        if not np.isfinite(np.vdot(matrix, matrix)) and (not missing or np.isinf(matrix).any()):
            raise Declined
        return matrix

    return single


class Forest:
    """Trees over the same features as one tree below a head."""

    def __init__(self, trees: Sequence[Any], rate: float = 1.0):
        """rate: what each leaf's value is multiplied by. Raises NotCompilable where they would take too much memory."""
        if sum(tree.node_count for tree in trees) * (80 + 8 * trees[0].value[0].size) > MOST_BYTES:
            raise NotCompilable(f"its {len(trees)} trees would take more than {MOST_BYTES >> 20} MiB a second time")
        self._count, self._width = len(trees), trees[0].n_features
        self._values = rate * np.concatenate([tree.value.reshape(tree.node_count, -1) for tree in trees])
        head = head_above(self._count)
        if self._count > 1:
            self._values = np.concatenate([np.zeros((len(head.left), self._values.shape[1])), self._values])
        self._tree = trees[0] if self._count == 1 else _merged(trees, head)
        self._numbers = np.arange(self._count, dtype=np.float32)[:, None]

    def sums(self, matrix: Array) -> Array:
        """The sums of the trees' values, ``(n, values)``, added tree by tree. matrix: ``(n, k)`` float32."""
        return in_order(self.values(matrix))

    def values(self, matrix: Array) -> Array:
        """Each tree's value for each row, ``(trees, n, values)``."""
        rows = len(matrix)
        if self._count == 1:
            only: Array = self._values[self._tree.apply(matrix)][None]
            return only
        walked = np.empty((self._count, rows, self._width + 1), dtype=np.float32)
        walked[:, :, :-1] = matrix
        walked[:, :, -1] = self._numbers
        leaves = self._tree.apply(walked.reshape(-1, self._width + 1))
        found: Array = self._values[leaves].reshape(self._count, rows, -1)
        return found


def in_order(values: Array) -> Array:
    """The sum over the first axis, added from the first to the last: ``reduce`` adds a single column in pairs."""
    if len(values) == 1:
        only: Array = values[0]
        return only
    if values[0].size == 1:
        return np.add.accumulate(values.ravel())[-1:].reshape(values.shape[1:])
    total: Array = np.add.reduce(values, axis=0)
    return total


class Head(NamedTuple):
    """The head above so many trees: for each of its nodes the two below it, and the number at which they part.

    Nodes from ``len(left)`` on stand for the trees, in order.
    """

    left: list[int]
    right: list[int]
    parts: list[float]


def head_above(trees: int) -> Head:
    """A balanced head above so many trees."""
    left, right, parts = [0] * (trees - 1), [0] * (trees - 1), [0.0] * (trees - 1)
    todo, made = [(0, 0, trees)] if trees > 1 else [], 1
    while todo:
        node, low, high = todo.pop()
        middle = (low + high) // 2
        parts[node] = middle - 0.5
        for side, start, end in ((left, low, middle), (right, middle, high)):
            if end - start == 1:
                side[node] = trees - 1 + start
            else:
                side[node] = made
                todo.append((made, start, end))
                made += 1
    return Head(left, right, parts)


def _merged(trees: Sequence[Any], head: Head) -> Any:
    states = [tree.__getstate__() for tree in trees]
    nodes = np.concatenate([np.zeros(len(head.left), dtype=states[0]["nodes"].dtype), *(s["nodes"] for s in states)])
    roots = place(nodes, ("left_child", "right_child"), [len(state["nodes"]) for state in states], head)
    top = nodes[: len(head.left)]
    top["left_child"], top["right_child"] = roots[head.left], roots[head.right]
    top["feature"], top["threshold"] = trees[0].n_features, head.parts
    merged = Tree(trees[0].n_features + 1, np.array([1], dtype=np.intp), 1)
    depth = max(state["max_depth"] for state in states) + len(head.left).bit_length()
    merged.__setstate__(
        {"max_depth": depth, "node_count": len(nodes), "nodes": nodes, "values": np.zeros((len(nodes), 1, 1))}
    )
    return merged


def place(nodes: Array, children: tuple[str, str], lengths: Sequence[int], head: Head) -> Array:
    """Move the numbers of the nodes of trees that lie one after the other behind a head.

    Returns where each node of the head and each tree's root is now, by its number in the head.
    """
    at, roots = len(head.left), list(range(len(head.left)))
    for length in lengths:
        for child in children:
            numbers = nodes[child][at : at + length]
            numbers[numbers > 0] += at  # a leaf has no child: -1, or 0, which is the root and nobody's child
        roots.append(at)
        at += length
    return np.array(roots)
