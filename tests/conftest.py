"""Fixtures that are made once: the models, and the service over each way to reach it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from api import observe
from api.app import create_app
from api.drift import Drift
from api.message import Context
from api.metrics import Metrics
from api.settings import Settings
from api.shadow import Shadow
from tepal import Repository, proof
from tests import estimators, models, servers, transports
from tests import odd as odd_models


@pytest.fixture(scope="session", autouse=True)
def _quick_proofs():
    """What tests publish in their own process is proven on fewer rows; what trainers and commands do, on as many as ever."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(proof, "PERTURBED", 5000)
        yield


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    """A model repository with every model of tests/models.py."""
    return models.publish_all(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="session")
def odd(tmp_path_factory):
    """A model repository with every model of tests/odd.py."""
    return odd_models.publish_all(tmp_path_factory.mktemp("odd"))


@pytest.fixture(scope="session")
def walk(tmp_path_factory):
    """The walk over every estimator, as far as it has come."""
    return estimators.Walk(tmp_path_factory.mktemp("walk"))


@pytest.fixture(scope="session")
def repository(store):
    """The models of ``store``, loaded."""
    return Repository.open(store)


@pytest.fixture(scope="session")
def context(store, repository):
    """What a handler gets, over ``store``."""
    metrics = Metrics()
    return Context(
        Settings.from_environ({"MODEL_STORE": str(store)}), repository, metrics, Drift(metrics.tally), Shadow(metrics)
    )


@pytest.fixture(scope="session")
def app(store):
    """The Flask application over ``store``."""
    return create_app(Settings.from_environ({"MODEL_STORE": str(store)}))


@pytest.fixture(scope="session")
def served(store):
    """A real gunicorn over ``store``."""
    with servers.gunicorn(store) as server:
        yield server


@pytest.fixture(scope="session")
def door(served):
    """A real nginx before the gunicorn of ``served``."""
    with servers.nginx([f"127.0.0.1:{served.port}"]) as server:
        yield server


@pytest.fixture(params=["in process", "gunicorn", "nginx"])
def transport(request):
    """Each way to reach the service, in turn."""
    if request.param == "in process":
        return transports.in_process(request.getfixturevalue("app"))
    return transports.over_http(request.getfixturevalue("served" if request.param == "gunicorn" else "door").port)


@pytest.fixture(scope="session")
def quiet_context(context):
    """``context``, with the log sent nowhere: thousands of lines would help nobody."""
    with pytest.MonkeyPatch.context() as patch, Path(os.devnull).open("wb") as nowhere:
        patch.setattr(observe, "STDOUT", nowhere.fileno())
        yield context
