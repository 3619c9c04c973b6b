"""What is read off training data."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tepal import PublishError
from tepal.signature import Column, derive


def only(examples) -> Column:
    signature, _ = derive(examples)
    (column,) = signature.columns
    return column


def test_an_array_names_its_columns_by_number():
    signature, arrays = derive(np.array([[1.5, 2.0], [0.5, np.nan]]))

    assert signature.names == ("x0", "x1")
    assert signature.container == "array"
    assert signature.columns[0] == Column("x0", "number", "float64", False, 0.5, 1.5)
    assert signature.columns[1] == Column("x1", "number", "float64", True, 2.0, 2.0)
    assert [array.tolist()[0] for array in arrays] == [1.5, 2.0]


def test_a_mapping_names_the_columns_of_an_array_in_its_order():
    signature, _ = derive({"b": [1.0, 2.0], "a": [3.0, 4.0]})

    assert (signature.names, signature.container) == (("b", "a"), "array")


def test_a_frame_gives_names_and_types_in_its_order():
    frame = pd.DataFrame(
        {
            "n": [1.0, None],
            "i": [1, 2],
            "b": [True, False],
            "s": ["x", None],
            "d": pd.to_datetime(["2020-01-01", "2020-01-02"]),
        }
    )

    signature, _ = derive(frame)

    assert signature.container == "frame"
    assert [(c.name, c.type, c.nullable) for c in signature.columns] == [
        ("n", "number", True),
        ("i", "integer", False),
        ("b", "boolean", False),
        ("s", "string", True),
        ("d", "datetime", False),
    ]


@pytest.mark.parametrize(
    ("values", "column"),
    [
        (pd.Series([1, None], dtype="Int64"), Column("c", "integer", "object", True, 1, 1, trained_as="Int64")),
        (pd.Series([1, 2], dtype="Int64"), Column("c", "integer", "int64", False, 1, 2, trained_as="Int64")),
        (pd.Series([True, None], dtype="boolean"), Column("c", "boolean", "object", True, trained_as="boolean")),
        (
            pd.Series(["a", "b"], dtype=pd.CategoricalDtype(["c", "b", "a"], ordered=True)),
            Column(
                *("c", "string", "object", False),
                categories=("a", "b", "c"),
                trained_as="category",
                levels=("c", "b", "a"),
                ordered=True,
            ),
        ),
        (np.array([2**63], dtype="uint64"), Column("c", "integer", "uint64", False, 2**63, 2**63)),
        (np.array([1], dtype="uint8"), Column("c", "integer", "int64", False, 1, 1, trained_as="uint8")),
        (np.array([2.3], dtype="float32"), Column("c", "number", "float64", False, 2.3, 2.3, trained_as="float32")),
        (np.array([1, 2.5, None], dtype=object), Column("c", "number", "float64", True, 1.0, 2.5, trained_as="object")),
        (["b", "a", "b"], Column("c", "string", "object", False, categories=("a", "b"))),
    ],
    ids=lambda value: getattr(value, "type", None),
)
def test_a_column_is_what_its_values_are(values, column):
    assert only({"c": values}) == column


def test_a_zone_is_turned_into_utc():
    _, (array,) = derive(pd.DataFrame({"d": pd.to_datetime(["2020-01-01T02:00+02:00"])}))

    assert array.tolist() == np.array(["2020-01-01T00:00"], dtype=array.dtype).tolist()


def test_a_list_of_strings_is_one_column_of_free_text():
    signature, _ = derive(["one", "two"])

    assert signature.container == "list"
    assert only(["one", "two"]) == Column("text", "string", "object")


def test_a_string_column_of_very_many_values_is_free_text():
    assert only({"c": [str(i) for i in range(1001)]}).categories is None


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        (np.zeros(3), "two dimensions"),
        (np.zeros((0, 2)), "at least one row"),
        ({}, "no columns"),
        ({"a": [1.0], "b": [1.0, 2.0]}, "same number"),
        ({"a": [None, None]}, "empty in every row"),
        ({"a": [1.0, np.inf]}, "infinite"),
        ({"a": np.array([1, "x"], dtype=object)}, "holds int, str"),
        ({"a": np.array([b"x"], dtype=object)}, "holds bytes"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "more than one column named 'a'"),
        (pd.DataFrame([[1]], columns=[("a", "b")]), "is not text"),
    ],
)
def test_what_cannot_be_a_column_is_refused_with_the_reason(examples, message):
    with pytest.raises(PublishError, match=message):
        derive(examples)
