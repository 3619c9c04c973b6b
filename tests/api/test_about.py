"""What the service says of itself, over every transport."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

import tepal
from tepal import proof
from tests.wire import request


def get(transport, target, **headers):
    return transport(request("GET", target, **headers))


def test_root_is_json_for_a_machine_and_a_page_for_a_browser(transport):
    assert get(transport, "/").json == {
        "status": "alive",
        "name": "tepal",
        "models": ["iris", "iris-logistic", "people", "stall", "temper", "words"],
    }
    page = get(transport, "/", accept="text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.body.startswith(b"<!doctype html>")


def test_live_and_ready(transport):
    assert get(transport, "/livez").json == {"status": "alive"}
    ready = get(transport, "/readyz")
    assert ready.json["status"] == "ready"
    assert ready.json["models"]["people"] == "1"
    assert get(transport, "/health").body == get(transport, "/ping").body == ready.body


def test_version_is_text(transport):
    received = get(transport, "/version")

    assert received.body.decode() == f"{tepal.__version__}\n"
    assert received.headers["content-type"].startswith("text/plain")


def test_models_lists_name_default_versions_and_task(transport):
    models = get(transport, "/models").json["models"]

    assert [model["name"] for model in models] == ["iris", "iris-logistic", "people", "stall", "temper", "words"]
    assert models[0] == {
        "name": "iris",
        "default": True,
        "default_version": "1",
        "versions": ["1"],
        "task": "classification",
        "status": "ready",
    }
    assert [model["name"] for model in models if model["default"]] == ["iris"]


@pytest.mark.parametrize("target", ["/models/people", "/models/people/versions/1"])
def test_the_card_says_what_a_model_takes_and_answers(transport, target):
    card = get(transport, target).json

    columns = {column["name"]: column for column in card["signature"]["columns"]}
    assert list(columns) == ["age", "height", "city", "plan", "member", "joined"]
    assert columns["age"] == {"name": "age", "type": "integer", "nullable": False, "minimum": 18, "maximum": 89}
    assert columns["height"]["nullable"] is True
    assert columns["city"]["categories"] == ["Amsterdam", "Berlin", "Copenhagen"]
    assert (columns["city"]["unseen"], columns["plan"]["unseen"]) == ("refuse", "warn")
    assert card["classes"] == [0, 1, 2, 3]
    assert card["status"] == "ready"
    assert card["runtime"] == "sklearn"
    assert card["compiled"] == {"reason": "there is no compiled form of FunctionTransformer over a function"}
    assert card["self_test"]["result"] == "passed"
    assert len(card["sha256"]["model.pkl"]) == 64
    assert card["trained"]["packages"]["scikit-learn"]


def test_the_card_of_a_compiled_model_shows_the_proof(transport):
    card = get(transport, "/models/iris").json

    assert card["runtime"] == "compiled"
    assert card["compiled"]["proof"]["perturbed"] == proof.PERTURBED
    assert card["compiled"]["proof"]["largest_difference"] <= 1e-12


def test_the_card_of_a_model_says_what_was_chosen_and_what_came(transport):
    transport(request("POST", "/models/people/predict", "[]"))

    traffic = get(transport, "/models/people").json["traffic"]

    assert (traffic["pinned"], traffic["split"], traffic["shadow"]) == (None, None, None)
    assert datetime.fromisoformat(traffic["started"]) <= datetime.now(UTC)
    asked = traffic["since_start"]["1"]
    assert asked["requests"] >= asked["client_errors"] >= 1
    assert asked["server_errors"] == 0


@pytest.mark.parametrize("name", ["iris", "iris-logistic", "people", "stall", "temper", "words"])
def test_the_example_of_a_card_is_a_valid_body(transport, name):
    example = get(transport, f"/models/{name}").json["example"]

    answer = transport(request("POST", f"/models/{name}/predict", json.dumps(example)))

    assert answer.status == 200, answer.body
    assert "warnings" not in answer.json


def test_a_get_can_be_cached_by_its_tag(transport):
    first = get(transport, "/models")
    assert first.headers["cache-control"] == "no-cache"

    again = get(transport, "/models", if_none_match=first.headers["etag"])

    assert (again.status, again.body, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert get(transport, "/models", if_none_match='"other", W/' + first.headers["etag"]).status == 304
    assert get(transport, "/models", if_none_match='"other"').status == 200


def test_head_is_get_without_the_body(transport):
    head, got = transport(request("HEAD", "/models")), get(transport, "/models")

    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == str(len(got.body))
    assert head.headers["etag"] == got.headers["etag"]


@pytest.mark.parametrize(
    "target", ["/models/rose", "/models/iris/versions/2", "/nowhere", "/predict/", "//predict", "/models/"]
)
def test_what_is_not_there_is_404_and_never_a_redirect(transport, target):
    received = get(transport, target)

    assert received.status == 404
    assert received.json["code"] == "not_found"
