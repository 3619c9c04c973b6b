"""The query string: keys and values as browsers and curl write them, and rows from it."""

from __future__ import annotations

import io

import numpy as np
import pytest

from api.query import parse
from tests.wire import request


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (b"", {}),
        (b"a=1&b=2&a=3", {"a": ["1", "3"], "b": ["2"]}),
        (b"a=&b&=c&&", {"a": [""], "b": [""], "": ["c"]}),
        (b"a=1+2%2B3%20%26=4", {"a": ["1 2+3 &=4"]}),
        (b"%C3%BC=\xc3\xbc", {"ü": ["ü"]}),
        (b"a;b=1;2", {"a;b": ["1;2"]}),
    ],
)
def test_every_value_of_each_key(query, found):
    assert parse(query) == (found, None)


@pytest.mark.parametrize(
    ("query", "fault"),
    [(b"a=%", "hexadecimal"), (b"a=%4", "hexadecimal"), (b"%zz=1", "hexadecimal"), (b"a=%ff", "UTF-8"), (b"\xff", "UTF-8")],
)
def test_what_is_wrong_is_told(query, fault):
    assert fault in parse(query)[1]


def test_a_broken_query_is_nothing_to_a_route_that_takes_none(transport):
    assert transport(request("GET", "/livez?%ff=%z")).status == 200


def test_an_answer_to_a_query_can_be_asked_for_again(transport):
    target = "/predict?sepal_length=5.9&sepal_width=3&petal_length=5.1&petal_width=1.8"
    first = transport(request("GET", target))

    again = transport(request("GET", target, if_none_match=first.headers["etag"]))
    assert (first.status, again.status) == (200, 304)
    assert first.headers["vary"] == again.headers["vary"] == "Accept"
    assert first.headers["cache-control"] == "no-cache"
    assert first.headers["vary"] == "Accept"
    assert transport(request("HEAD", target)).body == b""


def test_predictions_come_as_an_array(transport):
    body = "[[5.9,3.0,5.1,1.8],[6.3,2.3,4.4,1.3]]"

    received = transport(request("POST", "/predict", body, accept="application/x-npy"))

    assert received.headers["content-type"] == "application/x-npy"
    assert np.load(io.BytesIO(received.body), allow_pickle=False).tolist() == ["virginica", "versicolor"]
