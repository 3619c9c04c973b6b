"""What a model takes and gives as tensors: each input by its name or all in one, each answer in a datatype that holds it."""

from __future__ import annotations

import numpy as np
import pytest

from tepal import Invalid
from tepal.notes import Notes
from tepal.prediction import Output, Prediction
from tepal.signature import Column, Signature
from tepal.wire import inference, tensors
from tepal.wire.formats import Readers
from tepal.wire.inference import Described

PLAIN = Readers(Signature((Column("a", "number", "float64", nullable=True), Column("b", "number", "float64"))))


def read(readers, *given):
    return readers.tensors.read(given, Notes())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "there are no inputs; send one tensor of shape [n, 2], or one for each of a, b"),
        ([("x", "FP64", [1, 3], "[1,2,3]")], "has shape [1, 3]"),
        ([("x", "FP64", [2], "[1,2]")], "has shape [2]"),
        ([("x", "FP64", [], "[1]")], "has shape []"),
        ([("x", "FP64", [1, 2, 1], "[1,2]")], "has shape [1, 2, 1]"),
        ([("x", "FP64", [0, 2], "[]")], "no rows"),
        ([("a", "FP64", [0], "[]"), ("b", "FP64", [0], "[]")], "no rows"),
        ([("a", "FP64", [1], "[1]"), ("a", "FP64", [1], "[1]")], "same name"),
        ([("x", "FP64", [1], "[1]"), ("y", "FP64", [1], "[1]")], "none of the inputs is a column"),
        ([("a", "FP64", [1], "[1]"), ("b", "FP64", [2], "[1,2]")], 'different numbers of rows: "a" 1, "b" 2'),
        ([("a", "FP64", [1], "[1]"), ("b", "FP64", [1, 2], "[1,2]")], "a column has shape [n] or [n, 1]"),
        ([("a", "FP64", [1], "[1]")], "column 'b' is missing"),
        ([("a", "BOOL", [1], "[true]"), ("b", "FP64", [1], "[1]")], "column 'a' expects a number, got the boolean true"),
        ([("a", "INT8", [1], "[300]"), ("b", "FP64", [1], "[1]")], 'input "a" is INT8 and holds 300'),
        ([("a", "INT8", [1], "[3.5]"), ("b", "FP64", [1], "[1]")], 'input "a" is INT8 and holds 3.5'),
        ([("x", "FP64", [1, 2], "[1,null]")], "column 'b' expects a number, got null"),
    ],
)
def test_tensors_that_are_not_the_signature_s_are_invalid(given, message):
    with pytest.raises(Invalid) as caught:
        read(PLAIN, *(tensors.of_json(name, type_, shape, data.encode()) for name, type_, shape, data in given))

    assert message in str(caught.value)


@pytest.mark.parametrize("name", ["a", "x"])
def test_one_tensor_of_all_columns_may_have_any_name(name):
    assert read(PLAIN, tensors.of_json(name, "INT64", [2, 2], b"[[1,2],[null,4]]")).matrix.shape == (2, 2)


def test_an_input_that_is_no_column_is_ignored_with_a_warning():
    notes = Notes()
    given = [tensors.of_json(name, "FP64", [1], b"[1]") for name in ("b", "c", "a")]

    PLAIN.tensors.read(given, notes)

    assert [(note.column, note.row) for note in notes.listed] == [("c", None)]


@pytest.mark.parametrize(
    ("datatype", "labels", "written", "values"),
    [
        ("INT64", [1, None], "FP64", [1.0, np.nan]),
        ("INT64", [1, 2**63], "FP64", [1.0, 2.0**63]),
        ("BOOL", [True, None], "BYTES", ["true", ""]),
        ("FP64", [1, 2], "FP64", [1.0, 2.0]),
        ("FP64", [None, None], "FP64", [np.nan, np.nan]),
        ("FP64", ["a", 1.5], "BYTES", ["a", "1.5"]),
        ("BYTES", [1, 2], "BYTES", ["1", "2"]),
        ("BYTES", ["a", None], "BYTES", ["a", ""]),
    ],
)
def test_an_answer_that_its_datatype_cannot_hold_comes_in_one_that_can(datatype, labels, written, values):
    """And is read back as what it was."""
    prediction = Prediction((Output("y"),), [np.array(labels, dtype=object)], [None])

    (tensor,) = inference.of_prediction(prediction, [Described("predict", datatype, (-1,))], Notes())

    assert (tensor.name, tensor.datatype, tensor.shape) == ("predict", written, (2,))
    raw = memoryview(tensors.to_bytes(tensor))
    np.testing.assert_array_equal(tensors.of_bytes("predict", written, [2], raw).values, values)


def test_what_was_not_asked_for_is_left_out_and_the_order_is_the_caller_s():
    outputs = (Output("y", (0, 1), probabilities=True),)
    prediction = Prediction(outputs, [np.array([0, 1])], [np.array([[0.9, 0.1], [0.2, 0.8]], dtype=np.float32)])
    described = [Described("predict_proba", "FP64", (-1, 2)), Described("predict", "INT64", (-1,))]

    probabilities, labels = inference.of_prediction(prediction, described, Notes())

    assert (probabilities.shape, labels.shape) == ((2, 2), (2,))
    assert tensors.to_list(probabilities) == np.float32([0.9, 0.1, 0.2, 0.8]).astype(float).tolist()
    assert inference.of_prediction(prediction, described[1:], Notes()) == [labels]
