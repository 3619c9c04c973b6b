"""Vectorizers of text: the vectorizer's own analyzer, and only the terms that a text has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tepal.runtime.compiled.forms import Comes, NotCompilable, Rows, SparseRows, Step
from tepal.table import Array

Row = tuple[Array, Array]


def count(vectorizer: Any, comes: Comes) -> Step:
    """CountVectorizer."""
    return Step(_each_text(vectorizer, comes, _counted(vectorizer)), _width(len(vectorizer.vocabulary_)))


def tf_idf(vectorizer: Any, comes: Comes) -> Step:
    """TfidfVectorizer."""
    counted, weighed = _counted(vectorizer), _weighed(vectorizer._tfidf)
    return Step(_each_text(vectorizer, comes, lambda text: weighed(counted(text))), _width(len(vectorizer.vocabulary_)))


def weights(transformer: Any, comes: Comes) -> Step:
    """TfidfTransformer."""
    if not comes.sparse:
        raise NotCompilable("the TfidfTransformer gets rows that are not sparse")
    weighed = _weighed(transformer)
    return Step(lambda rows: SparseRows([weighed(row) for row in rows.rows], rows.width), comes)


def hashing(vectorizer: Any, comes: Comes) -> Step:
    """HashingVectorizer."""
    from sklearn.feature_extraction._hashing_fast import transform

    hasher, analyze = vectorizer._get_hasher(), vectorizer.build_analyzer()
    normed = _normed(vectorizer.norm)
    if np.dtype(vectorizer.dtype) != np.float64:
        raise NotCompilable("the HashingVectorizer counts in another type than float64")

    def row(text: str) -> Row:
        terms = (((term, 1) for term in analyze(text)),)
        at, _, values = transform(terms, hasher.n_features, hasher.dtype, hasher.alternate_sign, seed=0)
        found, inverse = np.unique(at, return_inverse=True)
        sums = np.bincount(inverse, weights=values, minlength=len(found)) if len(found) else np.zeros(0)
        if vectorizer.binary:
            sums = np.ones(len(found))
        return normed((found.astype(np.intp), sums))

    return Step(_each_text(vectorizer, comes, row), _width(vectorizer.n_features))


def _width(terms: int) -> Comes:
    return Comes(width=terms, sparse=True)


def _each_text(vectorizer: Any, comes: Comes, row: Callable[[str], Row]) -> Callable[[Rows], SparseRows]:
    if comes.width is not None or comes.columns is not None:
        raise NotCompilable(f"the {type(vectorizer).__name__} gets something else than texts")
    width = len(vectorizer.vocabulary_) if hasattr(vectorizer, "vocabulary_") else vectorizer.n_features

    def apply(texts: Rows) -> SparseRows:
        return SparseRows([row(text) for text in texts], width)

    return apply


def _counted(vectorizer: Any) -> Callable[[str], Row]:
    if np.dtype(vectorizer.dtype) not in (np.float64, np.int64):
        raise NotCompilable(f"the {type(vectorizer).__name__} counts in another type than float64 or int64")
    analyze, known, binary = vectorizer.build_analyzer(), vectorizer.vocabulary_, vectorizer.binary

    def row(text: str) -> Row:
        counts: dict[int, int] = {}
        for term in analyze(text):
            at = known.get(term)
            if at is not None:
                counts[at] = counts.get(at, 0) + 1
        terms = sorted(counts)
        values = np.ones(len(terms)) if binary else np.array([counts[at] for at in terms], dtype=np.float64)
        return np.array(terms, dtype=np.intp), values

    return row


def _weighed(transformer: Any) -> Callable[[Row], Row]:
    idf = getattr(transformer, "idf_", None)
    normed = _normed(transformer.norm)
    sublinear = transformer.sublinear_tf

    def weighed(row: Row) -> Row:
        at, values = row
        if sublinear:
            values = np.log(values) + 1.0
        if idf is not None:
            values = values * idf[at]
        return normed((at, values))

    return weighed


def _normed(norm: str | None) -> Callable[[Row], Row]:
    def normed(row: Row) -> Row:
        at, values = row
        if norm is None or not len(at):
            return row
        terms = values * values if norm == "l2" else np.abs(values)
        total = np.add.accumulate(terms)[-1]  # in scikit-learn's order
        if total == 0.0:
            return row
        return at, values / (np.sqrt(total) if norm == "l2" else total)

    return normed
