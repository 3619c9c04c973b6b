"""The images: what is in them, as whom they run, and how they begin and end."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

import tepal
from tests.servers import ROOT
from tests.stack import containers
from tests.stack.containers import run
from tests.stack.refusals import HEAD, REFUSALS, ask, check
from train import iris

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


def ask_model(port, name, rows):
    """What a model answers to rows."""
    body = json.dumps(rows).encode()
    head = HEAD.replace(b"/predict", b"/models/%s/predict" % name.encode())
    return json.loads(ask(port, head + b"Content-Length: %d\r\n\r\n" % len(body) + body).body)


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
    """No trainer, no lock, no tests; no pip, no test tool in its environment, and nothing that no model needs."""
    packages = in_image(image, "python", "-c", "import importlib.metadata as m; print(*(d.name for d in m.distributions()))")

    assert set(in_image(image, "ls", "-A", "/app").split()) == {"api", "model", "tepal"}
    assert not {"pip", "setuptools", "pytest", "mypy", "ruff", "pandas"} & set(packages.lower().split())


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


def test_arrow_and_parquet_come_by_an_extra(folder, image):
    """Without it they are refused with the command that builds the image with it."""
    body = io.BytesIO()
    pd.DataFrame([[5.9, 3.0, 5.1, 1.8]], columns=iris.COLUMNS).to_parquet(body)
    head = HEAD + b"Content-Type: application/vnd.apache.parquet\r\nContent-Length: %d\r\n\r\n" % len(body.getvalue())
    with served(image) as (_, port):
        refused = ask(port, head + body.getvalue())
    with_it = containers.build(folder, f"{containers.API}:arrow", "--build-arg", "EXTRAS=arrow")
    with served(with_it, *LEAN) as (_, port):
        answer = ask(port, head + body.getvalue())

    assert (refused.status, "EXTRAS=arrow docker compose up --build" in json.loads(refused.body)["error"]) == (415, True)
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


OLD_TAG = f"{containers.API}:made-on-3.11"
OLD_PYTHON = """\
FROM python:3.11-slim
RUN python -m venv /venv && /venv/bin/pip install --quiet --no-cache-dir \
  scikit-learn==1.7.2 numpy==2.3.5 scipy==1.16.3 click cloudpickle joblib msgspec threadpoolctl
"""
OLD_SCRIPT = """\
import json, sys
import tepal
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

X, y = load_iris(return_X_y=True)
plain = LogisticRegression(max_iter=200).fit(X, y)
scaled = make_pipeline(FunctionTransformer(lambda X: X / 10), LogisticRegression()).fit(X, y)
for name, model in {"plain": plain, "scaled": scaled}.items():
    tepal.publish(model, name=name, X=X, y=y)
