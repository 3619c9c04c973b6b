"""One image, started as platforms start it, and asked as they ask."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import re
import shutil
import sys

import cloudpickle
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

import tepal
from tests import models
from tests.models import Stall
from tests.stack import containers
from tests.stack.containers import run
from tests.transports import over_http
from tests.wire import request

ROWS = [[5.9, 3.0, 5.1, 1.8], [6.3, 2.3, 4.4, 1.3]]
CSV = "5.9,3.0,5.1,1.8\n6.3,2.3,4.4,1.3\n"
ANYBODY = ("--user", "54321:0")
READ_ONLY = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")


@pytest.fixture(scope="module", name="image")
def _image(store, tmp_path_factory):
    """The image with iris, and with stall, whose code goes with it, for this very Python."""
    folder = containers.checkout(tmp_path_factory.mktemp("checkout"), "platforms")
    shutil.copytree(store / "iris", folder / "model" / "iris")
    cloudpickle.register_pickle_by_value(models)
    models.publish_stall(folder / "model")
    cloudpickle.unregister_pickle_by_value(models)
    python = f"PYTHON={sys.version_info.major}.{sys.version_info.minor}"
    return containers.build(folder, f"{containers.API}:platforms", "--build-arg", python)


@contextlib.contextmanager
def started(image, *options, port, command=(), **environ):
    """The image as a platform starts it: the container's id, and what sends to it once its port answers."""
    told = [part for name, value in environ.items() for part in ("--env", f"{name}={value}")]
    with containers.container(image, "--publish", f"127.0.0.1::{port}", *options, *told, command=command) as identity:
        send = over_http(containers.published(identity, port))

        def answers():
            with contextlib.suppress(OSError):
                return send(request("GET", "/livez")).status == 200
            return False

        containers.wait_until(answers, lambda: containers.logs(identity))
        yield identity, send


def is_healthy(identity):
    containers.wait_until(lambda: containers.health(identity) == "healthy", lambda: containers.logs(identity))
    return True


@pytest.fixture(scope="module", name="unpacked")
def _unpacked(tmp_path_factory):
    """What SageMaker makes of a model.tar.gz: a model repository whose only model knows indices alone."""
    folder = tmp_path_factory.mktemp("opt-ml") / "model"
    X, y = load_iris(return_X_y=True)
    tepal.publish(LogisticRegression(max_iter=500).fit(X, y), name="petals", X=X, y=y, store=folder)
    folder.parent.chmod(0o755)
    return folder


@pytest.mark.parametrize(("environ", "port"), [({}, 8080), ({"SAGEMAKER_BIND_TO_PORT": "9090", "PORT": "1"}, 9090)])
def test_sagemaker(image, unpacked, environ, port):
    """`docker run IMAGE serve`, with the model where it puts it: CSV without a header both ways, and the other formats."""
    mount = ("--volume", f"{unpacked}:/opt/ml/model:ro")
    with started(image, *mount, port=port, command=["serve"], **environ) as (identity, send):
        assert send(request("GET", "/ping")).status == 200
        assert [model["name"] for model in send(request("GET", "/models")).json["models"]] == ["petals"]
        scored = send(request("POST", "/invocations", CSV, content_type="text/csv", accept="text/csv"))
        assert (scored.status, scored.headers["content-type"], scored.body) == (200, "text/csv; charset=utf-8", b"2\n1\n")
        asked = request("POST", "/invocations", json.dumps(ROWS), content_type="application/json", accept="application/json")
        assert send(asked).json == {"predictions": [2, 1]}
        assert is_healthy(identity)


def test_sagemaker_with_a_model_that_is_no_repository_is_not_ready(image, tmp_path):
    """Rather than a model of the image's own, which nobody asked for."""
    tmp_path.chmod(0o755)
    (tmp_path / "model.joblib").touch()
    with started(image, "--volume", f"{tmp_path}:/opt/ml/model:ro", port=8080, command=["serve"]) as (_, send):
        ping = send(request("GET", "/ping"))

    assert (ping.status, ping.json["code"]) == (503, "not_ready")


def test_vertex_ai(image):
    """Its port before any other, its two paths, and their default form."""
    paths = {
        "AIP_HEALTH_ROUTE": "/v1/endpoints/7/deployedModels/8",
        "AIP_PREDICT_ROUTE": "/v1/endpoints/7/deployedModels/8:predict",
    }
    with started(image, port=8081, AIP_MODE="PREDICTION", AIP_HTTP_PORT="8081", PORT="1", **paths) as (identity, send):
        body = json.dumps({"instances": ROWS, "parameters": {"confidence": 0.5}})
        assert send(request("GET", paths["AIP_HEALTH_ROUTE"])).status == 200
        answer = send(request("POST", paths["AIP_PREDICT_ROUTE"], body, content_type="application/json"))
        assert answer.json == {"predictions": ["virginica", "versicolor"]}
        assert send(request("POST", "/predict", body)).json["predictions"] == ["virginica", "versicolor"]
        assert is_healthy(identity)


def test_heroku(image):
    """A port of its own, a user of its own who is in no list, and no right to anything."""
    with started(image, *ANYBODY, port=34567, PORT="34567", DYNO="web.1") as (identity, send):
        answer = send(request("POST", "/predict", json.dumps(ROWS[0]), content_type="application/json"))
        assert answer.json == {"model": "iris", "version": "1", "predictions": ["virginica"]}
        assert run("docker", "exec", identity, "id", "-u") == "54321"
        assert is_healthy(identity)


def test_knative_and_cloud_run(image):
    """Nothing to write on but /tmp. KServe, which is on top of it, asks in either version of its protocol."""
    names = {"K_SERVICE": "iris", "K_REVISION": "iris-1", "K_CONFIGURATION": "iris"}
    with started(image, *ANYBODY, *READ_ONLY, port=9000, PORT="9000", **names) as (_, send):
        tensor = {"name": "input-0", "shape": [2, 4], "datatype": "FP64", "data": ROWS}
        answer = send(request("POST", "/v2/models/iris/infer", json.dumps({"id": "1", "inputs": [tensor]}))).json
        assert answer["outputs"] == [
            {"name": "predict", "datatype": "BYTES", "shape": [2], "data": ["virginica", "versicolor"]}
        ]
        answer = send(request("POST", "/v1/models/iris:predict", json.dumps({"instances": ROWS}))).json
        assert answer == {"predictions": ["virginica", "versicolor"]}


def in_progress(send):
    """The requests that run, the one that asks for them included."""
    text = send(request("GET", "/metrics")).body.decode()
    return float(re.search(r"^tepal_requests_in_progress (\S+)$", text, re.MULTILINE)[1])


@pytest.mark.parametrize("options", [(), ANYBODY], ids=["its own user", "any user"])
def test_a_stop_cuts_no_answer(image, options):
    """SIGTERM while the model computes: the answer comes, and the container has ended before anybody would kill it."""
    with (
        started(image, *options, port=9000, PORT="9000") as (identity, send),
        concurrent.futures.ThreadPoolExecutor() as pool,
    ):
        slow = request("POST", "/v1/models/stall:predict", json.dumps({"instances": [[4, Stall.SLEEPS]]}))
        under_way = pool.submit(send, slow)
        containers.wait_until(lambda: in_progress(send) == 2, lambda: containers.logs(identity))
        run("docker", "stop", "--time", "10", identity)

        assert run("docker", "inspect", "--format", "{{.State.ExitCode}}", identity) == "0"
        assert under_way.result().json == {"predictions": [4.0]}
