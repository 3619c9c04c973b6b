"""What is served is what the estimator answers to the user's own rows, or it is not published."""

from __future__ import annotations

import msgspec
import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder

import tepal
from tepal import PublishError, Repository
from tepal.errors import without_paths
from tepal.notes import Notes
from tepal.wire import text

RNG = np.random.default_rng(3)
N = 60
LABELS = RNG.choice(["no", "yes"], N)


def hour(frame):
    return frame["t"].dt.hour.to_numpy().reshape(-1, 1)


def by_column(encoder):
    return make_pipeline(ColumnTransformer([("c", encoder, ["city"])], remainder="passthrough"), LogisticRegression())


def cities(missing, dtype=None):
    values = [missing if i % 7 == 0 else ["Rome", "Oslo"][i % 2] for i in range(N)]
    return pd.DataFrame({"city": pd.Series(values, dtype=dtype), "n": np.arange(N) / N})


def assert_faithful(tmp_path, estimator, X, rows_of=lambda X, i: X.iloc[i : i + 1]):
    """Publish, then compare all rows in one batch and each by itself with the estimator, bit for bit."""
    tepal.publish(estimator, name="m", X=X, store=tmp_path)
    version = Repository.open(tmp_path).find("m")
    table = version.readers.json.read(
        msgspec.json.encode(tepal.table.Table.from_columns(*tepal.signature.derive(X)).records()), Notes()
    )
    ask = estimator.predict_proba if hasattr(estimator, "predict_proba") else estimator.predict

    def served(rows):
        prediction = version.runtime.predict(rows)
        return prediction.probabilities[0] if prediction.probabilities[0] is not None else prediction.values[0]

    assert served(table).tobytes() == np.asarray(ask(X)).tobytes()
    for i in range(N):
        assert served(table.take([i])).tobytes() == np.asarray(ask(rows_of(X, i))).tobytes(), i


@pytest.mark.parametrize(("missing", "dtype"), [(None, None), (np.nan, None), (None, object), (np.nan, object)])
@pytest.mark.parametrize(
    "encoder",
    [
        OneHotEncoder(handle_unknown="ignore"),
        OneHotEncoder(),
        make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder()),
    ],
    ids=["ignore", "error", "imputed"],
)
def test_a_missing_text_is_what_it_was_in_training(tmp_path, missing, dtype, encoder):
    X = cities(missing, dtype)

    assert_faithful(tmp_path, by_column(encoder).fit(X, LABELS), X)


def test_an_ordinal_encoder_keeps_its_missing_value(tmp_path):
    X = cities(np.nan)
    estimator = make_pipeline(
        ColumnTransformer([("c", OrdinalEncoder(), ["city"])], remainder="passthrough"),
        SimpleImputer(),
        LogisticRegression(),
    )
    assert_faithful(tmp_path, estimator.fit(X, LABELS), X)


@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Berlin"])
def test_a_datetime_keeps_its_zone(tmp_path, zone):
    X = pd.DataFrame({"t": pd.date_range("2024-01-01", periods=N, freq="7h", tz=zone)})
    estimator = make_pipeline(FunctionTransformer(hour), LinearRegression()).fit(X, np.arange(N) * 1.0)

    assert_faithful(tmp_path, estimator, X)


@pytest.mark.parametrize("dtype", ["float32", "uint8", "int16", "int64", "float64"])
@pytest.mark.parametrize("held", ["array", "frame"])
def test_numbers_keep_the_dtype_of_training(tmp_path, dtype, held):
    values = (RNG.random((N, 2)) * 200).astype(dtype)
    X = pd.DataFrame({"a": values[:, 0], "b": values[:, 1]}) if held == "frame" else values
    estimator = make_pipeline(FunctionTransformer(np.add.reduce, kw_args={"axis": 1, "keepdims": True}), LinearRegression())
    if held == "frame":
        estimator = LinearRegression()

    assert_faithful(tmp_path, estimator.fit(X, np.arange(N) * 1.0), X, lambda X, i: X[i : i + 1].copy())


