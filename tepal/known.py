"""What a fitted estimator knows of its input columns beyond the rows at hand: the categories of its encoders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

Names = Sequence[str] | None


def categories(estimator: Any) -> dict[str, tuple[str, ...]]:
    """The texts that the estimator's encoders know, by the name of the column that they get as it came in.

    They are found through pipelines, searches and ``ColumnTransformer``, past imputers. Columns without a name (of
    an array) are left out, and so is what another step changed before.
    """
    names = getattr(estimator, "feature_names_in_", None)
    found: dict[str, set[str]] = {}
    for column, known, untouched in _encoded(estimator, None if names is None else [str(name) for name in names]):
        if untouched and column is not None:
            found.setdefault(column, set()).update(known)
    return {column: tuple(sorted(known)) for column, known in found.items()}


def text_columns(estimator: Any) -> set[str]:
    """The columns that hold texts for the estimator's encoders, even if another step of its pipeline comes before."""
    return {column for column, _, _ in _encoded(estimator, None) if column is not None} | set(categories(estimator))


def _encoded(estimator: Any, names: Names) -> Iterator[tuple[str | None, set[str], bool]]:
    """Each column that an encoder knows the texts of, with these, and whether it comes to the encoder untouched.

    names: of the columns that the estimator gets, in order, where they are known.
    """
    for part, columns, untouched in _parts(estimator, names):
        known = getattr(part, "categories_", None)
        if isinstance(known, list) and columns is not None and len(known) == len(columns):
            for column, values in zip(columns, known):
                texts = {str(value) for value in values if isinstance(value, str)}
                if texts:
                    yield column, texts, untouched


def _parts(estimator: Any, names: Names) -> Iterator[tuple[Any, Names, bool]]:
    """The steps inside, with the columns that each gets, and whether no step has changed them before."""
    if hasattr(estimator, "best_estimator_"):
        yield from _parts(estimator.best_estimator_, names)
    elif hasattr(estimator, "steps"):
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


def _keeps_columns(step: Any) -> bool:
    return type(step).__name__ == "SimpleImputer" and not step.add_indicator


def _chosen(columns: Any, names: Names) -> Names:
    """What a ``ColumnTransformer`` means by its columns: names, positions, a mask, a slice, or one of them."""
    if isinstance(columns, str):
        return [columns]
    if isinstance(columns, slice):
        by_position = names is not None and not isinstance(columns.start or columns.stop, str)
        return names[columns] if names is not None and by_position else None
    listed = [columns] if isinstance(columns, int) else list(columns)
    if all(isinstance(item, str) for item in listed):
        return [str(item) for item in listed]
    return [names[int(position)] for position in np.arange(len(names))[listed]] if names is not None else None
