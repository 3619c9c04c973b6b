"""JSON to a Table: the fast and the slow way agree, and nothing gets past both."""

from __future__ import annotations

import difflib
import json
import math
from unittest import mock

import msgspec
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tepal import InputError, Invalid, Malformed
from tepal.notes import Notes
from tepal.signature import Column, Signature
from tepal.table import Table
from tepal.wire.json import JsonReader
from tests.parts import EXAMPLES

NUMBERS = Signature((Column("a", "number", "float64"), Column("b", "number", "float64", nullable=True)))
MIXED = Signature(
    (
        Column("i", "integer", "int64"),
        Column("u", "integer", "uint64"),
        Column("n", "integer", "object", nullable=True),
        Column("f", "number", "float64"),
        Column("s", "string", "object", nullable=True),
        Column("t", "boolean", "bool"),
        Column("d", "datetime", "datetime64[us]", nullable=True),
    ),
    "frame",
)
TEXT = Signature((Column("text", "string", "object"),), "list")
RESERVED = Signature((Column("data", "number", "float64"), Column("columns", "number", "float64")))
SIGNATURES = (NUMBERS, MIXED, TEXT, RESERVED)


def read(signature: Signature, body: bytes) -> list[dict]:
    return JsonReader(signature).read(body, Notes()).records()


def slowly(signature: Signature, body: bytes) -> list[dict]:
    reader = JsonReader(signature)
    reader._fast = lambda *_: None
    return reader.read(body, Notes()).records()


def outcome(call, *arguments):
    """What a reading came to: its rows, or the kind of refusal."""
    try:
        return call(*arguments)
    except InputError as error:
        return type(error).__name__


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**65), 2**65)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | st.sampled_from(["2020-01-01", "2020-01-01T00:00:00Z"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["a", "b", "i", "u", "n", "f", "s", "t", "d", "text", "data", "columns", "index", "instances", "x"]
            )
            | st.text(max_size=3),
            inner,
            max_size=7,
        )
    ),
    max_leaves=20,
)
near_rows = st.lists(
    st.fixed_dictionaries(
        {
            "i": st.integers(-(2**63), 2**63 - 1) | st.floats(-1e6, 1e6).map(float) | st.just(2.0),
            "u": st.integers(0, 2**64 - 1),
            "n": st.none() | st.integers(-5, 5),
            "f": st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**70), 2**70),
            "s": st.none() | st.text(max_size=4),
            "t": st.booleans() | st.sampled_from([0, "true"]),
            "d": st.none() | st.sampled_from(["2020-02-30", "2020-02-03", "2020-02-03T04:05:06.789+01:00", 1580702706789]),
        }
    ),
    min_size=1,
    max_size=3,
)


@given(json_values | near_rows, st.sampled_from(SIGNATURES))
@example([[1.0, None], [1e300, 2**53 + 1]], NUMBERS)
@example({"columns": [1.0], "data": [2.0]}, RESERVED)
@settings(max_examples=EXAMPLES, deadline=None)
def test_the_fast_way_reads_what_the_slow_way_reads(value, signature):
    body = json.dumps(value).encode()

    fast, slow = outcome(read, signature, body), outcome(slowly, signature, body)

    assert fast == slow


@given(st.binary(max_size=60), st.sampled_from(SIGNATURES))
@settings(max_examples=EXAMPLES, deadline=None)
def test_any_bytes_are_rows_or_a_refusal(body, signature):
    assert outcome(read, signature, body) is not None


@given(st.lists(st.tuples(st.floats(allow_nan=False, allow_infinity=False), st.none() | st.floats(-1e9, 1e9)), min_size=1))
@settings(max_examples=EXAMPLES, deadline=None)
def test_numbers_arrive_bit_for_bit(rows):
    table = JsonReader(NUMBERS).read(json.dumps(rows).encode(), Notes())

    expected = np.array([[math.nan if cell is None else cell for cell in row] for row in rows])
    assert table.matrix is not None
    assert table.matrix.tobytes() == expected.tobytes()