def test_a_frame_of_numbers_is_served_as_an_array_that_lies_in_memory_as_the_frame_did(tmp_path):
    X = pd.DataFrame({name: RNG.random(N) * 200 for name in "abcdefg"})
    estimator = LinearRegression().fit(X, np.arange(N) * 1.0)

    assert_faithful(tmp_path, estimator, X, lambda X, i: X[i : i + 1].copy())  # not a view into all rows

    assert Repository.open(tmp_path).find("m").manifest.signature.container == "columns"


def test_a_range_of_short_floats_is_written_as_a_person_would(tmp_path):
    X = np.array([[-2.3], [2.0]], dtype="float32")
    signature, _ = tepal.signature.derive(X)

    assert (signature.columns[0].minimum, signature.columns[0].maximum) == (-2.3, 2.0)


def test_columns_in_another_order_than_the_estimators_are_put_in_its_order(tmp_path):
    frame = pd.DataFrame({"a": np.arange(4.0), "b": np.arange(4.0) ** 2})
    estimator = LinearRegression().fit(frame, [0.0, 1.0, 5.0, 6.0])

    tepal.publish(estimator, name="m", X={"b": frame["b"], "a": frame["a"]}, store=tmp_path)
    tepal.publish(estimator, name="n", X=frame.to_numpy(), store=tmp_path)

    for name in ("m", "n"):
        version = Repository.open(tmp_path).find(name)
        assert version.manifest.signature.names == ("a", "b")
        answer = version.runtime.predict(version.readers.json.read(b'{"b":9,"a":3}', Notes())).values[0]
        assert answer.tobytes() == estimator.predict(pd.DataFrame({"a": [3.0], "b": [9.0]})).tobytes()
    with pytest.raises(PublishError, match="fitted on the columns a, b"):
        tepal.publish(estimator, name="m", X={"a": frame["a"], "c": frame["b"]}, store=tmp_path)


class Listed(ClassifierMixin, BaseEstimator):
    """Its classes are a list, and it is not sure."""

    classes_ = ["no", "yes"]  # noqa: RUF012

    def predict(self, X):
        return np.array(["yes"] * len(X))

    def predict_proba(self, X):
        return np.full((len(X), 2), 0.5)


class Odd(Listed):
    """Gives one probability too many."""

    def predict_proba(self, X):
        return np.full((len(X), 3), 1 / 3)


class Moody(Listed):
    """Answers otherwise each time."""

    def predict_proba(self, X):
        return RNG.random((len(X), 2))


class Leaves(Listed):
    """Ends the process where it does not like a row."""

    def predict(self, X):
        if (np.asarray(X)[:, 0] > 100).any():
            raise SystemExit(3)
        return super().predict(X)


def test_classes_may_be_a_list(tmp_path):
    tepal.publish(Listed(), name="m", X=np.zeros((2, 1)), store=tmp_path)
    version = Repository.open(tmp_path).find("m")

    prediction = version.runtime.predict(version.readers.json.read(b'{"x0":0}', Notes()))

    assert prediction.class_probabilities() == [{"no": 0.5, "yes": 0.5}]


def test_a_model_that_leaves_the_process_fails_only_its_request(tmp_path):
    tepal.publish(Leaves(), name="m", X=np.zeros((2, 1)), store=tmp_path)
    version = Repository.open(tmp_path).find("m")

    with pytest.raises(tepal.ModelError):
        version.runtime.predict(version.readers.json.read(b'{"x0":101}', Notes()))