print(json.dumps({"plain": plain.predict_proba(X[:5]).tolist(), "scaled": scaled.predict_proba(X[:5]).tolist()}))
"""


@pytest.fixture(scope="module", name="old")
def _old(tmp_path_factory):
    """A checkout with models that were made with scikit-learn 1.7 on Python 3.11, one with a function of its own.

    Returns the folder, and for each model what it answered where it was made.
    """
    folder = containers.checkout(tmp_path_factory.mktemp("old"), "old")
    run("docker", "build", "--quiet", "--tag", OLD_TAG, "-", input=OLD_PYTHON)
    (folder / "old.py").write_text(OLD_SCRIPT)
    mounts = ("--volume", f"{folder}:/place", "--volume", f"{ROOT / 'tepal'}:/place/tepal:ro", "--workdir", "/place")
    mine = ("--user", f"{os.getuid()}:{os.getgid()}", "--env", "PYTHONPATH=/place", "--env", "PYTHONDONTWRITEBYTECODE=1")
    return folder, json.loads(run("docker", "run", "--rm", *mounts, *mine, OLD_TAG, "/venv/bin/python", "old.py"))


def compose(folder, *arguments, **settings):
    """Docker Compose in a checkout: whether it succeeded, and all that it said."""
    command = ["docker", "compose", "--progress", "plain", "--project-name", containers.API, *arguments]
    environ = {**os.environ, **settings}
    done = subprocess.run(
        command, cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    return done.returncode == 0, done.stdout


def probabilities(answer):
    return [list(row.values()) for row in answer["probabilities"]]


def test_models_of_another_python_and_scikit_learn_serve_after_the_command_that_the_refusal_names(old, image):
    """By the image that never saw them, by the build on the wrong Python, and served as where they were made."""
    folder, answered = old
    with served(image, "--volume", f"{folder / 'model'}:/app/model:ro") as (identity, port):
        status, body = get(port, "/readyz")
        card = get(port, "/models/plain/versions/1")[1]
        log = containers.logs(identity)
    built, by_default = compose(folder, "build", "api")
    commands = {
        re.search(r"build the image for it: (PYTHON=\S+ docker compose build)", said).group(1)
        for said in (body["error"], card["reason"], by_default)
    }

    assert status == 503
    assert "it was made with scikit-learn 1.7.2 on Python 3.11, here is scikit-learn " in card["reason"]
    assert log.count("PYTHON=3.11 docker compose build") == 2
    assert not built
    assert "'scaled' version 1 cannot serve here: it carries code that was pickled by Python 3.11" in by_default
    assert commands == {"PYTHON=3.11 docker compose build"}

    run("sh", "-c", commands.pop(), cwd=folder)

    with served(f"{containers.API}:old") as (_, port):
        assert get(port, "/readyz")[0] == 200
        rows = load_iris().data[:5].tolist()
        assert {name: probabilities(ask_model(port, name, rows)) for name in answered} == answered
    versions = "import importlib.metadata as m; print(*(m.version(name) for name in ('numpy', 'scipy', 'scikit-learn')))"
    assert in_image(f"{containers.API}:old", "python", "-c", versions) == "2.3.5 1.16.3 1.7.2"


def test_models_that_cannot_share_an_image_get_one_each(old):
    """The build stops and names both with the commands; built with MODELS, an image carries those models alone."""
    folder, _ = old
    X, y = load_iris(return_X_y=True)
    tepal.publish(LogisticRegression(max_iter=200).fit(X, y), name="new", X=X, y=y, store=folder / "model")
    try:
        built, said = compose(folder, "build", "api", MODELS="plain,new")
        (command,) = re.findall(r"IMAGE=tepal:new MODELS=new PYTHON=3\.\d+ docker compose build", said)[:1]
        command = command.replace("tepal:new", f"{containers.API}:new")
        command = re.sub("PYTHON=[0-9.]+ ", "", command)  # this machine's, of which there may be no image here
        run("sh", "-c", command, cwd=folder)
    finally:
        run("rm", "-r", str(folder / "model" / "new"))

    assert not built
    assert "'new' version 1 needs scikit-learn " in said
    assert "'plain' version 1 needs scikit-learn 1.7.2" in said
    assert "IMAGE=tepal:plain MODELS=plain PYTHON=3.11 docker compose build" in said
    with served(f"{containers.API}:new") as (_, port):
        assert get(port, "/readyz") == (200, {"status": "ready", "models": {"new": "1"}})


@pytest.fixture(scope="module", name="table")
def _table(tmp_path_factory):
    """A checkout with a model that needs a DataFrame, and whose repository belongs to somebody else."""
    folder = containers.checkout(tmp_path_factory.mktemp("table"), "table")
    frame = pd.DataFrame({"city": ["Amsterdam", "Berlin"] * 10, "rooms": range(20)})
    columns = ColumnTransformer([("city", OneHotEncoder(), ["city"])], remainder="passthrough")
    model = make_pipeline(columns, LogisticRegression()).fit(frame, frame["city"])
    tepal.publish(model, name="table", X=frame, y=frame["city"], store=folder / "model")
    if os.getuid() == 0:
        run("chown", "--recursive", "12345:23456", str(folder / "model"))
    return folder


def test_what_is_trained_in_the_image_belongs_to_the_owner_of_the_repository_and_serves_after_a_build(table):
    """pandas is in the image because a model needs it."""
    _, trainers = compose(table, "run", "--rm", "-T", "train")
    trained, said = compose(table, "run", "--rm", "-T", "train", "iris", "--algorithm", "svm")
    _, confined = compose(table, "run", "--rm", "-T", "--entrypoint", "cat", "train", "/proc/self/status", "/proc/net/dev")
    built, log = compose(table, "build", "api")

    assert re.search("^  iris +Species of an iris", trainers, re.MULTILINE)
    assert trained, said
    owner = (table / "model").stat()
    written = [path.stat() for path in (table / "model" / "iris").rglob("*")]
    assert {(path.st_uid, path.st_gid) for path in written} == {(owner.st_uid, owner.st_gid)}
    assert "CapEff:\t00000000000000c0\n" in confined  # to become another user, nothing else
    assert "NoNewPrivs:\t1\n" in confined
    assert re.findall(r"^ *(\w+):", confined.partition("Inter-")[2], re.MULTILINE) == ["lo"]
    assert built, log
    with served(f"{containers.API}:table", *LEAN) as (_, port):
        assert get(port, "/readyz") == (200, {"status": "ready", "models": {"iris": "1", "table": "1"}})
        assert ask_model(port, "table", [{"city": "Berlin", "rooms": 3}])["predictions"] == ["Berlin"]


def layers(image):
    return json.loads(run("docker", "inspect", "--format", "{{json .RootFS.Layers}}", image))


def test_a_change_of_code_or_another_model_with_the_same_needs_installs_nothing_again(tmp_path):
    """The layers up to the environment are those that were there."""
    folder = containers.checkout(tmp_path)
    X, y = load_iris(return_X_y=True)
    built = []
    for name in ("one", "other"):
        tepal.publish(LogisticRegression(max_iter=200).fit(X, y), name=name, X=X, y=y, store=folder / "model")
        with (folder / "tepal" / "errors.py").open("a") as file:
            file.write(f"# {name}\n")
        built.append(layers(containers.build(folder, f"{containers.API}:{name}")))

    assert built[0][:-3] == built[1][:-3]
    assert not set(built[0][-3:]) & {built[1][-3], built[1][-1]}  # the library and the models; the API is as it was


NOTEBOOK = """\
import json
import numpy as np
import tepal
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

