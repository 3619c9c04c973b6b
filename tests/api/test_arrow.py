"""Arrow and Parquet as a client sees them: on every route, to the bit as JSON; and where they are not installed."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import pyarrow as pa
import pytest
from pyarrow import parquet

from api import observe
from api.app import create_app
from api.settings import Settings
from tests.servers import ROOT
from tests.tepal.wire.test_arrow import file, stream
from tests.transports import in_process
from tests.wire import request

ARROW, PARQUET = "application/vnd.apache.arrow.stream", "application/vnd.apache.parquet"
IRIS = {"petal_width": [1.8, 1.3], "petal_length": [5.1, 4.4], "sepal_width": [3.0, 2.3], "sepal_length": [5.9, 6.3]}


def table(received) -> pa.Table:
    if received.headers["content-type"] == ARROW:
        return pa.ipc.open_stream(received.body).read_all()
    assert received.headers["content-type"] == PARQUET
    return parquet.read_table(io.BytesIO(received.body))


@pytest.mark.parametrize("target", ["/predict", "/models/iris/predict", "/models/iris/versions/1/predict"])
def test_every_route_reads_and_answers_them(transport, target):
    rows = pa.table(IRIS)
    for type_, body in ((ARROW, stream(rows)), (PARQUET, file(rows))):
        for accept in (ARROW, PARQUET):
            received = transport(request("POST", target, body, content_type=type_, accept=accept))
            assert received.status == 200, received.body
            assert table(received).to_pydict() == {"prediction": ["virginica", "versicolor"]}


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("iris-logistic", IRIS),
        ("people", [{"age": 30, "height": None, "city": "Berlin", "plan": "basic", "member": True, "joined": "2021-03-04"}]),
        ("words", ["good luck", "bad day"]),
        ("temper", [[1, 2], [0.1, 3]]),
    ],
)
def test_an_answer_is_the_answer_in_json_to_the_bit(app, name, body):
    target = f"/models/{name}/predict"
    expected = in_process(app)(request("POST", target, json.dumps(body))).json

    for accept in (ARROW, PARQUET):
        got = table(in_process(app)(request("POST", target, json.dumps(body), accept=accept)))
        columns = got.to_pydict()
        assert columns.pop("prediction") == expected["predictions"]
        chances = {f"probability_{key}": [row[key] for row in expected.get("probabilities", [])] for key in
                   expected.get("probabilities", [{}])[0]}  # fmt: skip
        assert columns == chances
        assert (got.schema.metadata[b"model"], got.schema.metadata[b"version"]) == (name.encode(), b"1")


def test_no_answer_is_null_and_probabilities_can_be_left_out(app):
    send = in_process(app)
    for accept in (ARROW, PARQUET):
        received = send(request("POST", "/models/temper/predict", "[[1,2],[-1,2]]", accept=accept))
        assert table(received)["prediction"].to_pylist() == [1.0, None]
        received = send(request("POST", "/models/words/predict?probabilities=false", '["good"]', accept=accept))
        assert table(received).to_pydict() == {"prediction": [True]}


def test_warnings_that_the_answer_has_no_place_for_are_in_the_log(app, capfd, monkeypatch):
    monkeypatch.setattr(observe, "STDOUT", 1)  # wherever another test has sent it
    rows = file(pa.table({**IRIS, "id": [1, 2]}))

    in_process(app)(request("POST", "/predict", rows, accept=PARQUET))

    (line,) = [line for line in capfd.readouterr().out.splitlines() if '"warnings_total"' in line]
    assert json.loads(line)["warnings_total"] == 1


def test_without_the_package_they_are_told_how_to_get_it_and_nothing_else_changes(store):
    script = """
import json, os, sys
sys.modules["pyarrow"] = None
from api import observe
from api.app import create_app
from api.settings import Settings
client = create_app(Settings.from_environ(os.environ)).test_client()
def post(type_, accept="*/*"):
    got = client.post("/models/temper/predict", data=b"[1,2]", headers={"Content-Type": type_, "Accept": accept})
    print(json.dumps([got.status_code, got.content_type, got.json]), file=sys.stderr)
post("application/vnd.apache.arrow.stream")
post("application/vnd.apache.parquet")
post("application/json", "application/vnd.apache.parquet")
"""
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True,
        env={"MODEL_STORE": str(store), "MODELS": "temper", "PATH": ""},
    )  # fmt: skip
    stream_, file_, answer = map(json.loads, run.stderr.splitlines())

    for what, (status, _, body) in (("an Arrow stream", stream_), ("Parquet", file_)):
        assert (status, body["code"]) == (415, "unsupported_media_type")
        assert body["error"] == (
            f"{what} needs pyarrow, which is not installed here; run: pip install pyarrow, "
            "or build the image with it: EXTRAS=arrow docker compose up --build"
        )
    assert answer[:2] == [200, "application/json"]
    assert answer[2]["predictions"] == [1.0]


def test_to_serve_imports_no_pyarrow_before_it_is_asked_for():
    """pandas would import it too, so it is left out; it is 40 MB."""
    script = "import sys; sys.modules['pandas'] = None; import api.app, sklearn.svm; print('pyarrow' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)

    assert run.stdout == "False\n"


@pytest.mark.parametrize("type_", [True, False], ids=["named", "not named"])
def test_the_words_of_a_binary_body_are_no_literals_of_json(store, type_):
    """Elsewhere in /invocations NaN and Infinity are spelled as JSON has them: here they are a text's own bytes."""
    send = in_process(create_app(Settings.from_environ({"MODEL_STORE": str(store), "MODELS": "words"})))
    rows = pa.table({"text": ["NaN is good", "to Infinity"]})
    for name, body in ((ARROW, stream(rows)), (PARQUET, file(rows))):
        received = send(request("POST", "/invocations", body, **({"content_type": name} if type_ else {})))
        assert (received.status, len(received.json["predictions"])) == (200, 2), received.body
