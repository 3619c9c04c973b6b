"""The card of a model as lines of text, for a person to read in a terminal."""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from tepal.manifest import Compiled, Manifest
from tepal.prediction import Output, class_key
from tepal.signature import Column

WIDTH = 100
# Most columns of a model, labels and lines of a confusion matrix, that are shown: more is for --json.
MOST_COLUMNS = 60
MOST_LABELS = 30
LONGEST_NAME = 40  # that still has what is said of it on its own line


def lines(manifest: Manifest, checked: str, width: int = WIDTH) -> list[str]:
    """What the manifest says of a version, as a person would say it.

    checked: a sentence on what was found when the version was looked at. width: columns of the terminal.
    """
    return [
        *_title(manifest, width),
        *_takes(manifest, width),
        *_answers(manifest, width),
        *_good(manifest, width),
        *_made(manifest, width),
        *_ask(manifest),
        "",
        *_wrapped(checked, width),
    ]


def _title(manifest: Manifest, width: int) -> list[str]:
    name = f"{manifest.name}, version {manifest.version}"
    day = datetime.fromisoformat(manifest.created)
    fitted = f"fitted to {_count(manifest.n_rows, 'row')} on {day.day} {day:%B %Y}"
    sentences = [f"{_says(manifest)}.", f"It was {fitted}, as {_with_article(manifest.estimator)}."]
    if manifest.rows == "sequence":
        sentences.append("Its rows are a sequence: an answer depends on the rows before it, so send them all, in order.")
    return [name, "=" * len(name), "", *_wrapped(" ".join(sentences), width)]


def _says(manifest: Manifest) -> str:
    outputs, task = manifest.outputs, manifest.task
    classes = outputs[0].classes
    names = _listed([_short(output.name) for output in outputs], 200, "and")
    if task == "outlier detection":
        return "Says whether a row is like those that it has seen: 1, or an outlier: -1"
    if len(outputs) > 1:
        return f"Answers {len(outputs)} things about each row: {names}"
    if classes:
        return (
            f"Says which of {len(classes)} classes a row is of: {_listed([_label(label) for label in classes], 120, 'or')}"
        )
    return {"regression": "Answers each row with a number", "clustering": "Says which cluster a row is in"}.get(
        task, "Answers each row with a value"
    )


def _with_article(estimator: str) -> str:
    words = in_words(estimator)
    if estimator.startswith("Pipeline("):
        return f"a pipeline: {words}"
    if words.startswith("best "):
        return f"the {words}"
    plural = words.split(" over ")[0].split(" of ")[0].endswith("s") or words in ("DBSCAN", "k-means")
    return words if plural else f"{'an' if words[0].lower() in 'aeio' else 'a'} {words}"


def _takes(manifest: Manifest, width: int) -> list[str]:
    columns = manifest.signature.columns[:MOST_COLUMNS]
    nullable = any(column.nullable for column in columns)
    head = ["column", "type", *(["null"] if nullable else [])]
    rows = [
        [_short(column.name), column.type, *(["yes" if column.nullable else ""] if nullable else [])] for column in columns
    ]
    left = table([head, *rows])
    start = max(map(len, left)) + 4
    room = max(12, width - start)
    found = _heading("What it takes")
    for line, told in zip(left, ["seen in training", *(_seen(column, room) for column in columns)]):
        found += _wrapped(told, max(width, start + room), f"  {line}".ljust(start), " " * start)
    more = len(manifest.signature.columns) - len(columns)
    return [*found, f"  … and {more:,} more columns"] if more else found


def _seen(column: Column, room: int) -> str:
    if column.minimum is not None:
        return f"{_value(column.minimum)} to {_value(column.maximum)}"
    if column.categories is not None:
        refused = "; another is refused" if column.unseen == "refuse" else ""
        return _listed([_short(value) for value in column.categories], 3 * room - len(refused)) + refused
    return {"boolean": "true or false", "datetime": "ISO 8601, or Unix milliseconds", "string": "any text"}.get(
        column.type, ""
    )


def _answers(manifest: Manifest, width: int) -> list[str]:
    rows = []
    for output in manifest.outputs:
        name = "prediction" if len(manifest.outputs) == 1 else output.name
        told = (
            f"{_listed([_label(label) for label in output.classes], 300, 'or')}"
            if output.classes
            else _plain_answer(manifest)
        )
        rows.append((name, told + (_with_probabilities(output) if output.classes else "")))
    return [*_heading("What it answers"), *_pairs(rows, width)]


def _plain_answer(manifest: Manifest) -> str:
    return {"clustering": "the number of a cluster"}.get(manifest.task, "a number")


