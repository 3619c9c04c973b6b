"""The categories that a fitted estimator knows."""

from __future__ import annotations

import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder

from tepal import known

FRAME = pd.DataFrame(
    {"n": [1.0, 2.0, 3.0, 4.0], "city": ["B", "A", "B", "A"], "plan": ["x", "y", None, "x"], "k": [1, 2, 1, 2]}
)
LABELS = [0, 1, 0, 1]


@pytest.mark.parametrize("columns", [["city", "plan"], [1, 2], [False, True, True, False], slice(1, 3)])
def test_an_encoder_behind_a_column_transformer_is_known_however_its_columns_are_named(columns):
    encode = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder())
    model = make_pipeline(ColumnTransformer([("c", encode, columns)]), LogisticRegression()).fit(FRAME, LABELS)

    assert known.categories(model) == {"city": ("A", "B"), "plan": ("x", "y")}


def test_through_a_search_and_a_selector():
    encode = ColumnTransformer([("c", OrdinalEncoder(), make_column_selector(pattern="city"))])
    search = GridSearchCV(make_pipeline(encode, LogisticRegression()), {"logisticregression__C": [1.0]}, cv=2)

    assert known.categories(search.fit(FRAME, LABELS)) == {"city": ("A", "B")}


def test_numbers_are_no_texts():
    model = make_pipeline(OneHotEncoder(), LogisticRegression()).fit(FRAME[["k"]], LABELS)

    assert known.categories(model) == {}


def test_what_another_step_changed_is_not_a_category_of_the_input_though_it_is_text():
    lower = FunctionTransformer(lambda frame: frame.assign(city=frame["city"].str.lower()))
    encode = ColumnTransformer([("c", OneHotEncoder(), ["city"])])
    model = make_pipeline(lower, encode, LogisticRegression()).fit(FRAME[["city"]], LABELS)

    assert known.categories(model) == {}
    assert known.text_columns(model) == {"city"}


def test_through_a_union_and_without_names():
    union = FeatureUnion([("a", OneHotEncoder()), ("b", OrdinalEncoder())])

    assert known.categories(make_pipeline(union, LogisticRegression()).fit(FRAME[["city"]], LABELS)) == {"city": ("A", "B")}
    assert (
        known.categories(make_pipeline(OneHotEncoder(), LogisticRegression()).fit(FRAME[["city"]].to_numpy(), LABELS)) == {}
    )


def test_what_an_imputer_fills_in_is_no_category_of_the_input():
    encode = make_pipeline(SimpleImputer(strategy="constant", fill_value="gap"), OneHotEncoder())
    model = make_pipeline(ColumnTransformer([("c", encode, ["plan"])]), LogisticRegression()).fit(FRAME, LABELS)

    assert known.categories(model) == {"plan": ("x", "y")}
