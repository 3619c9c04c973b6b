"""docs/operations.md: the lines of the log are as it shows them, and its faults end as its table says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

from tests import documents, servers
from tests.models import Stall
from tests.servers import ROOT
from tests.stack.containers import wait_until
from tests.transports import over_http
from tests.wire import request, same_text
from train import iris

OF_THE_API, OF_NGINX = (json.loads(line) for line in documents.page("docs/operations.md").blocks("json")[0].splitlines())


def line_of(server, identity: str):
    """The line of a server's log with this request id; it may be written after the answer."""
    text = f'"request_id":"{identity}"'
    wait_until(lambda: text in server.log.read_text(), server.log.read_text, seconds=5)
    (line,) = [line for line in server.log.read_text().splitlines() if text in line]
    return json.loads(line)


def test_a_request_leaves_the_two_lines_that_are_shown(door, served):
    """The same keys in the same order, and values of the same types; those that are the request's own are equal."""
    over_http(door.port)(request("POST", "/predict", "[5.9,3.0,5.1,1.8]", x_request_id="as-shown"))

    for shown, server in ((OF_THE_API, served), (OF_NGINX, door)):
        written = line_of(server, "as-shown")
        assert list(written) == list(shown)
        assert [type(value) for value in written.values()] == [type(value) for value in shown.values()]
        for key in ("method", "route", "status", "model", "version", "rows", "upstream_status"):
            assert written.get(key) == shown.get(key), key


TIMEOUT = "2"
WORKERS = 2
FAULTS = {row[0]: row[1:] for table in documents.tables(documents.page("docs/operations.md").text) for row in table[1:]}


@pytest.fixture(scope="module", name="short")
def _short(store):
    """gunicorn and nginx before it, with a short deadline."""
    with (
        servers.gunicorn(store, TIMEOUT=TIMEOUT, WEB_CONCURRENCY=str(WORKERS)) as server,
        servers.nginx([f"127.0.0.1:{server.port}"], TIMEOUT=TIMEOUT) as door,
    ):
        yield server, door


@pytest.mark.parametrize(
    ("fault", "path", "body"),
    [
        ("the model never returns, in native code", "/models/stall/predict", f"[600,{Stall.HOLDS}]"),
        ("the model kills its process (segmentation fault)", "/models/stall/predict", f"[0,{Stall.DIES}]"),
        ("the model raises on some rows", "/models/temper/predict", "[1000,0]"),
        ("the model is too slow", "/models/stall/predict", f"[3,{Stall.SLEEPS}]"),
        ("the model never returns, in Python", "/models/stall/predict", f"[600,{Stall.SPINS}]"),
    ],
)
def test_a_model_s_fault_ends_as_the_table_says(fault, path, body, short):
    """With the status and code of the second column; a worker that is to be replaced is; and others are answered."""
    server, door = short
    sends, does = FAULTS[fault][:2]
    server.settle(WORKERS)
    before = server.workers()

    received = over_http(door.port)(request("POST", path, body))

    assert f"{received.status} `{received.json['code']}`" in sends
    if "worker" in does:
        wait_until(lambda: bool(set(server.workers()) - set(before)), server.log.read_text, seconds=10)
    for _ in range(4):
        assert over_http(door.port)(request("POST", "/models/iris/predict", "[5.9,3.0,5.1,1.8]")).status == 200


@pytest.fixture(scope="module", name="two")
def _two(tmp_path_factory):
    """What `make run` makes, and a second version of iris; and the service over it."""
    store = tmp_path_factory.mktemp("two") / "model"
    for name in ("svm", "logistic", "svm"):
        iris.run(name, iris.ALGORITHMS[name], store)
    with servers.gunicorn(store) as server:
        yield store, server


def test_the_commands_on_versions_say_what_is_shown(two):
    """In the order of the page; what was chosen after one command is so for the next."""
    store, server = two
    blocks = documents.page("docs/operations.md").blocks("text")
    shown = [pair for block in blocks for pair in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)]
    assert len(shown) == 10
    environ = {**os.environ, "MODEL_STORE": str(store), "PYTHONPATH": str(ROOT)}
    day = re.compile(r"\d{4}-\d\d-\d\d")
    for command, output in shown:
        here = command.replace("127.0.0.1:8080", f"127.0.0.1:{server.port}").replace(".venv/bin/python", sys.executable)
        here = here.replace("curl ", "curl --silent --show-error ")
        done = subprocess.run(["sh", "-c", here], capture_output=True, text=True, check=True, env=environ)
        same_text(day.sub("a day", output), day.sub("a day", done.stdout))


def test_every_metric_that_is_served_is_in_the_table(served):
    text = over_http(served.port)(request("GET", "/metrics")).body.decode()
    kept = {name for name in re.findall(r"^# TYPE (\S+)", text, re.MULTILINE) if name.startswith(("tepal_", "process_"))}
    section = documents.page("docs/operations.md").section("What it counts")

    assert set(re.findall(r"`((?:tepal|process)_\w+)`", section)) == kept


def test_a_rollout_prints_lines_like_those_shown(two):
    store, server = two
    (shown,) = [block for block in documents.page("docs/operations.md").blocks("text") if "12:00:00" in block]

    def tepal(*arguments):
        command = [sys.executable, "-m", "tepal", *arguments]
        environ = {"MODEL_STORE": str(store), "PATH": ""}
        return subprocess.run(command, env=environ, capture_output=True, text=True, check=True, cwd=ROOT).stdout

    tepal("promote", "iris", "1")
    said = tepal("rollout", "iris", "2", "--steps", "5,25,50,100", "--every", "0.2", "--url", server.url)
    first = re.compile(r"^\d\d:\d\d:\d\d  ")
    lines, written = ([first.sub("", line) for line in text.splitlines()] for text in (shown, said))

    assert lines[0].replace("60 s", "0.2 s") == written[0]
    assert [line.split(":")[0] for line in lines[1:5]] == [line.split(":")[0] for line in written[1:5]]
