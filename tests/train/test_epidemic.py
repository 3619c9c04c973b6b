"""The trainer of the epidemic: a curve for each country that has enough data, and a table with all of ECDC's warts."""

from __future__ import annotations

import math

import cloudpickle
import numpy as np
import pandas as pd
import pytest

from tepal import manifest
from tests import servers
from tests.training import ask, curls, opens_alone, refusal, run, train
from train.epidemic import OUTPUTS, made_up_table, read_table

PREDICT = "/models/epidemic/predict"


@pytest.fixture(name="trained", scope="module")
def _trained(tmp_path_factory):
    """The model repository in which the trainer left its model, and what it told."""
    store = tmp_path_factory.mktemp("store")
    result = train(store, "epidemic")
    assert result.returncode == 0, result.stderr
    return store, result.stdout


@pytest.fixture(name="model", scope="module")
def _model(trained):
    """The model as a notebook would open it."""
    return cloudpickle.loads((trained[0] / "epidemic" / "1" / "model.pkl").read_bytes())


@pytest.fixture(name="server", scope="module")
def _server(trained):
    with servers.gunicorn(trained[0], WEB_CONCURRENCY="1") as server:
        yield server


def test_it_tells_what_it_did_and_what_doing_nothing_would_have_got(trained):
    store, told = trained
    published = manifest.read(store / "epidemic" / "1")

    assert "200 countries, 2019-12-31 to 2020-06-30: made up by this trainer" in told
    metrics = published.metrics
    assert f"error           {metrics['mean_absolute_error']:.2f} deaths a day off on average" in told
    assert metrics["mean_absolute_error"] < metrics["mean_absolute_error_of_the_week_before"]
    assert 0.8 < metrics["held_out_within_band"] < 1
    assert published.meta["countries"] + len(published.meta["too_little_data"]) == 200
    assert f"left out        {len(published.meta['too_little_data'])} countries with too little data" in told
    for country, reason in published.meta["too_little_data"].items():
        assert f"{country} ({reason})" in " ".join(told.split())


def test_the_printed_requests_get_the_models_own_answers(trained, model, server):
    by_address, by_body = curls(trained[1])

    answer = run(by_address, server.url)

    assert run(by_body, server.url) == answer
    days = pd.DataFrame({"country": "Italy", "date": pd.to_datetime(["2020-05-02", "2020-05-03"])})
    assert answer["predictions"] == [dict(zip(OUTPUTS, row)) for row in model.predict(days).tolist()]
    assert "warnings" not in answer


def test_its_classes_travel_with_it(trained, tmp_path):
    assert opens_alone(trained[0] / "epidemic" / "1", tmp_path)


def test_the_card_lists_every_country(server, trained):
    _, card = ask(server.port, "/models/epidemic")

    country, date = card["signature"]["columns"]
    left_out = card["meta"]["too_little_data"]
    assert country["categories"] == sorted(set(made_up_table()["country"]) - set(left_out))
    assert (country["unseen"], date["type"]) == ("refuse", "datetime")
    assert [output["name"] for output in card["outputs"]] == OUTPUTS


def test_every_country_on_every_day_has_a_finite_band_around_its_deaths(model):
    years = np.arange("0001-01-01", "9999-12-01", 9000, dtype="datetime64[D]")
    days = np.concatenate([np.arange("2019-11-01", "2021-01-01", dtype="datetime64[D]"), years])
    for country in model.curves_:
        asked = pd.DataFrame({"country": country, "date": np.sort(days).astype("datetime64[us]")})

        deaths, so_far, low, high = model.predict(asked).T

        assert np.isfinite([deaths, so_far, low, high]).all()
        assert ((low >= 0) & (low <= deaths) & (deaths <= high)).all()
        assert (np.diff(so_far) >= 0).all()


def test_the_cumulative_deaths_grow_by_each_days_deaths(model):
    asked = pd.DataFrame({"country": "Italy", "date": pd.date_range("2020-03-01", "2020-06-01")})

    deaths, so_far, _, _ = model.predict(asked).T

    assert np.allclose(np.diff(so_far), deaths[1:], rtol=0, atol=1e-9 * so_far[-1])
    assert deaths.max() > 10


def test_far_past_and_far_future_are_answered_and_the_hour_does_not_count(server):
    dates = ["0001-01-01", "9999-12-31", "2020-05-02", "2020-05-02T23:59:59Z"]
    status, answer = ask(server.port, f"{PREDICT}?country=Italy" + "".join(f"&date={date}" for date in dates))

    assert status == 200
    past, future, day, evening = answer["predictions"]
    assert past["deaths"] == past["cumulative_deaths"] == past["low"] == 0
    assert future["deaths"] == 0
    assert future["cumulative_deaths"] > day["cumulative_deaths"]
    assert evening == day
    assert all(math.isfinite(value) for one in answer["predictions"] for value in one.values())


