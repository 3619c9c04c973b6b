"""A real gunicorn over a bad artifact: it lives, it is not ready, it says why, and it does not die over it."""

from __future__ import annotations

import shutil
import time

import pytest

from tests import servers
from tests.tepal.test_artifact import DAMAGE
from tests.transports import over_http
from tests.wire import request

BAD = (
    "truncated pickle",
    "flipped bit",
    "wrong sha256",
    "other scikit-learn",
    "golden label differs",
    "pickle that does not open",
)


@pytest.fixture(name="folder")
def _folder(store, tmp_path):
    folder = tmp_path / "store"
    shutil.copytree(store / "iris-logistic", folder / "iris-logistic")
    return folder


def assert_alive_and_not_ready(server, reason):
    send = over_http(server.port)

    assert send(request("GET", "/livez")).status == 200
    for sent in (request("GET", "/readyz"), request("POST", "/predict", "[5.9,3.0,5.1,1.8]")):
        received = send(sent)
        assert (received.status, received.json["code"]) == (503, "not_ready")
        assert reason in received.json["error"]
        assert received.headers["retry-after"]


@pytest.mark.parametrize("damage", BAD)
def test_a_bad_artifact_is_not_ready_with_the_reason(folder, damage):
    DAMAGE[damage][0](folder / "iris-logistic" / "1")

    with servers.gunicorn(folder) as server:
        workers = server.workers()
        assert_alive_and_not_ready(server, "model 'iris-logistic' cannot serve: version 1: ")
        time.sleep(2)
        assert server.workers() == workers, "no worker died over it"


def test_an_empty_repository_is_not_ready(tmp_path):
    with servers.gunicorn(tmp_path) as server:
        assert_alive_and_not_ready(server, "the model repository is empty")
