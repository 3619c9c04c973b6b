"""NumPy's format: what its header may claim, what its types mean, and predictions in it."""

from __future__ import annotations

import io
import pickle
import struct
import tracemalloc

import numpy as np
import pytest

from tepal import Invalid, Malformed
from tepal.notes import Notes
from tepal.prediction import Output, Prediction
from tepal.signature import Column, Signature
from tepal.wire import npy
from tepal.wire.npy import NpyReader
from tests.tepal.wire.test_formats import npy as saved
from tests.tepal.wire.test_json import NUMBERS, TEXT

INTEGERS = Signature((Column("i", "integer", "int64"), Column("j", "integer", "int64")))
DATES = Signature((Column("d", "datetime", "datetime64[us]", nullable=True),), "frame")
FLAGS = Signature((Column("t", "boolean", "bool"),))


def read(signature, body):
    return NpyReader(signature).read(body, Notes()).records()


def made(header: str | bytes, data: bytes = b"", version: int = 1) -> bytes:
    text = header.encode("latin-1") if isinstance(header, str) else header
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", len(text)) + text + data


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x93NUMPY",
        b"\x93NUMPY\x01\x00\xff",
        b"\x93NUMPY\x09\x00\x00\x00",
        made("{}"),
        made("x" * 20_000, version=2),
        made(b"\xff", version=3),
        made("(" * 5000),
        made("-" * 9000 + "1"),
        made("{'descr': '<f8', 'fortran_order': False, 'shape': (1, 2)}", b"\0" * 15),
        made("{'descr': '<f8', 'fortran_order': False, 'shape': (1, 2)}", b"\0" * 17),
        made("{'descr': '<f8', 'fortran_order': 0, 'shape': (1, 2)}", b"\0" * 16),
        made("{'descr': '<f8', 'fortran_order': False, 'shape': (True, 2)}", b"\0" * 16),
        made("{'descr': '<f8', 'fortran_order': False, 'shape': (-1, 2)}", b"\0" * 16),
        made("{'descr': '<f8', 'fortran_order': False, 'shape': [1, 2]}", b"\0" * 16),
        made("{'descr': '<f8', 'fortran_order': False, 'shape': (1, 2), 'x': 1}", b"\0" * 16),
        made("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000000, 2)}", b"\0" * 16),
        made("{'descr': '<U0', 'fortran_order': False, 'shape': (1000000000000000, 2)}"),
        made("{'descr': 'nonsense', 'fortran_order': False, 'shape': (1, 2)}", b"\0" * 16),
        made("{'descr': '<U99999999999999', 'fortran_order': False, 'shape': (1, 2)}", b"\0" * 16),
        made("__import__('os').system('true')"),
    ],
)  # fmt: skip
def test_a_header_that_is_not_true_is_malformed_and_allocates_nothing(body):
    tracemalloc.start()

    with pytest.raises(Malformed):
        read(NUMBERS, body)

    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 10 * 1024 * 1024


class Planted:
    def __reduce__(self):
        return (pytest.fail, ("unpickled",))


@pytest.mark.parametrize(
    "body",
    [
        made("{'descr': '|O', 'fortran_order': False, 'shape': (1, 2)}", pickle.dumps(Planted())),
        made("{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (1, 2)}", b"\0" * 16),
        made("{'descr': '<f8,<f8', 'fortran_order': False, 'shape': (1, 1)}", b"\0" * 16),
        made("{'descr': '<M8', 'fortran_order': False, 'shape': (1, 2)}", b"\0" * 16),
        saved(np.ones((1, 2), np.longdouble)),
        saved(np.ones((1, 2), "m8[s]")),
        saved(np.ones((1, 2, 1))),
        saved(np.float64(1)),
        saved(np.ones((2, 0))),
        saved(np.ones((0, 2))),
    ],
)
def test_what_is_no_table_is_refused_and_never_unpickled(body):
    with pytest.raises(Invalid):
        read(NUMBERS, body)


@pytest.mark.parametrize("version", [1, 2, 3])
def test_every_version_of_the_format_is_read(version):
    body = io.BytesIO()
    np.lib.format.write_array(body, np.array([[1.5, np.nan]]), version=(version, 0))

    assert read(NUMBERS, body.getvalue()) == [{"a": 1.5, "b": None}]


