"""Arrow streams and Parquet: what JSON says they say too, and no bytes take more memory than they may."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from tepal import Invalid, Malformed
from tepal.errors import InputError, TooLarge
from tepal.notes import Notes
from tepal.signature import Column, Signature
from tests.parts import EXAMPLES
from tests.servers import ROOT
from tests.tepal.wire.test_formats import READERS, outcome, tables
from tests.tepal.wire.test_json import MIXED, NUMBERS, TEXT

FORMATS = ("arrow", "parquet")


def stream(table, **options) -> bytes:
    written = pa.BufferOutputStream()
    with pa.ipc.new_stream(written, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table)
    return written.getvalue().to_pybytes()


def file(table, **options) -> bytes:
    written = pa.BufferOutputStream()
    parquet.write_table(table, written, **options)
    return written.getvalue().to_pybytes()


def bodies(table) -> list[tuple[str, bytes]]:
    """The table in each format, in several of the ways in which it may be written."""
    return [
        ("arrow", stream(table)),
        ("arrow", stream(table, compression="zstd")),
        ("arrow", stream(table, compression="lz4")),
        ("parquet", file(table)),
        ("parquet", file(table, use_dictionary=False, compression="none")),
        ("parquet", file(table, data_page_version="2.0", compression="gzip", row_group_size=2)),
    ]


def read(signature, format_, body, **options):
    return READERS[signature].read(format_, body, Notes(), **options)


def rows(signature, format_, body):
    return read(signature, format_, body).records()


def refusal(signature, format_, body) -> str:
    with pytest.raises(InputError) as refused:
        read(signature, format_, body)
    return f"{type(refused.value).__name__}: {refused.value}"


@given(tables(), st.booleans(), st.sets(st.integers(0, 5), min_size=1, max_size=2))
@settings(max_examples=EXAMPLES, deadline=None)
def test_they_say_what_json_says(drawn, strict, which):
    """The same bits and warnings, or the same refusal, in any order of columns."""
    signature, order, cells = drawn
    try:
        columns = {signature.names[i]: pa.array([row[i] for row in cells]) for i in order}
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return  # no column of Arrow holds several types, or integers of more than 64 bits
    if any(kind.type == "integer" and columns[kind.name].type == pa.float64() for kind in signature.columns):
        return  # from 2**53 on a float no longer says which integer was meant, but its text in JSON does
    names = [*signature.names, "beside"]
    sent = dict(zip(names, [*(columns[name].to_pylist() for name in signature.names), ["x"] * len(cells)]))
    records = [dict(zip(names, row)) for row in zip(*sent.values())]
    expected = outcome(lambda notes: READERS[signature].json.read(json.dumps(records).encode(), notes, strict))
    table = pa.table({**columns, "beside": ["x"] * len(cells)})

    for format_, body in (bodies(table)[i] for i in which):
        assert outcome(lambda notes: READERS[signature].read(format_, body, notes, strict)) == expected  # noqa: B023


@given(st.sampled_from(["float16", "float32", "float64", "int8", "uint64", "int64"]), st.data())
@settings(max_examples=EXAMPLES, deadline=None)
def test_numbers_of_every_width_arrive_exactly(kind, data):
    raw = data.draw(st.binary(min_size=np.dtype(kind).itemsize * 6, max_size=np.dtype(kind).itemsize * 6))
    array = np.frombuffer(raw, kind).reshape(2, 3)
    if array.dtype.kind == "f":
        array = np.where(np.isinf(array) | np.isnan(array), np.array(1, kind), array)
    expected = [{"a": float(a), "b": float(b)} for a, b in array.T.tolist()]

    for format_, body in bodies(pa.table({"a": array[0], "b": array[1]})):
        assert rows(NUMBERS, format_, body) == expected


MOMENT = datetime(2021, 3, 4, 5, 6, 7, 890000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "values", "meant"),
    [
        ("s", pa.array(["a", None, "a"]).dictionary_encode(), ["a", None, "a"]),
        ("s", pa.DictionaryArray.from_arrays(pa.array([1, 0, 1], pa.uint8()), ["x", "y"]), ["y", "x", "y"]),
        ("s", pa.array(["a", "é", None], pa.large_string()), ["a", "é", None]),
        ("s", pa.array(["a", None, "longer than twelve"], pa.string_view()), ["a", None, "longer than twelve"]),
        ("s", pa.nulls(3), [None] * 3),
        ("d", pa.array([MOMENT] * 3, pa.timestamp("ms", tz="America/New_York")), ["2021-03-04T05:06:07.890000"] * 3),
        ("d", pa.array([MOMENT, None, MOMENT], pa.timestamp("ns")), ["2021-03-04T05:06:07.890000", None] * 2),
        ("d", pa.array([date(2021, 3, 4)] * 3), ["2021-03-04T00:00:00.000000"] * 3),
        ("f", pa.array([Decimal("1.10"), Decimal(2), Decimal("-0.5")]), [1.1, 2.0, -0.5]),
        ("n", pa.array([2**63 - 1, None, -(2**63)]), [2**63 - 1, None, -(2**63)]),
        ("n", pa.array([1.0, None, float("nan")]), [1, None, None]),
        ("u", pa.array([2**64 - 1, 0, 1], pa.uint64()), [2**64 - 1, 0, 1]),
        ("i", pa.array([7, 7, 8]).dictionary_encode(), [7, 7, 8]),
    ],
)
def test_every_type_means_what_its_json_means(name, values, meant):
    columns = {"i": [1] * 3, "u": [2] * 3, "n": [3] * 3, "f": [4.0] * 3, "s": ["x"] * 3, "t": [True] * 3}
    columns = {**columns, "d": pa.nulls(3), name: values}
    table = pa.table(
        {**columns, "d": columns["d"].cast(pa.timestamp("s")) if columns["d"].type == pa.null() else columns["d"]}
    )

    for format_, body in bodies(table):
        assert [row[name] for row in rows(MIXED, format_, body)] == meant[:3]


def test_a_stream_of_many_batches_with_dictionaries_of_their_own_is_one_table():
    schema = pa.schema([("text", pa.dictionary(pa.int8(), pa.string()))])
    written = pa.BufferOutputStream()
    with pa.ipc.new_stream(written, schema) as writer:
        for words in (["a", "b"], ["c", "a"], ["b"]):
            writer.write_batch(pa.record_batch([pa.array(words).dictionary_encode().cast(schema[0].type)], schema=schema))

    assert [row["text"] for row in rows(TEXT, "arrow", written.getvalue().to_pybytes())] == ["a", "b", "c", "a", "b"]


def test_the_index_that_pandas_writes_is_no_unknown_column():
    table = pa.table({"a": [1.0], "b": [2.0], "__index_level_0__": [7]})
    for format_, body in bodies(table):
        notes = Notes()
        READERS[NUMBERS].read(format_, body, notes, strict=True)
        assert not notes.total


@pytest.mark.parametrize(
    "values",
    [
        [[1.0], [2.0]],
        [{"x": 1}, {"x": 2}],
        pa.array([1, 2], pa.duration("s")),
        pa.array([1, 2], pa.time32("s")),
        pa.array([b"1", b"2"]),
        pa.array([b"12", b"34"], pa.binary(2)),
    ],
)
def test_a_type_that_no_json_has_is_refused_by_its_name(values):
    values = pa.array(values) if isinstance(values, list) else values
    for format_, body in (
        ("arrow", stream(pa.table({"a": values, "b": values}))),
        ("parquet", file(pa.table({"a": values}))),
    ):
        with pytest.raises(
            Invalid, match=r"column 'a' is of Arrow's type .*, which is not read here; send numbers,"
        ) as refused:
            read(NUMBERS, format_, body)
        assert refused.value.details[0]["column"] == "a"


def test_the_same_type_in_a_column_that_nobody_needs_is_none_of_ours():
    table = pa.table({"a": [1.0], "b": [2.0], "lists": [[[1], [2]]], "pair": [{"a": 1, "b": 2}]})
    for format_, body in bodies(table):
        assert rows(NUMBERS, format_, body) == [{"a": 1.0, "b": 2.0}]


def test_a_name_that_is_there_twice_is_refused():
    schema = pa.schema([("a", pa.float64()), ("b", pa.float64()), ("a", pa.float64())])
    batch = pa.record_batch([pa.array([1.0])] * 3, schema=schema)
    body = stream(pa.Table.from_batches([batch]))

    assert refusal(NUMBERS, "arrow", body) == 'Invalid: the column "a" is there more than once'


# What a few bytes may stand for.

LONG = "x" * 4_000_000


def repeated(many: int) -> pa.Array:
    """One long text, so many times: a byte each."""
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(many, "i1")), pa.array([LONG]))


def views(many: int) -> pa.Array:
    """The same in another way: sixteen bytes each."""
    _, one, text = pa.array([LONG], pa.string_view()).buffers()
    return pa.Array.from_buffers(pa.string_view(), many, [None, pa.py_buffer(one.to_pybytes()[:16] * many), text])


def run_length(many: int) -> pa.Table:
    return pa.table({"a": pa.array(np.ones(many)), "b": pa.array(np.ones(many))})


BOMBS = {
    "long runs": lambda: (NUMBERS, file(run_length(5_000_000), compression="zstd")),
    "a page of one value": lambda: (TEXT, file(pa.table({"text": [LONG] * 5}), compression="zstd", use_dictionary=False)),
    "rows of one text": lambda: (TEXT, file(pa.table({"text": repeated(1000)}), compression="zstd")),
    "compressed buffers": lambda: (NUMBERS, stream(run_length(5_000_000), compression="zstd")),
    "a dictionary": lambda: (TEXT, stream(pa.table({"text": repeated(1000)}))),
    "a dictionary, compressed": lambda: (TEXT, stream(pa.table({"text": repeated(1000)}), compression="zstd")),
    "views": lambda: (TEXT, stream(pa.table({"text": views(1000)}))),
    "nulls": lambda: (NUMBERS, stream(pa.table({"a": pa.nulls(100_000_000), "b": pa.nulls(100_000_000)}))),
    "bits": lambda: (MIXED, stream(pa.table({"t": pa.array(np.ones(100_000_000, bool))}))),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_what_inflates_to_too_much_is_refused_before_it_does(bomb):
    """Arrow's own count of what it allocated stays below the limit."""
    signature, body = BOMBS[bomb]()
    assert len(body) < 16 * 1024 * 1024, "what is larger is refused before it is looked at"
    pool = pa.default_memory_pool()
    before = pool.bytes_allocated()

    with pytest.raises(TooLarge, match=r"inflates to more than 16 MiB; send fewer rows at once, or raise MAX_BODY_MB"):
        read(signature, None, body)
    assert pool.bytes_allocated() - before < 16 * 1024 * 1024


