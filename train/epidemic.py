"""Epidemic: how many people die in a country on a day, from a growth curve that was fitted to its deaths so far.

The dead of a wave add up to an S: few, then ever more, then few again. That curve is the logistic function; a country
with several waves is a sum of several. Each country is fitted by itself, on every core. The counts are made up here;
``--data`` takes the table that the European Centre for Disease Prevention and Control (ECDC) published in 2020.
"""

from __future__ import annotations

import json
import sys
import textwrap
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote_plus

import click
import joblib
import numpy as np
import pandas as pd
from scipy.optimize import curve_fit
from scipy.special import expit
from sklearn.base import BaseEstimator, RegressorMixin

import tepal

OUTPUTS = ["deaths", "cumulative_deaths", "low", "high"]
START = np.datetime64("2020-01-01")  # day 0 of every curve
MOST_WAVES = 2
HELD_OUT = 14  # days
BAND = 0.9  # of the days on which a curve was fitted lie between ``low`` and ``high``

# Less than this says nothing about where a curve will bend.
FEWEST_DEATHS, FEWEST_DAYS = 50, 28


class Curve(NamedTuple):
    """The deaths of one country. waves: ``(k, 3)``, each its size, its speed a day, and the day in its middle.

    below, above: how far the days of training lie from the curve, in square roots of its deaths a day (at least 1):
    counts scatter the more, the larger they are.
    """

    waves: np.ndarray
    below: float
    above: float


class GrowthCurves(RegressorMixin, BaseEstimator):
    """A growth curve for each country. A row is a country and a day, and gets the four numbers of ``OUTPUTS``."""

    def fit(self, X, y, run=map):
        """X: a DataFrame of ``country`` and ``date``; y: deaths on that day, ``(n,)``. run: a ``map`` of the caller's."""
        days = pd.DataFrame({"country": X["country"], "day": day_numbers(X["date"]), "deaths": np.asarray(y, dtype=float)})
        groups = [(country, rows.sort_values("day")) for country, rows in days.groupby("country")]
        found = run(fit_curve, [(rows["day"].to_numpy(), rows["deaths"].to_numpy()) for _, rows in groups])
        found = {country: curve for (country, _), curve in zip(groups, found)}
        self.curves_ = {country: curve for country, curve in found.items() if isinstance(curve, Curve)}
        self.left_out_ = {country: reason for country, reason in found.items() if isinstance(reason, str)}
        return self

    def predict(self, X):
        """``(n, 4)``. Raises ValueError for a country that has no curve."""
        days = day_numbers(X["date"])
        predicted = np.empty((len(X), len(OUTPUTS)))
        for country, rows in X.groupby("country").indices.items():
            if country not in self.curves_:
                raise ValueError(f"there is no curve for the country {country!r}")
            predicted[rows] = along(self.curves_[country], days[rows])
        return predicted


def day_numbers(dates):
    """Whole days since ``START``, of datetimes ``(n,)``: the hour does not count."""
    return (dates.to_numpy().astype("datetime64[D]") - START).astype(float)


def total(days, *numbers):
    """The dead until the end of each day, by the waves of which ``numbers`` are size, speed and middle in turn."""
    waves = np.reshape(numbers, (-1, 3))
    return sum(size * expit(speed * (days - middle)) for size, speed, middle in waves)


def along(curve, days):
    """What a curve says of days ``(n,)``: an array ``(n, 4)``, the columns of ``OUTPUTS``."""
    numbers = curve.waves.ravel()
    until_now = total(days, *numbers)
    deaths = np.maximum(until_now - total(days - 1, *numbers), 0)
    scatter = np.sqrt(np.maximum(deaths, 1))
    return np.column_stack(
        [deaths, until_now, np.maximum(deaths - curve.below * scatter, 0), deaths + curve.above * scatter]
    )


