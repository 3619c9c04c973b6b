"""Warnings: the first twenty are worded, and all are counted."""

from __future__ import annotations

import numpy as np

from tepal.notes import Notes, SeenInTraining
from tepal.signature import Column, Signature
from tepal.table import Table


def test_what_is_not_listed_is_counted_all_the_same():
    signature = Signature(tuple(Column(name, "number", "float64", minimum=0.0, maximum=1.0) for name in "ab"))
    matrix = np.full((15, 2), 2.0)
    matrix[3, 0] = 0.5
    notes = Notes()

    SeenInTraining(signature).check(Table.from_matrix(signature, matrix), notes)

    assert notes.total == 29
    assert [(note.row, note.column) for note in notes.listed] == [
        *((row, "a") for row in range(15) if row != 3),
        *((row, "b") for row in range(6)),
    ]