def test_a_higher_limit_lets_more_in():
    signature, body = BOMBS["rows of one text"]()
    with pytest.raises(TooLarge, match=r"more than 64 MiB"):
        read(signature, None, body, most_mb=64)
    assert len(read(TEXT, None, file(pa.table({"text": repeated(10)})), most_mb=64)) == 10


def test_a_column_of_more_values_than_rows_is_refused():
    """pyarrow reads as many as the column says, and a run of equal ones is a few bytes however many they are."""
    body = file(run_length(300))
    says_300, says_8191 = b"\x16\xd8\x04", b"\x16\xfe\x7f"  # of the file, both columns and the group of rows
    assert body.count(says_300) == 4
    start, first, *rest = body.split(says_300)

    assert refusal(NUMBERS, "parquet", start + says_300 + first + says_8191 + says_300.join(rest)) == (
        "Malformed: the body is no whole Parquet file"
    )


@pytest.mark.parametrize("encoding", ["DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY"])
def test_an_encoding_that_tells_no_size_is_refused(encoding):
    """Each value may repeat the one before, and a count of lengths is believed."""
    table = pa.table({"text": [f"{LONG[:1000]}{i}" for i in range(10)]})
    for version in ("1.0", "2.0"):
        body = file(table, use_dictionary=False, column_encoding={"text": encoding}, data_page_version=version)
        assert refusal(TEXT, "parquet", body).startswith('Invalid: column "text" is written in an encoding whose size')