def fit_curve(country):
    """The Curve of a country's days and deaths, each ``(n,)``, oldest first; the reason in words where there is none."""
    days, deaths = country
    so_far = deaths.cumsum()  # a correction, which is a negative count, belongs in the sum
    count, since = so_far[-1], np.count_nonzero(so_far > 0)
    if count < FEWEST_DEATHS:
        return f"{max(count, 0):.0f} dead"
    if since < FEWEST_DAYS:
        return f"{since} days since the first"
    found = [fit_waves(days, so_far, k) for k in range(1, MOST_WAVES + 1)]
    found = [(waves, distances(days, deaths, waves)[so_far > 0]) for waves in found if waves is not None]
    if not found:
        return "no curve fits"
    waves, apart = min(found, key=lambda one: criterion(*one))
    below, above = np.quantile(apart, [(1 - BAND) / 2, (1 + BAND) / 2])
    return Curve(waves, max(-below, 0.0), max(above, 0.0))


def fit_waves(days, so_far, k):
    """The ``k`` waves that come nearest to the dead so far, ``(k, 3)``; None where the search finds no end."""
    count = so_far[-1]
    # Each wave may begin the search where its share of the dead was reached.
    middles = np.interp((np.arange(k) + 0.5) / k * count, np.maximum.accumulate(so_far), days)
    guess = [number for middle in middles for number in (count / k, 0.1, middle)]
    lowest, highest = [0, 0.01, days[0] - 30] * k, [3 * count, 1, days[-1] + 30] * k
    try:
        found, _ = curve_fit(total, days, so_far, p0=guess, bounds=(lowest, highest), max_nfev=500)
    except RuntimeError:
        return None
    return found.reshape(k, 3)


def distances(days, deaths, waves):
    """How far each day's deaths are from the curve, in the unit of ``Curve.above``: ``(n,)``."""
    expected = along(Curve(waves, 0, 0), days)[:, 0]
    return (deaths - expected) / np.sqrt(np.maximum(expected, 1))


def criterion(waves, apart):
    """The Bayesian information criterion: the smallest is best, and another wave has to be worth its three numbers."""
    return len(apart) * np.log(max(np.mean(apart**2), 1e-9)) + waves.size * np.log(len(apart))


@click.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="ECDC's table, a CSV of dateRep (or date), deaths, countriesAndTerritories; other columns are not read.",
)
def main(data: Path | None) -> None:
    """Deaths of an epidemic by country and day, with a band around them.

    Example: python -m train epidemic --data ecdc.csv
    """
    table = read_table(data) if data else made_up_table()
    source = str(data) if data else "made up by this trainer: the countries are real, no count is"
    X, y = table[["country", "date"]], table["deaths"]

    # First without the last days, to measure by them; then again with them, to publish.
    late = (X["date"] > X["date"].max() - pd.Timedelta(days=HELD_OUT)).to_numpy()
    scores = measure(GrowthCurves().fit(X[~late], y[~late], run=on_every_core), table[~late], table[late])
    model = GrowthCurves().fit(X, y, run=on_every_core)
    if not model.curves_:
        raise click.ClickException(
            f"nothing to fit: no country of {data} has {FEWEST_DEATHS} deaths and {FEWEST_DAYS} days since the first"
        )

    # The worst day of a country comes first: the first row is the example that the model card shows.
    country = "Italy" if "Italy" in model.curves_ else next(iter(model.curves_))
    worst = y.where(X["country"] == country).idxmax()
    known = X[X["country"].isin(list(model.curves_))]
    known = known.loc[[worst, *known.index.drop(worst)]]
    first, last = (f"{day:%Y-%m-%d}" for day in (X["date"].min(), X["date"].max()))
    published = tepal.publish(
        model,
        name="epidemic",
        X=known,
        y=pd.DataFrame(model.predict(known), columns=OUTPUTS),
        metrics={**scores, "held_out_days": HELD_OUT, "band": BAND},
        meta={
            "data": source,
            "days": f"{first} to {last}",
            "countries": len(model.curves_),
            "too_little_data": model.left_out_,
        },
    )

    counts = np.bincount([len(curve.waves) for curve in model.curves_.values()], minlength=MOST_WAVES + 1)
    click.echo("Epidemic: a sum of logistic curves for each country")
    click.echo(f"  data            {X['country'].nunique()} countries, {first} to {last}: {source}")
    click.echo(f"  fitted          {counts[1]} countries with one wave, {counts[2]} with two")
    if model.left_out_:
        listed = ", ".join(f"{country} ({reason})" for country, reason in model.left_out_.items())
        click.echo(f"  left out        {len(model.left_out_)} countries with too little data, unknown to the model:")
        click.echo(textwrap.fill(listed, 118, initial_indent=" " * 18, subsequent_indent=" " * 18))
    if scores:
        click.echo(f"  split           the last {HELD_OUT} days held out to measure by; what is published has seen them")
        click.echo(
            f"  error           {scores['mean_absolute_error']:.2f} deaths a day off on average; "
            f"always the mean of the 7 days before is {scores['mean_absolute_error_of_the_week_before']:.2f} off"
        )
        click.echo(
            f"  band            {scores['held_out_within_band']:.1%} of these days lie within it; it aims at {BAND:.0%}"
        )
    click.echo(f"  published       {published.name} version {published.version} in {published.path}/")
    click.echo("  once served, ask it:")
    click.echo(curl(published.name, country, X["date"][worst].to_numpy().astype("datetime64[D]")) + "\n")


