"""The forecast over 961 days that it never saw: through nginx the same, bit for bit, as in the notebook."""

from __future__ import annotations

import json

import cloudpickle
import numpy as np
import pandas as pd
import pytest

from tests import servers
from tests.training import ask, train
from train.forecast import HELD_OUT, LOOK_BACK, made_up_days


@pytest.fixture(name="store", scope="module")
def _store(tmp_path_factory):
    """A model repository with a forecast that was trained on the years before."""
    store = tmp_path_factory.mktemp("store")
    result = train(store, "forecast")
    assert result.returncode == 0, result.stderr
    return store


@pytest.fixture(name="door", scope="module")
def _door(store):
    """A real nginx before a real gunicorn over ``store``."""
    with servers.gunicorn(store) as server, servers.nginx([f"127.0.0.1:{server.port}"]) as door:
        yield door


@pytest.fixture(name="days", scope="module")
def _days():
    """The last 961 days, and as many before them as their indicators look back on."""
    return made_up_days()[-HELD_OUT - LOOK_BACK :]


@pytest.fixture(name="own", scope="module")
def _own(store, days):
    """What the estimator itself answers to the frame: ``(981,)``."""
    return cloudpickle.loads((store / "forecast" / "1" / "model.pkl").read_bytes()).predict(days)


def split(days, **options):
    return days.to_json(orient="split", **options)


def unix_milliseconds(days):
    """What pandas writes unless told otherwise, without its warning that it once will not."""
    return days.assign(date=days["date"].astype("datetime64[ms]").astype("int64"))


BODIES = {
    "split, Unix ms": (lambda days: split(unix_milliseconds(days)), "application/json"),
    "split, ISO": (lambda days: split(days, date_format="iso"), "application/json"),
    "split, days alone": (lambda days: split(days.assign(date=days["date"].dt.strftime("%Y-%m-%d"))), ""),
    "records": (lambda days: unix_milliseconds(days).to_json(orient="records"), "application/json"),
    "JSON lines": (lambda days: days.to_json(orient="records", lines=True, date_format="iso"), "application/jsonlines"),
    "columns": (lambda days: json.dumps(unix_milliseconds(days).to_dict(orient="list")), "application/json"),
    "CSV": (lambda days: days.to_csv(index=False), "text/csv"),
    "CSV, columns in another order": (lambda days: days[days.columns[::-1]].to_csv(index=False), "text/csv"),
}


@pytest.mark.parametrize("form", BODIES)
def test_961_days_through_nginx_are_the_estimators_own_answers_bit_for_bit(door, days, own, form):
    write, content_type = BODIES[form]

    status, answer = ask(door.port, "/models/forecast/predict", write(days), content_type)

    assert status == 200, answer
    got = np.array([np.nan if value is None else value for value in answer["predictions"]])
    assert len(got) == HELD_OUT + LOOK_BACK
    assert got.tobytes() == np.where(np.isnan(own), np.nan, own).tobytes()
    assert np.isnan(got[:LOOK_BACK]).all()
    assert np.isfinite(got[LOOK_BACK:]).all()
    assert len(set(got[LOOK_BACK:])) > 5


def test_what_pandas_itself_writes_by_default_are_unix_milliseconds():
    with pytest.warns(pd.errors.Pandas4Warning):
        written = made_up_days()[:3].to_json(orient="split")

    assert written == split(unix_milliseconds(made_up_days()[:3]))


def test_half_of_the_days_are_answered_otherwise_because_they_are_a_sequence(door, days, own):
    """Cut in two, the second half would lose the history of its first days: that is why a request is never cut."""
    half = len(days) // 2

    _, answer = ask(door.port, "/models/forecast/predict", split(days[half:], date_format="iso"))

    assert answer["predictions"][:LOOK_BACK] == [None] * LOOK_BACK
    assert answer["predictions"][LOOK_BACK:] == own[half + LOOK_BACK :].tolist()
    assert np.isfinite(own[half : half + LOOK_BACK]).all()
