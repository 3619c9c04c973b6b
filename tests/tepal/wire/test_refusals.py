"""What a refusal costs: a large body that is bad is told so for little, whatever its format.

CPU time is compared with that of a loop measured beside it, so that a slow machine is no failure.
"""

from __future__ import annotations

import gc
import time

import msgspec
import numpy as np
import pytest

from tepal import InputError, Invalid
from tepal.notes import Notes
from tepal.signature import Column, Signature
from tepal.wire import head
from tepal.wire.formats import Readers
from tests.tepal.wire.test_formats import npy
from tests.tepal.wire.test_json import MIXED

NUMBERS = Signature(tuple(Column(name, "number", "float64") for name in "abcd"))
INTEGERS = Signature(tuple(Column(name, "integer", "int64") for name in "abcd"))
DATES = Signature(tuple(Column(name, "datetime", "datetime64[us]") for name in "abcd"), "frame")
TEXT = Signature((Column("text", "string", "object"),), "list")

MILLION = 1_000_000
encode = msgspec.json.encode

# What 100 ms are on the machine where the limit was set, in rounds of the loop below; and the slack for a busy machine.
ROUNDS = 3_500_000
SLACK = 3


def measure() -> float:
    """Seconds of CPU for a loop that costs about 100 ms where the limit was set."""
    started = time.process_time()
    total = 0
    for i in range(ROUNDS):
        total += i
    assert total
    return time.process_time() - started


