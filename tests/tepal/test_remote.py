"""Verifying a deployed service: `tepal verify --url` against real ones, and against what is none."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import threading

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

import tepal as library
from tests import servers
from train import iris


def said(result):
    """The lines for a person, without the mark; the exit code must agree with the marks."""
    lines = result.stdout.splitlines()
    assert result.returncode == (1 if any(line.startswith("✗") for line in lines) else 0), result.stderr
    return [line[2:] for line in lines]


@pytest.mark.parametrize("way", ["served", "door"])
def test_what_is_deployed_answers_as_it_was_published(tepal, store, request, way):
    url = request.getfixturevalue(way).url

    lines = said(tepal("verify", "--url", url))

    assert lines == [f"{path.name} version 1: the same at {url}" for path in sorted(store.iterdir())]


def test_a_script_reads_json(tepal, served):
    result = tepal("verify", "iris", "1", "--url", f"{served.url}/", "--json")

    assert result.returncode == 0
    assert json.loads(result.stdout) == {
        "url": f"{served.url}/",
        "versions": [{"name": "iris", "version": "1", "reason": None, "chosen": []}],
    }


@pytest.fixture(scope="module", name="other")
def _other(store, tmp_path_factory):
    """A service that has another `iris` 1, the same `words` 1, a damaged `people` 1, and nothing else."""
    own = tmp_path_factory.mktemp("other")
    iris.run("logistic", iris.ALGORITHMS["logistic"]._replace(name="iris"), own)
    for name in ("words", "people"):
        shutil.copytree(store / name, own / name)
    (own / "people" / "1" / "model.pkl").write_bytes(b"damaged")
    with servers.gunicorn(own) as server:
        yield server


def test_another_model_under_the_same_number_is_seen(tepal, other):
    (line,) = said(tepal("verify", "iris", "--url", other.url))

    assert line.startswith(
        f"iris version 1: {other.url} serves another model under this name and number: the sha256 of model.pkl "
    )


def test_each_version_has_its_own_sentence(tepal, other, store):
    result = tepal("verify", "--url", other.url)
    lines = {line.split(" version 1: ")[0]: line.split(" version 1: ")[1] for line in said(result)}

    assert lines["words"] == f"the same at {other.url}"
    assert lines["people"].startswith(f"{other.url} has it and cannot serve it: model.pkl is damaged")
    assert lines["temper"] == f"{other.url} answers 404: there is no model 'temper'; there is iris, people, words"
    assert result.stderr == f"Error: the service differs in {len(lines) - 1} of {len(lines)} versions\n"


def test_a_version_that_is_not_there_is_named(tepal, other, store, tmp_path):
    for _ in range(2):
        iris.run("svm", iris.ALGORITHMS["svm"], tmp_path)

    (line,) = said(tepal("verify", "iris", "2", "--url", other.url, model_store=tmp_path))

    assert line == f"iris version 2: {other.url} answers 404: model 'iris' has no version '2'; it has 1"


def test_the_same_model_that_answers_otherwise_is_seen(tepal, tmp_path):
    """What was recorded is changed here, which is as if the service's libraries computed otherwise."""
    X = np.array([[1.0], [2.0], [4.0]])
    path = library.publish(LinearRegression().fit(X, X[:, 0]), name="line", X=X, store=tmp_path / "there").path
    own = shutil.copytree(tmp_path / "there", tmp_path / "here")
    manifest = json.loads((path / "manifest.json").read_text())
    manifest["golden"]["alone"]["predictions"][1] += 1e-6
    (own / "line" / "1" / "manifest.json").write_text(json.dumps(manifest))

    with servers.gunicorn(tmp_path / "there") as server:
        (line,) = said(tepal("verify", "--url", server.url, model_store=own))

    assert line.startswith(
        f"line version 1: {server.url}: golden row 1 (alone) is not answered as recorded: prediction expected 2.00000"
    )


@contextlib.contextmanager
def listener(answer):
    """Something that is no service of Tepal: it sends ``answer`` to whoever connects, and hangs up; None: says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        open_ = []

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    open_.append(connection)
                    if answer is not None:
                        connection.recv(65536)
                        connection.sendall(answer)
                        connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in open_:
                connection.close()


def http(status, body, *headers):
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", body]
    return "\r\n".join(lines).encode()


HTML = "Content-Type: text/html"
PATH = "/models/iris/versions/1"


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (http("200 OK", "<html></html>", HTML), f"URL answers {PATH} as an HTML page; it is no service of Tepal"),
        (http("404 Not Found", "<html></html>", HTML),
         f"URL answers {PATH} with 404 Not Found, as an HTML page; it may be no service of Tepal"),
        (http("502 Bad Gateway", ""),
         f"URL answers {PATH} with 502 Bad Gateway, as nothing that it names; it may be no service of Tepal"),
        (http("200 OK", "{}", "Content-Type: application/json"),
         f"URL answers {PATH} as application/json; it is no service of Tepal"),
        (http("401 Unauthorized", "{}"), "URL does not let this command in (401 Unauthorized)"),
        (http("403 Forbidden", "<html></html>", HTML), "URL does not let this command in (403 Forbidden)"),
        (http("301 Moved Permanently", "", "Location: https://example.org/x"),
         f"URL sends {PATH} on to https://example.org/x; give the address of that"),
        (http("503 Service Unavailable", '{"error":"busy","code":"overloaded"}'), "URL answers 503: busy"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "URL does not speak HTTP; if it wants TLS, use https://"),
        (b"", "URL closed the connection without an answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", "URL cut its answer short"),
    ],
)  # fmt: skip
def test_what_is_no_service_of_tepal_is_called_what_it_is(tepal, answer, sentence):
    with listener(answer) as url:
        (line,) = said(tepal("verify", "iris", "--url", url))

    assert line == f"iris version 1: {sentence.replace('URL', url)}"


def test_a_service_that_says_nothing_is_not_waited_for(tepal):
    with listener(None) as url:
        (line,) = said(tepal("verify", "iris", "--url", url, "--timeout", "0.2"))

    assert line == f"iris version 1: {url} did not answer within 0.2 s"


def test_an_address_where_nothing_is(tepal):
    url = f"http://127.0.0.1:{servers.free_port()}"

    assert said(tepal("verify", "iris", "--url", url)) == [f"iris version 1: nothing listens at {url}"]
    (line,) = said(tepal("verify", "iris", "--url", "http://nowhere.invalid"))
    assert line.startswith("iris version 1: http://nowhere.invalid has a host that is not known: ")


def test_https_that_is_none(tepal, served):
    url = served.url.replace("http:", "https:")

    assert said(tepal("verify", "iris", "--url", url)) == [f"iris version 1: {url} does not speak HTTPS; try http://"]


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8080", "ftp://127.0.0.1", "http://", "http://127.0.0.1:99999", "http://a/?b", "http://[x"]
)
def test_what_is_no_address_is_refused(tepal, url):
    result = tepal("verify", "iris", "--url", url)

    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == f"Error: {url!r} is no address of a service; give one like http://127.0.0.1:8080\n"
