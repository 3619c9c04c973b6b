"""The client in examples/ answers as the service does, and asks again where that is safe and nowhere else."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import joblib
import numpy as np
import pandas as pd
import pytest

from tepal.notes import Notes
from tests import servers
from tests.models import Stall, people
from tests.servers import ROOT

FILE = ROOT / "examples" / "client.py"
spec = importlib.util.spec_from_file_location("client", FILE)
client = importlib.util.module_from_spec(spec)
spec.loader.exec_module(client)

FLOWER = [5.9, 3.0, 5.1, 1.8]


def test_every_kind_of_rows_is_answered(served):
    ask = client.Client(served.url).predict
    names = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
    for rows in (
        FLOWER,
        dict(zip(names, FLOWER)),
        [dict(zip(names, FLOWER))],
        {name: [value] for name, value in zip(names, FLOWER)},
        np.array([FLOWER]),
        pd.DataFrame([FLOWER], columns=names)[names[::-1]],
    ):
        assert ask(rows) == (["virginica"], None, [], "iris", "1")


def test_a_data_frame_arrives_to_the_bit(served, store, repository):
    """Integers, gaps, words, booleans, dates; and floats that need all of their 17 digits."""
    frame, _ = people(40)
    frame["height"] = frame["height"] / 3
    version = repository.find("people", "1", "", 1)

    answer = client.Client(served.url, "people", "1").predict(frame)

    assert answer.predictions == joblib.load(store / "people" / "1" / "model.pkl").predict(frame).tolist()
    sent = version.readers.json.read(client._json(frame), Notes())
    assert sent.container()["height"].equals(frame["height"])
    assert sent.container()["joined"].tolist() == frame["joined"].tolist()


def test_warnings_and_probabilities_come_along(served):
    answer = client.Client(served.url, "iris-logistic").predict([[9.0, 3.0, 5.1, 1.8]])

    assert list(answer.probabilities[0]) == ["setosa", "versicolor", "virginica"]
    assert answer.warnings[0]["column"] == "sepal_length"


def test_a_refusal_is_the_services_own_sentence(served):
    with pytest.raises(client.Refused, match=r"row 0: column 'sepal_width' expects a number, got null") as refused:
        client.Client(served.url).predict([5.9, None, 5.1, 1.8], request_id="mine-1")

    assert (refused.value.status, refused.value.code, refused.value.request_id) == (422, "invalid_input", "mine-1")
    assert refused.value.details[0]["column"] == "sepal_width"


# Servers that do not answer as they should, one connection each.

GOOD = b'{"model":"iris","version":"1","predictions":["setosa"]}'


def reply(status: str, body: bytes, *headers: str) -> bytes:
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


@pytest.fixture(name="scripted")
def _scripted():
    """Starts a server that gives the next reply to each connection; what it was sent is in ``seen``."""
    with contextlib.ExitStack() as stack:
        yield functools.partial(_start, stack)


def _start(stack, *replies):
    listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    seen = []

    def serve():
        with contextlib.suppress(OSError):  # it is shut while it waits for who does not come
            for data in replies:
                connection, _ = listener.accept()
                with connection:
                    if data is None:
                        continue  # broken off before anything was read
                    sent = b""
                    while b"\r\n\r\n" not in sent:
                        sent += connection.recv(65536)
                    seen.append(sent.decode())
                    connection.sendall(data)
            listener.shutdown(socket.SHUT_RDWR)  # nobody is let in any more

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    stack.callback(thread.join)
    stack.callback(_shut, listener)
    return f"http://127.0.0.1:{listener.getsockname()[1]}", seen


def _shut(listener):
    """Whoever waits there waits no more."""
    with contextlib.suppress(OSError):
        listener.shutdown(socket.SHUT_RDWR)


def test_what_may_be_over_a_moment_later_is_asked_again_by_the_same_id(scripted):
    url, seen = scripted(
        None,
        reply("503 Service Unavailable", b'{"error":"busy","code":"overloaded","request_id":"x"}', "Retry-After: 0"),
        reply("502 Bad Gateway", b"<html>", "Retry-After: 0"),
        reply("503 Service Unavailable", b"<html>"),
        reply("200 OK", GOOD)[:-5],
        reply("200 OK", GOOD),
    )

    answer = client.Client(url, tries=6, wait=0.001).predict(FLOWER)

    assert answer.predictions == ["setosa"]
    identities = {line for sent in seen for line in sent.splitlines() if line.lower().startswith("x-request-id")}
    assert (len(seen), len(identities)) == (5, 1)


@pytest.mark.parametrize(
    "status", ["400 Bad Request", "404 Not Found", "422 Unprocessable", "429 Too Many", "500 Error", "504 Gateway Timeout"]
)
def test_what_would_be_the_same_again_is_asked_once(scripted, status):
    url, seen = scripted(reply(status, b'{"error":"no","code":"some","request_id":"x"}'), reply("200 OK", GOOD))

    with pytest.raises(client.Refused, match=r"^no$") as refused:
        client.Client(url, wait=0.001).predict(FLOWER)
    assert (refused.value.status, refused.value.code, len(seen)) == (int(status[:3]), "some", 1)


def test_it_gives_up_and_says_why(scripted):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(client.Refused, match=f"http://127.0.0.1:{port}/predict gave no answer: .*refused") as refused:
        client.Client(f"http://127.0.0.1:{port}", tries=3, wait=0.001).predict(FLOWER)
    assert refused.value.status == 0
    url, seen = scripted(*[reply("503 Service Unavailable", b"busy", "Retry-After: 0")] * 3)
    with pytest.raises(client.Refused, match="503 Service Unavailable"):
        client.Client(url, tries=3, wait=0.001).predict(FLOWER)
    assert len(seen) == 3


def test_a_retry_after_is_heeded_and_bounded(scripted):
    url, _ = scripted(reply("503 Busy", b"", "Retry-After: 3600"), reply("200 OK", GOOD))

    assert client.Client(url, wait=0.001, longest=0.01).predict(FLOWER).predictions == ["setosa"]


def test_another_service_is_told_from_tepal(scripted):
    url, _ = scripted(reply("200 OK", b"{}"))

    with pytest.raises(client.Refused, match="no Tepal"):
        client.Client(url).predict(FLOWER)


# Real ones.


def test_a_worker_that_is_killed_costs_no_answer(store):
    with servers.gunicorn(store, MODELS="stall", WEB_CONCURRENCY="1") as server:
        ask = client.Client(server.url, "stall", tries=20, wait=0.05)
        (worker,) = server.workers()
        answers = []
        asking = threading.Thread(target=lambda: answers.append(ask.predict([1.5, Stall.SLEEPS])))
        asking.start()
        while "tepal_requests_in_progress 1" not in in_progress(server):
            time.sleep(0.01)
        os.kill(worker, signal.SIGKILL)
        asking.join()

    assert answers[0].predictions == [1.5]


def in_progress(server) -> str:
    """The line of the metrics that counts predictions under way."""
    import urllib.request

    text = urllib.request.urlopen(f"{server.url}/metrics").read().decode()
    return "\n".join(line for line in text.splitlines() if "in_progress" in line)


def test_a_service_that_is_not_there_yet_is_waited_for(store):
    port = servers.free_port()
    ask = client.Client(f"http://127.0.0.1:{port}", tries=200, wait=0.05, longest=0.2)
    answers = []
    asking = threading.Thread(target=lambda: answers.append(ask.predict(FLOWER)))
    asking.start()
    with servers.gunicorn(store, MODELS="iris", PORT=str(port)):
        asking.join()

    assert answers[0].predictions == ["virginica"]


def run(*arguments) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, FILE, *map(str, arguments)], capture_output=True, text=True, check=False)


def test_as_a_command(served, tmp_path):
    rows = tmp_path / "rows.csv"
    rows.write_text("5.9,3.0,5.1,1.8\n6.3,2.3,4.4,1.3\n")

    assert run(served.url, json.dumps(FLOWER)).stdout == "virginica\n"
    assert run(served.url, "--file", rows).stdout == "virginica\nversicolor\n"
    whole = json.loads(run(served.url, "--model", "iris-logistic", "--json", json.dumps(FLOWER)).stdout)
    assert whole["predictions"] == ["virginica"]
    assert whole["probabilities"][0].keys() == {"setosa", "versicolor", "virginica"}
    warned = run(served.url, "[50,3,5.1,1.8]")
    assert (warned.returncode, warned.stderr.startswith("Warning: ")) == (0, True)


def test_a_command_that_fails_says_why_in_one_line(served, tmp_path):
    bad = run(served.url, "[1,2]")
    assert (bad.returncode, bad.stdout) == (1, "")
    assert bad.stderr.startswith("Error: row 0 has 2 values, the model takes 4 values")
    assert run("ftp://x", "[1]").stderr.startswith("Error: the address starts with http:// or https://")
    assert run(served.url, "--file", tmp_path / "none.csv").stderr.startswith("Error: ")
    assert run(served.url).returncode == 2
