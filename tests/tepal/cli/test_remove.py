"""The command remove, as its own process, and what it leaves."""

from __future__ import annotations

import shutil

import pytest
from sklearn.linear_model import LinearRegression

import tepal as library
from tests import servers
from tests.stack.containers import wait_until
from tests.transports import over_http
from tests.wire import request


@pytest.fixture(name="copied")
def _copied(tmp_path):
    """A repository with three versions of the model `line`."""
    for _ in range(3):
        publish(tmp_path)
    return tmp_path


def publish(store):
    X = [[1.0], [2.0], [3.0]]
    return library.publish(LinearRegression().fit(X, [1, 2, 3]), name="line", X=X, store=store).version


def test_a_version_goes_and_the_others_stay(tepal, copied):
    result = tepal("remove", "line", "2", model_store=copied)

    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "Removed line version 2; versions 1, 3 stay.\n"
    assert {path.name for path in (copied / "line").iterdir()} >= {"1", "3"}
    assert tepal("verify", model_store=copied).returncode == 0


def test_a_number_is_not_given_again(tepal, copied):
    assert tepal("remove", "line", "3", model_store=copied).stdout == "Removed line version 3; versions 1, 2 stay.\n"
    assert tepal("remove", "line", "1", model_store=copied).stdout == "Removed line version 1; version 2 stays.\n"

    assert publish(copied) == 4


def test_with_its_last_version_a_model_is_gone(tepal, copied):
    for number in "123":
        result = tepal("remove", "line", number, model_store=copied)

    assert result.stdout == "Removed line version 3; the model is gone.\n"
    assert list(copied.iterdir()) == []


def test_what_is_not_there_is_refused(tepal, copied):
    for arguments in (("line", "4"), ("line", "../line/1"), ("lime", "1")):
        result = tepal("remove", *arguments, model_store=copied)

        assert result.returncode == 1
        assert result.stderr.startswith("Error: ")
    assert len(list((copied / "line").iterdir())) == 3


def test_a_running_service_drops_it_by_itself(tepal, store, tmp_path):
    shutil.copytree(store / "iris", tmp_path / "iris")
    shutil.copytree(store / "people", tmp_path / "people")
    with servers.gunicorn(tmp_path) as server:
        send = over_http(server.port)
        assert send(request("POST", "/predict", "[5,3,1,0.2]")).status == 200
        assert tepal("remove", "iris", "1", model_store=tmp_path).returncode == 0

        wait_until(lambda: send(request("GET", "/models/iris")).status == 404, server.log.read_text, seconds=10)
        assert send(request("GET", "/models/people")).status == 200
