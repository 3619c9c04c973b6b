"""What every answer has: an id, a log line, and no secret."""

from __future__ import annotations

import json
import re

import pytest

from api import observe
from api.answer import answer
from api.message import Request
from tepal import Invalid
from tests.wire import request


@pytest.fixture(name="lines")
def _lines(monkeypatch, tmp_path):
    """The log lines written so far, parsed."""
    path = tmp_path / "log"
    with path.open("wb") as file:
        monkeypatch.setattr(observe, "STDOUT", file.fileno())
        yield lambda: [json.loads(line) for line in path.read_bytes().splitlines()]


@pytest.mark.parametrize("given", ["a", "my-id.1~+/=:@_", "x" * 100])
def test_a_clients_own_id_comes_back(transport, given):
    assert transport(request("POST", "/predict", "[1,2,3,4]", x_request_id=given)).headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "x" * 101, "a b", 'a"b', "a{b}", "a\tb"])
def test_an_id_that_could_not_be_logged_is_replaced(transport, given):
    received = transport(request("GET", "/nowhere", x_request_id=given))

    assert re.fullmatch("[0-9a-f]{32}", received.headers["x-request-id"])
    assert received.json["request_id"] == received.headers["x-request-id"]


def test_a_prediction_says_where_its_time_went(transport):
    timing = transport(request("POST", "/predict", "[1,2,3,4]")).headers["server-timing"]

    assert re.fullmatch(r"decode;dur=[\d.]+, predict;dur=[\d.]+, encode;dur=[\d.]+", timing)


def test_one_line_a_request_with_what_it_was_and_came_to(context, lines):
    body = b"[[5.9,3.0,5.1,1.8],[1,2,3,4]]"

    answer(context, Request("POST", "/models/iris/predict", {}, {"x-request-id": "r1"}), lambda: body)
    answer(context, Request("GET", "/nowhere\n\x1b[31m", {}, {"x-request-id": "r2"}), lambda: b"")

    good, bad = lines()
    assert {key: good[key] for key in ("request_id", "method", "route", "status", "model", "version", "rows")} == {
        "request_id": "r1",
        "method": "POST",
        "route": "/models/{name}/predict",
        "status": 200,
        "model": "iris",
        "version": "1",
        "rows": 2,
    }
    assert good["duration_ms"] > 0
    assert (bad["route"], bad["status"]) == (None, 404)


def test_why_a_model_failed_is_in_the_log_and_not_in_the_answer(context, lines):
    response = answer(context, Request("POST", "/models/temper/predict", {}, {"x-request-id": "r1"}), lambda: b"[101,1]")

    assert (response.status, json.loads(response.body)["code"]) == (500, "model_error")
    assert b"secret" not in response.body
    (line,) = [line for line in lines() if "exception" in line]
    assert line["request_id"] == "r1"
    assert "RuntimeError: a secret" in line["exception"]


def test_a_bug_is_answered_and_its_traceback_logged(context, lines):
    def broken():
        raise ZeroDivisionError("a secret")

    response = answer(context, Request("POST", "/predict", {}, {}), broken)

    assert (response.status, json.loads(response.body)["code"]) == (500, "internal_error")
    assert b"secret" not in response.body
    assert any("ZeroDivisionError: a secret" in line.get("exception", "") for line in lines())


def test_a_log_that_cannot_be_written_costs_no_answer(context, monkeypatch, tmp_path):
    monkeypatch.setattr(observe, "STDOUT", 1_000_000)

    assert answer(context, Request("GET", "/livez", {}, {}), lambda: b"").status == 200


def test_the_body_is_read_only_where_it_is_wanted(context):
    def never():
        raise AssertionError

    for method, path in (("GET", "/livez"), ("POST", "/nowhere"), ("DELETE", "/predict"), ("POST", "/models")):
        assert answer(context, Request(method, path, {}, {}), never).status != 500


def test_half_a_surrogate_pair_in_a_models_own_words_is_still_our_shape(context):
    def refused():
        raise Invalid("x\ud800")

    response = answer(context, Request("POST", "/predict", {}, {}), refused)

    assert (response.status, json.loads(response.body)["error"]) == (422, "x?")
    assert response.headers["X-Request-ID"]


def test_an_error_is_not_kept_by_a_cache(transport):
    assert transport(request("GET", "/models/rose")).headers["cache-control"] == "no-cache"
