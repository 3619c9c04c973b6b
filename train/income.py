"""Income: does a person earn more than 50,000 a year, from a table as tables are: words, numbers, and gaps.

Each column gets what it needs, by its name: gaps are filled, numbers scaled, words spread over columns of 0 and 1.
The people are made up here; ``--data`` takes real ones, such as the census that is known as Adult.
"""

from __future__ import annotations

import json
from pathlib import Path

import click
import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, confusion_matrix, log_loss, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import tepal

NUMBERS = ["age", "hours_per_week", "capital_gain"]
WORDS = ["workclass", "education", "marital_status", "occupation"]
COLUMNS = [*NUMBERS, *WORDS]
TARGET = "income"
LABELS = ["<=50K", ">50K"]
AT_LEAST = 200  # rows

MODEL = make_pipeline(
    ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), NUMBERS),
            (
                "words",
                make_pipeline(
                    SimpleImputer(strategy="constant", fill_value="missing"),
                    # A word that training never saw is no reason to refuse a person: all its columns are 0.
                    OneHotEncoder(handle_unknown="ignore"),
                ),
                WORDS,
            ),
        ]
    ),
    LogisticRegression(max_iter=1000),
)


@click.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help=f"A CSV of {', '.join(COLUMNS)} and {TARGET} ({' or '.join(LABELS)}); other columns are not read.",
)
def main(data: Path | None) -> None:
    """Income above or below 50,000 a year, from a table with gaps in it.

    Example: python -m train income --data adult.csv
    """
    people = read_people(data) if data else made_up_people()
    counts = people[TARGET].value_counts()
    if len(people) < AT_LEAST or len(counts) < 2 or counts.min() < 10:
        told = " and ".join(f"{counts.get(label, 0)} of {label}" for label in LABELS)
        raise click.ClickException(f"{data} has {told}; it takes {AT_LEAST} rows, and 10 of each")
    X_train, X_test, y_train, y_test = train_test_split(
        people[COLUMNS], people[TARGET], test_size=0.25, random_state=0, stratify=people[TARGET]
    )

    model = MODEL.fit(X_train, y_train)

    chances = model.predict_proba(X_test)
    predicted = model.predict(X_test)
    accuracy, most = accuracy_score(y_test, predicted), float((y_test == y_train.mode()[0]).mean())
    area = roc_auc_score(y_test == LABELS[1], chances[:, 1])
    surprise = log_loss(y_test, chances, labels=LABELS)

    source = str(data) if data else "made up by this trainer; no one's real income"
    gaps = people[COLUMNS].isna().sum()
    published = tepal.publish(
        model,
        name="income",
        X=X_train,
        y=y_train,
        metrics={
            "accuracy": round(float(accuracy), 4),
            "accuracy_of_always_the_most_frequent": round(most, 4),
            "roc_auc": round(float(area), 4),
            "log_loss": round(float(surprise), 4),
            "held_out_rows": len(X_test),
            "confusion_matrix": {
                "labels": LABELS,
                "rows_are": "true income",
                "counts": confusion_matrix(y_test, predicted, labels=LABELS),
            },
        },
        meta={"data": source},
    )

    click.echo("Income: gaps filled, numbers scaled, words as columns of 0 and 1, a logistic regression")
    click.echo(f"  data            {len(people)} people, {len(NUMBERS)} numbers and {len(WORDS)} words each: {source}")
    click.echo(f"  gaps            {', '.join(f'{count} in {name}' for name, count in gaps.items() if count) or 'none'}")
    click.echo(f"  split           {len(X_train)} to train, {len(X_test)} held out, as many of each label in proportion")
    click.echo(f"  accuracy        {accuracy:.4f}; always answering {y_train.mode()[0]} is right in {most:.4f}")
    click.echo(f"  ROC AUC         {area:.4f}; a coin has 0.5")
    click.echo(f"  published       {published.name} version {published.version} in {published.path}/")
    click.echo("  once served, ask it; a null is a gap:")
    click.echo(curl(published.name, X_test))


