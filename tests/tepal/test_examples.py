"""A table of examples from a file becomes the rows that an estimator was trained on."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder

from tepal import PublishError, examples, known

CSV = """age,balance,plan,member,joined,note
31,10.5,basic,True,2020-01-01,
45,,pro,False,2021-05-06,x y
,1e3,NA,true,2022-01-01,"a, b"
"""


def test_a_csv_is_read_as_pandas_reads_it(tmp_path):
    (tmp_path / "t.csv").write_text(CSV)
    expected = pd.read_csv(io.StringIO(CSV))

    columns = examples.read(tmp_path / "t.csv")

    assert list(columns) == list(expected.columns)
    pd.testing.assert_frame_equal(pd.DataFrame(columns), expected)


@pytest.mark.parametrize(
    ("cells", "dtype"),
    [
        (["1", "2"], "int64"),
        (["1", "-2", ""], "float64"),
        (["1", "2.5"], "float64"),
        (["0", "99999999999999999999"], "float64"),
        (["True", "FALSE"], "bool"),
        (["True", ""], "object"),
        (["1_0", "2"], "object"),
        (["a", ""], "object"),
    ],
)
def test_a_column_of_text_is_what_all_its_cells_are(cells, dtype, tmp_path):
    (tmp_path / "t.csv").write_text("c,d\n" + "".join(f"{cell},1\n" for cell in cells))

    assert examples.read(tmp_path / "t.csv")["c"].dtype == dtype


def test_a_csv_of_numbers_alone_has_no_header(tmp_path):
    (tmp_path / "t.csv").write_text("5.9,3\n6.3,2\n")

    assert {name: values.tolist() for name, values in examples.read(tmp_path / "t.csv").items()} == {
        "x0": [5.9, 6.3],
        "x1": [3, 2],
    }


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("t.xlsx", b"", "t.xlsx is none of .csv, .jsonl"),
        ("t.csv", b"a,b\n1,2\n3\n", "t.csv cannot be read: row 2 has 1 cells, the header 2"),
        ("t.csv", b"a,a\n1,2\n", "more than one column named 'a'"),
        ("t.csv", b"\xff\xfe", "t.csv cannot be read: "),
        ("t.csv", b"", "t.csv holds no rows"),
        ("t.csv", b"a,b\n", "t.csv holds no rows"),
        ("t.json", b"[1]", "it holds no records"),
        ("t.jsonl", b"{", "t.jsonl cannot be read: "),
        ("t.npy", b"no", "t.npy cannot be read: "),
    ],
)
def test_a_table_that_cannot_be_read_says_why(name, content, sentence, tmp_path):
    (tmp_path / name).write_bytes(content)

    with pytest.raises(PublishError) as refusal:
        examples.read(tmp_path / name)

    assert sentence in str(refusal.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(PublishError, match=r"t.csv cannot be read: No such file"):
        examples.read(tmp_path / "t.csv")


class Age(TransformerMixin, BaseEstimator):
    """Takes one column by its name, and remembers nothing of the others."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X[["age"]].to_numpy()


def frame():
    return pd.DataFrame(
        {
            "city": ["Amsterdam", "Berlin", "Berlin", None],
            "zip": ["01067", "10115", "10115", "20095"],
            "age": [30, 40, 50, 60],
            "joined": pd.to_datetime(["2020-01-01", "2021-01-01", "2022-01-01", "2022-05-01"]),
        }
    )


def text_pipeline():
    return ColumnTransformer(
        [
            ("texts", make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder()), ["city", "zip"]),
            ("days", FunctionTransformer(lambda f: f.apply(lambda c: c.dt.day)), ["joined"]),
            ("rest", "passthrough", ["age"]),
        ]
    )


def test_an_estimator_gets_its_columns_in_its_order_with_texts_and_dates_as_it_knows_them(tmp_path):
    X = frame()
    model = make_pipeline(text_pipeline(), LinearRegression()).fit(X, X["age"])
    X.assign(id=range(4), y=1.0)[["y", "age", "joined", "id", "zip", "city"]].to_csv(tmp_path / "t.csv", index=False)

    columns = examples.read(tmp_path / "t.csv", known.text_columns(model))
    arranged = examples.arrange(columns, model, ["y"])

    assert list(arranged.X.columns) == ["city", "zip", "age", "joined"]
    assert arranged.X["zip"].tolist() == X["zip"].tolist()
    assert arranged.X["joined"].dtype.kind == "M"
    assert (arranged.y.columns, arranged.ignored) == (["y"], ["id"])
    np.testing.assert_array_equal(model.predict(arranged.X), model.predict(X))


def test_an_array_has_one_type_for_all_its_columns():
    model = LinearRegression().fit(np.array([[1.0, 0.5], [2.0, 0.25]]), [1.0, 2.0])

    arranged = examples.arrange({"rooms": np.array([1, 2]), "share": np.array([0.5, 0.25])}, model)

    assert {name: values.dtype for name, values in arranged.X.items()} == {"rooms": "float64", "share": "float64"}


def test_columns_that_a_model_never_looks_at_are_left_out():
    X = frame()
    model = make_pipeline(Age(), LinearRegression()).fit(X, X["age"])

    arranged = examples.arrange({name: X[name].to_numpy() for name in X}, model)

    assert list(arranged.X.columns) == ["age"]
    assert arranged.ignored == ["city", "zip", "joined"]


@pytest.mark.parametrize(
    ("columns", "targets", "sentence"),
    [
        (["agee", "rooms"], [], "the model was trained on 'age', which the examples do not have; did you mean 'agee'?"),
        (["qqq"], [], "the model was trained on 'age', 'rooms', which the examples do not have; they have qqq"),
        (["age", "rooms"], ["price"], "--target price: the examples have no such column"),
    ],
)
def test_columns_that_are_not_there_are_named(columns, targets, sentence):
    X = pd.DataFrame({"age": [1.0, 2.0], "rooms": [1.0, 3.0]})
    model = LinearRegression().fit(X, [1.0, 2.0])

    with pytest.raises(PublishError) as refusal:
        examples.arrange({name: np.array([1.0, 2.0]) for name in columns}, model, targets)

    assert sentence in str(refusal.value)


def test_a_table_with_its_target_unnamed_says_so():
    model = LinearRegression().fit([[1.0, 2.0], [2.0, 1.0]], [1.0, 2.0])

    with pytest.raises(PublishError, match=r"on 2 columns, the examples have 3: a, b, y; name those .*: --target NAME"):
        examples.arrange({name: np.array([1.0, 2.0]) for name in "aby"}, model)
