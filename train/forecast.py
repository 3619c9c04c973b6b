"""Forecast: by how much will a price have risen or fallen by tomorrow's close, from the days up to today.

A row is a day, and its answer depends on the days before it: such a model is published with ``rows="sequence"``, so
that the rows of a request are never cut into pieces. The days are made up here; ``--data`` takes real ones.
"""

from __future__ import annotations

import json
from pathlib import Path

import click
import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.base import BaseEstimator, RegressorMixin, TransformerMixin, clone
from sklearn.metrics import mean_absolute_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from sklearn.tree import DecisionTreeRegressor

import tepal

COLUMNS = ["date", "open", "high", "low", "close", "volume"]
LOOK_BACK = 20  # the longest window: a day needs as many earlier days
HELD_OUT = 961
AT_LEAST = 500  # days to train on: two years


class Indicators(TransformerMixin, BaseEstimator):
    """Days to what a trader would read off their chart: an array ``(n, 11)``, NaN where the history is too short.

    Each indicator looks at a window of at most ``LOOK_BACK`` earlier days. An exponential average would never quite
    forget the first day that it saw, and so would answer otherwise for each length of the history.
    """

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        """X: a DataFrame of days, oldest first. Raises ValueError where a day is out of order or a price not above 0."""
        check_days(X)
        open_, high, low, close, volume = X[COLUMNS[1:]].to_numpy(dtype=float).T
        change = np.diff(np.log(close), prepend=np.nan)
        rises, falls = mean(np.maximum(change, 0), 14), mean(np.maximum(-change, 0), 14)
        trade = np.log1p(volume)
        indicators = {
            "return over 1 day": change,
            "return over 5 days": 5 * mean(change, 5),
            "return over 20 days": 20 * mean(change, 20),
            "above the average of 5 days": close / mean(close, 5) - 1,
            "above the average of 20 days": close / mean(close, 20) - 1,
            "volatility": deviation(change, 20),
            "RSI": ratio(rises, rises + falls, where_zero=0.5),
            "Bollinger": ratio(close - mean(close, 20), 2 * deviation(close, 20), where_zero=0),
            "range of the day": high / low - 1,
            "rise within the day": close / open_ - 1,
            "unusual volume": trade - mean(trade, 20),
        }
        return np.column_stack(list(indicators.values()))


class WhereComplete(RegressorMixin, BaseEstimator):
    """A regressor for those rows whose features are all there. The answer to the others is NaN: ``null`` to a client."""

    def __init__(self, regressor):
        self.regressor = regressor

    def fit(self, X, y):
        complete = np.isfinite(X).all(axis=1)
        self.regressor_ = clone(self.regressor).fit(X[complete], np.asarray(y)[complete])
        return self

    def predict(self, X):
        complete = np.isfinite(X).all(axis=1)
        predicted = np.full(len(X), np.nan)
        if complete.any():
            predicted[complete] = self.regressor_.predict(X[complete])
        return predicted


def windows(values, days):
    """Row i holds the ``days`` values up to the i-th: an array ``(n, days)``, NaN before the first value."""
    before = np.full(days - 1, np.nan)
    # Contiguous, so that NumPy adds up each window in the same order, however many there are.
    return np.ascontiguousarray(sliding_window_view(np.concatenate([before, values]), days))


def mean(values, days):
    """The mean of each window: ``(n,)``."""
    return windows(values, days).mean(axis=1)


def deviation(values, days):
    """The standard deviation within each window: ``(n,)``."""
    return windows(values, days).std(axis=1)


def ratio(above, below, where_zero):
    """``above / below``, and ``where_zero`` where nothing moved, so that ``below`` is 0."""
    return np.where(below == 0, where_zero, above / np.where(below == 0, 1, below))


def check_days(days):
    """Raise ValueError unless each day comes after the one before it and has prices. Days without trade may be left out."""
    moments = days["date"].to_numpy()
    backwards = np.flatnonzero(moments[1:] <= moments[:-1])
    if backwards.size:
        row = int(backwards[0]) + 1
        this, last = (np.datetime_as_string(moments[i], unit="D") for i in (row, row - 1))
        raise ValueError(f"row {row}: {this} does not come after {last}; send each day once, the oldest first")
    without = np.flatnonzero(~traded(days))
    if without.size:
        raise ValueError(f"row {int(without[0])}: a price must be above 0, and a volume not below it")


def traded(days):
    """Which days have prices above 0 and a volume of at least 0: booleans ``(n,)``."""
    return (days[COLUMNS[1:5]] > 0).all(axis=1).to_numpy() & (days["volume"] >= 0).to_numpy()


MODEL = make_pipeline(
    Indicators(),
    WhereComplete(
        make_pipeline(
            StandardScaler(),
            PolynomialFeatures(degree=2, include_bias=False),
            DecisionTreeRegressor(max_depth=4, min_samples_leaf=40, random_state=0),
        )
    ),
)


