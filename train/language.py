"""Language: in which of twelve languages is a sentence written, from the letters that stand side by side in it.

``th`` is frequent in English, ``sch`` in German, ``ção`` in Portuguese. The sentences are in ``language.txt``, beside
this file; ``--data`` takes others, in the same form.
"""

from __future__ import annotations

import json
from pathlib import Path

import click
import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, confusion_matrix, log_loss
from sklearn.model_selection import cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline

import tepal

SENTENCES = Path(__file__).with_name("language.txt")
FOLDS = 6
TO_TRY = "Guten Tag, wo finde ich hier einen Bäcker?"  # in no training data

MODEL = make_pipeline(
    # One to three letters within a word, its ends included; a rare trio tells more than a frequent one.
    TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 3), sublinear_tf=True),
    LogisticRegression(C=1000, solver="newton-cg"),  # quick where there are more features than sentences
)


@click.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    default=SENTENCES,
    metavar="FILE",
    help="Sentences, one a line, below the name of their language in brackets: [English].",
)
def main(data: Path) -> None:
    """Language in which a sentence is written, out of twelve.

    Example: python -m train language
    """
    sentences, languages = read_sentences(data)
    names, counts = np.unique(languages, return_counts=True)
    if len(names) < 2 or counts.min() < FOLDS:
        fewest = f"[{names[counts.argmin()]}] has {counts.min()}" if len(names) else "it has none"
        raise click.ClickException(f"{data}: it takes two languages of {FOLDS} sentences each at least; {fewest}")

    # Each sentence is asked of a model that was trained without it. The one published was trained with all of them.
    chances = cross_val_predict(MODEL, sentences, languages, cv=FOLDS, method="predict_proba")
    answered = names[chances.argmax(axis=1)]
    accuracy = accuracy_score(languages, answered)
    confusion = confusion_matrix(languages, answered, labels=names)
    surprise = log_loss(languages, chances, labels=names)
    always_one = cross_val_score(DummyClassifier(), sentences, languages, cv=FOLDS).mean()
    model = MODEL.fit(sentences, languages)

    source = "sentences written for this project" if data == SENTENCES else str(data)
    published = tepal.publish(
        model,
        name="language",
        X=sentences,
        y=languages,
        metrics={
            "cross_validated_accuracy": round(accuracy, 4),
            "cross_validated_log_loss": round(surprise, 4),
            "accuracy_of_always_one": round(always_one, 4),
            "confusion_matrix": {"labels": names, "rows_are": "true language", "counts": confusion},
        },
        meta={"data": source, "sentences": dict(zip(names.tolist(), counts.tolist()))},
    )

    click.echo("Language: runs of one to three letters, weighed by how rare they are, and a logistic regression")
    click.echo(f"  data            {len(sentences)} sentences in {len(names)} languages: {source}")
    click.echo(f"                  {', '.join(names)}")
    click.echo(f"  split           cross-validated over {FOLDS} folds; what is published has seen all sentences")
    click.echo(
        f"  accuracy        {accuracy:.4f} on unseen sentences; always naming the same language gets {always_one:.4f}"
    )
    click.echo(f"  log loss        {surprise:.4f}; not knowing is {np.log(len(names)):.4f}")
    click.echo(f"  published       {published.name} version {published.version} in {published.path}/")
    click.echo("  once served, ask it:")
    body = json.dumps({"text": TO_TRY}, ensure_ascii=False)
    click.echo(f"    curl -X POST http://127.0.0.1:8080/models/{published.name}/predict -d '{body}'\n")


def read_sentences(path: Path) -> tuple[list[str], list[str]]:
    """The sentences of a file and the language of each. Lines that are empty or begin with # say nothing."""
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, ValueError) as error:
        raise click.ClickException(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None
    sentences, languages, language = [], [], ""
    for number, line in enumerate(lines, 1):
        if line.startswith("[") and line.endswith("]"):
            language = line[1:-1].strip()
        elif line and not line.startswith("#"):
            if not language:
                raise click.ClickException(f"{path}: line {number} stands before the first language, such as [English]")
            sentences.append(line)
            languages.append(language)
    return sentences, languages
