"""Arrow's stream format (https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format) to a Table, and back.

What the messages say of sizes is looked at first: only then is anything inflated, and never more than may be.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tepal.errors import Invalid, Malformed
from tepal.notes import Notes
from tepal.prediction import Prediction
from tepal.signature import Signature
from tepal.table import Table
from tepal.wire import arrow
from tepal.wire.arrow import ArrowReader
from tepal.wire.flatbuffer import Fields, unpack
from tepal.wire.room import DEFAULT_MB, Room

MAGIC = b"\xff\xff\xff\xff"  # before each message
_FILE = b"ARROW1"  # of the format with an index at its end, also called Feather
_BROKEN = "the body is no whole Arrow stream"

# Each costs as much as many rows.
_MOST_BATCHES = 10_000

# Places of fields in the schemas of flatbuffers (format/Message.fbs), and the form of a number.
_VERSION, _HEADER = (0, "<h"), 2
_VERSION_5 = 4
_BUFFERS, _COMPRESSION = 2, 3
_DATA, _IS_DELTA = 1, (2, "<B")


class ArrowStreamReader:
    """Reads Arrow streams against one signature."""

    def __init__(self, signature: Signature):
        self._arrow = ArrowReader(signature)

    def read(self, body: bytes, notes: Notes, strict: bool = False, most_mb: int = DEFAULT_MB) -> Table:
        """The rows of all record batches as a Table.

        notes: gets a warning for each unknown column; with ``strict`` they are refused instead.
        Raises NotInstalled without pyarrow, Malformed where the bytes are no whole stream, TooLarge where they inflate
        to more than ``most_mb`` MiB, Invalid where they are not what the signature says.
        """
        pa = arrow.pyarrow("an Arrow stream")
        if not body:
            raise Malformed("the body is empty; send an Arrow stream")
        if body.startswith(_FILE):
            raise Malformed("the body is an Arrow file (Feather), not a stream; write it with pyarrow.ipc.new_stream")
        try:
            rows, names = self._rows(pa, pa.py_buffer(body), Room(most_mb))
        except (pa.ArrowException, OSError, ValueError):  # ValueError: a name that is not UTF-8
            raise Malformed(_BROKEN) from None
        return self._arrow.table(rows, notes, strict, left_out=names, most_mb=most_mb)

    def _rows(self, pa: Any, body: Any, room: Room) -> tuple[Any, list[str]]:
        schema = pa.ipc.open_stream(body).schema
        names = schema.names
        wanted = {*self._arrow.wanted(schema)}
        _check_sizes(pa.ipc.MessageReader.open_stream(body), room)
        places = [place for place, name in enumerate(names) if name in wanted]
        # Without a column nothing would say how many rows there are; no threads, because a process that forks has none.
        options = pa.ipc.IpcReadOptions(use_threads=False, included_fields=places or None)
        reader = pa.ipc.open_stream(body, options=options)
        return pa.Table.from_batches(list(reader), reader.schema), names


def _check_sizes(messages: Any, room: Room) -> None:
    """Raise where the messages would inflate to more than there is room for, or without an end that they tell."""
    for number, message in enumerate(messages):
        if number > _MOST_BATCHES:
            raise Invalid(f"the stream has more than {_MOST_BATCHES} batches; send fewer and larger ones")
        if message.type == "schema":
            continue
        header = Fields.root(memoryview(message.metadata))
        if header.integer(*_VERSION) != _VERSION_5:
            raise Malformed("the stream was written by an Arrow before 1.0, which is not read here")
        content = header.table(_HEADER)
        if message.type == "dictionary" and content is not None:
            if content.integer(*_IS_DELTA):  # each would be joined to all before it, for every batch again
                raise Invalid("the stream sends its dictionaries in pieces (deltas); send them whole")
            content = content.table(_DATA)
        if content is None or message.type not in ("record batch", "dictionary"):
            raise Malformed(_BROKEN)
        for size in _sizes(content, memoryview(message.body)):
            room.take(size)


def _sizes(batch: Fields, body: memoryview) -> Iterator[int]:
    """How many bytes each buffer of a batch becomes."""
    compressed = batch.table(_COMPRESSION) is not None
    for start, length in batch.pairs(_BUFFERS).tolist():
        if start < 0 or length < 0:
            raise Malformed(_BROKEN)
        # A compressed buffer begins with what it becomes, -1 where it is as it was.
        (becomes,) = unpack("<q", body, start) if compressed and length else (length,)
        yield length if becomes == -1 else becomes
        if becomes < -1:
            raise Malformed(_BROKEN)


def write(prediction: Prediction, probabilities: bool = True, about: Mapping[str, str] = {}) -> bytes:
    """A stream of one batch: ``prediction``, then ``probability_<class>`` each; of several outputs as CSV has them.

    Labels are as trained, null is no answer. about: what its schema says of itself.
    """
    pa = arrow.pyarrow("an Arrow stream")
    batch = arrow.answer(prediction, probabilities, about)
    written = pa.BufferOutputStream()
    with pa.ipc.new_stream(written, batch.schema) as writer:
        writer.write_batch(batch)
    data: bytes = written.getvalue().to_pybytes()
    return data
