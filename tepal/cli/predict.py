"""The command that answers a file of rows: predict."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter
from typing import Any, NoReturn

import click

from tepal import bulk, choice, repository
from tepal.cli.output import as_json_option, count, print_json
from tepal.errors import ArtifactError, NotReady
from tepal.notes import Note
from tepal.publish import store_from_environ
from tepal.repository import Version

SHOWN = 5  # warnings


@click.command("predict", epilog="Example: tepal predict iris flowers.csv -o answers.parquet --keep flower_id")
@click.argument("name")
@click.argument("input_", metavar="INPUT", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="The file of predictions; it is replaced."
)
@click.option(
    "--version",
    "number",
    metavar="N",
    help="The version that answers.  [default: the one that was chosen, else the newest that may serve]",
)
@click.option(
    "--keep", metavar="COLUMN", multiple=True, help="Carry a column of INPUT along, an id say; may be given again."
)
@click.option(
    "--probabilities/--no-probabilities",
    default=True,
    help="Write the probability of each class too.  [default: where there are]",
)
@click.option("--strict", is_flag=True, help="Refuse a column that the model does not have, instead of ignoring it.")
@click.option(
    "--chunk-rows",
    type=click.IntRange(1),
    default=bulk.CHUNK_ROWS,
    show_default=True,
    help="Rows in memory at once. A sequence model gets all.",
)
@as_json_option
def predict_command(
    name: str,
    input_: Path,
    output: Path,
    *,
    number: str | None,
    keep: tuple[str, ...],
    probabilities: bool,
    strict: bool,
    chunk_rows: int,
    as_json: bool,
) -> None:
    """Answer every row of the file INPUT by the model NAME.

    Formats go by the names of the files: .csv, .jsonl or .ndjson (also .gz), .parquet (needs pyarrow).
    INPUT and the output may differ in it. A CSV may have a header or not, as in a request.

    The output has one row for each row of INPUT, in order: `prediction`, and `probability_<class>` each.
    It appears whole, or not at all: what was there before stays if a row cannot be answered.
    Rows count from 0, lines from 1.
    """
    version = _version(name, number)
    started = perf_counter()
    with _stopped_by_terminate(), _bar() as progress:
        done = bulk.predict(
            version,
            input_,
            output,
            probabilities=probabilities,
            strict=strict,
            keep=keep,
            chunk_rows=chunk_rows,
            progress=progress,
        )
    seconds = perf_counter() - started
    for note in done.notes.listed[:SHOWN]:
        click.echo(f"Warning: {_said(note)}", err=True)
    if done.notes.total > SHOWN:
        click.echo(f"Warning: … and {done.notes.total - SHOWN:,} more", err=True)
    if as_json:
        told: dict[str, Any] = {"name": version.name, "version": version.number, "output": str(output), "rows": done.rows}
        if done.notes.total:
            told |= {"warnings": done.notes.listed, "warnings_total": done.notes.total}
        print_json(told)
        return
    click.echo(f"{version.name} version {version.number} answered {count(done.rows, 'row')} in {seconds:.1f} s: {output}")


def _version(name: str, number: str | None) -> Version:
    """The version to ask, or else the one that was chosen, or the newest that may serve. Raises NotFound and NotReady."""
    store = store_from_environ()
    numbers = repository.numbers_of(store, name, number)
    mismatch = os.environ.get("ALLOW_VERSION_MISMATCH", "").strip().lower() in ("true", "1", "yes", "on")
    reasons = []
    for candidate in choice.candidates(choice.read(store / name), numbers) if number is None else numbers:
        try:
            version = repository.load(store / name / candidate, allow_version_mismatch=mismatch)
        except ArtifactError as error:
            reasons.append(f"version {candidate} of model '{name}' cannot answer: {error}")
            continue
        for reason in reasons:
            click.echo(f"Warning: {reason}; version {version.number} answers", err=True)
        return version
    raise NotReady(reasons[0])


def _said(note: Note) -> str:
    place = [f"row {note.row}"] if note.row is not None else []
    place += [f"column '{note.column}'"] if note.row is not None and note.column is not None else []
    return f"{', '.join(place)}: {note.message}" if place else note.message


@contextlib.contextmanager
def _bar() -> Iterator[Callable[[float], None]]:
    """A progress bar on standard error, where that is a terminal that can draw one."""
    if not sys.stderr.isatty() or os.environ.get("TERM") in (None, "dumb"):
        yield lambda _: None
        return
    steps = 1000
    with click.progressbar(length=steps, label="predicting", file=sys.stderr, width=0) as bar:

        def show(done: float) -> None:
            bar.update(int(done * steps) - bar.pos)

        yield show


@contextlib.contextmanager
def _stopped_by_terminate() -> Iterator[None]:
    """Let SIGTERM end the command as Ctrl-C does, so that no half-written file stays."""

    def stop(*_: object) -> NoReturn:
        sys.exit(128 + signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
