"""Whatever is sent, the answer is 200 or an error of the contract; never 500, and always valid JSON."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.answer import answer
from api.message import Request
from tests.parts import EXAMPLES
from tests.tepal.wire.test_formats import npy
from tests.tepal.wire.test_json import json_values

DOCUMENTED = {
    400: "malformed_body",
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
    415: "unsupported_media_type",
    422: "invalid_input",
}
bodies = st.binary(max_size=200) | json_values.map(json.dumps).map(str.encode)
rows = st.lists(st.lists(st.floats() | st.none() | st.text(max_size=3) | st.integers(), min_size=3, max_size=5), max_size=4)
words = st.sampled_from(["1", "2.5", "", "x", '"', "true", "nan", "Berlin", "1e999"])
tables = st.lists(st.lists(words, min_size=3, max_size=6), max_size=4)
lines = tables.map(lambda rows: "\n".join(map(",".join, rows)).encode())
saved = st.tuples(st.sampled_from(["<f8", "<U1", "|b1", "<M8[D]", ">i2", "<M8[Y]"]), st.binary(max_size=64)).map(
    lambda drawn: npy(np.frombuffer(drawn[1][: len(drawn[1]) // 64 * 64], drawn[0].replace("<U1", "S1")).reshape(-1, 4))
)
wrapped = rows.map(lambda value: json.dumps({"data": value}).encode())
headers = st.fixed_dictionaries(
    {},
    optional={
        "content-type": st.sampled_from(
            [
                "application/json",
                "text/plain; charset=x",
                "text/csv",
                "/",
                ";;",
                "application/json; charset",
                "application/jsonlines",
                "application/x-ndjson",
                "application/x-npy",
                "text/csv; charset=utf-8",
            ]
        )
        | st.text(max_size=20),
        "accept": st.sampled_from(
            ["text/plain", "*/*;q=x", ",", "text/*;q=0.5", "text/csv", "application/jsonlines", "application/x-npy"]
        )
        | st.text(max_size=20),
        "content-encoding": st.sampled_from(["", "gzip", "identity", "gzip, gzip"]),
        "x-request-id": st.text(max_size=120),
    },
)
queries = st.dictionaries(
    st.sampled_from(["strict", "probabilities", "x", "text", "age", "joined", "city", "sepal_length"]) | st.text(max_size=3),
    st.lists(st.text(max_size=5) | st.sampled_from(["1", "1.5", "true", "2020-01-01", "1e400", ""]), min_size=1, max_size=3),
    max_size=7,
)
paths = st.sampled_from(
    ["/predict", "/models/people/predict", "/models/words/predict", "/models/iris-logistic/versions/1/predict"]
)


@given(
    paths | st.text(max_size=30),
    st.one_of(bodies, wrapped, lines, saved, wrapped.map(gzip.compress), lines.map(gzip.compress)),
    headers,
    queries,
    st.sampled_from(["POST", "GET", "HEAD", "PUT", "X" * 50]),
)
@settings(max_examples=EXAMPLES, deadline=None)
def test_anything_in_gives_an_answer_of_the_contract(quiet_context, path, body, header, query, method):
    response = answer(quiet_context, Request(method, path, query, header), lambda: body)

    assert response.headers["X-Request-ID"]
    if response.status == 200:
        if response.headers["Content-Type"] == "application/json":
            json.loads(response.body, parse_constant=pytest.fail)
        return
    assert response.status in DOCUMENTED, response.body
    error = json.loads(response.body, parse_constant=pytest.fail)
    assert error["code"] == DOCUMENTED[response.status]
    assert error["request_id"] == response.headers["X-Request-ID"]
    assert "Traceback" not in error["error"]
    assert response.headers["Content-Type"] == "application/json"
