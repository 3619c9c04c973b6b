"""docs/configuration.md: the command for Windows answers as gunicorn does."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests import documents, servers
from tests.transports import over_http
from tests.wire import request

PAGE = documents.page("docs/configuration.md")


@pytest.fixture(scope="module", name="waitress")
def _waitress(store):
    """The page's own command, with the script where this system has it."""
    (command,) = [line for line in PAGE.blocks("powershell")[0].splitlines() if "waitress-serve" in line]
    port = servers.free_port()
    script = str(Path(sys.executable).with_name("waitress-serve"))
    with servers.program([script, *command.replace(":8080", f":{port}").split()[1:]], port, store):
        yield over_http(port)


def test_waitress_answers_as_gunicorn_does(waitress, served):
    """Predictions, refusals and cards, value for value."""
    gunicorn = over_http(served.port)
    for sent in (
        request("POST", "/predict", "[5.9,3.0,5.1,1.8]"),
        request("POST", "/predict", '[{"sepal_length":6.3,"sepal_width":2.3,"petal_length":4.4,"petal_width":1.3}]'),
        request("POST", "/models/iris-logistic/predict", "[[5.9,3.0,5.1,1.8]]"),
        request("POST", "/predict", '{"sepal_length":"long"}', x_request_id="one"),
        request("POST", "/models/nobody/predict", "[1]", x_request_id="one"),
        request("GET", "/models/iris"),
        request("GET", "/readyz", x_request_id="one"),
    ):
        one, other = waitress(sent), gunicorn(sent)
        assert (one.status, of_the_model(one.json), one.headers["content-type"]) == (
            other.status,
            of_the_model(other.json),
            other.headers["content-type"],
        )


def of_the_model(answer):
    """A card without what it says of the requests that came, which were others there."""
    return {key: value for key, value in answer.items() if key not in ("drift", "traffic")}


def test_waitress_takes_a_body_in_chunks(waitress):
    """As curl sends it from a pipe."""
    sent = request("POST", "/predict")
    chunks = b"8\r\n[5.9,3.0\r\n9\r\n,5.1,1.8]\r\n0\r\n\r\n"

    received = waitress(sent._replace(headers=[("Transfer-Encoding", "chunked")], body=chunks))

    assert received.json["predictions"] == ["virginica"]