@pytest.mark.parametrize(
    ("signature", "array", "rows"),
    [
        (NUMBERS, np.array([[0.1, 3]], "f4"), [{"a": float(np.float32(0.1)), "b": 3.0}]),
        (NUMBERS, np.array([[2**53 + 1, 3]]), [{"a": 2.0**53, "b": 3.0}]),
        (INTEGERS, np.array([[2**63 - 1, -(2**63)]]), [{"i": 2**63 - 1, "j": -(2**63)}]),
        (INTEGERS, np.array([[6.0, -2.0]]), [{"i": 6, "j": -2}]),
        (INTEGERS, np.array([[2**63, 1]], "u8"), None),
        (INTEGERS, np.array([[6.5, 1]]), None),
        (INTEGERS, np.array([[np.nan, np.inf]]), None),
        (INTEGERS, np.array([[True, False]]), None),
        (FLAGS, np.array([[True], [False]]), [{"t": True}, {"t": False}]),
        (FLAGS, np.array([[1]]), None),
        (TEXT, np.array([[""], ["ü"]]), [{"text": ""}, {"text": "ü"}]),
        (TEXT, np.array([["ü".encode()]]), [{"text": "ü"}]),
        (TEXT, np.array([["\ud800"]]), None),
        (TEXT, np.array([[b"\xff"]]), None),
        (TEXT, np.array([[1]]), None),
        (DATES, np.array([["2020-02-03", "NaT"]], "M8[D]").T, [{"d": "2020-02-03T00:00:00.000000"}, {"d": None}]),
        (DATES, np.array([["2020-02"]], "M8[M]"), [{"d": "2020-02-01T00:00:00.000000"}]),
        (DATES, np.array([["2020"]], "M8[Y]"), [{"d": "2020-01-01T00:00:00.000000"}]),
        (DATES, np.array([["2020-02-03T04"]], ">M8[h]"), [{"d": "2020-02-03T04:00:00.000000"}]),
        (DATES, np.array([["2020-02-03T04:05:06.000001"]], "M8[ns]"), [{"d": "2020-02-03T04:05:06.000001"}]),
        (DATES, np.array([["2020-02-03T04:05:06.000000001"]], "M8[ns]"), None),
        (DATES, np.array([[2**62]]).view("M8[Y]"), None),
        (DATES, np.array([[1580702706789]]), [{"d": "2020-02-03T04:05:06.789000"}]),
        (DATES, np.array([["2020-02-03"]]), [{"d": "2020-02-03T00:00:00.000000"}]),
        (NUMBERS, np.array([["2020-02-03", "2020-02-03"]], "M8[D]"), None),
    ],
)
def test_a_type_means_what_it_means_in_json(signature, array, rows):
    try:
        got = read(signature, saved(array))
    except (Invalid, Malformed):
        got = None

    assert got == rows


def test_every_bad_cell_of_a_matrix_is_counted_and_the_first_listed():
    array = np.zeros((1000, 2))
    array[100:, 0] = np.nan
    array[200, 1] = np.inf

    with pytest.raises(Invalid, match=r"^row 100: column 'a' expects a number, got null$") as caught:
        read(NUMBERS, saved(array))

    assert caught.value.total == 901
    assert [detail["row"] for detail in caught.value.details] == list(range(100, 120))


def prediction(*values, outputs=("y",)):
    return Prediction([Output(name) for name in outputs], [np.asarray(value) for value in values], [None] * len(outputs))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (prediction([1.5, np.nan, np.inf]), np.array([1.5, np.nan, np.nan])),
        (prediction([1, 2]), np.array([1, 2])),
        (prediction([True, False]), np.array([True, False])),
        (prediction(["a", "bcd"]), np.array(["a", "bcd"])),
        (prediction(np.array(["a", None], dtype=object)), np.array(["a", ""])),
        (prediction(np.array([1, None], dtype=object)), np.array([1.0, np.nan])),
        (prediction([1.5, 2], [3, np.nan], outputs="ab"), np.array([[1.5, 3], [2, np.nan]])),
        (prediction([1, 2], ["x", "y"], outputs="ab"), np.array([["1", "x"], ["2", "y"]])),
    ],
)
def test_predictions_as_an_array(answer, expected):
    got = np.load(io.BytesIO(npy.write(answer)), allow_pickle=False)

    assert got.dtype == expected.dtype
    np.testing.assert_array_equal(got, expected)
