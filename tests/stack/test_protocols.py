"""What goes wrong with a request of a protocol is said in that protocol's keys: by the API, by its timekeeper, by nginx."""

from __future__ import annotations

import contextlib
import json

import pytest

from tests import servers
from tests.models import Stall
from tests.transports import over_http
from tests.wire import request

CODES = {500: "INTERNAL_ERROR", 503: "TEMPORARILY_UNAVAILABLE", 504: "DEADLINE_EXCEEDED", 413: "BAD_REQUEST"}


def ask(port, path, seconds, way):
    """Have the model take so long, in some way, in the words of the path's protocol."""
    rows = [[seconds, way]]
    body = {"instances": rows}
    if path.startswith("/v2"):
        body = {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP64", "data": rows}]}
    return over_http(port)(request("POST", path, json.dumps(body)))


def check(received, path, status, code):
    """The keys of every error, and the protocol's own."""
    body = received.json
    assert (received.status, body["code"]) == (status, code)
    assert received.headers["content-type"] == "application/json"
    assert body["request_id"] == received.headers["x-request-id"]
    if path == "/invocations":
        assert (body["error_code"], body["message"]) == (CODES[status], body["error"])
    else:
        assert body.keys() == {"error", "code", "request_id"}


@pytest.fixture(scope="module", name="stack")
def _stack(store):
    """nginx before a gunicorn whose default model takes as long as it is told."""
    told = {"TIMEOUT": "1", "MAX_BODY_MB": "1"}
    with (
        servers.gunicorn(store, DEFAULT_MODEL="stall", **told) as api,
        servers.nginx([f"127.0.0.1:{api.port}"], **told) as door,
    ):
        yield {"gunicorn": api.port, "nginx": door.port}


PATHS = ("/models/stall/predict", "/v1/models/stall:predict", "/v2/models/stall/infer", "/invocations")
every_path = pytest.mark.parametrize("path", PATHS)


@every_path
@pytest.mark.parametrize("way", ["gunicorn", "nginx"])
def test_a_model_that_takes_too_long(stack, path, way):
    """The thread that keeps the time answers."""
    check(ask(stack[way], path, 3, Stall.SLEEPS), path, 504, "timeout")


@every_path
def test_a_model_that_ends_its_process(stack, path):
    """nginx asks a second process, and then tells."""
    check(ask(stack["nginx"], path, 0, Stall.DIES), path, 500, "model_error")


@every_path
@pytest.mark.parametrize("way", ["gunicorn", "nginx"])
def test_a_body_that_is_too_large(stack, path, way):
    check(over_http(stack[way])(request("POST", path, b" " * (1 << 20) + b"[]")), path, 413, "body_too_large")


@every_path
def test_nobody_behind_nginx(path):
    with contextlib.ExitStack() as stack:
        door = stack.enter_context(servers.nginx([f"127.0.0.1:{servers.free_port()}"]))
        check(ask(door.port, path, 0, 0), path, 503, "not_ready")
        check(ask(door.port, f"{path}?x=1", 0, 0), path, 503, "not_ready")
