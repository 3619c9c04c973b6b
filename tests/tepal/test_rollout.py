"""What a rollout makes of the counts of replicas, whatever becomes of those."""

from __future__ import annotations

import pytest

from tepal.rollout import Bounds, Card, Counts, Requests, Shadow, Sums, Traffic


def card(started, requests, errors=0, agree=0, differ=0, failed=0, shadow="2"):
    rows = {"agree": agree, "differ": differ, "failed": failed, "skipped": 7}
    return Card(["1", "2"], Traffic(started, {"2": Requests(requests, errors)}, None, Shadow(shadow, rows)))


def test_what_was_counted_before_the_first_look_is_not_the_rollouts():
    sums = Sums("2")

    assert sums.more([card("a", 1000, 50, agree=10, differ=5, failed=2)]) == Counts()
    assert sums.more([card("a", 1003, 51, agree=12, differ=6, failed=2)]) == Counts(3, 1, 3, 1, 0)


def test_replicas_are_added_up():
    sums = Sums("2")
    sums.more([card("a", 1000), card("b", 5)])

    assert sums.more([card("a", 1010, 1), card("b", 25, 2)]) == Counts(30, 3)


def test_one_that_was_started_again_takes_nothing_away_and_adds_only_what_was_seen():
    sums = Sums("2")
    sums.more([card("a", 1000, 100), card("b", 5)])

    assert sums.more([card("c", 3), card("b", 6)]) == Counts(1)
    assert sums.more([card("c", 9, 1), card("b", 6)]) == Counts(6, 1)


def test_an_address_behind_which_there_are_two_is_told_apart():
    sums = Sums("2")
    told = [sums.more([one]) for one in (card("a", 1000, 9), card("b", 10), card("a", 1001, 9), card("b", 12, 1))]

    assert told == [Counts(), Counts(), Counts(1), Counts(2, 1)]


def test_two_addresses_of_one_replica_are_not_counted_twice():
    sums = Sums("2")
    sums.more([card("a", 10), card("a", 10)])

    assert sums.more([card("a", 14), card("a", 15)]) == Counts(5)


def test_the_rows_of_another_shadow_are_not_this_versions():
    assert card("a", 10, agree=5, shadow="3").counts("2") == Counts(10)


@pytest.mark.parametrize(
    ("counts", "bad"),
    [
        (Counts(), None),
        (Counts(19, 19), None),
        (Counts(20, 1), "1 of 20 requests failed, more than 1 %"),
        (Counts(1000, 10), None),
        (Counts(1000, 11), "11 of 1,000 requests failed, more than 1 %"),
        (Counts(1000, 0, 100, 25), None),
        (Counts(1000, 0, 100, 26), "it differs on 26 of 100 rows, more than 25 %"),
        (Counts(0, 0, 19, 19), None),
        (Counts(0, 0, 0, 0, 30), "it could not answer 30 of 30 rows, more than 1 %"),
        (Counts(0, 0, 99, 0, 1), None),
    ],
)
def test_a_rate_beyond_its_bound_is_bad_where_there_is_evidence(counts, bad):
    assert counts.bad(Bounds(0.01, 0.25)) == bad


@pytest.mark.parametrize(("errors", "clear"), [(0, False), (1, False), (2, True), (20, True)])
def test_a_step_ends_early_only_for_what_could_not_be_chance(errors, clear):
    assert (Counts(20, errors).bad(Bounds(0.01, 0.25), clearly=True) is not None) == clear


def test_where_no_error_is_allowed_one_ends_it():
    assert Counts(500, 1).bad(Bounds(0.0, 0.25), clearly=True) == "1 of 500 requests failed, more than 0 %"


@pytest.mark.parametrize(("counts", "few"), [(Counts(), True), (Counts(19, 0, 19), True), (Counts(20), False)])
def test_few_are_told(counts, few):
    assert counts.few is few
