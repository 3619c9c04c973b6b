"""The trainer of the forecast: an answer looks back on the days before it, never ahead, and on nothing that was not sent."""

from __future__ import annotations

import cloudpickle
import numpy as np
import pandas as pd
import pytest

from tepal import manifest
from tests import servers
from tests.training import ask, curls, opens_alone, refusal, run, train
from train.forecast import LOOK_BACK, made_up_days

PREDICT = "/models/forecast/predict"
YAHOO = {"date": "Date", "open": "Open", "high": "High", "low": "Low", "close": "Close", "volume": "Volume"}


@pytest.fixture(name="trained", scope="module")
def _trained(tmp_path_factory):
    """The model repository in which the trainer left its model, and what it told."""
    store = tmp_path_factory.mktemp("store")
    result = train(store, "forecast")
    assert result.returncode == 0, result.stderr
    return store, result.stdout


@pytest.fixture(name="model", scope="module")
def _model(trained):
    """The model as a notebook would open it."""
    return cloudpickle.loads((trained[0] / "forecast" / "1" / "model.pkl").read_bytes())


@pytest.fixture(name="server", scope="module")
def _server(trained):
    with servers.gunicorn(trained[0], WEB_CONCURRENCY="1") as server:
        yield server


@pytest.fixture(name="days", scope="module")
def _days():
    return made_up_days()[-300:].reset_index(drop=True)


def body(days):
    return days.to_json(orient="split", date_format="iso", index=False)


def test_it_tells_what_it_did_and_what_doing_nothing_would_have_got(trained):
    store, told = trained
    published = manifest.read(store / "forecast" / "1")

    assert published.rows == "sequence"
    assert [output.name for output in published.outputs] == ["next_day_return"]
    assert published.metrics["held_out_days"] == 961
    assert "3450 to train, the last 961 held out" in told
    assert f"always answering 0 is {published.metrics['mean_absolute_error_of_always_0']:.5f} off" in told
    assert f"direction       {published.metrics['direction_right']:.1%} of 960 days right" in told
    assert "made up" in published.meta["data"]
    assert f"published       forecast version 1 in {store}/forecast/1/" in told


def test_the_printed_request_gets_the_models_own_answers(trained, model, server):
    (command,) = curls(trained[1])

    answer = run(command, server.url)

    assert answer["predictions"][:LOOK_BACK] == [None] * LOOK_BACK
    own = model.predict(made_up_days()[-LOOK_BACK - 2 :])[LOOK_BACK:].tolist()
    assert answer["predictions"][LOOK_BACK:] == own
    assert len(own) == 2
    assert not [warning for warning in answer["warnings"] if "column" in warning]


def test_its_classes_travel_with_it(trained, tmp_path):
    assert opens_alone(trained[0] / "forecast" / "1", tmp_path)


def test_an_answer_depends_on_no_later_day(model, days):
    answers = model.predict(days)
    later = days.copy()
    later.loc[200:, ["open", "high", "low", "close", "volume"]] *= 3

    changed = model.predict(later)

    assert np.array_equal(changed[:200], answers[:200], equal_nan=True)
    assert not np.array_equal(changed[200:], answers[200:])
    assert np.array_equal(model.predict(days[:200]), answers[:200], equal_nan=True)


def test_an_answer_depends_on_the_days_just_before_it(model, days):
    whole, second_half = model.predict(days), model.predict(days[150:])

    assert np.isnan(second_half[:LOOK_BACK]).all()
    assert np.isfinite(whole[150 : 150 + LOOK_BACK]).all()
    assert np.array_equal(second_half[LOOK_BACK:], whole[150 + LOOK_BACK :])


def test_the_prices_that_are_sent_are_the_ones_that_count(server, days):
    other = days.copy()
    other["close"] = other["close"] * np.where(np.arange(len(other)) % 3, 1, 0.95)

    answers = [ask(server.port, PREDICT, body(sent)) for sent in (days, other)]

    assert [status for status, _ in answers] == [200, 200]
    (_, one), (_, another) = answers
    assert one["predictions"] != another["predictions"]