def on_every_core(function, items):
    """``map``, in as many processes as there are cores, with a progress bar."""
    fitted = joblib.Parallel(n_jobs=-1, return_as="generator")(joblib.delayed(function)(item) for item in items)
    with click.progressbar(fitted, length=len(items), label="  fitting countries", file=sys.stderr) as bar:
        return list(bar)


def measure(model, before: pd.DataFrame, after: pd.DataFrame) -> dict[str, float]:
    """How far the days after are from the curves of the days before; nothing where no curve could be fitted."""
    after = after[after["country"].isin(list(model.curves_))]
    if after.empty:
        return {}
    deaths, _, low, high = model.predict(after).T
    week = before[before["date"] > before["date"].max() - pd.Timedelta(days=7)].groupby("country")["deaths"].mean()
    true, usual = after["deaths"], after["country"].map(week).fillna(0)
    return {
        "mean_absolute_error": round(float(np.mean(np.abs(true - deaths))), 4),
        "mean_absolute_error_of_the_week_before": round(float(np.mean(np.abs(true - usual))), 4),
        "held_out_within_band": round(float(np.mean((true >= low) & (true <= high))), 4),
    }


def read_table(path: Path) -> pd.DataFrame:
    """ECDC's table as ``country``, ``date``, ``deaths``, the names as they stand there: ``United_States_of_America``."""
    try:
        table = pd.read_csv(path, encoding="utf-8-sig", keep_default_na=False, dtype=str)
    except (OSError, ValueError) as error:
        raise click.ClickException(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None
    table.columns = table.columns.str.strip()
    table = table.rename(columns={"dateRep": "date", "countriesAndTerritories": "country"})
    if missing := [name for name in ("date", "country", "deaths") if name not in table]:
        raise click.ClickException(
            f"{path} has no column {', '.join(missing)}; it takes dateRep (or date), countriesAndTerritories and deaths"
        )
    table["country"] = table["country"].str.strip()
    written = table["date"].str.strip()
    table["date"] = pd.to_datetime(written, format="%d/%m/%Y", errors="coerce")
    deaths = pd.to_numeric(table["deaths"], errors="coerce")
    table["deaths"] = deaths.where(np.isfinite(deaths), 0)  # no number: none was reported
    if table["date"].isna().any():
        row = int(np.flatnonzero(table["date"].isna())[0])
        raise click.ClickException(f"{path}: line {row + 2} has the date {written[row]!r}; it takes day/month/year")
    return table.groupby(["country", "date"], as_index=False)["deaths"].sum()


def made_up_table(seed: int = 9) -> pd.DataFrame:
    """Half a year of deaths in each of ``COUNTRIES``: one wave or two, fewer on Sundays, and hardly any in a few."""
    dice = np.random.default_rng(seed)
    dates = pd.date_range("2019-12-31", "2020-06-30")
    days = day_numbers(dates.to_series())
    tables = []
    for country in COUNTRIES:
        size = np.exp(dice.normal(7, 2))
        waves = [size, dice.uniform(0.06, 0.2), dice.uniform(80, 140)]
        if dice.random() < 0.2:
            waves += [size * dice.uniform(0.2, 0.8), dice.uniform(0.1, 0.2), waves[2] + dice.uniform(45, 60)]
        expected = total(days, *waves) - total(days - 1, *waves)
        expected *= np.where(dates.day_of_week == 6, 0.75, 1.04)
        deaths = dice.poisson(expected * dice.gamma(12, 1 / 12, size=len(days)))
        tables.append(pd.DataFrame({"country": country, "date": dates, "deaths": deaths}))
    return pd.concat(tables, ignore_index=True)


def curl(name: str, country: str, day: np.datetime64) -> str:
    """The request for a country on a day and the day after, as an address and as a body."""
    days = [day, day + np.timedelta64(1, "D")]
    asked = "&".join([f"country={quote_plus(country)}", *(f"date={day}" for day in days)])
    records = json.dumps([{"country": country, "date": str(day)} for day in days], ensure_ascii=False)
    records = records.replace("'", "'\\''")  # as a shell has it within quotes
    address = f"http://127.0.0.1:8080/models/{name}/predict"
    return f"    curl '{address}?{asked}'\n    curl -X POST {address} -d '{records}'"


COUNTRIES = [
    country.strip()
    for country in """
    Afghanistan, Albania, Algeria, Andorra, Angola, Anguilla, Antigua and Barbuda, Argentina, Armenia, Aruba, Australia,
    Austria, Azerbaijan, Bahamas, Bahrain, Bangladesh, Barbados, Belarus, Belgium, Belize, Benin, Bermuda, Bhutan,
    Bolivia, Bosnia and Herzegovina, Botswana, Brazil, Brunei Darussalam, Bulgaria, Burkina Faso, Burundi, Cambodia,
    Cameroon, Canada, Cape Verde, Cayman Islands, Central African Republic, Chad, Chile, China, Colombia, Comoros, Congo,
    Costa Rica, Côte d'Ivoire, Croatia, Cuba, Curaçao, Cyprus, Czechia, Democratic Republic of the Congo, Denmark,
    Djibouti, Dominica, Dominican Republic, Ecuador, Egypt, El Salvador, Equatorial Guinea, Eritrea, Estonia, Eswatini,
    Ethiopia, Faroe Islands, Fiji, Finland, France, French Polynesia, Gabon, Gambia, Georgia, Germany, Ghana, Gibraltar,
    Greece, Greenland, Grenada, Guam, Guatemala, Guernsey, Guinea, Guinea Bissau, Guyana, Haiti, Honduras, Hungary,
    Iceland, India, Indonesia, Iran, Iraq, Ireland, Isle of Man, Israel, Italy, Jamaica, Japan, Jersey, Jordan,
    Kazakhstan, Kenya, Kosovo, Kuwait, Kyrgyzstan, Laos, Latvia, Lebanon, Lesotho, Liberia, Libya, Liechtenstein,
    Lithuania, Luxembourg, Madagascar, Malawi, Malaysia, Maldives, Mali, Malta, Mauritania, Mauritius, Mexico, Moldova,
    Monaco, Mongolia, Montenegro, Morocco, Mozambique, Myanmar, Namibia, Nepal, Netherlands, New Caledonia,
    New Zealand, Nicaragua, Niger, Nigeria, North Macedonia, Norway, Oman, Pakistan, Palestine, Panama, Papua New Guinea,
    Paraguay, Peru, Philippines, Poland, Portugal, Puerto Rico, Qatar, Romania, Russia, Rwanda, Saint Kitts and Nevis,
    Saint Lucia, Saint Vincent and the Grenadines, San Marino, Sao Tome and Principe, Saudi Arabia, Senegal, Serbia,
    Seychelles, Sierra Leone, Singapore, Slovakia, Slovenia, Somalia, South Africa, South Korea, South Sudan, Spain,
    Sri Lanka, Sudan, Suriname, Sweden, Switzerland, Syria, Taiwan, Tajikistan, Tanzania, Thailand, Timor Leste, Togo,
    Trinidad and Tobago, Tunisia, Turkey, Turks and Caicos Islands, Uganda, Ukraine, United Arab Emirates,
    United Kingdom, United States of America, Uruguay, Uzbekistan, Venezuela, Vietnam, Yemen, Zambia, Zimbabwe
    """.replace("\n", " ").split(",")
]
