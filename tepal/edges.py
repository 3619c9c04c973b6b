"""Rows on the edges of a model: on each threshold of its trees and beside it, and where one label becomes another."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tepal.runtime.compiled.forms import Splits
from tepal.table import Array

MOST_THRESHOLDS = 5000  # of different ones; of more, as many of them
PAIRS = 100  # of rows with different labels, between which an edge is looked for
HALVINGS = 60


def on_thresholds(splits: Sequence[Splits], rows: Array, random: np.random.Generator) -> Array:
    """Rows that come to a node of a tree with its threshold in its column, and with the numbers beside that.

    rows: ``(n, k)``, of which one is taken that comes to the node, where there is one. Returns ``(m, k)`` float64.
    """
    places = {place[1:]: place for split in splits for place in _places(split, rows, random)}
    chosen = list(places.values())
    if len(chosen) > MOST_THRESHOLDS:
        chosen = [chosen[at] for at in random.choice(len(chosen), MOST_THRESHOLDS, replace=False)]
    made = []
    for row, column, threshold in chosen:
        beside = around(threshold)
        several = np.repeat(rows[row : row + 1], len(beside), axis=0)
        several[:, column] = beside
        made.append(several)
    return np.concatenate(made) if made else rows[:0]


def around(threshold: float) -> list[float]:
    """A number, the two beside it, and the float32 next to it with those beside that."""
    with np.errstate(over="ignore"):
        single = np.float32(threshold)
        near = [single, np.nextafter(single, np.float32(-np.inf)), np.nextafter(single, np.float32(np.inf))]
    doubles = [threshold, float(np.nextafter(threshold, -np.inf)), float(np.nextafter(threshold, np.inf))]
    limit = float(np.finfo(np.float32).max)
    return [value for value in [*doubles, *map(float, near)] if abs(value) <= limit]


def _places(split: Splits, rows: Array, random: np.random.Generator) -> list[tuple[int, int, float]]:
    """For each inner node a row that comes to it, its column and its threshold."""
    inner = split.left >= 0
    comes = np.full(len(split.left), -1)
    at, index = np.zeros(len(rows), dtype=np.intp), np.arange(len(rows))
    while index.size:
        comes[at] = index
        going = inner[at]
        at, index = at[going], index[going]
        left = rows[index, split.feature[at]] <= split.threshold[at]
        at = np.where(left, split.left[at], split.right[at])
    nodes = np.flatnonzero(inner & np.isfinite(split.threshold))
    other = random.integers(0, len(rows), len(nodes))
    found = np.where(comes[nodes] >= 0, comes[nodes], other)
    return list(zip(found.tolist(), split.feature[nodes].tolist(), split.threshold[nodes].tolist()))


def on_boundaries(labels: Callable[[Array], Array], rows: Array, random: np.random.Generator) -> Array:
    """Rows between two of different labels, as near as floats allow to where one becomes the other, on both sides.

    labels: ``(n, k)`` to ``(n,)``.
    """
    known = labels(rows)
    one, other = random.integers(0, len(rows), (2, 20 * PAIRS))
    differ = np.flatnonzero(known[one] != known[other])[:PAIRS]
    if not differ.size:
        return rows[:0]
    low, high, low_label = rows[one[differ]], rows[other[differ]], known[one[differ]]
    for _ in range(HALVINGS):
        middle = low / 2 + high / 2
        same = labels(middle) == low_label
        low, high = np.where(same[:, None], middle, low), np.where(same[:, None], high, middle)
    beside = [np.nextafter(low, high), np.nextafter(high, low), low / 2 + high / 2]
    return np.concatenate([low, high, *beside])