@pytest.fixture(autouse=True)
def _own_garbage():
    """Only what a reading itself makes is looked at by the garbage collector, not what other tests left."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


BODIES = {
    "300,000 bad rows": (NUMBERS, None, lambda: encode([["x", 1, 2, 3]] * 300_000)),
    "300,000 bad rows in a wrapper": (NUMBERS, None, lambda: encode({"instances": [["x", 1, 2, 3]] * 300_000})),
    "300,000 bad rows in a split": (
        NUMBERS,
        None,
        lambda: encode({"columns": [*"abcd"], "data": [["x", 1, 2, 3]] * 300_000}),
    ),
    "300,000 bad values a column": (NUMBERS, None, lambda: encode({name: ["x"] * 300_000 for name in "abcd"})),
    "300,000 bad dates": (DATES, None, lambda: encode([["x"] * 4] * 300_000)),
    "300,000 fractions for integers": (INTEGERS, None, lambda: encode([[1.5, 2, 3, 4]] * 300_000)),
    "5,000,000 empty rows": (NUMBERS, None, lambda: encode([[]] * 5 * MILLION)),
    "5,000,000 empty records": (NUMBERS, None, lambda: encode([{}] * 5 * MILLION)),
    "1,000,000 keys": (NUMBERS, None, lambda: encode({f"k{i}": 0 for i in range(MILLION)})),
    "1,000,000 keys in a list": (NUMBERS, None, lambda: encode([{f"k{i}": 0 for i in range(MILLION)}])),
    "1,000,000 keys, a column each": (NUMBERS, None, lambda: encode([{f"k{i}": 0} for i in range(MILLION)])),
    "a row of 5,000,000": (NUMBERS, None, lambda: encode([[1] * 5 * MILLION])),
    "a vector of 5,000,000": (NUMBERS, None, lambda: encode([1] * 5 * MILLION)),
    "depth": (NUMBERS, None, lambda: b"[" * 16 * MILLION),
    "depth 100,000": (NUMBERS, None, lambda: b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "4,301 digits": (NUMBERS, None, lambda: b"[" + b"9" * 4301 + b",1,2,3]"),
    "thousands of 4,300 digits": (NUMBERS, None, lambda: b"[" + (b"9" * 4300 + b",") * 3800 + b"1]"),
    "a huge string": (NUMBERS, None, lambda: b'["' + b"x" * 16 * MILLION + b'"]'),
    "a huge name": (NUMBERS, None, lambda: encode({"x" * 16 * MILLION: 1})),
    "cut off": (NUMBERS, None, lambda: b"[" + b"[0.5,0.1,0.2,0.3]," * 850_000),
    "no JSON at its end": (NUMBERS, None, lambda: b"[" + b"[0.5,0.1,0.2,0.3]," * 850_000 + b"[NaN,1,1,1]]"),
    "blanks": (NUMBERS, None, lambda: b" " * 16 * MILLION),
    "CSV, a million ragged rows": (NUMBERS, "csv", lambda: b"1,2,3\n" * 2 * MILLION),
    "CSV, bad cells": (NUMBERS, "csv", lambda: b"x,2,3,4\n" * 2 * MILLION),
    "CSV of other types": (MIXED, "csv", lambda: b"1,2,3,4,5,6,7\n" * MILLION),
    "CSV, empty lines": (TEXT, "csv", lambda: b"\n" * 16 * MILLION + b"x"),
    "JSON lines, empty records": (NUMBERS, "jsonlines", lambda: b"{}\n" * 5 * MILLION),
    "JSON lines, bad cells": (INTEGERS, "jsonlines", lambda: b"[1.5,2,3,4]\n" * MILLION),
    "JSON lines of scalars": (NUMBERS, "jsonlines", lambda: b"1\n" * 8 * MILLION),
    "NumPy, NaN": (NUMBERS, "npy", lambda: npy(np.full((500_000, 4), np.nan))),
    "NumPy, one infinite at the end": (NUMBERS, "npy", lambda: npy(np.vstack([np.zeros((500_000, 4)), np.full(4, np.inf)]))),
    "NumPy, text": (NUMBERS, "npy", lambda: npy(np.full((MILLION, 4), b"x"))),
    "NumPy, integers for text": (TEXT, "npy", lambda: npy(np.zeros((16 * MILLION, 1), "i1"))),
    "NumPy, fractions": (INTEGERS, "npy", lambda: npy(np.full((500_000, 4), 0.5))),
}


@pytest.mark.parametrize("case", BODIES)
def test_a_refusal_costs_little(case):
    signature, format_, make = BODIES[case]
    body, reader = make(), Readers(signature)

    started = time.process_time()
    with pytest.raises(InputError):
        reader.read(format_, body, Notes())
    spent = time.process_time() - started

    assert spent < SLACK * measure()


def test_strict_about_a_million_keys_costs_little():
    body, reader = encode({**dict.fromkeys("abcd", 1), **{f"k{i}": 0 for i in range(MILLION)}}), Readers(NUMBERS)

    started = time.process_time()
    with pytest.raises(Invalid):
        reader.read("json", body, Notes(), strict=True)
    spent = time.process_time() - started

    assert spent < SLACK * measure()


@pytest.mark.parametrize(
    ("format_", "row", "around"),
    [
        ("json", b'["x",1,2,3]', (b"[", b",", b"]")),
        ("csv", b"x,1,2,3", (b"", b"\n", b"")),
        ("jsonlines", b"{}", (b"", b"\n", b"")),
    ],
)
def test_what_was_not_looked_at_is_said(format_, row, around):
    start, between, end = around
    a_row = 4 if format_ == "jsonlines" else 1
    few, many = 1000, 100_000
    for rows in (few, many):
        with pytest.raises(Invalid) as caught:
            Readers(NUMBERS).read(format_, start + between.join([row] * rows) + end, Notes())

        assert len(caught.value.details) == 20
        if rows == few:
            assert caught.value.total == few * a_row
            assert "looked at" not in str(caught.value)
        else:
            assert str(caught.value).endswith("(only the first 64 KiB were looked at)")
            assert 20 < caught.value.total <= head.HEAD // len(row) * a_row


@pytest.mark.parametrize(
    ("format_", "good", "bad", "around"),
    [
        ("json", b"[1,2,3,4]", b"[1,2,3,null]", (b"[", b",", b"]")),
        ("json", b'{"a":1,"b":2,"c":3,"d":"},"}', b"{}", (b"[", b",", b"]")),
        ("json", b'{"a":1,"b":2,"c":3,"d":4}', b'{"a":1,"b":2,"c":3}', (b'{"instances":[', b",", b"]}")),
        ("csv", b"1,2,3,4", b"1,2,3,", (b"", b"\n", b"")),
        ("csv", b"1,2,3,4", b"1,2,3", (b"a,b,c,d\n", b"\n", b"")),
        ("jsonlines", b"[1,2,3,4]", b"[1,2,3,null]", (b"", b"\n", b"")),
    ],
)
def test_what_is_bad_only_at_the_end_is_found(format_, good, bad, around):
    start, between, end = around
    rows = 2 * head.HEAD // len(good)

    with pytest.raises(Invalid, match=f"^row ({rows}|0)") as caught:
        Readers(NUMBERS).read(format_, start + between.join([good] * rows + [bad]) + end, Notes())

    assert caught.value.details[0]["row"] in (rows, 0)


@pytest.mark.parametrize(
    "make",
    [
        lambda extra: {"columns": [*"abcd", *extra], "data": [[1, 2, 3, 4, *["x" * 40] * len(extra)]]},
        lambda extra: {
            "dataframe_split": {"data": [[4, 3, *["x" * 40] * len(extra), 2, 1]], "columns": [*"dc", *extra, *"ba"]}
        },
        lambda extra: {**{name: ["x" * 40] for name in extra}, "a": [1], "b": [2], "c": [3], "d": [4]},
        lambda extra: [{**dict.fromkeys(extra, "x" * 40), "a": 1, "b": 2, "c": 3, "d": 4}],
        lambda extra: {"instances": {**dict.fromkeys(extra, "x" * 40), "a": 1, "b": 2, "c": 3, "d": 4}},
        lambda extra: {"a": 9, **dict.fromkeys(extra, "x" * 40), "b": 2, "c": 3, "d": 4},
    ],
    ids=["split", "wrapped split", "columns", "records", "wrapped record", "record"],
)
def test_what_is_large_and_good_is_never_refused_by_its_head(make):
    extra = [f"extra{i}" for i in range(3000)]
    notes = Notes()

    assert len(Readers(NUMBERS).read("json", encode(make(extra)), notes)) == 1
    assert notes.total >= len(extra)
    with pytest.raises(Invalid) as caught:
        Readers(NUMBERS).read("json", encode(make(extra)), Notes(), strict=True)
    assert caught.value.total > 20


@pytest.mark.parametrize("inside", [b"],", b"},", b'\\"},', b"[[", b"{"])
def test_a_head_cut_within_a_text_is_not_taken_for_the_body(inside):
    signature = Signature((Column("a", "number", "float64"), Column("s", "string", "object")), "frame")
    text = inside * 200
    row = b'[1,"%s"]' % text
    many = 3 * head.HEAD // len(row)

    table = Readers(signature).read("json", b"[" + b",".join([row] * many) + b"]", Notes())

    assert len(table) == many
