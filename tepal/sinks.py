"""Predictions to a file, a chunk at a time: CSV, JSON lines and Parquet, the text ones gzipped where their name says so."""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

from tepal.notes import Notes
from tepal.prediction import Output, Prediction
from tepal.sources import format_of
from tepal.wire import arrow, columns, csv, jsonlines

# Rows of a group of Parquet: readers take a group at a time, and pay for each.
GROUP = 100_000


class Sink(Protocol):
    """A file of predictions, open."""

    def write(self, kept: Mapping[str, Any], prediction: Prediction, notes: Notes) -> None:
        """The rows of one chunk, with the columns to carry along before them.

        notes: gets a warning for each answer that is no finite number. Raises OSError where the file takes no more.
        """

    def close(self) -> None:
        """Write what is left. The file itself stays open."""


def sink_of(path: Path, file: BinaryIO, outputs: Sequence[Output], probabilities: bool) -> Sink:
    """What writes the format that ``path`` is named for into ``file``. Raises FileError where it is named for none."""
    format_ = format_of(path)
    if format_ == "parquet":
        return ParquetSink(file, outputs, probabilities)
    stream = cast(BinaryIO, gzip.GzipFile("", "wb", 6, file, 0)) if path.name.lower().endswith(".gz") else file
    return TextSink(format_, stream, probabilities, own=stream is not file)


class TextSink:
    """CSV or JSON lines, as the service answers them. own: the stream is to be closed with the sink."""

    def __init__(self, format_: str, stream: BinaryIO, probabilities: bool, own: bool):
        self._format = format_
        self._stream = stream
        self._probabilities = probabilities
        self._own = own
        self._header = True

    def write(self, kept: Mapping[str, Any], prediction: Prediction, notes: Notes) -> None:
        beside = {name: values if isinstance(values, list) else arrow.plain(values) for name, values in kept.items()}
        if self._format == "jsonlines":
            self._stream.write(jsonlines.write(prediction, self._probabilities, notes, beside))
            return
        answers = columns.of(prediction, self._probabilities, notes)
        self._stream.write(csv.write_columns({**beside, **answers}, self._header))
        self._header = False

    def close(self) -> None:
        if self._own:
            self._stream.close()


class ParquetSink:
    """Parquet: labels as trained, probabilities as float64, null for no answer."""

    def __init__(self, file: BinaryIO, outputs: Sequence[Output], probabilities: bool):
        self._pa = arrow.pyarrow()
        self._file = file
        self._outputs = outputs
        self._probabilities = probabilities
        self._schema: Any = None
        self._writer: Any = None
        self._waiting: list[Any] = []
        self._rows = 0

    def write(self, kept: Mapping[str, Any], prediction: Prediction, notes: Notes) -> None:
        values = {**kept, **columns.of(prediction, self._probabilities, notes)}
        if self._schema is None:
            self._begin(kept, values)
        batch = arrow.batch(values, self._schema)
        self._waiting.append(batch)
        self._rows += len(batch)
        if self._rows >= GROUP:
            self._flush()

    def _begin(self, kept: Mapping[str, Any], values: Mapping[str, Any]) -> None:
        from pyarrow import parquet

        self._schema = arrow.schema(values, self._outputs, kept)
        self._writer = parquet.ParquetWriter(self._file, self._schema)

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write_table(self._pa.Table.from_batches(self._waiting), row_group_size=max(GROUP, self._rows))
            self._waiting, self._rows = [], 0

    def close(self) -> None:
        if self._writer is not None:
            self._flush()
            self._writer.close()