@pytest.mark.parametrize(
    ("typed", "near"),
    [("Itly", "Italy"), ("italy", "Italy"), ("United_States_of_America", "United States of America"), ("USA", None)],
)
def test_an_unknown_country_is_refused_with_the_name_that_may_be_meant(server, typed, near):
    status, answer = ask(server.port, f"{PREDICT}?country={typed}&date=2020-05-02")

    assert (status, answer["code"]) == (422, "invalid_input")
    assert f'does not know "{typed}"' in answer["error"]
    assert answer["details"][0].get("near", [None])[0] == near


def ecdc(first_column="dateRep", population="popData2019"):
    """ECDC's table of 200 countries, with what is odd about it: bytes."""
    table = made_up_table()
    table["deaths"] = table["deaths"].where(table["country"] != "Vietnam", 0)
    corrected = (table["country"] == "Spain") & (table["date"] == "2020-05-25")
    table.loc[corrected, "deaths"] = -17  # the dead of other days, taken back
    table = table[~((table["country"] == "Peru") & table["date"].dt.day.isin([7, 8]))]  # not every day is there
    rows = [
        [
            f"{day:%d/%m/%Y}", day.day, day.month, day.year, deaths * 20, deaths, country.replace(" ", "_"),
            {"Namibia": "NA", "United Kingdom": "UK"}.get(country, country[:2].upper()), country[:3].upper(),
            "" if country == "Kosovo" else 1000000, "Other",
        ]
        for country, day, deaths in table.sort_values(["country", "date"], ascending=[True, False]).itertuples(index=False)
    ]  # fmt: skip
    names = [first_column, "day", "month", "year", "cases", "deaths", "countriesAndTerritories", "geoId"]
    frame = pd.DataFrame(rows, columns=[*names, "countryterritoryCode", population, "continentExp"])
    return b"\xef\xbb\xbf" + frame.to_csv(index=False, lineterminator="\r\n").encode()


def test_it_takes_ecdcs_table_of_200_countries(tmp_path):
    file = tmp_path / "ecdc.csv"
    file.write_bytes(ecdc())

    result = train(tmp_path / "store", "epidemic", "--data", file)

    assert result.returncode == 0, result.stderr
    assert result.stderr.split("\n")[0].strip() == "fitting countries"
    assert f"200 countries, 2019-12-31 to 2020-06-30: {file}" in result.stdout
    assert "Vietnam (0 dead)" in " ".join(result.stdout.split())
    published = manifest.read(tmp_path / "store" / "epidemic" / "1")
    known = published.signature.columns[0].categories
    assert {"United_States_of_America", "Spain", "Peru", "Namibia", "Côte_d'Ivoire", "Kosovo"} <= set(known)
    model = cloudpickle.loads((tmp_path / "store" / "epidemic" / "1" / "model.pkl").read_bytes())
    counted = made_up_table().groupby("country")["deaths"].sum()
    for country in ("Italy", "Spain", "Peru"):
        asked = pd.DataFrame({"country": [country], "date": [pd.Timestamp("2020-06-30")]})
        assert model.predict(asked)[0, 1] == pytest.approx(counted[country], rel=0.15)


def test_ecdcs_table_of_another_month_has_other_names_for_its_columns(tmp_path):
    for name, columns in (("may.csv", ("date", "popData2018")), ("june.csv", ("dateRep", "popData2019"))):
        (tmp_path / name).write_bytes(ecdc(*columns))

    may, june = read_table(tmp_path / "may.csv"), read_table(tmp_path / "june.csv")

    pd.testing.assert_frame_equal(may, june)
    assert len(may) > 36000
    assert may["deaths"].min() == -17


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "cannot read {file}: No such file or directory"),
        (b"", "cannot read {file}: No columns to parse from file"),
        (b"dateRep,cases\r\n01/01/2020,1\r\n", "{file} has no column country, deaths; it takes dateRep (or date), "),
        (
            b"dateRep,deaths,countriesAndTerritories\r\n02/01/2020,1,Italy\r\n2020-01-01,1,Italy\r\n",
            "{file}: line 3 has the date '2020-01-01'; it takes day/month/year",
        ),
        (
            b"dateRep,deaths,countriesAndTerritories\r\n02/01/2020,inf,Italy\r\n03/01/2020,,Italy\r\n",
            "nothing to fit: no country of {file} has 50",
        ),
        (b"dateRep,deaths,countriesAndTerritories\r\n", "nothing to fit: no country of {file} has 50"),
    ],
)
def test_data_that_cannot_be_used_is_one_sentence(tmp_path, content, sentence):
    file = tmp_path / "ecdc.csv"
    if content is not None:
        file.write_bytes(content)

    assert refusal(train(tmp_path / "store", "epidemic", "--data", file)).startswith(sentence.format(file=file))
    assert not (tmp_path / "store").exists()