def read_people(path: Path) -> pd.DataFrame:
    """The rows of a CSV that say an income. A ``?`` is a gap, and ``hours-per-week`` the same as ``hours_per_week``."""
    try:
        people = pd.read_csv(path, dtype=str, skipinitialspace=True, na_values=["?"], encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise click.ClickException(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None
    people.columns = people.columns.str.strip().str.lower().str.replace(r"[-. ]", "_", regex=True)
    if missing := [name for name in [*COLUMNS, TARGET] if name not in people]:
        raise click.ClickException(f"{path} has no column {', '.join(missing)}; it takes {', '.join([*COLUMNS, TARGET])}")
    people[NUMBERS] = people[NUMBERS].apply(pd.to_numeric, errors="coerce")
    people = people.dropna(subset=[TARGET])
    people[TARGET] = people[TARGET].str.strip().str.rstrip(".")  # Adult's second file has a dot there
    if strange := sorted(set(people[TARGET]) - set(LABELS)):
        raise click.ClickException(f"{path}: {TARGET} holds {strange[0]!r}; it takes {' or '.join(LABELS)}")
    return people[[*COLUMNS, TARGET]]


def made_up_people(n: int = 8000, seed: int = 0) -> pd.DataFrame:
    """People whose income follows from their schooling, work, hours, age and luck; some leave a question open."""
    dice = np.random.default_rng(seed)

    def words(weighed):
        """One of the words for each person, by the weight of each."""
        weights = np.array(list(weighed.values()), dtype=float)
        return dice.choice(np.array(list(weighed), dtype=object), size=n, p=weights / weights.sum())

    schooling = {
        "Some-school": -1.6,
        "HS-grad": -0.6,
        "Some-college": 0.0,
        "Bachelors": 1.1,
        "Masters": 1.6,
        "Doctorate": 2.2,
    }
    work = {
        "Cleaning": -1.4, "Farming": -1.0, "Service": -0.8, "Clerical": -0.2, "Craft-repair": 0.0, "Sales": 0.2,
        "Tech-support": 0.5, "Professional": 0.8, "Executive": 1.2,
    }  # fmt: skip
    people = pd.DataFrame(
        {
            "age": np.clip(dice.gamma(8, 5, n), 17, 90).astype(int),
            "hours_per_week": np.clip(dice.normal(40, 9, n), 5, 90).round(),
            "capital_gain": np.where(dice.random(n) < 0.08, dice.lognormal(8, 1, n), 0).astype(int),
            "workclass": words({"Private": 70, "Self-employed": 11, "Local-gov": 8, "State-gov": 6, "Federal-gov": 5}),
            "education": words(dict(zip(schooling, [13, 32, 25, 19, 9, 2]))),
            "marital_status": words({"Married": 47, "Never-married": 32, "Divorced": 16, "Widowed": 5}),
            "occupation": words(dict(zip(work, [8, 4, 13, 14, 16, 13, 5, 14, 13]))),
        }
    )
    odds = (
        -1.6
        + people["education"].map(schooling).astype(float)
        + people["occupation"].map(work).astype(float)
        + 0.05 * (people["hours_per_week"] - 40)
        + 1.2 * (people["marital_status"] == "Married")
        - 0.0018 * (people["age"] - 50) ** 2
        + 0.0003 * people["capital_gain"]
        + 0.4 * (people["workclass"] == "Federal-gov")
    )
    people[TARGET] = np.where(dice.logistic(size=n) < odds, LABELS[1], LABELS[0])
    for name, share in {"hours_per_week": 0.03, "workclass": 0.06, "occupation": 0.06}.items():
        people.loc[dice.random(n) < share, name] = np.nan
    return people


def curl(name: str, people: pd.DataFrame) -> str:
    """The request for two of the people: one without a gap, if there is such a one, and one with a gap."""
    whole = people.notna().all(axis=1)
    two = pd.concat([people[whole].head(1), people[~whole].head(1)])
    rows = ",\n      ".join(json.dumps(row) for row in json.loads(two.to_json(orient="records")))
    return f"    curl -X POST http://127.0.0.1:8080/models/{name}/predict -d '[\n      {rows}]'\n"
