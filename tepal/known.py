"""What a fitted estimator knows of its input columns beyond the rows at hand: the categories of its encoders."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np

from tepal.signature import MAX_CATEGORIES, Signature

Names = Sequence[str] | None

# Where estimators that are made of others keep those that get the same columns.
_INNER = ("best_estimator_", "estimator_", "regressor_", "estimator")
_SEVERAL = ("estimators_", "calibrated_classifiers_")


def with_known(signature: Signature, estimator: Any) -> Signature:
    """The signature with every category that an encoder in ``estimator`` has learnt for a column of texts."""
    learnt = _learnt(estimator, signature.names)
    columns = []
    for column in signature.columns:
        values = learnt.get(column.name, set()).union(column.categories or ())
        known = column.categories is not None and len(values) <= MAX_CATEGORIES
        columns.append(msgspec.structs.replace(column, categories=tuple(sorted(values))) if known else column)
    return msgspec.structs.replace(signature, columns=tuple(columns))


def categories(estimator: Any) -> dict[str, tuple[str, ...]]:
    """The texts that the estimator's encoders know, by the name of the column that they get as it came in.

    They are found through pipelines, searches and ``ColumnTransformer``, past imputers. Columns without a name (of
    an array) are left out, and so is what another step changed before.
    """
    names = getattr(estimator, "feature_names_in_", None)
    found = _learnt(estimator, None if names is None else [str(name) for name in names])
    return {column: tuple(sorted(known)) for column, known in found.items()}


def text_columns(estimator: Any) -> set[str]:
    """The columns that hold texts for the estimator's encoders, even if another step of its pipeline comes before."""
    return {column for column, _, _ in _encoded(estimator, None)} | set(categories(estimator))


def _learnt(estimator: Any, names: Names) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for column, known, untouched in _encoded(estimator, names):
        if untouched:
            found.setdefault(column, set()).update(known)
    return found


def _encoded(estimator: Any, names: Names) -> list[tuple[str, set[str], bool]]:
    """Each column that an encoder knows the texts of, with these, and whether it comes to the encoder untouched.

    names: of the columns that the estimator gets, in order, where they are known.
    """
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn 1.5 tells whoever looks that what is looked at will change
        parts = list(_parts(estimator, names))
        made_up = {_filled_in(part) for part, _, _ in parts}
        for part, columns, untouched in parts:
            known = getattr(part, "categories_", None)
            if isinstance(known, list) and columns is not None and len(known) == len(columns):
                for column, values in zip(columns, known):
                    texts = {str(value) for value in values if isinstance(value, str)} - made_up
                    if texts:
                        found.append((column, texts, untouched))
    return found


def _parts(estimator: Any, names: Names) -> Iterator[tuple[Any, Names, bool]]:
    """The steps inside, with the columns that each gets, and whether no step has changed them before."""
    if isinstance(getattr(estimator, "steps", None), list):
        untouched = True
        for _, step in estimator.steps:
            for part, columns, clean in _parts(step, names):
                yield part, columns, clean and untouched
            if not (isinstance(step, str) or step is None or _keeps_columns(step)):
                names, untouched = None, False
    elif hasattr(estimator, "transformers_"):
        for _, transformer, columns in estimator.transformers_:
            yield from _parts(transformer, _chosen(columns, names))
    elif hasattr(estimator, "transformer_list"):
        for _, transformer in estimator.transformer_list:
            yield from _parts(transformer, names)
    else:
        yield estimator, names, True
        for inner in _made_of(estimator):
            yield from _parts(inner, names)


def _made_of(estimator: Any) -> Iterator[Any]:
    """The estimators that a search, a stack, a vote and the like give the columns that they get."""
    several = [found for name in _SEVERAL if isinstance(found := getattr(estimator, name, None), list)]
    for inner in (*(getattr(estimator, name, None) for name in _INNER), *(inner for found in several for inner in found)):
        if hasattr(inner, "__dict__") and not isinstance(inner, type):
            yield inner


def _keeps_columns(step: Any) -> bool:
    if type(step).__name__ != "SimpleImputer" or step.add_indicator or not hasattr(step, "statistics_"):
        return False
    empty = np.asarray(step.statistics_ != step.statistics_)  # a column without values is left out
    return step.keep_empty_features or not empty.any()


def _filled_in(part: Any) -> str | None:
    """What an imputer puts into the gaps: a category for the encoder after it, and none that a client would send."""
    if type(part).__name__ != "SimpleImputer" or part.strategy != "constant":
        return None
    return "missing_value" if part.fill_value is None else str(part.fill_value)


def _chosen(columns: Any, names: Names) -> Names:
    """What a ``ColumnTransformer`` means by its columns: names, positions, a mask, a slice, or one of them."""
    if isinstance(columns, str):
        return [columns]
    if isinstance(columns, slice):
        return None if names is None else list(names[_by_position(columns, names)])
    listed = [columns] if isinstance(columns, int) else list(columns)
    if all(isinstance(item, str) for item in listed):
        return [str(item) for item in listed]
    return [names[int(position)] for position in np.arange(len(names))[listed]] if names is not None else None


def _by_position(columns: slice, names: Sequence[str]) -> slice:
    """A slice by names, which holds its end, as one by positions."""
    first = names.index(columns.start) if isinstance(columns.start, str) else columns.start
    last = names.index(columns.stop) + 1 if isinstance(columns.stop, str) else columns.stop
    return slice(first, last, columns.step)
