"""Clients as others ship them, unmodified, against gunicorn and through nginx: each gets what the model answers."""

from __future__ import annotations

import json

import numpy as np
import pytest

import tepal
from tepal.notes import Notes
from tests import servers
from tests.stack import environments

FLOWERS = [[5.9, 3.0, 5.1, 1.8], [6.3, 2.3, 4.4, 1.3], [5.0, 3.4, 1.5, 0.2]]
PEOPLE = [
    {"age": 30, "height": None, "city": "Berlin", "plan": "gold", "member": True, "joined": "2020-02-01"},
    {"age": 61, "height": 171.5, "city": "Copenhagen", "plan": "basic", "member": False, "joined": "2021-05-06"},
]
TEXTS = ["good day", "bad luck", "Grüße, 世界"]
TYPES = {"age": "INT64", "height": "FP64", "city": "BYTES", "plan": "BYTES", "member": "BOOL", "joined": "BYTES"}


def matrix(datatype="FP64", rows=FLOWERS, name="input-0"):
    return [{"name": name, "datatype": datatype, "shape": list(np.shape(rows)), "data": rows}]


def columns(shape):
    """One tensor a column; a gap among numbers is NaN."""
    data = {name: [np.nan if row[name] is None else row[name] for row in PEOPLE] for name in TYPES}
    return [{"name": name, "datatype": type_, "shape": shape, "data": data[name]} for name, type_ in TYPES.items()]


CALLS = {
    "raw": {"model": "iris-logistic", "inputs": matrix()},
    "JSON": {"model": "iris-logistic", "inputs": matrix(), "binary_in": False},
    "both": {"model": "iris-logistic", "inputs": matrix(), "outputs": ["predict", "predict_proba"], "binary_out": False},
    "gzip there": {"model": "iris-logistic", "inputs": matrix(), "gzip_in": True},
    "gzip back": {"model": "iris-logistic", "inputs": matrix(), "gzip_out": True},
    "gzip both ways": {"model": "iris-logistic", "inputs": matrix(), "gzip_in": True, "gzip_out": True},
    "gzip of JSON": {
        "model": "iris-logistic", "inputs": matrix(), "outputs": ["predict_proba", "predict"],
        "binary_in": False, "binary_out": False, "gzip_in": True, "gzip_out": True,
    },
    "one output": {"model": "iris-logistic", "inputs": matrix(), "outputs": ["predict_proba"]},
    "a version": {"model": "iris", "version": "1", "inputs": matrix(), "id": "order-17"},
    "columns": {"model": "people", "inputs": columns([2])},
    "columns of one": {"model": "people", "inputs": columns([2, 1]), "binary_in": False},
    "texts": {"model": "words", "inputs": matrix("BYTES", TEXTS, "text")},
    "texts in JSON": {"model": "words", "inputs": matrix("BYTES", TEXTS), "binary_in": False},
    "no answer": {"model": "temper", "inputs": matrix(rows=[[-1.0, 2.0], [2.0, 3.0]])},
    "no answer in JSON": {
        "model": "temper", "inputs": matrix(rows=[[-1.0, 2.0], [2.0, 3.0]]), "outputs": ["predict"], "binary_out": False
    },
    "32-bit floats": {"model": "iris-logistic", "inputs": matrix("FP32")},
    "32-bit floats in JSON": {"model": "iris-logistic", "inputs": matrix("FP32"), "binary_in": False},
    "16-bit floats": {"model": "iris-logistic", "inputs": matrix("FP16")},
    "integers": {"model": "iris-logistic", "inputs": matrix("INT32", [[5, 3, 5, 1], [6, 2, 4, 1]])},
}  # fmt: skip
REFUSED = {
    "NaN": ({"model": "iris", "inputs": matrix(rows=[[np.nan, 3, 5, 1]])}, "400", "column 'sepal_length' expects a number"),
    "infinity": ({"model": "iris", "inputs": matrix(rows=[[np.inf, 3, 5, 1]]), "binary_in": False}, "400", "got Infinity"),
    "shape": ({"model": "iris", "inputs": matrix(rows=[[1.0, 2.0]])}, "400", "has shape [1, 2]"),
    "output": ({"model": "iris", "inputs": matrix(), "outputs": ["scores"]}, "400", 'the model has no output "scores"'),
    "model": ({"model": "rose", "inputs": matrix()}, "404", "there is no model 'rose'"),
    "version": ({"model": "iris", "version": "9", "inputs": matrix()}, "404", "has no version '9'"),
    "rows": ({"model": "temper", "inputs": matrix(rows=[[50.0, 0.0]])}, "400", "the model refused the rows"),
    "failure": ({"model": "temper", "inputs": matrix(rows=[[101.0, 0.0]])}, "500", "the model failed on these rows"),
}


@pytest.fixture(scope="module", params=["gunicorn", "nginx"], name="port")
def _port(request):
    return request.getfixturevalue("served" if request.param == "gunicorn" else "door").port