def _with_probabilities(output: Output) -> str:
    return ", with the probability of each" if output.probabilities else "; no probabilities"


def _good(manifest: Manifest, width: int) -> list[str]:
    if not manifest.metrics:
        return []
    simple = {key: value for key, value in manifest.metrics.items() if not _is_confusion(value)}
    found = [*_heading("How good it is"), *_pairs([(_spoken(key), _value(value)) for key, value in simple.items()], width)]
    for key, value in manifest.metrics.items():
        if _is_confusion(value):
            found += _confusion(key, value, width)
    return found


def _is_confusion(value: Any) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("labels"), list) or not isinstance(value.get("counts"), list):
        return False
    many = len(value["labels"])
    return many > 0 and len(value["counts"]) == many and all(
        isinstance(row, list) and len(row) == many for row in value["counts"]
    )  # fmt: skip


def _confusion(key: str, value: dict[str, Any], width: int) -> list[str]:
    labels = [_short(class_key(label)) for label in value["labels"]]
    rows_are = value.get("rows_are", "true classes")
    found = _wrapped(f"{_spoken(key)}: rows are the {rows_are}, columns the predicted", width, "  ", "    ")
    matrix = table([("", *labels), *[(label, *map(str, row)) for label, row in zip(labels, value["counts"])]], right=True)
    if len(labels) > MOST_LABELS or max(map(len, matrix)) + 4 > width:
        return _wrapped(
            f"{_spoken(key)}: {len(labels)} by {len(labels)}, too wide for here; see --json", width, "  ", "    "
        )
    return [*found, *[f"    {line}" for line in matrix]]


def _made(manifest: Manifest, width: int) -> list[str]:
    packages = [f"{package} {version}" for package, version in manifest.packages.items()]
    rows = [
        ("when", manifest.created.replace("T", " ").replace("Z", " UTC")),
        ("on", _count(manifest.n_rows, "row")),
        ("by", manifest.command),
        ("with", ", ".join([f"Python {manifest.python}", *packages])),
        ("estimator", manifest.estimator),
        ("runs", _runs(manifest.runtime)),
        *[(_spoken(key), _value(value)) for key, value in manifest.meta.items()],
        *[(f"sha256 of {file}", f"{digest[:16]}…") for file, digest in manifest.files.items()],
    ]
    return [*_heading("How it was made"), *_pairs(rows, width)]


def _runs(recorded: Compiled | None) -> str:
    if recorded is None:
        return "by scikit-learn: it was published before models were compiled"
    if recorded.proof is None:
        return f"by scikit-learn: {recorded.reason}"
    proof = recorded.proof
    rows = proof.training + proof.perturbed + proof.extreme + proof.thresholds + proof.boundaries
    return f"compiled: proven to answer {rows:,} rows as scikit-learn does, floats within {proof.largest_difference:.0e}"


def _ask(manifest: Manifest) -> list[str]:
    """A request that can be copied: unwrapped, whatever the width, but for the shell's own line ends."""
    rows: Any = manifest.golden.rows if manifest.rows == "sequence" else manifest.golden.rows[0]
    body = msgspec.json.encode(rows).decode()
    if len(body) > 2000:
        return [*_heading("Ask it"), "  its example is long: see `example` in GET /models/" + manifest.name]
    return [
        *_heading("Ask it"),
        f"  curl http://127.0.0.1:8080/models/{manifest.name}/predict \\",
        f"    -d {shlex.quote(body)}",
    ]


def _heading(text: str) -> list[str]:
    return ["", text, "-" * len(text)]


def _wrapped(text: str, width: int, first: str = "", rest: str = "") -> list[str]:
    return textwrap.wrap(
        text, width, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False, break_long_words=False
    ) or [first.rstrip()]


def _pairs(rows: Sequence[tuple[str, str]], width: int) -> list[str]:
    """Names and what is said of them, side by side; a long name has a line of its own."""
    start = 4 + max([len(name) for name, _ in rows if len(name) <= LONGEST_NAME], default=0)
    found = []
    for name, told in rows:
        text = " ".join(told.split())
        if len(name) > LONGEST_NAME:
            found += [f"  {name}", *_wrapped(text, width, " " * start, " " * start)]
        else:
            found += _wrapped(text, width, f"  {name:<{start - 2}}", " " * start)
    return found


def table(rows: Sequence[Sequence[str]], right: bool = False) -> list[str]:
    """Cells under each other, two spaces between them. right: all but the first of a row end under each other."""
    widths = [max(map(len, cells)) for cells in zip(*rows)]
    found = []
    for row in rows:
        cells = [cell.rjust(wide) if right and i else cell.ljust(wide) for i, (cell, wide) in enumerate(zip(row, widths))]
        found.append("  ".join(cells).rstrip())
    return found


