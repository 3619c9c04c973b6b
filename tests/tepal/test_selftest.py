"""Golden rows show what the training data holds."""

from __future__ import annotations

import numpy as np
import pytest

from tepal import selftest
from tepal.prediction import same
from tepal.signature import derive
from tepal.table import Table


def table_of(columns) -> Table:
    return Table.from_columns(*derive(columns))


def test_extremes_nulls_and_a_spread_are_chosen_from_anywhere():
    values = np.zeros(5000)
    values[[1234, 2345, 3456]] = [9.0, -9.0, np.nan]
    table = table_of({"a": values, "b": np.arange(5000)})

    chosen = selftest.extremes(table, 100)

    assert {0, 1234, 2345, 3456, 4999} <= set(chosen)
    assert len(chosen) == 100
    assert chosen == sorted(chosen)


def test_each_answer_has_a_golden_row():
    table = table_of({"a": np.arange(1000.0)})
    answers = ["no"] * 700 + ["yes"] + ["no"] * 299

    assert 700 in selftest.choose(table, answers, "independent")


def test_a_sequence_keeps_its_last_rows_in_order():
    assert selftest.choose(table_of({"a": np.arange(100.0)}), [0.0] * 100, "sequence") == list(range(68, 100))


@pytest.mark.parametrize(
    ("expected", "got", "scale", "equal"),
    [
        ("a", "a", 1.0, True),
        ("a", "b", 1.0, False),
        (1, 1, 1.0, True),
        (1, 2, 1.0, False),
        (1, True, 1.0, False),
        (True, True, 1.0, True),
        (1.0, 1.0 + 1e-10, 1.0, True),
        (1.0, 1.0 + 1e-8, 1.0, False),
        (1e-12, 2e-12, 1.0, True),
        (1e-12, 2e-12, 0.0, False),
        (1000.0, 1000.0 + 1e-7, 1.0, True),
        (None, None, 1.0, True),
        (None, 1.0, 1.0, False),
        (1.0, None, 1.0, False),
        ({"a": 1.0}, {"a": 1.0 + 1e-10}, 1.0, True),
        ({"a": 1.0}, {"b": 1.0}, 1.0, False),
        (1.0, 1, 1.0, True),
    ],
)
def test_the_same_answer_is_equal_labels_and_floats_that_differ_in_a_last_digit(expected, got, scale, equal):
    assert same(expected, got, scale, selftest.TOLERANCE) is equal