@click.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A CSV of days as Yahoo writes them: Date, Open, High, Low, Close, Volume; other columns are not read.",
)
def main(data: Path | None) -> None:
    """Next-day return of a price, from its days so far.

    Example: python -m train forecast --data prices.csv
    """
    days = read_days(data) if data else made_up_days()
    if len(days) < AT_LEAST + HELD_OUT:
        raise click.ClickException(
            f"{data} has {len(days)} complete days; it takes {AT_LEAST + HELD_OUT}: {HELD_OUT} are held out to measure by"
        )
    returns = (days["close"].shift(-1) / days["close"] - 1).rename("next_day_return")  # of the last day: not known yet
    X_train, y_train = days[:-HELD_OUT], returns[:-HELD_OUT]

    model = clone(MODEL).fit(X_train, y_train)

    # The days held out, and those before them that their indicators look back on. The last day's return is not known.
    asked = days[-HELD_OUT - LOOK_BACK :]
    predicted, true = model.predict(asked)[LOOK_BACK:-1], returns[-HELD_OUT:-1]
    error, error_of_zero = mean_absolute_error(true, predicted), mean_absolute_error(true, np.zeros(len(true)))
    direction, direction_of_up = float(np.mean((predicted > 0) == (true > 0))), float(np.mean(true > 0))

    source = str(data) if data else "made up by this trainer; no market's real prices"
    first, last = (f"{days['date'].iloc[i]:%Y-%m-%d}" for i in (0, -1))
    published = tepal.publish(
        model,
        name="forecast",
        X=X_train,
        y=y_train,
        rows="sequence",
        metrics={
            "mean_absolute_error": round(error, 6),
            "mean_absolute_error_of_always_0": round(error_of_zero, 6),
            "direction_right": round(direction, 4),
            "direction_right_of_always_up": round(direction_of_up, 4),
            "held_out_days": HELD_OUT,
        },
        meta={"data": source, "days": f"{first} to {last}, the last {HELD_OUT} held out"},
    )

    click.echo("Forecast: 11 indicators, scaled, their products, a decision tree")
    click.echo(f"  data            {len(days)} days from {first} to {last}: {source}")
    click.echo(f"  split           {len(X_train)} to train, the last {HELD_OUT} held out")
    click.echo(f"  error           {error:.5f} off on average; always answering 0 is {error_of_zero:.5f} off")
    click.echo(f"  direction       {direction:.1%} of {len(true)} days right; always saying up is {direction_of_up:.1%}")
    click.echo(f"  published       {published.name} version {published.version} in {published.path}/")
    click.echo(f"  once served, ask it; the first {LOOK_BACK} answers are null, for want of {LOOK_BACK} earlier days:")
    click.echo(curl(published.name, days[-LOOK_BACK - 2 :]))


def read_days(path: Path) -> pd.DataFrame:
    """The days of a CSV, oldest first, each once, without those that lack a value or were not traded on."""
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise click.ClickException(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None
    table.columns = table.columns.str.strip().str.lower()
    if missing := [name for name in COLUMNS if name not in table]:
        raise click.ClickException(f"{path} has no column {', '.join(missing)}; it takes {', '.join(COLUMNS)}")
    days = table[COLUMNS].copy()
    # The date alone: some write the hour at which the exchange opens after it, with its zone.
    days["date"] = pd.to_datetime(days["date"].astype(str).str[:10], format="%Y-%m-%d", errors="coerce")
    days[COLUMNS[1:]] = days[COLUMNS[1:]].apply(pd.to_numeric, errors="coerce").astype(float)
    days = days[traded(days) & days["date"].notna()].drop_duplicates("date", keep="last").sort_values("date")
    if left_out := len(table) - len(days):
        click.echo(
            f"{path}: left out {left_out} of {len(table)} rows, which lack a date, a price or a volume, or repeat a day"
        )
    return days.reset_index(drop=True)


# A seed whose last years stay within the prices of the years before: a price that training never saw is answered too,
# but with a warning, and many warnings would hide what there is to see here.
def made_up_days(seed: int = 20) -> pd.DataFrame:
    """Seventeen years of working days but the holidays: calm and wild months in turn, a slight pull back after each move."""
    dice = np.random.default_rng(seed)
    dates = pd.bdate_range("2009-01-01", "2025-12-31")
    dates = dates[~dates.strftime("%m-%d").isin(["01-01", "12-25"])]
    n = len(dates)
    calm = np.zeros(n)  # the logarithm of how wild a day is
    change = np.zeros(n)
    for day in range(1, n):
        calm[day] = 0.97 * calm[day - 1] + 0.12 * dice.standard_normal()
        surprise = 0.009 * np.exp(calm[day]) * dice.standard_t(6)
        change[day] = 0.0003 - 0.12 * change[day - 1] - 0.03 * change[max(0, day - 5) : day].sum() + surprise
    close = 100 * np.exp(np.cumsum(change))
    wild = 0.006 * np.exp(calm)
    open_ = np.roll(close, 1) * np.exp(0.4 * wild * dice.standard_normal(n))
    open_[0] = 100
    high = np.maximum(open_, close) * np.exp(wild * dice.exponential(size=n))
    low = np.minimum(open_, close) * np.exp(-wild * dice.exponential(size=n))
    volume = np.round(np.exp(14 + 0.8 * calm + 0.25 * dice.standard_normal(n)))
    prices = np.column_stack([open_, high, low, close]).round(2)
    days = pd.DataFrame(prices, columns=COLUMNS[1:5])
    return pd.concat([pd.Series(dates, name="date"), days, pd.Series(volume, name="volume")], axis=1)


def curl(name: str, days: pd.DataFrame) -> str:
    """The request for these days: a pandas split frame, a day a line."""
    days = days.assign(date=days["date"].dt.strftime("%Y-%m-%d"), volume=days["volume"].astype(int))
    rows = ",\n".join(f"      {json.dumps(row)}" for row in days.to_numpy(dtype=object).tolist())
    return (
        f"    curl -X POST http://127.0.0.1:8080/models/{name}/predict -d '{{\n"
        f'      "columns": {json.dumps(COLUMNS)}, "data": [\n{rows}]}}\'\n'
    )