@pytest.fixture(scope="module", name="triton")
def _triton(port):
    calls = [*CALLS.values(), *(call for call, _, _ in REFUSED.values())]
    return environments.ask("triton", url=f"127.0.0.1:{port}", calls=calls)


def predicted(repository, name, rows):
    """What the model itself answers to the rows of a call, as Triton's client would have it."""
    version = repository.models[name].default
    prediction = version.runtime.predict(version.readers.json.read(json.dumps(rows).encode(), Notes()))
    labels = ["" if label is None and isinstance(label, str) else label for label in prediction.labels()]
    outputs = {"predict": [np.nan if label is None else label for label in labels]}
    if prediction.probabilities[0] is not None:
        outputs["predict_proba"] = prediction.probabilities[0].tolist()
    return outputs


def rows_of(call):
    """The rows that the tensors of a call mean; a float of few bits is the 64-bit one of the same value."""
    if call["model"] == "people":
        return PEOPLE
    (tensor,) = call["inputs"]
    if tensor["datatype"] in ("FP16", "FP32"):
        return np.array(tensor["data"], dtype={"FP16": "<f2", "FP32": "<f4"}[tensor["datatype"]]).astype(float).tolist()
    return tensor["data"]


@pytest.mark.parametrize("name", CALLS)
def test_triton_s_client_gets_what_the_model_answers(triton, repository, name):
    """Bit for bit."""
    call, got = CALLS[name], triton["answers"][list(CALLS).index(name)]
    expected = predicted(repository, call["model"], rows_of(call))

    assert got["outputs"].keys() == set(call.get("outputs") or expected)
    for output, values in got["outputs"].items():
        np.testing.assert_array_equal(values, expected[output])
    assert got["id"] == call.get("id")


@pytest.mark.parametrize("name", REFUSED)
def test_triton_s_client_shows_what_is_wrong(triton, name):
    _, status, message = REFUSED[name]
    got = triton["answers"][len(CALLS) + list(REFUSED).index(name)]

    assert got["status"] == status
    assert message in got["error"]


def test_triton_s_client_knows_what_is_served(triton, repository):
    told = triton["server"]

    assert (told["live"], told["ready"], told["model_ready"], told["unknown_ready"]) == (True, True, True, False)
    assert told["server"] == {"name": "tepal", "version": tepal.__version__, "extensions": ["binary_tensor_data"]}
    assert told["models"] == list(repository.models)
    assert {tensor["name"]: tensor["datatype"] for tensor in told["model"]["inputs"]} == TYPES
    assert [tensor["name"] for tensor in told["model"]["outputs"]] == ["predict", "predict_proba"]
    for name in ("get_model_config", "get_inference_statistics"):
        assert told[name]["status"] == "404", told[name]
        assert "there is no path" in told[name]["error"]


FRAME = {"kind": "frame", "data": FLOWERS, "columns": ["sepal_length", "sepal_width", "petal_length", "petal_width"]}
SCORED = {
    "frame": FRAME,
    "frame in another order": {**FRAME, "data": [row[::-1] for row in FLOWERS], "columns": FRAME["columns"][::-1]},
    "array": {"kind": "array", "data": FLOWERS},
    "list": {"kind": "list", "data": FLOWERS},
    "parameters": {**FRAME, "params": {"temperature": 0.5}},
}


def test_mlflow_s_client_gets_what_the_model_answers(port, repository):
    """A data frame, an array, a list; and the sentence that says what is wrong."""
    bad = {"kind": "frame", "data": [[np.nan, 1, 2, 3]], "columns": FRAME["columns"]}

    told = environments.ask("mlflow", port=port, calls=[*SCORED.values(), bad])

    *answers, refused = told["answers"]
    expected = predicted(repository, "iris", FLOWERS)["predict"]
    assert dict(zip(SCORED, [answer["predictions"] for answer in answers])) == dict.fromkeys(SCORED, expected)
    assert answers[0]["frame"] == [3, 1]
    assert told["version"].strip() == tepal.__version__
    assert "error code 400" in refused["error"]
    assert '"error_code":"BAD_REQUEST"' in refused["error"]
    assert "column 'sepal_length' expects a number, got null" in refused["error"]


def test_mlflow_s_client_sends_a_frame_of_every_type(store, repository):
    """Words, flags, moments and gaps: it writes NaN for one."""
    names = list(PEOPLE[0])
    rows = [[np.nan if cell is None else cell for cell in row.values()] for row in PEOPLE]
    with servers.gunicorn(store, DEFAULT_MODEL="people") as api, servers.nginx([f"127.0.0.1:{api.port}"]) as door:
        call = {"kind": "frame", "data": rows, "columns": names, "datetimes": ["joined"]}
        told = environments.ask("mlflow", port=door.port, calls=[call])

    assert told["answers"][0].get("predictions") == predicted(repository, "people", PEOPLE)["predict"], told
