"""Tensors come and go bit for bit, and what they claim to be is checked."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest

from tepal import Invalid, Malformed
from tepal.notes import Notes
from tepal.signature import Column, Signature
from tepal.wire import tensors
from tepal.wire.formats import Readers
from tepal.wire.tensors import Tensor

PLAIN = Readers(Signature((Column("a", "number", "float64", nullable=True), Column("b", "number", "float64"))))
MIXED = Readers(
    Signature(
        (
            Column("n", "integer", "int64"),
            Column("flag", "boolean", "bool"),
            Column("word", "string", "object", nullable=True),
            Column("when", "datetime", "datetime64[us]"),
        ),
        "frame",
    )
)


def read(readers, *given):
    return readers.tensors.read(given, Notes())


@pytest.mark.parametrize("datatype", ["FP16", "FP32", "FP64"])
def test_a_float_of_any_width_is_the_same_number_as_a_64_bit_one(datatype):
    """0.1 as a 32-bit float is another number than 0.1, and that number is what comes."""
    values = np.array([[0.1, 1 / 3], [6.3, 65504.0], [np.nan, -0.0]], dtype=tensors.RAW[datatype])

    table = read(PLAIN, tensors.of_bytes("x", datatype, [3, 2], memoryview(values.tobytes())))

    np.testing.assert_array_equal(table.matrix.view(np.uint64)[:2], values.astype(np.float64).view(np.uint64)[:2])
    assert np.isnan(table.matrix[2, 0])
    assert np.signbit(table.matrix[2, 1])


def test_a_number_in_json_is_what_is_written_whatever_its_datatype():
    """No rounding on the way of a 64-bit model."""
    table = read(PLAIN, tensors.of_json("x", "FP32", [1, 2], b"[6.3, 1e300]"))

    assert table.matrix.tolist() == [[6.3, 1e300]]


@pytest.mark.parametrize("datatype", [name for name in tensors.RAW if "INT" in name])
def test_every_integer_comes_exactly_to_its_limits(datatype):
    limits = np.iinfo(tensors.RAW[datatype])
    values = [max(limits.min, -(2**63)), min(limits.max, 2**63 - 1)]
    rest = [("flag", "BOOL", [True, False]), ("word", "BYTES", ["a", ""]), ("when", "INT64", [0, 1577836800000])]
    others = [tensors.of_json(name, type_, [2], json.dumps(data).encode()) for name, type_, data in rest]
    raw = np.array(values, dtype=tensors.RAW[datatype]).tobytes()

    for tensor in (
        tensors.of_bytes("n", datatype, [2, 1], memoryview(raw)),
        tensors.of_json("n", datatype, [2], json.dumps(values).encode()),
    ):
        table = read(MIXED, tensor, *others)
        assert table.columns[0].tolist() == values
        assert table.columns[1].tolist() == [True, False]
        assert table.columns[2].tolist() == ["a", ""]
        assert table.columns[3].astype(str).tolist() == ["1970-01-01T00:00:00.000000", "2020-01-01T00:00:00.000000"]


def test_a_whole_float_is_a_fine_integer_and_no_other_float_is():
    rest = [("flag", "BOOL", [True]), ("word", "BYTES", ["a"]), ("when", "INT64", [1580702706789.0])]
    others = [tensors.of_json(name, type_, [1], json.dumps(data).encode()) for name, type_, data in rest]

    assert read(MIXED, tensors.of_json("n", "INT64", [1], b"[6.0]"), *others).columns[0].tolist() == [6]
    for value in (b"[6.5]", b"[1e30]"):
        with pytest.raises(Invalid):
            read(MIXED, tensors.of_json("n", "INT64", [1], value), *others)
    with pytest.raises(Invalid, match=r"is INT64 and holds 6\.5"):
        read(PLAIN, tensors.of_json("x", "INT64", [1, 2], b"[6.5, 1]"))


@pytest.mark.parametrize("datatype", tensors.RAW)
def test_what_is_written_raw_is_read_back(datatype):
    dtype = tensors.RAW[datatype]
    values = np.frombuffer(np.random.default_rng(1).bytes(64), dtype=np.uint8)
    values = (values > 127) if datatype == "BOOL" else np.nan_to_num(values.view(dtype))

    raw = tensors.to_bytes(Tensor("x", datatype, values.shape, values))

    assert raw == values.tobytes()
    assert tensors.of_bytes("x", datatype, values.shape, memoryview(raw)).values.tolist() == values.tolist()


def test_texts_have_a_length_each():
    texts = ["", "Ä", "a\x00b", "\U0001f33c" * 3, None]

    raw = tensors.to_bytes(Tensor("x", "BYTES", (5,), texts))

    assert raw[:10] == struct.pack("<II", 0, 2) + "Ä".encode()
    assert tensors.of_bytes("x", "BYTES", [5], memoryview(raw)).values == [text or "" for text in texts]


@pytest.mark.parametrize(
    ("datatype", "shape", "raw", "message"),
    [
        ("FP64", [2], bytes(8), "should have 16 bytes (FP64, shape [2]), the body has 8 for it"),
        ("FP64", [1], bytes(16), "should have 8 bytes"),
        ("BYTES", [1], b"", "is not 1 texts with a 4-byte length each"),
        ("BYTES", [1], b"\x05\0\0\0abc", "is not 1 texts"),
        ("BYTES", [1], b"\x01\0\0\0abc", "is not 1 texts"),
        ("BYTES", [10**30], b"\0\0\0\0", "is not 10000"),
        ("BYTES", [0], b"\0\0\0\0", "is not 0 texts"),
        ("BYTES", [1], b"\x01\0\0\0\xff", "not valid UTF-8"),
    ],
)
def test_bytes_that_are_not_what_is_said_of_them_are_malformed(datatype, shape, raw, message):
    with pytest.raises(Malformed) as caught:
        tensors.of_bytes("x", datatype, shape, memoryview(raw))

    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("datatype", "shape", "data", "message"),
    [
        ("FP64", [2, 2], "[1,2,3]", 'input "x" has 3 values, its shape [2, 2] has 4'),
        ("FP64", [2, 2], "[[1,2]]", "is nested as [1, 2], its shape is [2, 2]"),
        ("FP64", [2, 2], "[[1],[2,3,4]]", "is ragged"),
        ("INT8", [1, 2], "[[1],[2]]", "is nested as [2, 1], its shape is [1, 2]"),
        ("FP64", [1], "null", "is null; send a list"),
        ("FP64", [1], '"wide"', 'is "wide"; send a list'),
        ("FP64", [-1, 2], "[1,2]", "a size cannot be negative"),
        ("float", [1, 2], "[1,2]", 'has datatype "float"; it takes BOOL'),
    ],
)
def test_a_list_that_is_not_what_is_said_of_it_is_invalid(datatype, shape, data, message):
    with pytest.raises(Invalid) as caught:
        tensors.of_json("x", datatype, shape, data.encode())

    assert message in str(caught.value)
