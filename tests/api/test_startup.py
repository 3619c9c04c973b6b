"""What a person reads at the start."""

from __future__ import annotations

import errno
import json
import re
import shlex
import shutil
import socket
import subprocess
import threading

import pytest

from api import startup
from api.__main__ import taken
from api.settings import Settings
from tepal import Repository, choice
from tests.api.test_settings import run
from train import iris


def report(store, **environ):
    settings = Settings.from_environ({"MODEL_STORE": str(store), **environ})
    repository = Repository.open(store, names=settings.models, default_model=settings.default_model)
    return startup.text(settings, repository, columns=500)


def test_it_says_what_is_served_where_and_how_it_was_verified(store):
    text = report(store, HOST="0.0.0.0", PORT="9000", WEB_CONCURRENCY="2", MODELS="iris,temper")

    assert "serves http://127.0.0.1:9000 (2 workers, 4 threads each)" in text
    assert "✓ iris    version 1  classification" in text
    assert "✓ temper  version 1  regression" in text
    assert "Verified: sha256, library versions, 35 golden rows answered as in training." in text


def test_the_command_to_try_gets_the_answer_that_is_shown(served):
    text = served.log.read_text()
    _, command, shown, _ = text[text.index("  Try it in another terminal:") :].split("\n\n", 3)

    answer = subprocess.run(["sh", "-c", command], capture_output=True, check=True).stdout

    assert json.loads(answer) == json.loads(shown)


@pytest.mark.parametrize("columns", [60, 80, 120])
@pytest.mark.parametrize("default", ["iris", "iris-logistic", "people", "words"])
def test_it_fits_the_terminal_and_what_is_broken_into_lines_still_means_the_same(store, context, default, columns):
    settings = Settings.from_environ({"MODEL_STORE": str(store)})
    repository = Repository.open(store, default_model=default)

    lines = startup.text(settings, repository, columns).splitlines()

    assert max(map(len, lines)) <= columns
    start = next(i for i, line in enumerate(lines) if line.startswith("    curl"))
    (*_, body) = shlex.split("\n".join(lines[start : lines.index("", start)]))
    assert json.loads(body) == repository.models[default].default.manifest.example


def test_colour_is_only_in_colour(store):
    settings = Settings.from_environ({"MODEL_STORE": str(store)})
    repository = Repository.open(store, names=["iris"])

    assert "\x1b" not in startup.text(settings, repository)
    coloured = startup.text(settings, repository, colour=True)
    assert re.sub(r"\x1b\[\d+m", "", coloured) == startup.text(settings, repository)
    assert "\x1b[32m✓\x1b[0m iris" in coloured


def test_it_says_what_cannot_serve_and_what_to_be_careful_of(store, tmp_path):
    copy = shutil.copytree(store, tmp_path / "store")
    (copy / "iris" / "1" / "model.pkl").write_bytes(b"")
    (copy / "temper" / "1" / "model.pkl").chmod(0o666)

    text = report(copy)

    assert "✗ iris           version 1: model.pkl is damaged" in text
    assert "caution: model.pkl can be written by every user" in text
    assert "/models/iris-logistic/predict -d" in text, "a model that can answer is shown in its place"


def test_a_default_model_that_is_not_there_is_said_to_be_missing(store):
    text = report(store, DEFAULT_MODEL="rose", MODELS="iris")

    assert f"✗ the default model 'rose' is not in {store}/: it has iris" in text


def test_an_empty_repository_is_told_how_to_be_filled(tmp_path):
    assert f"✗ no model in {tmp_path}/: train one with python -m train iris" in report(tmp_path)


def test_a_port_that_is_taken_is_one_line():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = run(PORT=str(taken.getsockname()[1]))

    assert result.returncode == 1
    assert result.stderr.startswith("tepal: cannot listen on 127.0.0.1:")
    assert result.stderr.count("\n") == 1


def test_asking_whether_a_port_is_free_accepts_nobody():
    """A replica that is starting refuses connections until it serves: one that it broke off could lose a request."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    stop = threading.Event()

    def ask():
        while not stop.is_set():
            assert taken("127.0.0.1", port) is None

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        refused = 0
        for _ in range(2000):
            with socket.socket() as client:
                refused += client.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED
    finally:
        stop.set()
        asking.join()

    assert refused == 2000


def test_it_says_which_version_was_chosen(store, tmp_path):
    copy = shutil.copytree(store, tmp_path / "store")
    iris.run("svm", iris.ALGORITHMS["svm"], copy)
    choice.promote(copy / "iris", "1")
    choice.shadow(copy / "iris", "2")

    assert "version 1 (pinned, shadow 2)  classification" in report(copy)
    choice.split(copy / "iris", {"1": 90, "2": 10})
    assert "version 1 (split 1=90 2=10, shadow 2)  classification" in report(copy)
