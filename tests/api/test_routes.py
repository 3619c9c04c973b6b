"""How a path finds its handler, and the paths that a platform names."""

from __future__ import annotations

import pytest

from api import health, routes
from api.app import create_app
from api.dialects import native, v1, v2
from api.errors import MethodNotAllowed
from api.settings import Settings
from tepal import NotFound
from tests.transports import in_process
from tests.wire import request


@pytest.mark.parametrize(
    ("method", "path", "handler", "arguments"),
    [
        ("POST", "/predict", native.predict, []),
        ("HEAD", "/ping", health.ready, []),
        ("POST", "/models/iris/predict", native.predict, ["iris"]),
        ("POST", "/models//versions/1/predict", native.predict, ["", "1"]),
        ("POST", "/v1/models/iris:predict", v1.predict, ["iris"]),
        ("POST", "/v1/models/a.b-c/versions/12:predict", v1.predict, ["a.b-c", "12"]),
        ("GET", "/v1/models/iris", v1.model, ["iris"]),
        ("GET", "/v2", v2.server, []),
        ("GET", "/v2/", v2.server, []),
        ("POST", "/v2/models/iris/versions/1/infer", v2.infer, ["iris", "1"]),
        ("GET", "/v2/models/ready/ready", v2.model_ready, ["ready"]),
    ],
)
def test_a_path_finds_its_handler(method, path, handler, arguments):
    route, found = routes.find(method, path)

    assert (route.handler, found) == (handler, arguments)


@pytest.mark.parametrize(
    "path",
    ["/predict/", "/v1/models/iris:explain", "/v1/models/iris:predict:predict", "/v2/models/a/b/infer",
     "/v2/models/iris/config", "/v2/repository/models/iris/load", "/models/a/b/predict", "/invocations/x", "//predict"],
)  # fmt: skip
def test_a_path_that_is_none_is_not_found(path):
    with pytest.raises(NotFound, match="there is no path"):
        routes.find("POST", path)


def test_every_error_of_a_protocol_is_in_its_own_shape():
    for route in routes.ROUTES:
        assert (route.shape is None) != route.path.startswith(("/v1/", "/v2", "/invocations")), route


@pytest.fixture(name="platform")
def _platform(store):
    """Sends to a service that Vertex AI has started."""
    environ = {"AIP_PREDICT_ROUTE": "/v1/endpoints/7/deployedModels/8:predict", "AIP_HEALTH_ROUTE": "/up"}
    return in_process(create_app(Settings.from_environ({"MODEL_STORE": str(store), **environ})))


def test_vertex_s_own_paths_are_served(platform):
    """With NaN read, warnings left out, and its own status for what is wrong with the rows."""
    path, body = "/v1/endpoints/7/deployedModels/8:predict", '{"instances":[[5.9,3.0,5.1,9]],"parameters":{"a":1}}'

    assert platform(request("POST", path, body)).json == {"predictions": ["virginica"]}
    assert platform(request("GET", "/up")).json["status"] == "ready"
    refused = platform(request("POST", path, body.replace("9]", "NaN]")))
    assert (refused.status, refused.json["code"]) == (400, "invalid_input")
    assert platform(request("GET", path)).headers["allow"] == "POST"


def test_they_are_no_paths_of_another_service(platform, app):
    assert in_process(app)(request("GET", "/up")).status == 404


@pytest.mark.parametrize(
    ("predict", "health_", "more"),
    [
        (None, None, set()),
        ("/predict", "/health", set()),
        ("/v1/models/iris:predict", "/v1/models/iris", set()),
        ("/invocations", "/", set()),
        ("/", "/", {("POST", "/")}),
        ("/same", "/same", {("POST", "/same"), ("GET", "/same")}),
    ],
)
def test_a_path_that_is_there_already_stays_what_it_is(predict, health_, more):
    settings = Settings.from_environ({"AIP_PREDICT_ROUTE": predict or "", "AIP_HEALTH_ROUTE": health_ or ""})

    found = routes.of_platform(settings)

    added = {(route.method, path) for path, methods in found.items() for route in methods.values()}
    assert added - {("GET", "/")} == more
    for route in routes.ROUTES:
        assert routes.find(route.method, route.path, found)[0].handler == route.handler
    with pytest.raises(MethodNotAllowed):
        routes.find("DELETE", predict or "/predict", found)