def _listed(values: Sequence[str], room: int, last: str = "") -> str:
    """As many of the values as there is room for, and how many more there are."""
    shown: list[str] = []
    for value in values:
        if shown and sum(map(len, shown)) + 2 * len(shown) + len(value) > room - 16:
            return f"{', '.join(shown)} … and {len(values) - len(shown):,} more"
        shown.append(value)
    if last and len(shown) > 1:
        return f"{', '.join(shown[:-1])} {last} {shown[-1]}"
    return ", ".join(shown)


def _label(label: Any) -> str:
    return _short(class_key(label))


def _short(text: str, limit: int = 40) -> str:
    text = text if text.strip() == text and text and text.isprintable() else msgspec.json.encode(text).decode()
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _spoken(key: str) -> str:
    return key.replace("_", " ")


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{_spoken(str(key))} {_value(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return _listed([_value(item) for item in value], 300)
    if isinstance(value, float):
        plain = abs(value) < 1e15 and (abs(value) >= 1e6 or value.is_integer())
        return f"{value:.0f}" if plain else f"{value:.6g}"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _count(many: int, noun: str) -> str:
    return f"{many:,} {noun}{'s' * (many != 1)}"


_WORDS = {
    "SVC": "support vector classifier",
    "SVR": "support vector regressor",
    "NuSVC": "support vector classifier",
    "NuSVR": "support vector regressor",
    "LinearSVC": "linear support vector classifier",
    "LinearSVR": "linear support vector regressor",
    "OneClassSVM": "one-class support vector machine",
    "SGDClassifier": "linear classifier, fitted by gradient descent",
    "SGDRegressor": "linear regressor, fitted by gradient descent",
    "MLPClassifier": "neural network",
    "MLPRegressor": "neural network",
    "KNeighborsClassifier": "nearest neighbours classifier",
    "KNeighborsRegressor": "nearest neighbours regressor",
    "HistGradientBoostingClassifier": "gradient boosted trees",
    "HistGradientBoostingRegressor": "gradient boosted trees",
    "GradientBoostingClassifier": "gradient boosted trees",
    "GradientBoostingRegressor": "gradient boosted trees",
    "LGBMClassifier": "gradient boosted trees of LightGBM",
    "LGBMRegressor": "gradient boosted trees of LightGBM",
    "XGBClassifier": "gradient boosted trees of XGBoost",
    "XGBRegressor": "gradient boosted trees of XGBoost",
    "MultinomialNB": "naive Bayes",
    "GaussianNB": "naive Bayes",
    "ComplementNB": "naive Bayes",
    "BernoulliNB": "naive Bayes",
    "KMeans": "k-means",
    "DBSCAN": "DBSCAN",
    "CalibratedClassifierCV": "calibrated classifier",
    "PCA": "principal components",
    "TfidfVectorizer": "words or n-grams, weighted by rarity (TF-IDF)",
    "CountVectorizer": "counts of words or n-grams",
    "OneHotEncoder": "one-hot encoder",
    "GridSearchCV": "best of a grid search",
    "RandomizedSearchCV": "best of a random search",
}
_NAMED = re.compile(r"\b([A-Z]\w*)\(")


def in_words(estimator: str) -> str:
    """An estimator, as scikit-learn prints it, in words: what each step of a pipeline is, what is inside of another."""
    found = _NAMED.match(estimator)
    if found is None:
        return _words(estimator.strip("<").split(" ")[0].split(".")[-1])
    name = found[1]
    if name == "Pipeline":
        steps = [_words(step) for step in _inside(estimator, depth=3)]
        whole = estimator.count("(") <= estimator.count(")")  # a long one is cut
        return ", then ".join(steps if whole and steps else [*steps, "more"])
    inner = _inside(estimator, depth=1)
    if name in ("ColumnTransformer", "FeatureUnion") or not inner:
        return _words(name)
    return f"{_words(name)} over {in_words(estimator[estimator.index(inner[0] + '(') :])}"


def _inside(estimator: str, depth: int) -> list[str]:
    """The names of what is called at so many brackets inside, as far as the text goes."""
    found, level, quote = [], 0, ""
    for at, sign in enumerate(estimator):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        elif sign in "([{":
            if sign == "(" and level == depth and (called := re.search(r"([A-Z]\w*)$", estimator[:at])):
                found.append(called[1])
            level += 1
        elif sign in ")]}":
            level -= 1
    return found


def _words(name: str) -> str:
    """``DecisionTreeClassifier`` as ``decision tree classifier``; a name of one word as it is."""
    parts = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    return _WORDS.get(name) or (parts.lower() if " " in parts else name) or "estimator"