def test_good_rows_never_take_the_slow_way():
    for signature, bodies in {
        NUMBERS: [
            b'{"a":1,"b":null}', b'[{"b":1,"a":2}]', b"[1,2]", b"[[1,2],[3,null]]", b'{"a":[1],"b":[2]}',
            b'{"columns":["b","a"],"data":[[1,2]]}', b'{"columns":["b","a"],"index":["x"],"data":[[1,2]]}',
            b'{"instances":[[1,2]]}', b'{"instances":[{"a":1,"b":2}],"parameters":{}}', b'{"inputs":{"a":[1],"b":[2]}}',
            b'{"data":{"a":1,"b":2}}', b'{"dataframe_split":{"columns":["a","b"],"data":[[1,2]]}}',
            b'{"dataframe_records":[{"a":1,"b":2}]}', b' [ [1 , 2] ]',
        ],
        TEXT: [b'["x","y"]', b'{"text":"x"}', b'[["x"]]', b'{"text":["x"]}', '["ü"]'.encode()],
        RESERVED: [b'{"data":1,"columns":2}', b'{"data":[1],"columns":[2]}'],
    }.items():  # fmt: skip
        for body in bodies:
            assert JsonReader(signature)._fast(body.lstrip()) is not None, body


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("9223372036854775807", 2**63 - 1),
        ("-9223372036854775808", -(2**63)),
        ("9007199254740993", 2**53 + 1),
        ("9007199254740993.0", 2**53 + 1),
        ("6.0", 6),
        ("6e0", 6),
        ("1e3", 1000),
    ],
)
def test_integers_are_exact_to_64_bits(text, value):
    signature = Signature((Column("i", "integer", "int64"), Column("f", "number", "float64")))

    assert read(signature, f"[{text},0.5]".encode())[0]["i"] == value


@pytest.mark.parametrize(
    ("dtype", "text", "read_as"),
    [
        ("datetime64[us]", '"2020-02-03"', "2020-02-03T00:00:00.000000"),
        ("datetime64[us]", '"2020-02-03T04:05:06.7+01:00"', "2020-02-03T03:05:06.700000"),
        ("datetime64[us]", '"20200203T040506Z"', "2020-02-03T04:05:06.000000"),
        ("datetime64[us]", "1580702706789", "2020-02-03T04:05:06.789000"),
        ("datetime64[us]", "1580702706789.0", "2020-02-03T04:05:06.789000"),
        ("datetime64[us]", "1.580702706789e12", "2020-02-03T04:05:06.789000"),
        ("datetime64[us]", "-1", "1969-12-31T23:59:59.999000"),
        ("datetime64[ns]", '"2020-02-03T04:05:06.789012000"', "2020-02-03T04:05:06.789012000"),
        ("datetime64[s]", '"2020-02-03T04:05:06"', "2020-02-03T04:05:06"),
        ("datetime64[s]", '"2020-02-03T04:05:06.5"', None),
        ("datetime64[ns]", '"2020-02-03T04:05:06.789012001"', None),
        ("datetime64[ns]", '"9999-01-01"', None),
        ("datetime64[us]", '"2020-02-30"', None),
        ("datetime64[us]", "9007199254740993", None),
        ("datetime64[us]", '"0001-01-01T00:00:00+23:59"', None),
        ("datetime64[us]", "1.5", None),
        ("datetime64[us]", "true", None),
        ("datetime64[us]", '""', None),
    ],
)
def test_a_datetime_is_exact_or_refused(dtype, text, read_as):
    signature = Signature((Column("d", "datetime", dtype),), "frame")

    for way in (read, slowly):
        got = outcome(way, signature, f'{{"d":{text}}}'.encode())
        assert got == ([{"d": read_as}] if read_as else "Invalid")


@pytest.mark.parametrize("text", ["6.5", "9223372036854775808", "-9223372036854775809", "1e300", "true", '"6"', "null"])
def test_what_is_no_64_bit_integer_is_refused(text):
    signature = Signature((Column("i", "integer", "int64"), Column("f", "number", "float64")))

    assert outcome(read, signature, f"[{text},0.5]".encode()) == "Invalid"


