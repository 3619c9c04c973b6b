"""What the encoders inside a fitted estimator know of its columns, beyond the rows at hand."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np

from tepal.signature import MAX_CATEGORIES, Signature

# Where estimators that are made of others keep those that get the same columns.
_INNER = ("best_estimator_", "estimator_", "regressor_", "estimator")
_SEVERAL = ("estimators_", "calibrated_classifiers_")


def with_known(signature: Signature, estimator: Any) -> Signature:
    """The signature with every category that an encoder in ``estimator`` has learnt for a column of texts."""
    learnt: dict[str, set[str]] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn 1.5 tells whoever looks that what is looked at will change
        for name, values in _categories(estimator, signature.names):
            learnt.setdefault(name, set()).update(str(value) for value in values if isinstance(value, str))
    columns = []
    for column in signature.columns:
        categories = learnt.get(column.name, set()).union(column.categories or ())
        if column.categories is not None and len(categories) <= MAX_CATEGORIES:
            column = msgspec.structs.replace(column, categories=tuple(sorted(categories)))  # noqa: PLW2901
        columns.append(column)
    return msgspec.structs.replace(signature, columns=tuple(columns))


def _categories(part: Any, names: Sequence[str]) -> Iterator[tuple[str, Sequence[Any]]]:
    """Pairs of a column's name and the values that ``part`` knows of it. names: of the columns that ``part`` gets."""
    learnt = getattr(part, "categories_", None)
    if isinstance(learnt, list) and len(learnt) == len(names):
        yield from zip(names, learnt)
    for inner, columns in _inner(part, names):
        yield from _categories(inner, columns)


def _inner(part: Any, names: Sequence[str]) -> Iterator[tuple[Any, Sequence[str]]]:
    """The estimators in ``part`` that get columns as they are, with the names of those."""
    if hasattr(part, "transformers_"):  # a ColumnTransformer
        for _, transformer, columns in part.transformers_:
            yield transformer, _selected(columns, names)
    elif isinstance(getattr(part, "steps", None), list):  # a Pipeline: its later steps see what the first one left
        for _, step in part.steps:
            if step is not None and not isinstance(step, str):
                yield step, names
                if not _keeps_columns(step):
                    break
    elif hasattr(part, "transformer_list"):  # a FeatureUnion
        yield from ((transformer, names) for _, transformer in part.transformer_list)
    else:
        several = [found for name in _SEVERAL if isinstance(found := getattr(part, name, None), list)]
        for inner in (*(getattr(part, name, None) for name in _INNER), *(inner for found in several for inner in found)):
            if hasattr(inner, "__dict__") and not isinstance(inner, type):
                yield inner, names


def _keeps_columns(step: Any) -> bool:
    """Whether a step of a pipeline, an imputer say, hands on the columns that it gets, each in its place."""
    return type(step).__name__ == "SimpleImputer" and not step.add_indicator and not _drops(step)


def _drops(imputer: Any) -> bool:
    missing = np.asarray(imputer.statistics_ != imputer.statistics_)  # a column that was empty throughout
    return bool(missing.any()) and not imputer.keep_empty_features


def _selected(columns: Any, names: Sequence[str]) -> list[str]:
    """The names that a ColumnTransformer's columns stand for: names, numbers, a slice or a mask."""
    if isinstance(columns, str):
        return [columns]
    if isinstance(columns, slice):
        if isinstance(columns.start, str) or isinstance(columns.stop, str):  # by name, with its end
            first = names.index(columns.start) if columns.start is not None else None
            last = names.index(columns.stop) + 1 if columns.stop is not None else None
            columns = slice(first, last, columns.step)
        return list(names[columns])
    chosen = np.atleast_1d(np.asarray(columns))
    return [str(name) for name in chosen] if chosen.dtype.kind in "UOT" else list(np.asarray(names, dtype=object)[chosen])
