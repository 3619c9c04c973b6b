"""Bulk prediction from file to file, a chunk of rows at a time, in constant memory.

What is read, warned of and answered is what the service reads, warns of and answers: the same code runs.
"""

from __future__ import annotations

import contextlib
import gc
import os
import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from tepal import sinks, sources
from tepal.errors import FileError, InputError, Invalid, ModelError
from tepal.notes import Notes
from tepal.repository import Version
from tepal.sources import Request, Source
from tepal.wire import columns

# Rows of a chunk: enough that a call of the model costs little beside its rows.
CHUNK_ROWS = 10_000


class Done(NamedTuple):
    """What was written: so many rows; the warnings, whose rows count from the file's first."""

    rows: int
    notes: Notes


class FileNotes(Notes):
    """The warnings of a whole file, read chunk by chunk. What is said of all rows is said once.

    first: the row of the file at which the chunk starts.
    """

    __slots__ = ("_said", "first")

    def __init__(self) -> None:
        super().__init__()
        self.first = 0
        self._said: set[str] = set()

    def add(self, message: str, row: int | None = None, column: str | None = None) -> None:
        if row is not None:
            super().add(message, self.first + row, column)
        elif message not in self._said:
            self._said.add(message)
            super().add(message, None, column)


def predict(
    version: Version,
    source: Path,
    target: Path,
    *,
    probabilities: bool = True,
    strict: bool = False,
    keep: Sequence[str] = (),
    chunk_rows: int = CHUNK_ROWS,
    progress: Callable[[float], None] = lambda _: None,
) -> Done:
    """Answer every row of the file ``source`` in the file ``target``, one row each and in order.

    Formats are by extension, and may differ. strict: unknown columns are refused. keep: columns of the source to
    carry along, first. chunk_rows: rows in memory at a time, and in one call of the model; a sequence model gets all
    rows at once. progress: called with how much has been read, from 0 to 1.

    ``target`` appears whole, in the place of what was there, or not at all. Raises Malformed and Invalid that name
    file, row and line; ModelError; FileError where a file cannot be opened, read or written.
    """
    target = Path(os.path.realpath(target))
    sources.format_of(target)
    if target.exists() and source.exists() and target.samefile(source):
        raise FileError(f"the predictions would take the place of their own rows; name another file than {source}")
    outputs = version.manifest.outputs
    clash = [name for name in keep if name in {*columns.names(outputs), "prediction", "probabilities"}]
    if clash:
        raise FileError(f"a column {clash[0]!r} cannot be kept: the predictions have a column of that name")
    most = None if version.manifest.rows == "sequence" else chunk_rows
    request = Request(source, version.manifest.signature, version.readers, list(dict.fromkeys(keep)), strict)
    notes, rows = FileNotes(), 0
    with sources.opened(request) as opened, _replacing(target) as file, _without_collector() as collect:
        sink = sinks.sink_of(target, file, outputs, probabilities)
        for chunk in _chunks(opened, source, most):
            notes.first = rows
            with _placed(opened, source, rows, len(chunk)):
                table, kept = opened.read(chunk, notes)
                version.seen.check(table, notes)
                prediction = version.runtime.predict(table, probabilities)
                with _written(target):
                    sink.write(kept, prediction, notes)
            rows += len(chunk)
            progress(opened.done())
            collect()
        with _written(target):
            sink.close()
    return Done(rows, notes)


def _chunks(opened: Source, source: Path, most: int | None) -> Iterator[list[object]]:
    try:
        yield from opened.chunks(most)
    except InputError as error:
        raise type(error)(f"{source}: {_of_file(str(error))}") from None
    except OSError as error:
        raise FileError(f"{source} cannot be read: {error.strerror or error}") from None


@contextlib.contextmanager
def _placed(opened: Source, source: Path, first: int, rows: int) -> Iterator[None]:
    """Name file, row and line in what is raised about a chunk of ``rows`` rows, of which ``first`` is the first."""
    try:
        yield
    except (InputError, ModelError) as error:
        sentence = _of_file(str(error))
        found = re.match(r"row (\d+)", sentence)
        of_all = isinstance(error, Invalid) and error.details and "row" not in error.details[0]
        if found:
            sentence = opened.place(first + int(found[1])) + sentence[found.end() :]
        elif of_all:
            pass
        elif rows > 1:
            sentence = f"rows {first} to {first + rows - 1}: {sentence}"
        else:
            sentence = f"{opened.place(first)}: {sentence}"
        if isinstance(error, ModelError) and error.__cause__ is not None:
            cause = error.__cause__
            sentence += f": {type(cause).__name__}: {' '.join(str(cause).split())[:300]}"
        if isinstance(error, Invalid) and error.total > 1:
            sentence += f" ({error.total - 1:,} more in rows {first} to {first + rows - 1})"
        raise type(error)(f"{source}: {sentence}") from error


def _of_file(sentence: str) -> str:
    return re.sub(r"\bthe body\b", "the file", sentence)


@contextlib.contextmanager
def _replacing(target: Path) -> Iterator[BinaryIO]:
    """A file that takes the place of ``target`` once it is whole and on the disk; gone without a trace otherwise."""
    if target.exists() and not target.is_file():
        raise FileError(f"{target} is no file that could be replaced")
    beside = target.with_name(f".tepal-{secrets.token_hex(4)}.part")
    try:
        file = beside.open("xb")
    except OSError as error:
        raise FileError(f"{target} cannot be written: {error.strerror}") from None
    try:
        with file:
            yield file
            with _written(target):
                file.flush()
                os.fsync(file.fileno())
        with _written(target):
            beside.replace(target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _written(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FileError(f"{target} cannot be written: {error.strerror or error}") from None


@contextlib.contextmanager
def _without_collector() -> Iterator[Callable[[], object]]:
    """Leave the garbage collector to be called: each row is an object, which it would look at again and again.

    What is there before lives on and is not looked at either, so that a call takes no time.
    """
    if not gc.isenabled():
        yield lambda: None
        return
    gc.disable()
    gc.freeze()
    try:
        yield gc.collect
    finally:
        gc.unfreeze()
        gc.enable()
