"""Whether the rows that come are spread as those of the training were.

The measure is the population stability index (PSI): over the bins of a column, the sum of (q - p) ln(q / p), where p is
a bin's share in training and q its share now. Rows of the same spread give about (bins - 1) / n by chance alone.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from tepal.signature import Column, Signature
from tepal.table import Array, Table

# A histogram has at most so many bins or categories, and in training at least so many rows for each bin: with fewer, its
# own shares would be chance.
BINS, CATEGORIES, ROWS_A_BIN = 10, 20, 50

# PSI from which a column counts as moved a little, and as drifted: the field's rule of thumb.
MODERATE, DRIFTED = 0.1, 0.25

# What chance alone may give (three of its deviations above its mean), for a PSI to be believed.
NOISE = 0.05

# A share that was never seen in training, so that its logarithm is finite.
LEAST_SHARE = 1e-4

State = Literal["stable", "moderate", "drifted", "too few rows", "no histogram"]

Floats = npt.NDArray[np.float64]


class Spread(msgspec.Struct, frozen=True, omit_defaults=True):
    """How the values of one column were spread in training.

    shares: of each bin, and last of the missing values; they add up to 1. edges: the upper edge of each bin but the last,
    ascending, for numbers and booleans. categories: a bin each, with one more for the rest of them, for text.
    """

    shares: tuple[float, ...]
    edges: tuple[float, ...] = ()
    categories: tuple[str, ...] | None = None


class ColumnDrift(msgspec.Struct, frozen=True):
    """What came in one column, beside what training had.

    psi: None where there is no histogram, or no row. outside: numbers out of the range of the training, or texts that
    it never had. missing: values that were not there.
    """

    name: str
    state: State
    psi: float | None
    outside: int
    missing: int


def measure(table: Table) -> tuple[Spread | None, ...]:
    """The spread of each column of the training data; None where a histogram would tell nothing.

    That is free text, datetimes, which always move on, and a column with too few values.
    """
    return tuple(_spread(column, array) for column, array in zip(table.signature.columns, table.columns))


def _spread(column: Column, array: Array) -> Spread | None:
    if column.type == "datetime" or (column.type == "string" and column.categories is None):
        return None
    if column.type == "string":
        return _spread_of_texts(array.tolist())
    values = _floats(array)
    seen = values[~np.isnan(values)]
    bins = min(BINS, len(seen) // ROWS_A_BIN)
    if bins < 2:
        return None
    edges = (0.0,) if column.type == "boolean" else _edges(seen, bins)
    return Spread(_shares(_count_numbers(edges, values)), edges)


def _edges(seen: Floats, bins: int) -> tuple[float, ...]:
    """The upper edges of all bins but the last, each a value of the training.

    Where the least value has a bin to itself, what is below it has one, too.
    """
    edges = np.unique(np.quantile(seen, np.arange(1, bins) / bins, method="inverted_cdf").astype(np.float64))
    least = seen.min()
    return tuple(([float(np.nextafter(least, -np.inf))] if edges[0] == least else []) + edges.tolist())


def _spread_of_texts(values: list[str | None]) -> Spread | None:
    counts = Counter(value for value in values if value is not None)
    frequent = [(text, count) for text, count in counts.most_common(CATEGORIES) if count >= ROWS_A_BIN]
    if not frequent:
        return None
    categories = tuple(sorted(text for text, _ in frequent))
    return Spread(_shares(_count_texts(_places(categories), values)), categories=categories)


def _shares(counts: Floats) -> tuple[float, ...]:
    return tuple((counts / counts.sum()).tolist())


def _places(categories: Sequence[str]) -> dict[str | None, int]:
    """The bin of each category; the rest have the next one, the missing values the last."""
    return {**{text: place for place, text in enumerate(categories)}, None: len(categories) + 1}


def _count_texts(places: dict[str | None, int], values: Sequence[str | None]) -> Floats:
    bins, rest = np.zeros(len(places) + 1), len(places) - 1
    for value, count in Counter(values).items():
        bins[places.get(value, rest)] += count
    return bins


def _count_numbers(edges: Sequence[float], values: Floats) -> Floats:
    """Rows in each bin, and last those with no value. A value on an edge is in the bin below it."""
    missing = np.isnan(values)
    bins = np.searchsorted(np.asarray(edges, dtype=np.float64), values, side="left")
    bins[missing] = len(edges) + 1
    return np.bincount(bins, minlength=len(edges) + 2).astype(np.float64)


def _floats(array: Array) -> Floats:
    if array.dtype == object:
        return np.array([np.nan if value is None else value for value in array], dtype=np.float64)
    return array.astype(np.float64)


class Comparison:
    """Counts rows as ``Spread`` has them, and compares. Made once for a version; holds no counts itself.

    Counts are one array, ``(size,)`` float64, so that those of several workers can be added: the rows, then for each
    column its bins (or one bin, where there is no histogram), its missing values, and those outside of what training had.
    """

    def __init__(self, signature: Signature, spreads: Sequence[Spread | None]):
        """spreads: as ``measure`` gave them; none of a version that was published without."""
        self._columns = [
            _Watched(column, spread) for column, spread in zip(signature.columns, spreads or [None] * len(signature.columns))
        ]
        self.size = 1 + sum(column.size for column in self._columns)

    def count(self, tables: Sequence[Table]) -> Floats:
        """The counts of some tables, one or more, of this signature."""
        parts = [np.array([sum(len(table) for table in tables)], dtype=np.float64)]
        for place, column in enumerate(self._columns):
            parts.append(column.count(np.concatenate([table.columns[place] for table in tables])))
        return np.concatenate(parts)

    def report(self, counts: Floats) -> list[ColumnDrift]:
        """What the counts say, column by column."""
        found, at = [], 1
        for column in self._columns:
            found.append(column.report(counts[at : at + column.size]))
            at += column.size
        return found


class _Watched:
    """One column of a comparison."""

    def __init__(self, column: Column, spread: Spread | None):
        self._column = column
        self._spread = spread
        self._places = _places(spread.categories or ()) if spread else {}
        self._known = frozenset(column.categories or ())
        self.size = (len(spread.shares) if spread else 2) + 1

    def count(self, array: Array) -> Floats:
        """Rows in each bin, then those with no value, then those outside."""
        column, spread = self._column, self._spread
        if column.type == "datetime":
            return _present(np.isnat(array))
        if column.type == "string":
            texts = array.tolist()
            if spread is None:
                counts = _present(np.array([text is None for text in texts]))[:2]
            else:
                counts = _count_texts(self._places, texts)
            unseen = sum(text is not None and text not in self._known for text in texts) if self._known else 0
            return np.append(counts, unseen)
        values = _floats(array)
        counts = _count_numbers(spread.edges, values) if spread else _present(np.isnan(values))[:2]
        if column.minimum is None or column.maximum is None:
            return np.append(counts, 0)
        outside = (values < float(column.minimum)) | (values > float(column.maximum))
        return np.append(counts, np.count_nonzero(outside))

    def report(self, counts: Floats) -> ColumnDrift:
        *bins, outside = counts.tolist()
        state, psi = _state(self._spread, bins)
        return ColumnDrift(self._column.name, state, psi, int(outside), int(bins[-1]))


def _present(missing: npt.NDArray[Any]) -> Floats:
    absent = np.count_nonzero(missing)
    return np.array([len(missing) - absent, absent, 0], dtype=np.float64)


def _state(spread: Spread | None, bins: list[float]) -> tuple[State, float | None]:
    rows = sum(bins)
    if spread is None:
        return "no histogram", None
    if not rows:
        return "too few rows", None
    index = psi(spread.shares, bins)
    if rows < rows_needed(len(spread.shares)):
        return "too few rows", index
    return ("drifted" if index >= DRIFTED else "moderate" if index >= MODERATE else "stable"), index


def psi(shares: Sequence[float], counts: Sequence[float]) -> float:
    """The population stability index of rows by bin against the shares in training, to four digits."""
    rows = sum(counts)
    total = 0.0
    for share, count in zip(shares, counts):
        then = max(share, LEAST_SHARE)
        now = count / rows if count else min(then, 0.5 / rows)  # none may have come by chance
        total += (now - then) * math.log(now / then)
    return round(total, 4)


def rows_needed(bins: int) -> int:
    """Rows from which chance alone gives less than NOISE: their PSI is chi-squared over n, of bins - 1 degrees."""
    free = bins - 1
    return math.ceil((free + 3 * math.sqrt(2 * free)) / NOISE)
