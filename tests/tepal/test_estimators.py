"""Every estimator that predicts can be published, and answers through the service's own readers what it answers itself."""

from __future__ import annotations

import json

import pytest
from threadpoolctl import threadpool_limits

import tepal
from tepal import proof, repository
from tepal.notes import Notes
from tests import estimators


def ask(version, body):
    with threadpool_limits(1):  # as the service does: several may add up in another order
        prediction = version.runtime.predict(version.readers.json.read(json.dumps(body).encode(), Notes()))
    chances = prediction.class_probabilities()
    return {"predictions": prediction.labels(), **({} if chances is None else {"probabilities": chances})}


@pytest.mark.parametrize("name", [name for name in estimators.cases() if name not in estimators.REFUSED])
def test_an_estimator_is_served_as_it_is(walk, name):
    case, published = walk.published(name)
    assert isinstance(published, tepal.Published), published
    version = repository.load(published.path, runtime="sklearn")
    rows = estimators.records(case.X)

    alone = ask(version, rows[0])
    batch = ask(version, {"columns": list(rows[0]), "data": [list(row.values()) for row in rows[:25]]})

    estimators.assert_same(case, slice(1), alone)
    estimators.assert_same(case, slice(25), batch)
    chosen = repository.load(published.path)
    if chosen.not_compiled is None:
        estimators.assert_same(case, slice(1), ask(chosen, rows[0]), proof.TOLERANCE)
        batch = ask(chosen, {"columns": list(rows[0]), "data": [list(row.values()) for row in rows[:25]]})
        estimators.assert_same(case, slice(25), batch, proof.TOLERANCE)


@pytest.mark.parametrize("name", estimators.REFUSED)
def test_what_has_no_answer_to_new_rows_is_refused_with_the_reason(walk, name):
    _, refusal = walk.published(name)

    assert isinstance(refusal, tepal.PublishError)
    assert estimators.REFUSED[name] in str(refusal)
    assert "\n" not in str(refusal)
