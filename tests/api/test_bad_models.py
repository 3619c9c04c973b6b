"""A model that must not serve is a state that is told, never a reason to stop."""

from __future__ import annotations

import shutil

import pytest

from api.app import create_app
from api.settings import Settings
from tests.transports import in_process
from tests.wire import request


@pytest.fixture(name="ask")
def _ask(store, tmp_path):
    """The service over iris, and iris-logistic that was damaged; with settings."""

    def make(models=("iris", "iris-logistic"), **environ):
        for name in models:
            shutil.copytree(store / name, tmp_path / "store" / name)
        if "iris-logistic" in models:
            (tmp_path / "store" / "iris-logistic" / "1" / "model.pkl").write_bytes(b"cut")
        send = in_process(create_app(Settings.from_environ({"MODEL_STORE": str(tmp_path / "store"), **environ})))
        return lambda method, target, body="": send(request(method, target, body))

    return make


def test_ready_waits_for_every_model(ask):
    ask = ask()

    received = ask("GET", "/readyz")

    assert ask("GET", "/livez").status == 200
    assert (received.status, received.json["code"]) == (503, "not_ready")
    assert received.headers["retry-after"]
    assert "model 'iris-logistic' cannot serve: version 1: model.pkl is damaged" in received.json["error"]


def test_ready_any_is_content_with_one(ask):
    received = ask(READY="any")("GET", "/readyz")

    assert received.json == {"status": "ready", "models": {"iris": "1"}}


def test_a_good_model_answers_beside_a_bad_one(ask):
    ask = ask()

    assert ask("POST", "/predict", "[5.9,3.0,5.1,1.8]").json["predictions"] == ["virginica"]
    for target in ("/models/iris-logistic/predict", "/models/iris-logistic/versions/1/predict"):
        received = ask("POST", target, "[5.9,3.0,5.1,1.8]")
        assert (received.status, received.json["code"]) == (503, "not_ready")


def test_a_bad_version_is_listed_with_its_reason(ask):
    ask = ask()

    listed = ask("GET", "/models").json["models"][1]
    assert (listed["name"], listed["default_version"], listed["versions"], listed["status"]) == (
        "iris-logistic",
        None,
        ["1"],
        "not_ready",
    )
    for target in ("/models/iris-logistic", "/models/iris-logistic/versions/1"):
        card = ask("GET", target)
        assert (card.status, card.json["status"]) == (200, "not_ready")
        assert "model.pkl is damaged" in card.json["reason"]


@pytest.mark.parametrize("environ", [{}, {"READY": "any"}])
def test_an_empty_repository_lives_and_is_not_ready(ask, environ):
    ask = ask(models=(), **environ)

    assert ask("GET", "/livez").status == 200
    assert ask("GET", "/").json["models"] == []
    for method, target in (("GET", "/readyz"), ("GET", "/ping"), ("POST", "/predict")):
        received = ask(method, target, "[1]" if method == "POST" else "")
        assert (received.status, received.json["code"]) == (503, "not_ready")
        assert received.json["error"] == "the model repository is empty; publish a model"


@pytest.mark.parametrize("environ", [{"MODELS": "iris,rose"}, {"MODELS": "iris", "DEFAULT_MODEL": "rose"}])
def test_a_model_that_is_named_and_not_there_is_not_ready(ask, environ):
    ask = ask(**environ)

    received = ask("GET", "/readyz")

    assert received.status == 503
    assert "rose" in received.json["error"]
    assert ask("POST", "/models/iris/predict", "[5.9,3.0,5.1,1.8]").status == 200
