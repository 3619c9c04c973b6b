"""Open Inference Protocol v2: how tensors are laid in a body, and what of it can be wrong.

What each shape of a request is answered is in `tests/api/cases/protocols/`, and that every kind of model answers in
`test_kinds.py`.
"""

from __future__ import annotations

import gzip
import json

import numpy as np
import pytest

from tepal.repository import BadVersion, Model

ROWS = np.array([[5.9, 3.0, 5.1, 1.8], [6.3, 2.3, 4.4, 1.3]])
PATH = "/v2/models/iris-logistic/infer"


def binary(*parts, length=None, **more):
    """A request of raw 64-bit rows: the body, and the header beside it."""
    parts = parts or (ROWS.tobytes(),)
    tensor = {"name": "x", "datatype": "FP64", "shape": [2, 4], "parameters": {"binary_data_size": 64}}
    head = json.dumps({"inputs": [tensor], **more}).encode()
    return head + b"".join(parts), {"inference_header_content_length": str(len(head) if length is None else length)}


def test_raw_rows_are_answered_raw_where_that_is_asked(ask):
    """Of each output for itself, or of all."""
    some = {"outputs": [{"name": "predict_proba", "parameters": {"binary_data": True}}, {"name": "predict"}]}
    others = {
        "parameters": {"binary_data_output": True},
        "outputs": [{"name": "predict", "parameters": {"binary_data": False}}, {"name": "predict_proba"}],
    }
    body, headers = binary()
    plain = {output["name"]: output["data"] for output in ask("POST", PATH, body, **headers).json["outputs"]}

    for more in (some, others):
        body, headers = binary(**more)
        received = ask("POST", PATH, body, **headers)
        length = int(received.headers["inference-header-content-length"])
        told, raw = json.loads(received.body[:length]), received.body[length:]
        by_name = {output["name"]: output for output in told["outputs"]}
        assert received.headers["content-type"] == "application/octet-stream"
        assert [output["name"] for output in told["outputs"]] == [output["name"] for output in more["outputs"]]
        assert by_name["predict"]["data"] == plain["predict"]
        assert by_name["predict_proba"]["parameters"] == {"binary_data_size": 48}
        assert np.frombuffer(raw, "<f8").tolist() == plain["predict_proba"]


@pytest.mark.parametrize("length", ["", "x", "-1", "1.0", "999999", "9" * 5000, "٣"])
def test_a_length_of_the_json_that_is_none_is_malformed(ask, length):
    body, _ = binary()

    refused = ask("POST", PATH, body, inference_header_content_length=length)

    assert (refused.status, refused.json["code"]) == (400, "malformed_body")
    assert "Inference-Header-Content-Length" in refused.json["error"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (binary(b""), 'input "x" has no 64 bytes in the body: 0 are left for it'),
        (binary(ROWS.tobytes()[1:]), "63 are left"),
        (binary(ROWS.tobytes(), b"!!"), "the body has 2 bytes more than its inputs"),
        (binary(length=3), "the body is not JSON"),
        (binary(length=0), "the body is empty"),
    ],
)
def test_a_body_that_is_not_what_it_says_is_malformed(ask, body, message):
    refused = ask("POST", PATH, body[0], **body[1])

    assert (refused.status, refused.json["code"]) == (400, "malformed_body")
    assert message in refused.json["error"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": [1]}, "takes either data or the parameter binary_data_size"),
        ({"parameters": None}, "takes either data or the parameter binary_data_size"),
        ({"parameters": {"binary_data_size": "64"}}, "has no 64 bytes"),
        ({"parameters": {"binary_data_size": True}}, "has no True bytes"),
        ({"parameters": {"binary_data_size": -1}}, "has no -1 bytes"),
        ({"parameters": {"shared_memory_region": "here"}}, "'shared_memory_region' is not known here"),
        ({"shape": [2, 5]}, "should have 80 bytes"),
        ({"shape": "all"}, "the body is no inference request: Expected `array`, got `str`"),
        ({"datatype": None}, "the body is no inference request"),
    ],
)
def test_a_tensor_that_contradicts_itself_is_a_bad_request(ask, change, message):
    tensor = {"name": "x", "datatype": "FP64", "shape": [2, 4], "parameters": {"binary_data_size": 64}, **change}
    head = json.dumps({"inputs": [tensor]}).encode()

    refused = ask("POST", PATH, head + ROWS.tobytes(), inference_header_content_length=str(len(head)))

    assert refused.status == 400
    assert message in refused.json["error"]