def test_dictionaries_in_pieces_are_refused():
    schema = pa.schema([("text", pa.dictionary(pa.int8(), pa.string()))])
    written = pa.BufferOutputStream()
    with pa.ipc.new_stream(written, schema, options=pa.ipc.IpcWriteOptions(emit_dictionary_deltas=True)) as writer:
        for words in (["a"], ["a", "b"]):
            batch = pa.record_batch([pa.DictionaryArray.from_arrays(pa.array([0], pa.int8()), words)], schema=schema)
            writer.write_batch(batch)

    assert refusal(TEXT, "arrow", written.getvalue().to_pybytes()) == (
        "Invalid: the stream sends its dictionaries in pieces (deltas); send them whole"
    )


def test_an_old_stream_that_could_hide_its_compression_is_refused():
    body = stream(run_length(3), metadata_version=pa.ipc.MetadataVersion.V4)

    assert "before 1.0" in refusal(NUMBERS, "arrow", body)


def test_too_many_batches_or_pages_are_refused():
    table = run_length(10_002)
    written = pa.BufferOutputStream()
    with pa.ipc.new_stream(written, table.schema) as writer:
        writer.write_table(table, max_chunksize=1)

    assert "more than 10000 batches" in refusal(NUMBERS, "arrow", written.getvalue().to_pybytes())
    assert "more than 10000 pages" in refusal(NUMBERS, "parquet", file(table, row_group_size=2, use_dictionary=False))