class Ratios(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        return self
    def transform(self, X):
        return np.column_stack([X, X[:, 0] / X[:, 1], X[:, 2] / X[:, 3]])

def inches(X):
    return X / 2.54

X, y = load_iris(return_X_y=True)
steps = FunctionTransformer(inches), Ratios(), FunctionTransformer(lambda X: np.log1p(X)), LogisticRegression(max_iter=1000)
model = make_pipeline(*steps).fit(X, y)
tepal.publish(model, name="mine", X=X, y=y)
print(json.dumps(model.predict_proba(X[:5]).tolist()))
"""


def in_a_folder(image, folder, *command):
    """Run a command in the image's environment, with a folder of the user's own as the working directory."""
    mount = ("--volume", f"{folder}:/place", "--workdir", "/place", "--user", f"{os.getuid()}:{os.getgid()}")
    environ = ("--env", "PYTHONPATH=/app", "--env", "MODEL_STORE=/place/store")
    return run("docker", "run", "--rm", *mount, *environ, "--entrypoint", command[0], image, *command[1:])


def test_a_script_s_own_classes_and_lambdas_serve_from_an_image_that_has_never_seen_them(image, tmp_path):
    """A script of the user's own, whose names are all in `__main__`."""
    (tmp_path / "notebook.py").write_text(NOTEBOOK)
    answered = json.loads(in_a_folder(image, tmp_path, "python", "notebook.py"))
    with served(image, "--volume", f"{tmp_path / 'store'}:/app/model:ro") as (_, port):
        assert probabilities(ask_model(port, "mine", load_iris().data[:5].tolist())) == answered


OWN_MODULE = """\
import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

class Ratios(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        return self
    def transform(self, X):
        return np.column_stack([X, ratio(X[:, 0], X[:, 1])])

def ratio(a, b):
    return a / b
"""
TRAINING = """\
import csv, joblib, json
from model import Ratios
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

X, y = load_iris(return_X_y=True)
churn = make_pipeline(Ratios(), LogisticRegression(max_iter=1000)).fit(X, y)
joblib.dump(churn, "churn.pkl")
csv.writer(open("train.csv", "w")).writerows([["a", "b", "c", "d", "churned"], *([*row, label] for row, label in zip(X, y))])
print(json.dumps(churn.predict_proba(X[:5]).tolist()))
"""


def test_a_pickle_of_a_class_in_a_module_of_the_user_s_own_serves_from_an_image_that_has_never_seen_it(image, tmp_path):
    """Published by the command line; the module stays at home."""
    (tmp_path / "model.py").write_text(OWN_MODULE)
    (tmp_path / "train.py").write_text(TRAINING)
    answered = json.loads(in_a_folder(image, tmp_path, "python", "train.py"))
    publish = "python -m tepal publish churn.pkl --name churn --examples train.csv --target churned --code model.py"
    in_a_folder(image, tmp_path, *publish.split())
    with served(image, "--volume", f"{tmp_path / 'store'}:/app/model:ro") as (_, port):
        assert probabilities(ask_model(port, "churn", load_iris().data[:5].tolist())) == answered