@pytest.mark.parametrize(
    "body",
    [
        b"", b" ", b"\xff\xfe[\x00", b"[1,2", b"[NaN,1]", b"[1e400,1]", b"[" + b"9" * 4301 + b",1]", b"[" * 100_000,
        b'[1,"\xe9"]', b"\x00", b"[1,2]]", b'{"a":1,"a"', b'{"index":"\xe9","data":[[1,2]],"columns":["a","b"]}',
        b'["\\ud800",1]',
    ],
)  # fmt: skip
def test_what_is_no_json_is_malformed(body):
    with pytest.raises(Malformed):
        JsonReader(NUMBERS).read(body, Notes())


@pytest.mark.parametrize("depth", [65, 1000, 5000, 100_000])
@pytest.mark.parametrize(
    "around", [b"%s", b'{"a":1,"b":2,"x":%s}', b'{"data":[[1,2]],"parameters":%s}', b'[{"a":1,"b":%s}]']
)
def test_what_is_nested_too_deeply_is_malformed_on_every_python(depth, around):
    with pytest.raises(Malformed):
        JsonReader(NUMBERS).read(around % (b"[" * depth + b"]" * depth), Notes())


@pytest.mark.parametrize(
    ("body", "strict"),
    [
        ([{f"aa{i}": 1} for i in range(3000)], False),
        ([{f"a{i}": 1 for i in range(700)}, *[{}] * 3000], False),
        ({"a": 1, "b": 2, **{f"a{i}": 0 for i in range(5000)}}, True),
        ([["x", "y"]] * 5000, False),
    ],
    ids=["unknown keys", "missing cells", "strict", "wrong cells"],
)
def test_names_are_compared_only_for_what_is_listed(body, strict):
    with (
        mock.patch("difflib.get_close_matches", wraps=difflib.get_close_matches) as compared,
        pytest.raises(Invalid) as caught,
    ):
        JsonReader(NUMBERS).read(msgspec.json.encode(body), Notes(), strict)

    assert compared.call_count <= 20
    assert len(caught.value.details) == 20
    assert caught.value.total >= 3000


def test_a_name_twice_among_very_many_is_found_at_once():
    columns = [f"c{i}" for i in range(200_000)]
    body = msgspec.json.encode({"columns": [*columns, columns[-1]], "data": []})

    with pytest.raises(Invalid, match=r"'columns' names .c199999. more than once"):
        JsonReader(NUMBERS).read(body, Notes())


def test_a_long_name_is_not_repeated_whole():
    notes = Notes()
    JsonReader(NUMBERS).read(msgspec.json.encode({"a": 1, "b": 2, "x" * 1_000_000: 3}), notes)

    assert len(notes.listed[0].column) == 100
    assert len(notes.listed[0].message) < 200


def test_a_split_frames_own_index_is_not_a_column_of_that_name():
    signature = Signature((Column("a", "number", "float64"), Column("index", "number", "float64")))
    body = b'{"index":[0,1],"columns":["a","index"],"data":[[1,2],[3,4]]}'

    for wrapped in (body, b'{"dataframe_split":%s}' % body):
        assert read(signature, wrapped) == [{"a": 1.0, "index": 2.0}, {"a": 3.0, "index": 4.0}]


def test_a_million_unknown_keys_are_read_and_noted_but_not_listed():
    body = msgspec.json.encode({"a": 1, "b": 2, **{f"k{i}": 0 for i in range(1_000_000)}})
    notes = Notes()

    table = JsonReader(NUMBERS).read(body, notes)

    assert len(table) == 1
    assert (len(notes.listed), notes.total) == (20, 1_000_000)


def test_a_table_of_numbers_is_the_matrix_itself():
    matrix = np.arange(6.0).reshape(3, 2)

    assert Table.from_matrix(NUMBERS, matrix).container() is matrix