def test_what_is_damaged_in_memory_is_found_before_it_is_followed():
    """Offsets beyond the text, places beyond the dictionary, text that is none."""
    sound = stream(pa.table({"text": ["abc"]}))
    beyond = sound.replace(b"\3\0\0\0abc", b"\3\0\0\1abc")
    assert beyond != sound
    assert refusal(TEXT, "arrow", beyond).startswith("Malformed: the body holds a damaged column: ")
    nowhere = pa.DictionaryArray.from_arrays(pa.array([5], pa.int8()), pa.array(["a"]), safe=False)
    no_text = pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(np.array([0, 2], "i4")), pa.py_buffer(b"\xff\xff")])
    for array in (nowhere, no_text):
        assert refusal(TEXT, "arrow", stream(pa.table({"text": array}))).startswith("Malformed: ")
    assert refusal(TEXT, "parquet", file(pa.table({"text": no_text}))).startswith("Malformed: ")


# Whatever else comes. A crash would take pytest with it, so the battery runs apart.

SOUND = [
    body
    for table in (
        pa.table({"a": [1.0, None, 3.0], "b": pa.array([1, 2, 3], pa.int32())}),
        pa.table({"text": pa.array(["a", "b", None, "a"]).dictionary_encode(), "x": [[1], [], None, [2]]}),
    )
    for _, body in bodies(table)
]


@st.composite
def broken(draw):
    """A sound body of which bytes are changed, left out or put elsewhere."""
    body = bytearray(draw(st.sampled_from(SOUND)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(body) - 1))
        how = draw(st.sampled_from(["byte", "bit", "word", "cut", "copy"]))
        if how == "byte":
            body[at] = draw(st.integers(0, 255))
        elif how == "bit":
            body[at] ^= 1 << draw(st.integers(0, 7))
        elif how == "word":
            body[at : at + 8] = draw(st.sampled_from([b"\xff" * 8, b"\0" * 8, b"\xff" * 7 + b"\x7f", b"\0\0\0\x40" * 2]))
        elif how == "cut":
            del body[at : at + draw(st.integers(1, 40))]
        else:
            other = draw(st.integers(0, len(body) - 1))
            body[at : at + 16] = body[other : other + 16]
        if not body:
            break
    return bytes(body)


def look(body: bytes) -> None:
    for signature in (NUMBERS, TEXT):
        for format_ in (*FORMATS, None):
            try:
                READERS[signature].read(format_, body, Notes())
            except InputError:
                continue


def battery() -> None:
    """Every cut of every sound body, then broken ones."""
    for body in SOUND:
        for end in range(0, len(body), 7):
            look(body[:end])
    given(broken())(settings(max_examples=5 * EXAMPLES, deadline=None, database=None)(look))()
    # Not getrusage, whose peak is that of the process that this one was forked from, where that was larger.
    (peak,) = (line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    print(int(peak) // 1024)


def test_whatever_the_bytes_are_they_are_rows_or_refused():
    script = "from tests.tepal.wire.test_arrow import battery; battery()"
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stderr[-3000:]
    assert int(run.stdout) < 600, "megabytes at the peak, most of them pandas', pyarrow's and hypothesis's own"


def test_what_no_body_is_says_so():
    assert refusal(NUMBERS, "arrow", b"") == "Malformed: the body is empty; send an Arrow stream"
    assert refusal(NUMBERS, "parquet", b"") == "Malformed: the body is empty; send a Parquet file"
    assert refusal(NUMBERS, "parquet", b"PAR1" + b"x" * 8 + b"PARE") == (
        "Malformed: the file is encrypted, and there is no key here"
    )
    with pytest.raises(Malformed, match=r"no whole Arrow stream"):
        read(NUMBERS, "arrow", stream(run_length(3))[:100])


def test_a_column_whose_name_is_another_ones_path_is_told_apart_or_refused():
    signature = Signature((Column("a.b", "number", "float64"),))
    from tepal.wire.formats import Readers

    readers = Readers(signature)
    sound = file(pa.table({"a.b": [1.0], "c": [{"b": 2.0}]}))
    assert readers.parquet.read(sound, Notes()).records() == [{"a.b": 1.0}]
    with pytest.raises(Invalid, match=r"more than once"):
        readers.parquet.read(file(pa.table({"a.b": [1.0], "a": [{"b": 2.0}]})), Notes())
