"""Rows as in training are not called drifted, others are, and nothing is said of too few."""

from __future__ import annotations

import msgspec
import numpy as np
import pandas as pd
import pytest

import tepal
from tepal import manifest
from tepal.drift import Comparison, measure, psi, rows_needed
from tepal.manifest import Manifest
from tepal.signature import derive
from tepal.table import Table
from tests import models

ROWS = 3000
CITIES = ["Amsterdam", "Berlin", "Copenhagen"]


def people(seed: int, rows: int = ROWS, shift: float = 0.0) -> pd.DataFrame:
    """Each kind of column. shift: how far from training, 0 to 1."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "height": np.where(rng.random(rows) < 0.1 + shift / 2, np.nan, rng.normal(170, 10, rows)),
            "age": rng.integers(18, 90, rows) + int(30 * shift),
            "visits": rng.poisson(0.3 + 2 * shift, rows),
            "city": rng.choice(CITIES, rows, p=[0.8 - 0.6 * shift, 0.1, 0.1 + 0.6 * shift]),
            "member": rng.random(rows) < 0.2 + 0.6 * shift,
            "joined": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 1000, rows), unit="D"),
        }
    )


def table_of(frame) -> Table:
    signature, arrays = derive(frame)
    return Table.from_columns(signature, arrays)


TRAINING = table_of(people(0))
COMPARISON = Comparison(TRAINING.signature, measure(TRAINING))


def states(*tables: Table, comparison: Comparison = COMPARISON) -> dict[str, str]:
    return {column.name: column.state for column in comparison.report(comparison.count(tables))}


def test_the_training_itself_has_not_drifted():
    """Its index is 0: the same bins have the same shares."""
    for column in COMPARISON.report(COMPARISON.count([TRAINING])):
        assert column.psi in (0, None), column
        assert column.outside == 0
        assert column.state == ("no histogram" if column.name == "joined" else "stable")


def test_other_rows_of_the_same_kind_are_seldom_taken_for_drifted():
    """A hundred fresh samples, each just large enough for a word: it is never "drifted", seldom "moderate"."""
    rows = max(rows_needed(len(spread.shares)) for spread in measure(TRAINING) if spread)
    words = [word for seed in range(1, 101) for word in states(table_of(people(seed, rows))).values()]

    assert words.count("drifted") == 0
    assert words.count("moderate") <= 0.02 * len(words)
    assert words.count("too few rows") == 0


def test_a_stream_that_moved_is_found_in_every_column():
    drifted = states(table_of(people(1, shift=1.0)))

    assert {name for name, state in drifted.items() if state == "drifted"} == {"height", "age", "visits", "city", "member"}


def test_a_stream_that_moved_a_little_is_moderate():
    numbers = np.random.default_rng(2).normal(0, 1, (5000, 1))
    training = table_of(numbers)
    comparison = Comparison(training.signature, measure(training))

    assert states(table_of(numbers + 0.4), comparison=comparison) == {"x0": "moderate"}
    assert states(table_of(numbers + 0.1), comparison=comparison) == {"x0": "stable"}
    assert states(table_of(numbers + 0.8), comparison=comparison) == {"x0": "drifted"}


def test_nothing_is_called_drifted_on_too_few_rows():
    words = set(states(table_of(people(1, 50, shift=1.0))).values())

    assert words == {"too few rows", "no histogram"}
    assert set(states(TRAINING.take([])).values()) == words


def test_what_is_outside_of_training_or_missing_is_counted():
    rows = Table(
        TRAINING.signature,
        [
            np.array([np.nan, 1000.0, 170.0]),
            np.array([5, 50, 500]),
            np.array([0, 0, 0]),
            np.array(["Berlin", "Rome", None], dtype=object),
            np.array([True, False, True]),
            np.array(["2020-01-01", "NaT", "2020-01-02"], dtype="datetime64[ns]"),
        ],
    )

    found = {c.name: (c.outside, c.missing) for c in COMPARISON.report(COMPARISON.count([rows, rows]))}

    assert found == {"height": (2, 2), "age": (4, 0), "visits": (0, 0), "city": (2, 2), "member": (0, 0), "joined": (0, 2)}


def test_counts_of_several_workers_add_up():
    one, other = table_of(people(3)), table_of(people(4, 500))

    together = COMPARISON.count([one, other])

    assert (COMPARISON.count([one]) + COMPARISON.count([other])).tolist() == together.tolist()
    assert together[0] == ROWS + 500


@pytest.mark.parametrize(
    "examples",
    [
        ["good day", "bad luck"] * 500,
        pd.DataFrame({"text": [f"number {i}" for i in range(2000)]}),
        pd.DataFrame({"day": pd.date_range("2020-01-01", periods=1000)}),
        np.arange(60.0).reshape(-1, 1),
    ],
    ids=["list of texts", "free text", "datetimes", "few rows"],
)
def test_what_a_histogram_would_tell_nothing_of_has_none(examples):
    table = table_of(examples)
    comparison = Comparison(table.signature, measure(table))

    assert measure(table) == (None,)
    assert set(states(table, comparison=comparison).values()) == {"no histogram"}


def test_a_histogram_is_small_and_its_shares_add_up_to_one():
    rng = np.random.default_rng(5)
    spreads = measure(table_of(pd.DataFrame({"x": rng.normal(size=9000), "c": rng.integers(0, 500, 9000).astype(str)})))

    assert [len(spread.shares) for spread in spreads if spread] == [11]
    assert spreads[1] is None  # no category has rows enough
    for spread in measure(TRAINING)[:5]:
        assert len(spread.shares) <= 22
        assert sum(spread.shares) == pytest.approx(1)


def test_many_categories_are_the_frequent_ones_and_a_rest():
    texts = [f"c{i}" for i in range(30) for _ in range(60 + i)]
    (spread,) = measure(table_of(pd.DataFrame({"c": texts})))

    assert len(spread.categories) == 20
    assert len(spread.shares) == 22
    assert spread.categories == tuple(sorted(f"c{i}" for i in range(10, 30)))


def test_a_column_of_one_value_is_stable_where_it_stays_and_drifted_where_it_moves():
    training = table_of(np.full((500, 1), 7.0))
    comparison = Comparison(training.signature, measure(training))

    assert states(training, comparison=comparison) == {"x0": "stable"}
    for value in (6.0, 8.0):
        assert states(table_of(np.full((500, 1), value)), comparison=comparison) == {"x0": "drifted"}


def test_the_index_is_the_sum_that_it_is_known_as():
    assert psi((0.5, 0.5), (30, 70)) == pytest.approx(0.2 * np.log(0.7 / 0.5) - 0.2 * np.log(0.3 / 0.5), abs=1e-4)
    assert psi((0.5, 0.5), (50, 50)) == 0


def test_what_is_published_keeps_its_histogram_and_an_older_manifest_is_still_read(tmp_path):
    frame, labels = models.people(600)
    published = tepal.publish(models.people_pipeline().fit(frame, labels), name="people", X=frame, y=labels, store=tmp_path)

    written = manifest.read(published.path)
    plain = msgspec.json.decode((published.path / manifest.FILE).read_bytes())
    del plain["drift"]
    older = msgspec.convert(plain, Manifest)

    assert [spread is not None for spread in written.drift] == [True, True, True, True, True, False]
    assert older.drift == ()
    table = table_of(frame)
    comparison = Comparison(older.signature, older.drift)
    assert set(states(table, comparison=comparison).values()) == {"no histogram"}
