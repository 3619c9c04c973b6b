"""CSV: what is a header, what a cell means, and predictions in it."""

from __future__ import annotations

import numpy as np
import pytest

from tepal import InputError
from tepal.notes import Notes
from tepal.prediction import Output, Prediction
from tepal.signature import Column, Signature
from tepal.wire import csv
from tepal.wire.csv import CsvReader
from tests.tepal.wire.test_json import MIXED, NUMBERS, TEXT

CODES = Signature((Column("code", "string", "object"), Column("n", "integer", "int64")), "frame")
ONE = Signature((Column("x", "number", "float64", nullable=True),))


def read(signature, text):
    try:
        return [tuple(row.values()) for row in CsvReader(signature).read(text.encode(), Notes()).records()]
    except InputError as error:
        return str(error)


@pytest.mark.parametrize(
    ("signature", "text", "rows"),
    [
        (NUMBERS, "a,b\n1,2", [(1.0, 2.0)]),
        (NUMBERS, "b,a\n1,2", [(2.0, 1.0)]),
        (NUMBERS, " b,\ta \n1,2", [(2.0, 1.0)]),
        (NUMBERS, "1,2", [(1.0, 2.0)]),
        (NUMBERS, "1,\n3,4", [(1.0, None), (3.0, 4.0)]),
        (NUMBERS, "x,2\n3,4", "row 0: column 'a' expects a number, got the string \"x\""),
        (NUMBERS, "x,y\n3,4", "row 0: column 'a' is missing"),
        (NUMBERS, "a,1\n3,4", "row 0: column 'b' is missing"),
        (NUMBERS, ",\n3,4", "row 0: column 'a' expects a number, got null"),
        (NUMBERS, "1e400,x\n3,4", "the number 1e400 is too large for a 64-bit float"),
        (NUMBERS, "a,b\n1,2,\n", "row 0 has 3 values, the header has 2"),
        (CODES, "A1,7", [("A1", 7)]),
        (CODES, "n,code\n7, A1 ", [(" A1 ", 7)]),
        (CODES, "n,code\n7,007", [("007", 7)]),
        (CODES, "n,code\n7,nan", [("nan", 7)]),
        (CODES, "n,code\n7,", "row 0: column 'code' expects a string, got null"),
        (TEXT, "text", "there are no rows to predict; the first line was read as a header"),
        (TEXT, 'a\n"b\nc"\r\nd\re', [("a",), ("b\nc",), ("d",), ("e",)]),
        (ONE, "x\n1\n\n3\n", [(1.0,), (None,), (3.0,)]),
        (ONE, "1\n,\n", "row 1 has 2 values, the model takes 1 values (x)"),
        (ONE, '"1,2"\n3', "row 0: column 'x' is missing"),
        (ONE, 'x\n"1,2"\n""', "row 0: column 'x' expects a number, got the string \"1,2\""),
        (ONE, "x\nnull", "row 0: column 'x' expects a number, got the string \"null\""),
        (ONE, "x\n\nnull", "row 1: column 'x' expects a number, got the string \"null\""),
    ],
)
def test_a_header_and_rows(signature, text, rows):
    assert read(signature, text) == rows


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5.9", 5.9), ("-0.0", -0.0), (" 5 ", 5.0), ("+5", 5.0), (".5", 0.5), ("5.", 5.0), ("007", 7.0), ("1E5", 1e5),
        ("1e-400", 0.0),
        ("9007199254740993", 2.0**53), ("1" + "0" * 300, 1e300), ("0" * 5000 + "1", 1.0), ("", None), ("  ", None),
        ("nan", "unfit"), ("NaN", "unfit"), ("inf", "unfit"), ("-Infinity", "unfit"), ("1_0", "unfit"), ("0x1", "unfit"),
        ("1,5", "unfit"),
        ("१", "unfit"), ("５", "unfit"), ("1 0", "unfit"), ("--1", "unfit"), ("1e", "unfit"), (".", "unfit"),
        ("1f", "unfit"), ("\u00a05", "unfit"),
        ("true", "unfit"), ("1e400", "large"), ("-1e309", "large"), ("9" * 400, "large"), ("9" * 5000, "large"),
    ],
)  # fmt: skip
def test_a_number_is_decimal_digits_of_ours(text, value):
    got = read(ONE, f'x\n"{text}"\n1')

    if isinstance(value, str):
        assert ("expects a number" if value == "unfit" else "too large for a 64-bit float") in got
    else:
        assert repr(got[0][0]) == repr(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7", 7), ("7.0", 7), ("1e3", 1000), ("9223372036854775807", 2**63 - 1), ("9007199254740993.0", 2**53 + 1),
        ("7.5", None), ("9223372036854775808", None), ("1e300", None), ("", None), ("True", None),
    ],
)  # fmt: skip
def test_an_integer_is_exact(text, value):
    got = read(CODES, f"code,n\nA,{text}")

    assert got == [("A", value)] if value is not None else "expects an integer" in got


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("False", False),
        ("TRUE", True),
        (" true ", True),
        ("1", None),
        ("0", None),
        ("yes", None),
        ("t", None),
    ],
)
def test_a_boolean_is_a_word(text, value):
    signature = Signature((Column("t", "boolean", "bool"), Column("x", "number", "float64")))

    got = read(signature, f"t,x\n{text},1")

    assert got == [(value, 1.0)] if value is not None else "expects a boolean" in got


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("2020-02-03", True),
        (" 2020-02-03 ", True),
        ("1580702706789", True),
        ("-1", True),
        ("20200203", False),
        ("1.5", False),
    ],
)
def test_eight_digits_could_be_a_date_and_are_refused(text, fits):
    signature = Signature((Column("d", "datetime", "datetime64[us]"),), "frame")

    assert isinstance(read(signature, f"d\n{text}"), list) is fits


def test_a_cell_may_be_long():
    assert read(TEXT, "text\n" + "x" * 1_000_000) == [("x" * 1_000_000,)]


def test_a_header_that_repeats_a_name_is_refused():
    assert read(NUMBERS, "a,b,a\n1,2,3") == 'the header names "a" more than once'
    assert read(NUMBERS, "a,b,,\n1,2,,") == 'the header names "" more than once'


@pytest.mark.parametrize("mark", [";", "\t", "|"])
def test_another_separator_is_called_by_its_name(mark):
    assert read(MIXED, mark.join(MIXED.names)) == f"the cells of the first line are separated by {mark!r}; send commas"


def test_predictions_with_their_probabilities():
    chances = np.array([[0.25, 0.75], [1, 0]])
    answer = Prediction([Output("y", ('a,"b', "c"), True)], [np.array(['a,"b', "c"])], [chances])

    assert csv.write(answer) == b'prediction,"probability_a,""b",probability_c\n"a,""b",0.25,0.75\nc,1.0,0.0\n'
    assert csv.write(answer, probabilities=False, header=False) == b'"a,""b"\nc\n'


def test_several_outputs_are_columns_of_their_own():
    outputs = [Output("kind", (1, 2), True), Output("size")]
    answer = Prediction(outputs, [np.array([1, 2]), np.array([0.5, np.nan])], [np.array([[1, 0], [0, 1.0]]), None])

    assert csv.write(answer) == b"kind,size,probability_kind_1,probability_kind_2\n1,0.5,1.0,0.0\n2,,0.0,1.0\n"


def test_no_answer_is_an_empty_cell_and_its_line_is_not_empty():
    answer = Prediction([Output("y")], [np.array([np.nan, 1.5])], [None])

    assert csv.write(answer) == b'prediction\n""\n1.5\n'
