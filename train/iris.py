"""Iris: which of three species is a flower, from four lengths in centimetres.

The data set is the one that scikit-learn ships: 150 flowers, 50 of each species.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, confusion_matrix
from sklearn.model_selection import cross_val_score, train_test_split
from sklearn.svm import SVC
from sklearn.utils import shuffle

import tepal
from tepal.publish import store_from_environ
from tepal.repository import versions_on_disk

COLUMNS = ["sepal_length", "sepal_width", "petal_length", "petal_width"]


class Recipe(NamedTuple):
    """What to fit, under which name to publish it, and how to hold rows out."""

    estimator: ClassifierMixin
    name: str
    split: Any


def hold_out_a_fifth(X, y):
    """A random fifth is held out: 120 rows to train, 30 to test."""
    return train_test_split(X, y, test_size=0.2, random_state=10)


def shuffle_then_first_120(X, y):
    """Shuffled, then the first 120 rows to train and the last 30 to test."""
    X, y = shuffle(X, y, random_state=0)
    return X[:120], X[120:], y[:120], y[120:]


# To try another algorithm, put it here: nothing else in the project knows which one it is. The logistic regression is
# fitted to its very end, so that its probabilities are the same on every machine to more digits than anyone reads.
ALGORITHMS = {
    "svm": Recipe(SVC(kernel="linear"), "iris", hold_out_a_fifth),
    "logistic": Recipe(LogisticRegression(solver="newton-cholesky", tol=1e-10), "iris-logistic", shuffle_then_first_120),
}


@click.command()
@click.option(
    "--algorithm",
    "algorithms",
    type=click.Choice(list(ALGORITHMS)),
    multiple=True,
    default=["svm"],
    show_default="svm",
    help="What to fit; may be given more than once.",
)
@click.option("--if-empty", is_flag=True, help="Do nothing where the model repository holds a model.")
@click.option("--brief", is_flag=True, help="Print one line for each model, and none where there is nothing to do.")
def main(algorithms: list[str], if_empty: bool, brief: bool) -> None:
    """Species of an iris from the lengths of its petals and sepals.

    Example: python -m train iris --algorithm logistic
    """
    store = store_from_environ()
    if if_empty and (found := versions_on_disk(store)):
        if not brief:
            click.echo(f"{store}/ already holds {', '.join(found)}: nothing to train")
        return
    for algorithm in algorithms:
        run(algorithm, ALGORITHMS[algorithm], store, brief)


def run(algorithm: str, recipe: Recipe, store: Path, brief: bool = False) -> tepal.Published:
    """Fit, score and publish one model, and print what was done, or the result alone."""
    iris = load_iris()
    X, y = iris.data, iris.target_names[iris.target]  # labels are the species' names, not their indices
    X_train, X_test, y_train, y_test = recipe.split(X, y)

    cross_validated = cross_val_score(recipe.estimator, X_train, y_train, cv=5)
    estimator = recipe.estimator.fit(X_train, y_train)
    predicted = estimator.predict(X_test)
    held_out = accuracy_score(y_test, predicted)
    confusion = confusion_matrix(y_test, predicted, labels=estimator.classes_)

    published = tepal.publish(
        estimator,
        name=recipe.name,
        X=dict(zip(COLUMNS, X_train.T)),
        y=y_train,
        metrics={
            "accuracy": round(float(held_out), 4),
            "cross_validated_accuracy": round(float(cross_validated.mean()), 4),
            "confusion_matrix": {"labels": list(estimator.classes_), "rows_are": "true species", "counts": confusion},
        },
        meta={"algorithm": algorithm, "data": "Iris, R. A. Fisher 1936, as scikit-learn ships it"},
        store=store,
    )

    right = f"{int(held_out * len(y_test) + 0.5)} of {len(y_test)} right"
    if brief:
        click.echo(f"  trained {published.name} ({algorithm}): {right} among the flowers held out")
        return published
    click.echo(f"Iris with {algorithm}: {estimator!r}")
    click.echo(f"  data            {len(X)} flowers, {len(COLUMNS)} lengths in cm, {len(iris.target_names)} species")
    click.echo(f"  split           {len(X_train)} to train, {len(X_test)} held out: {recipe.split.__doc__}")
    click.echo(f"  cross-validated {cross_validated.mean():.4f} ± {cross_validated.std():.4f} accuracy over 5 folds")
    click.echo(f"  held out        {held_out:.4f} accuracy ({right})")
    click.echo("  confusion       rows are the true species, columns the predicted ones")
    for line in table(estimator.classes_, confusion):
        click.echo(f"                  {line}")
    click.echo(f"  published       {published.name} version {published.version} in {published.path}/")
    click.echo("  once served, ask it:")
    click.echo(f"    curl -X POST http://127.0.0.1:8080/models/{published.name}/predict -d '{X_test[0].tolist()}'\n")
    return published


def table(labels: np.ndarray, counts: np.ndarray) -> list[str]:
    """A confusion matrix as lines of text."""
    width = max(len(label) for label in labels) + 2
    lines = [" " * width + "".join(label.rjust(width) for label in labels)]
    for label, row in zip(labels, counts):
        lines.append(label.ljust(width) + "".join(str(count).rjust(width) for count in row))
    return lines
