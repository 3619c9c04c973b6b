"""The images: what is in them, as whom they run, and how they begin and end."""

from __future__ import annotations

import contextlib
import http.client
import json
import subprocess
import sys
from pathlib import Path

import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

import tepal
from tests.stack import containers
from tests.stack.containers import run
from tests.stack.refusals import HEAD, REFUSALS, ask, check

LEAN = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")


@pytest.fixture(scope="module", name="folder")
def _folder(tmp_path_factory):
    """A fresh checkout."""
    return containers.checkout(tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="module", name="image")
def _image(folder):
    """The API's image of a fresh checkout."""
    return containers.build(folder)


@pytest.fixture(scope="module", name="nginx")
def _nginx(folder):
    """The image of nginx."""
    run("docker", "build", "--quiet", "--tag", containers.NGINX, "nginx", cwd=folder)
    return containers.NGINX


def in_image(image, *command):
    return run("docker", "run", "--rm", *LEAN, "--entrypoint", command[0], image, *command[1:])


def get(port, path):
    """The answer to a GET, as (status, body); (0, None) while nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(connection):
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    return 0, None


@contextlib.contextmanager
def served(image, *options, port=8080):
    """The image alone, as it answers: the container's id and the port."""
    with containers.container(image, "--publish", f"127.0.0.1::{port}", *options) as identity:
        here = containers.published(identity, port)
        containers.wait_until(lambda: get(here, "/livez")[0] == 200, lambda: containers.logs(identity))
        yield identity, here


def test_it_runs_as_nobody_in_particular(image):
    """A number that is not root's, and no name behind it."""
    assert in_image(image, "python", "-c", "import os; print(os.getuid(), os.getgid())") == "10001 10001"


def test_it_holds_what_serves_and_nothing_else(image):
    """No trainer, no lock, no tests; no pip, no test tool in its environment."""
    packages = in_image(image, "python", "-c", "import importlib.metadata as m; print(*(d.name for d in m.distributions()))")

    assert set(in_image(image, "ls", "-A", "/app").split()) == {"api", "model", "tepal"}
    assert not {"pip", "setuptools", "pytest", "mypy", "ruff"} & set(packages.lower().split())


def test_its_code_is_compiled(image):
    """It cannot be, later."""
    assert "app.cpython" in in_image(image, "ls", "/app/api/__pycache__")


def test_a_fresh_checkout_trains_iris(image):
    """Both models, while the image is built."""
    with served(image) as (_, port):
        names = [model["name"] for model in get(port, "/models")[1]["models"]]

        assert names == ["iris", "iris-logistic"]
        assert get(port, "/readyz")[0] == 200


def test_models_that_are_there_are_taken_over(tmp_path):
    """And then none is trained."""
    folder = containers.checkout(tmp_path)
    X, y = load_iris(return_X_y=True)
    tepal.publish(LogisticRegression(max_iter=200).fit(X, y), name="mine", X=X, y=y, store=folder / "model")
    own = containers.build(folder, f"{containers.API}:own-model")
    with served(own) as (_, port):
        assert [model["name"] for model in get(port, "/models")[1]["models"]] == ["mine"]


@pytest.mark.parametrize("options", [(), ("--user", "54321:0"), LEAN], ids=["as it is", "any user", "hardened"])
def test_one_container_serves_alone(image, options):
    """With docker run -p and nothing else, as platforms run it, and with every right taken away."""
    with served(image, *options, "--env", "PORT=9000", port=9000) as (identity, port):
        answer = ask(port, HEAD + b"Content-Length: 17\r\n\r\n[5.9,3.0,5.1,1.8]")
        containers.wait_until(lambda: containers.health(identity) == "healthy", lambda: containers.logs(identity))

    assert json.loads(answer.body)["predictions"] == ["virginica"]


def test_it_stops_when_told_to(image):
    """SIGTERM is enough; killed after ten seconds, its exit code would be 137."""
    with served(image) as (identity, _):
        run("docker", "stop", "--time", "10", identity)

        assert run("docker", "inspect", "--format", "{{.State.ExitCode}}", identity) == "0"


@pytest.mark.parametrize(
    ("part", "variable", "value"),
    [("image", "THREADS", "many"), ("nginx", "TIMEOUT", "soon"), ("nginx", "TIMEOUT", ""), ("nginx", "MAX_BODY_MB", "0")],
)
def test_a_setting_that_cannot_be_used_stops_the_start(request, part, variable, value):
    """Exit code 3 and one line, of either container."""
    done = subprocess.run(
        ["docker", "run", "--rm", "--env", f"{variable}={value}", request.getfixturevalue(part)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert variable in done.stderr


@pytest.fixture(scope="module", name="rendered")
def _rendered(nginx):
    """nginx.conf as the container makes it at its start."""
    return run("docker", "run", "--rm", *LEAN, nginx, "nginx", "-c", "/tmp/nginx.conf", "-T")


def test_nginx_s_configuration_is_valid(rendered):
    """With every variable filled in, and nginx's own ones left alone."""
    assert "server api:8080 resolve" in rendered
    assert "client_max_body_size    16m;" in rendered
    assert "${" not in rendered
    assert "$http_x_request_id" in rendered


def test_nginx_s_configuration_has_no_known_weakness(rendered, tmp_path):
    """gixy finds nothing."""
    (tmp_path / "nginx.conf").write_text(rendered)

    run(str(Path(sys.executable).with_name("gixy")), str(tmp_path / "nginx.conf"))


@pytest.fixture(scope="module", name="door")
def _door(nginx):
    """The port of an nginx container with nobody behind it."""
    environ = ("--env", "API=127.0.0.1:9", "--env", "MAX_BODY_MB=1")
    with containers.container(nginx, *LEAN, *environ, "--publish", "127.0.0.1::8080") as identity:
        port = containers.published(identity, 8080)
        containers.wait_until(lambda: get(port, "/livez")[0] == 503, lambda: containers.logs(identity))
        yield port


@pytest.mark.parametrize(("request_", "status", "code"), REFUSALS)
def test_what_the_image_s_nginx_refuses_has_the_shape_of_every_error(door, request_, status, code):
    """The version in the image is another one than this machine's."""
    check(ask(door, request_), status, code)


def test_too_many_headers_are_refused(door):
    """More than gunicorn would take."""
    many = b"".join(b"X-%d: 1\r\n" % number for number in range(120))

    check(ask(door, b"GET / HTTP/1.1\r\nHost: tepal\r\n" + many + b"\r\n"), 431, "request_header_fields_too_large")


def test_a_dead_api_is_not_ready(door):
    """503 with Retry-After."""
    answer = ask(door, HEAD + b"Content-Length: 17\r\n\r\n[5.9,3.0,5.1,1.8]")

    check(answer, 503, "not_ready")
    assert answer.headers["Retry-After"] == "5"


def test_the_log_is_json_and_nothing_else(nginx):
    """From the first line on."""
    with containers.container(nginx, *LEAN, "--env", "API=127.0.0.1:9", "--publish", "127.0.0.1::8080") as identity:
        port = containers.published(identity, 8080)
        containers.wait_until(lambda: get(port, "/livez")[0] == 503, lambda: containers.logs(identity))
        ask(port, b"GET /\xff HTTP/1.1\r\nHost: tepal\r\nUser-Agent: \xff\x1b\r\n\r\n")
        containers.wait_until(lambda: containers.logs(identity).count("\n") >= 2, lambda: containers.logs(identity))

        assert all(json.loads(line) for line in containers.logs(identity).splitlines())