@pytest.mark.parametrize(
    ("estimator", "options", "message"),
    [
        (Odd(), {}, r"shape \(2, 3\) for its 2 classes"),
        (Moody(), {}, "depend on the rows' values alone|not answered as recorded"),
        (Listed(), {"rows": "bogus"}, "'independent' or 'sequence'"),
        (Listed(), {"name": None}, "cannot be a model's name"),
        (Listed(), {"X": pd.Series([1, 2])}, "must have two dimensions"),
        (Listed(), {"X": [[1, 2], [3]]}, "different lengths"),
        (Listed(), {"X": {"a": [[1], [2]]}}, "flat list"),
        (Listed(), {"X": pd.DataFrame({"d": [pd.Timestamp("2020-01-01").date()] * 2})}, r"pandas.to_datetime"),
        (Listed(), {"X": pd.DataFrame({"d": pd.to_datetime(["2020-01-01T00:00:00.123456789"])})}, "cannot be sent"),
        (Listed(), {"X": {"i": np.array([2**70, 1], dtype=object)}}, "cannot be sent"),
    ],
)
def test_what_could_never_serve_is_refused_when_it_is_published(tmp_path, estimator, options, message):
    with pytest.raises(PublishError, match=message):
        tepal.publish(estimator, **{"name": "m", "X": np.zeros((2, 1)), "store": tmp_path, **options})
    assert tepal.repository.versions_on_disk(tmp_path) == {}


def test_a_transformer_that_fails_on_the_unseen_is_published_and_refuses_it(tmp_path):
    X = pd.DataFrame({"city": ["Rome", "Oslo"] * 30})
    size = {"Rome": 3.0, "Oslo": 1.0}
    sized = FunctionTransformer(lambda frame: frame["city"].map(lambda city: size[city]).to_numpy().reshape(-1, 1))
    estimator = make_pipeline(sized, LinearRegression()).fit(X, np.arange(60.0))

    tepal.publish(estimator, name="m", X=X, store=tmp_path)

    assert Repository.open(tmp_path).find("m").manifest.signature.columns[0].unseen == "refuse"


def test_several_labels_a_row_are_one_output_each(tmp_path):
    X, Y = RNG.random((N, 2)), RNG.integers(0, 2, (N, 2))
    estimator = OneVsRestClassifier(LogisticRegression()).fit(X, Y)

    tepal.publish(estimator, name="m", X=X, y=pd.DataFrame(Y, columns=["k", "k"]), store=tmp_path)

    version = Repository.open(tmp_path).find("m")
    (label,) = version.runtime.predict(version.readers.json.read(b"[0.5,0.5]", Notes())).labels()
    assert label.keys() == {"y0", "y1"}


@pytest.mark.parametrize("name", ['Height (")', "back\\slash", "tab\there", " ", "é", "x" * 300, "data", "__class__", "0"])
def test_a_column_may_have_any_name(tmp_path, name):
    X = pd.DataFrame({name: [1.0, 2.0, 3.0]})
    tepal.publish(LinearRegression().fit(X, [1.0, 2.0, 3.0]), name="m", X=X, store=tmp_path)
    version = Repository.open(tmp_path).find("m")

    split = {"columns": [name], "data": [[2]]} if name != "data" else [[2]]  # such a column wins over the wrapper
    for body in ({name: 2}, [{name: 2}], {name: [2]}, split, {"instances": [{name: 2}]}, [2]):
        answer = version.runtime.predict(version.readers.json.read(msgspec.json.encode(body), Notes())).labels()
        assert answer == pytest.approx([2.0]), body


def test_a_label_with_a_line_break_stays_a_line(tmp_path):
    class Broken(Listed):
        classes_ = ("a", "no\nway")

        def predict(self, X):
            return np.array(["no\nway"] * len(X))

    tepal.publish(Broken(), name="m", X=np.zeros((2, 1)), store=tmp_path)
    version = Repository.open(tmp_path).find("m")

    assert text.write(version.runtime.predict(version.readers.json.read(b"[[0],[0]]", Notes()))) == b"no\\nway\nno\\nway\n"


def test_a_path_of_the_machine_is_taken_out_of_others_words():
    assert without_paths("cannot open /srv/secret/file.csv: 1/2 of a/b") == "cannot open …: 1/2 of a/b"
