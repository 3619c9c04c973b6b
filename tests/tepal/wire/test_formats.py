"""The same value in two formats gives the same answer: the same bits, the same warnings, the same refusal."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tepal import InputError, Invalid, Malformed
from tepal.notes import Notes
from tepal.signature import Column, Signature
from tepal.wire.formats import Readers
from tests.parts import EXAMPLES
from tests.tepal.wire.test_json import MIXED, NUMBERS, RESERVED, SIGNATURES, TEXT

READERS = {signature: Readers(signature) for signature in SIGNATURES}
OPTIONS = Signature((Column("strict", "string", "object"), Column("x", "number", "float64")))


def npy(array: Any, **options: Any) -> bytes:
    written = io.BytesIO()
    np.save(written, np.asarray(array), **options)
    return written.getvalue()


def as_csv(names, rows) -> bytes:
    written = io.StringIO(newline="")
    csv.writer(written).writerows([names, *rows] if names else rows)
    return written.getvalue().encode()


def outcome(read, *arguments) -> Any:
    """All that a caller could see of a reading: bits, warnings; or the refusal with every detail."""
    notes = Notes()
    try:
        table = read(*arguments, notes)
    except Invalid as error:
        return "Invalid", str(error), error.details, error.total
    except InputError as error:
        return type(error).__name__
    columns = [array.tolist() if array.dtype == object else (str(array.dtype), array.tobytes()) for array in table.columns]
    return columns, notes.listed, notes.total


def plain(value: Any) -> str:
    """A JSON value as a cell of text."""
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)


# What JSON and text both can say: in text, `5` in a column of text is text.
CELLS: dict[str, st.SearchStrategy[Any]] = {
    "number": st.floats(allow_nan=False, allow_infinity=False)
    | st.integers(-(2**70), 2**70)
    | st.sampled_from(["x", "1_0"]),
    "integer": st.integers(-(2**65), 2**65) | st.sampled_from([6.0, 6.5, 2.0**53, -1e18, 1e30, "0x1", "१"]),
    "boolean": st.booleans() | st.sampled_from(["1", "yes"]),
    "string": st.text(min_size=1, max_size=4),
    "datetime": st.sampled_from(
        [
            "2020-02-30",
            "2020-02-03",
            "20200203T040506Z",
            "2020-02-03T04:05:06.789+01:00",
            1580702706789,
            1580702706789.0,
            1.5,
            -1,
            2**60,
            "x",
        ]
    ),
}


@st.composite
def tables(draw):
    """A signature, the order in which its columns are sent, and rows of JSON values for it; most of them fit."""
    signature = draw(st.sampled_from(SIGNATURES))
    cells = [st.none() | CELLS[column.type] if column.nullable else CELLS[column.type] for column in signature.columns]
    if draw(st.booleans()):
        cells = [st.none() | cell for cell in cells]
    rows = draw(st.lists(st.tuples(*cells), min_size=1, max_size=25))
    return signature, draw(st.permutations(range(len(cells)))), rows


@given(tables(), st.booleans())
@example((NUMBERS, [1, 0], [(1e22, -0.0), (2**64, None)]), False)
@settings(max_examples=EXAMPLES, deadline=None)
def test_text_formats_say_the_same(drawn, strict):
    signature, order, rows = drawn
    readers, names = READERS[signature], [signature.names[i] for i in order]
    records = [dict(zip(signature.names, row)) for row in rows]
    sent = [[row[i] for i in order] for row in rows]
    expected = outcome(lambda notes: readers.json.read(json.dumps(records).encode(), notes, strict))

    got = {
        "lines": outcome(lambda notes: readers.jsonlines.read("\n".join(map(json.dumps, records)).encode(), notes, strict)),
        "vectors": outcome(lambda notes: readers.jsonlines.read("\n".join(map(json.dumps, rows)).encode(), notes, strict)),
        "CSV": outcome(lambda notes: readers.csv.read(as_csv(names, [map(plain, row) for row in sent]), notes, strict)),
        "query": outcome(
            lambda notes: readers.query.read({n: [*map(plain, v)] for n, v in zip(names, zip(*sent))}, notes, strict)
        ),
    }

    assert got == dict.fromkeys(got, expected)


@given(tables())
@settings(max_examples=EXAMPLES, deadline=None)
def test_a_csv_without_header_is_a_matrix(drawn):
    signature, _, rows = drawn
    readers = READERS[signature]
    expected = outcome(lambda notes: readers.json.read(json.dumps(rows).encode(), notes))
    if not isinstance(expected[0], list):
        return  # a first line of which no cell fits is a header
    body = as_csv(None, [map(plain, row) for row in rows])
    if any(cell in signature.names for cell in rows[0]) or b"\0" in body[:4] or not body.strip():
        return  # a header; what looks like UTF-16; an empty body

    assert outcome(lambda notes: readers.csv.read(body, notes)) == expected


@given(tables(), st.text(max_size=5).filter(lambda name: name.strip(" \t") == name))
@settings(max_examples=EXAMPLES, deadline=None)
def test_an_unknown_column_is_the_same_everywhere(drawn, name):
    signature, _, rows = drawn
    if name in (*signature.names, "strict"):
        return
    readers, names = READERS[signature], [*signature.names, name]
    records = [dict(zip(names, [*row, "7"])) for row in rows]
    for strict in (False, True):
        expected = outcome(lambda notes: readers.json.read(json.dumps(records).encode(), notes, strict))  # noqa: B023

        body = as_csv(names, [[*map(plain, row), "7"] for row in rows])
        query = {n: [*map(plain, v)] for n, v in zip(signature.names, zip(*rows))} | {name: ["7"]}
        assert outcome(lambda notes: readers.csv.read(body, notes, strict)) == expected  # noqa: B023
        assert outcome(lambda notes: readers.query.read(query, notes, strict)) == expected  # noqa: B023


@given(
    st.sampled_from([NUMBERS, RESERVED]),
    st.sampled_from(["<f8", ">f8", "<f4", "<f2", "<i8", ">u8", "|i1", "|b1"]),
    st.sampled_from("CF"),
    st.data(),
)
@settings(max_examples=EXAMPLES, deadline=None)
def test_numpy_says_the_same(signature, dtype, order, data):
    raw = data.draw(st.binary(min_size=np.dtype(dtype).itemsize * 6, max_size=np.dtype(dtype).itemsize * 6))
    array = np.array(np.frombuffer(raw, dtype).reshape(3, 2), order=order)
    if dtype == "|b1":
        array = array.view("u1") > 9
    if array.dtype.kind == "f" and np.isinf(array).any():
        return
    rows = [[None if np.isnan(cell) else cell for cell in row] for row in array.tolist()]
    expected = outcome(lambda notes: READERS[signature].json.read(json.dumps(rows).encode(), notes))

    assert outcome(lambda notes: READERS[signature].npy.read(npy(array), notes)) == expected


@given(st.lists(st.text(max_size=5), min_size=1).filter(lambda texts: not any("\0" in text for text in texts)))
@settings(max_examples=EXAMPLES, deadline=None)
def test_numpy_text_says_the_same(texts):
    expected = outcome(lambda notes: READERS[TEXT].json.read(json.dumps(texts).encode(), notes))

    for array in (np.array(texts), np.array([text.encode() for text in texts])):
        assert outcome(lambda notes: READERS[TEXT].npy.read(npy(array.reshape(-1, 1)), notes)) == expected  # noqa: B023


bodies = (
    st.binary(max_size=60)
    | st.text(alphabet='ab,"\n\r;. 019e-\ufeff{}[]:\0é', max_size=40).map(str.encode)
    | st.builds(
        lambda head, rest: npy(np.ones((2, 2))).replace(b"descr", head)[:-1] + rest, st.binary(max_size=5), st.binary()
    )
)


@given(st.sampled_from(SIGNATURES), st.sampled_from([None, "json", "jsonlines", "csv", "npy"]), bodies)
@example(NUMBERS, None, b'{"a":1,"b":2}\n{"a"')
@settings(max_examples=EXAMPLES, deadline=None)
def test_any_bytes_are_rows_or_a_refusal(signature, format_, body):
    assert outcome(lambda notes: READERS[signature].read(format_, body, notes))


@pytest.mark.parametrize(
    ("signature", "body", "rows"),
    [
        (NUMBERS, b"[1,2]", [(1, 2)]),
        (NUMBERS, b"\xef\xbb\xbf[1,2]\n[3,4]\n", [(1, 2), (3, 4)]),
        (NUMBERS, b'{"a":1,"b":2}\n\n{"a":3,"b":4}', [(1, 2), (3, 4)]),
        (NUMBERS, b"\n [[1,2],\n [3,4]]", [(1, 2), (3, 4)]),
        (NUMBERS, b"1,2\n3,4", [(1, 2), (3, 4)]),
        (NUMBERS, b"a,b\r\n1,2", [(1, 2)]),
        (NUMBERS, b"\xef\xbb\xbfb,a\r2,1", [(1, 2)]),
        (NUMBERS, b'"b" , "a"\n2,1', "Malformed"),
        (NUMBERS, npy([[1, 2]]), [(1, 2)]),
        (TEXT, b"text\nhello", [("hello",)]),
        (TEXT, b'"hello"\nyou', [("hello",), ("you",)]),
        (TEXT, b"hello, you", "Invalid"),
        (TEXT, b"5", "Invalid"),
        (TEXT, b'"hello"', "Invalid"),
        (NUMBERS, b"null", "Invalid"),
        (NUMBERS, b"[1,2]\n{", "Malformed"),
        (NUMBERS, b"[1,2", "Malformed"),
        (NUMBERS, b"hello", "Malformed"),
        (NUMBERS, b"<html>", "Malformed"),
        (NUMBERS, b"", "Malformed"),
        (NUMBERS, "1,2".encode("utf-16"), "Malformed"),
    ],
)
def test_the_bytes_tell_which_format_they_are(signature, body, rows):
    got = outcome(lambda notes: READERS[signature].read(None, body, notes))

    if isinstance(rows, str):
        assert rows in (got, got[0])
    else:
        assert [*zip(*[array.tolist() for array in READERS[signature].read(None, body, Notes()).columns])] == rows


def test_a_json_that_is_broken_is_told_so_as_json():
    with pytest.raises(Malformed, match="not JSON: input data was truncated at byte 6"):
        READERS[NUMBERS].read(None, b"[1,\n2,", Notes())


def test_a_column_called_as_an_option_is_the_column():
    query = {"strict": ["true"], "x": ["1"]}

    table = Readers(OPTIONS).query.read(query, Notes(), options=("strict", "probabilities"))

    assert table.records() == [{"strict": "true", "x": 1.0}]


def test_mixed_is_every_type():
    assert {column.type for column in MIXED.columns} == set(CELLS)
