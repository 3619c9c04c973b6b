"""``tepal publish``: a model that comes as a file, with no code of ours."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any, Literal

import click
import msgspec

import tepal
from tepal import choice, environment, examples, known, opened
from tepal import manifest as manifests


def _pairs(ctx: click.Context, option: click.Parameter, values: tuple[str, ...]) -> list[tuple[str, str]]:
    pairs = [value.partition("=") for value in values]
    for key, equals, value in pairs:
        if not (key and equals):
            raise click.BadParameter(f"{key or value!r} is not KEY=VALUE")
    return [(key, value) for key, _, value in pairs]


_MANY: dict[str, Any] = {"multiple": True, "default": ()}


@click.command("publish", context_settings={"max_content_width": 100})
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", required=True, help="The model's name: a–z, 0–9, '_', '.', '-'.")
@click.option(
    "--examples",
    "table",
    required=True,
    type=click.Path(path_type=Path),
    metavar="TABLE",
    help="Rows that it was trained on: .csv, .jsonl, .json, .npy or .parquet. They tell types, ranges and categories.",
)
@click.option("--target", "targets", metavar="COLUMN", help="The column of TABLE that it predicts.", **_MANY)
@click.option("--code", metavar="FILE.py", help="A file of yours whose classes or functions it needs.", **_MANY)
@click.option("--trust", metavar="TYPE", help="A type in a .skops file that you trust.", **_MANY)
@click.option(
    "--rows",
    type=click.Choice(["independent", "sequence"]),
    default="independent",
    show_default=True,
    help="Whether a row's answer depends on that row alone, or on those before it.",
)
@click.option(
    "--metric", "metrics", metavar="KEY=VALUE", help="How good it is, for its card: accuracy=0.93.", callback=_pairs, **_MANY
)
@click.option(
    "--meta", metavar="KEY=VALUE", help="Anything else for its card: run=17, commit=3f2a.", callback=_pairs, **_MANY
)
@click.option("--promote", is_flag=True, help="Pin the new version, as `tepal promote` does.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for a script to read.")
def publish_command(
    file: Path,
    name: str,
    table: Path,
    targets: tuple[str, ...],
    code: tuple[str, ...],
    trust: tuple[str, ...],
    rows: Literal["independent", "sequence"],
    metrics: list[tuple[str, str]],
    meta: list[tuple[str, str]],
    promote: bool,
    as_json: bool,
) -> None:
    """Publish the model in FILE (a pickle, joblib's or .skops) as the next version of NAME.

    FILE must be of a source that you trust: opening a pickle runs what is in it. Any of --target, --code, --trust,
    --metric and --meta may be given again.

    Example: tepal publish churn.pkl --name churn --examples train.csv --target churned
    """
    given = environment.given(code)
    estimator = opened.estimator_in(file, given, trust, sys.argv[1:])
    rows_in_table = examples.read(table, as_text=known.text_columns(estimator))
    arranged = examples.arrange(rows_in_table, estimator, targets)
    if arranged.ignored:
        click.echo(f"Note: the model does not know {', '.join(arranged.ignored[:20])}; ignored", err=True)
    published = tepal.publish(
        estimator,
        name=name,
        X=arranged.X,
        y=arranged.y,
        rows=rows,
        metrics={key: _number_or_text(value) for key, value in metrics},
        meta=dict(meta),
        code=code,
        promote=promote,
    )
    if as_json:
        click.echo(msgspec.json.encode({"name": name, "version": published.version, "path": str(published.path)}).decode())
        return
    click.echo(f"Published {name} version {published.version} in {published.path}/{', pinned' if promote else ''}")
    pinned = choice.read(published.path.parent).pinned
    if pinned not in (None, str(published.version)):
        click.echo(
            f"Version {pinned} is pinned and goes on answering; for this one: tepal promote {name} {published.version}"
        )
    click.echo("Once served, ask it:")
    click.echo(f"  curl -X POST http://127.0.0.1:8080/models/{name}/predict -d {_example(published.path)}")


def _example(path: Path) -> str:
    """A body to send, as a shell takes it."""
    manifest = manifests.read(path)
    if manifest.rows == "sequence":
        return "@rows.json  # its rows in their order; the model card has an example"
    return shlex.quote(msgspec.json.encode(manifest.golden.rows[0]).decode())


def _number_or_text(value: str) -> Any:
    try:
        return float(value)
    except ValueError:
        return value