def test_gzip_goes_both_ways(ask):
    """The lengths are of what is inside. Who names gzip among others does not ask for it."""
    body, headers = binary(parameters={"binary_data_output": True})
    headers["content_encoding"] = "gzip"
    plain = ask("POST", PATH, gzip.compress(body), **headers)

    received = ask("POST", PATH, gzip.compress(body), **headers, accept_encoding="gzip")

    assert plain.status == 200
    assert "content-encoding" not in plain.headers
    assert (received.headers["content-encoding"], received.headers["vary"]) == ("gzip", "Accept-Encoding")
    assert gzip.decompress(received.body) == plain.body
    assert received.headers["inference-header-content-length"] == plain.headers["inference-header-content-length"]
    assert ask("POST", PATH, body, **binary()[1], accept_encoding="gzip, deflate").headers.get("content-encoding") is None


@pytest.mark.parametrize("type_", ["", "application/octet-stream", "text/csv", "application/x-www-form-urlencoded"])
def test_the_content_type_says_nothing(ask, type_):
    body, headers = binary()

    assert ask("POST", PATH, body, content_type=type_, **headers).status == 200


@pytest.mark.parametrize("given", ["order-7", "", 7, None])
def test_an_id_is_given_back_as_it_came(ask, given):
    body, headers = binary(id=given)

    assert ask("POST", PATH, body, **headers).json.get("id") == given


def test_without_an_id_there_is_none(ask):
    body, headers = binary()

    assert "id" not in ask("POST", PATH, body, **headers).json


@pytest.mark.parametrize("path", ["/v2/models/bad", "/v2/models/bad/ready", "/v2/models/bad/versions/1", "/v1/models/bad"])
def test_a_model_that_cannot_serve_is_not_ready(ask, kinds, monkeypatch, path):
    """And says why; it is in the index with its reason."""
    monkeypatch.setitem(kinds.models, "bad", Model("bad", [BadVersion("bad", "1", "its pickle is damaged")]))

    refused = ask("GET", path)

    assert (refused.status, refused.json["code"]) == (503, "not_ready")
    assert "its pickle is damaged" in refused.json["error"]
    listed = ask("POST", "/v2/repository/index").json
    assert {"name": "bad", "version": "1", "state": "UNAVAILABLE", "reason": "its pickle is damaged"} in listed
    assert ask("GET", "/v2/health/ready").status == 503
    assert ask("GET", "/v2/health/live").status == 200


def column(name, values, content_type):
    return {
        "name": name,
        "datatype": "BYTES",
        "shape": [len(values), 1],
        "data": values,
        "parameters": {"content_type": content_type},
    }


@pytest.mark.parametrize("raw", [False, True])
def test_bytes_hold_what_mlserver_s_clients_say_that_they_do(ask, raw):
    """JSON in each value, where a column holds more than texts; or base64."""
    inputs = [column("n", ["3", "null"], "pd_json"), column("when", ["MjAyMC0wMS0wMQ==", "MjAyMC0wMS0wMg=="], "base64")]
    parts = []
    for tensor in inputs if raw else ():
        parts.append(b"".join(len(text).to_bytes(4, "little") + text.encode() for text in tensor.pop("data")))
        tensor["parameters"]["binary_data_size"] = len(parts[-1])
    head = json.dumps({"inputs": inputs}).encode()

    received = ask("POST", "/v2/models/gaps/infer", head + b"".join(parts), inference_header_content_length=str(len(head)))

    assert received.status == 200, received.body
    assert received.json["outputs"][0]["data"] == [3, -1]


@pytest.mark.parametrize(
    ("values", "content_type", "message"),
    [
        (["3", "nul"], "pd_json", 'input "n" is said to hold JSON in each value, and one is none'),
        ([3, "1"], "pd_json", 'input "n" is said to hold JSON in each value, and one is none'),
        (["3", "[1]"], "pd_json", "row 1: column 'n' expects an integer, got the list [1]"),
        (["3", "*"], "base64", 'input "n" is said to hold base64 of UTF-8, and one value is none'),
        (["3", "/w=="], "base64", 'input "n" is said to hold base64 of UTF-8, and one value is none'),
    ],
)
def test_bytes_that_are_not_what_is_said_are_a_bad_request(ask, values, content_type, message):
    inputs = [column("n", values, content_type), column("when", ["2020-01-01"] * 2, "str")]

    received = ask("POST", "/v2/models/gaps/infer", json.dumps({"inputs": inputs}))

    assert (received.status, received.json["error"]) == (400, message)