@pytest.mark.parametrize(
    ("order", "sentence"),
    [
        ([0, 2, 1], "row 2: 2024-11-05 does not come after 2024-11-06; send each day once, the oldest first"),
        ([0, 0], "row 1: 2024-11-04 does not come after 2024-11-04; send each day once, the oldest first"),
    ],
)
def test_days_out_of_order_are_refused(server, days, order, sentence):
    status, answer = ask(server.port, PREDICT, body(days.iloc[order]))

    assert (status, answer["code"]) == (422, "invalid_input")
    assert sentence in answer["error"]


def test_a_price_of_nothing_is_refused(server, days):
    status, answer = ask(server.port, PREDICT, body(days[:3].assign(close=[1.0, 0.0, 1.0])))

    assert status == 422
    assert "row 1: a price must be above 0" in answer["error"]


def test_a_price_that_never_moves_is_answered(model, days):
    still = days[:60].assign(open=7.0, high=7.0, low=7.0, close=7.0, volume=0.0)

    assert np.isfinite(model.predict(still)[LOOK_BACK:]).all()


def test_it_takes_what_yahoo_writes(trained, tmp_path):
    days = made_up_days()
    yahoo = days.rename(columns=YAHOO).assign(**{"Adj Close": days["close"] / 2}).astype({"Date": str, "Volume": int})
    rows = yahoo.to_csv(index=False, columns=["Date", "Open", "High", "Low", "Close", "Adj Close", "Volume"]).splitlines()
    header, first, *rest = rows
    gaps = ["2010-01-09,null,null,null,null,null,null", "2010-01-10,,,,,,", "2010-01-16,1.0,1.0,1.0,0.0,1.0,5"]
    file = tmp_path / "prices.csv"
    file.write_text("\n".join([header, *reversed(rest), first, *gaps, first]) + "\n")

    result = train(tmp_path / "store", "forecast", "--data", file)

    assert result.returncode == 0, result.stderr
    assert "left out 4 of 4415 rows" in result.stdout
    own, made_up = (manifest.read(store / "forecast" / "1") for store in (tmp_path / "store", trained[0]))
    assert own.metrics == made_up.metrics
    assert own.golden == made_up.golden
    assert own.meta["data"] == str(file)


def test_it_takes_a_date_with_the_hour_at_which_the_exchange_opens(tmp_path):
    days = made_up_days()[-1500:]
    days.assign(date=days["date"].astype(str) + " 00:00:00-05:00").to_csv(tmp_path / "prices.csv", index=False)

    result = train(tmp_path / "store", "forecast", "--data", tmp_path / "prices.csv")

    assert result.returncode == 0, result.stderr
    assert "1500 days" in result.stdout
    assert f"to {pd.Timestamp(days['date'].iloc[-1]):%Y-%m-%d}" in result.stdout


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "cannot read {file}: No such file or directory"),
        (b"", "cannot read {file}: No columns to parse from file"),
        (b"\x89PNG\xff\xfe\x00", "cannot read {file}: 'utf-8' codec can't decode"),
        (b"Date,Open,High,Low,Adj Close\n", "{file} has no column close, volume; it takes date, open"),
        (b"date,open,high,low,close,volume\n2020-01-01,1,1,1,1,1\n", "{file} has 1 complete days; it takes 1461"),
        (b"date,open,high,low,close,volume\n01/02/2020,1,1,1,1,1\n", "{file} has 0 complete days; it takes 1461"),
    ],
)
def test_data_that_cannot_be_used_is_one_sentence(tmp_path, content, sentence):
    file = tmp_path / "prices.csv"
    if content is not None:
        file.write_bytes(content)

    assert refusal(train(tmp_path / "store", "forecast", "--data", file)).startswith(sentence.format(file=file))
    assert not (tmp_path / "store").exists()
