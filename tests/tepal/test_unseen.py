"""What a category that training never saw gets: tried when the model is published."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingRegressor, StackingRegressor, VotingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, TargetEncoder

import tepal
from tepal import Invalid, repository
from tepal.known import with_known
from tepal.notes import Notes
from tepal.signature import derive

N = 60
COUNT = np.arange(N)
CITIES = ["Rome", "Oslo", "Bern", "Riga"]
Y = COUNT % 4 + COUNT / N


def infrequent():
    return OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=16)


def frame(dtype=None):
    return pd.DataFrame({"city": pd.Series([CITIES[i % 4] for i in COUNT], dtype=dtype), "n": COUNT % 5, "x": COUNT / N})


def of_city(encoder):
    return make_pipeline(ColumnTransformer([("c", encoder, ["city"])], remainder="passthrough"), Ridge())


def lightgbm_model():
    lightgbm = pytest.importorskip("lightgbm")
    return lightgbm.LGBMRegressor(n_estimators=3, min_child_samples=2, n_jobs=1, verbose=-1)


def xgboost_model():
    xgboost = pytest.importorskip("xgboost")
    return xgboost.XGBRegressor(n_estimators=3, enable_categorical=True, n_jobs=1)


WARN = {
    "one-hot, ignored": (lambda: of_city(OneHotEncoder(handle_unknown="ignore")), None),
    "one-hot, with the infrequent": (
        lambda: of_city(OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=16)),
        None,
    ),
    "ordinal, a value of its own": (
        lambda: of_city(OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)),
        None,
    ),
    "target": (lambda: of_city(TargetEncoder()), None),
    "categories of a frame": (
        lambda: HistGradientBoostingRegressor(max_iter=3, categorical_features="from_dtype"),
        "category",
    ),
    "lightgbm": (lightgbm_model, "category"),
    "xgboost": (xgboost_model, "category"),
}
REFUSE = {
    "one-hot": (lambda: of_city(OneHotEncoder()), None),
    "one-hot of categories": (lambda: of_city(OneHotEncoder()), "category"),
    "ordinal": (lambda: of_city(OrdinalEncoder()), None),
}


def published(tmp_path, estimator, X, y=Y):
    path = tepal.publish(estimator.fit(X, y), name="m", X=X, y=y, store=tmp_path).path
    return repository.load(path)


def ask(version, **row):
    notes = Notes()
    table = version.readers.json.read(json.dumps(row).encode(), notes)
    version.seen.check(table, notes)
    return version.runtime.predict(table).labels(notes), notes.listed


@pytest.mark.parametrize("case", WARN)
def test_an_unseen_category_is_answered_as_the_estimator_does_with_a_warning(tmp_path, case):
    make, dtype = WARN[case]
    X = frame(dtype)
    version = published(tmp_path, estimator := make(), X)
    row = pd.DataFrame({"city": pd.Series(["Rom"], dtype=dtype), "n": [1], "x": [0.5]})

    answer, warnings = ask(version, city="Rom", n=1, x=0.5)

    assert answer == estimator.predict(row).tolist()
    assert [note.message for note in warnings] == ['"Rom" was never seen in training; did you mean "Rome"?']
    assert version.manifest.signature.columns[0].unseen == "warn"


@pytest.mark.parametrize("case", REFUSE)
def test_an_unseen_category_that_the_estimator_refuses_is_refused_with_the_near_names(tmp_path, case):
    make, dtype = REFUSE[case]
    version = published(tmp_path, make(), frame(dtype))

    with pytest.raises(Invalid, match='column \'city\' does not know "Rom"; did you mean "Rome"') as refused:
        ask(version, city="Rom", n=1, x=0.5)

    assert refused.value.details[0]["near"] == ["Rome"]


def test_an_unseen_number_that_an_encoder_refuses_is_a_bad_input(tmp_path):
    estimator = make_pipeline(ColumnTransformer([("n", OneHotEncoder(), ["n"])], remainder="drop"), Ridge())
    version = published(tmp_path, estimator, frame())

    with pytest.raises(Invalid, match=r"the model refused the rows: Found unknown categories \[7\]"):
        ask(version, city="Rome", n=7, x=0.5)


def test_a_category_that_the_estimator_knows_and_the_rows_at_hand_do_not_hold_is_no_unseen_one(tmp_path):
    estimator = of_city(OneHotEncoder()).fit(frame(), Y)
    few = frame().query("city != 'Riga'")

    path = tepal.publish(estimator, name="m", X=few, store=tmp_path).path

    version = repository.load(path)
    assert version.manifest.signature.columns[0].categories == tuple(sorted(CITIES))
    row = frame().iloc[3:4]
    assert ask(version, city="Riga", n=3, x=float(row["x"].iloc[0])) == (estimator.predict(row).tolist(), [])


ENCODER = OneHotEncoder(categories=[["Rome", "Oslo", "Bern", "Riga", "Wien"]], sparse_output=False, handle_unknown="ignore")
PLACES = {
    "name": lambda: of_city(ENCODER),
    "numbers": lambda: make_pipeline(ColumnTransformer([("c", ENCODER, [0])]), Ridge()),
    "a slice": lambda: make_pipeline(ColumnTransformer([("c", ENCODER, slice("city", "city"))]), Ridge()),
    "a mask": lambda: make_pipeline(ColumnTransformer([("c", ENCODER, [True, False, False])]), Ridge()),
    "a function": lambda: make_pipeline(ColumnTransformer([("c", ENCODER, lambda X: list(X.columns[:1]))]), Ridge()),
    "after an imputer": lambda: of_city(make_pipeline(SimpleImputer(strategy="most_frequent"), ENCODER)),
    "a union": lambda: of_city(FeatureUnion([("a", ENCODER), ("b", OrdinalEncoder())])),
    "a search": lambda: GridSearchCV(of_city(ENCODER), {"ridge__alpha": [1, 2]}, cv=2),
    "a stack": lambda: StackingRegressor([("a", of_city(ENCODER))], LinearRegression(), cv=2),
    "a vote": lambda: VotingRegressor([("a", of_city(ENCODER)), ("b", of_city(TargetEncoder()))]),
}


@pytest.mark.parametrize("place", PLACES)
def test_categories_are_found_where_encoders_are(place):
    X = frame()
    signature = with_known(derive(X)[0], PLACES[place]().fit(X, Y))

    assert signature.columns[0].categories == ("Bern", "Oslo", "Riga", "Rome", "Wien")
    assert [column.categories for column in signature.columns[1:]] == [None, None]


def test_categories_of_one_column_are_not_those_of_another():
    X = frame().assign(land=[["Italy", "Norway"][i % 2] for i in COUNT])[["n", "land", "city"]]
    encoder = OneHotEncoder(categories=[["Wien", *CITIES], ["Italy", "Norway", "Spain"]])
    estimator = make_pipeline(ColumnTransformer([("c", encoder, ["city", "land"])]), Ridge()).fit(X, Y)

    signature = with_known(derive(X)[0], estimator)

    assert signature.columns[1].categories == ("Italy", "Norway", "Spain")
    assert signature.columns[2].categories == ("Bern", "Oslo", "Riga", "Rome", "Wien")


def test_free_text_stays_free():
    texts = pd.DataFrame({"note": [f"text {i}" for i in range(1200)]})
    estimator = make_pipeline(OneHotEncoder(), Ridge()).fit(texts, np.arange(1200.0))

    assert with_known(derive(texts)[0], estimator).columns[0].categories is None
    assert with_known(derive(texts.head(500))[0], estimator).columns[0].categories == tuple(sorted(texts["note"].head(500)))
