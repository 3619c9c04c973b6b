"""WSGI in, WSGI out: bodies are read whole or not at all."""

from __future__ import annotations

import io
import socket

import flask
import pytest

from api.app import create_app, read_body
from api.errors import BodyTooLarge
from api.settings import Settings
from tepal import Malformed
from tests.wire import request

MIB = 1024 * 1024


def read(data: bytes, **environ):
    return read_body({"wsgi.input": io.BytesIO(data), **environ}, 1)


def test_a_body_of_exactly_the_limit_is_read():
    assert len(read(b"x" * MIB, CONTENT_LENGTH=str(MIB))) == MIB
    assert len(read(b"x" * MIB, **{"wsgi.input_terminated": True})) == MIB


@pytest.mark.parametrize("size", [MIB + 1, 2 * MIB, 64 * MIB])
def test_a_larger_body_is_refused_and_never_cut(size):
    for environ in ({"CONTENT_LENGTH": str(size)}, {"wsgi.input_terminated": True}):
        with pytest.raises(BodyTooLarge, match=r"1 MiB.*MAX_BODY_MB"):
            read(b"x" * size, **environ)


def test_a_body_that_did_not_fully_arrive_is_refused():
    with pytest.raises(Malformed, match="ended before"):
        read(b"[1,2", CONTENT_LENGTH="9")
    with pytest.raises(Malformed, match="not a number"):
        read(b"[1,2", CONTENT_LENGTH="-1")


def test_a_body_without_a_length_is_none():
    assert read(b"[1,2,3,4]") == b""


def test_a_chunked_body_is_read(served):
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as connection:
        connection.sendall(
            b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
            b"5\r\n[5.9,\r\nC\r\n3.0,5.1,1.8]\r\n0\r\n\r\n"
        )
        answer = b"".join(iter(lambda: connection.recv(65536), b""))

    assert b'"predictions":["virginica"]' in answer


@pytest.mark.parametrize("chunks", [b"zz\r\n[1]\r\n0\r\n\r\n", b"3\r\n[1]x\r\n0\r\n\r\n"])
def test_broken_chunks_are_malformed(served, chunks):
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as connection:
        connection.sendall(
            b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + chunks
        )
        answer = b"".join(iter(lambda: connection.recv(65536), b""))

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'"code":"malformed_body"' in answer


def test_the_limit_over_the_wire_names_its_setting(transport):
    received = transport(request("POST", "/predict", b" " * (16 * MIB + 1)))

    assert (received.status, received.json["code"]) == (413, "body_too_large")
    assert "16 MiB" in received.json["error"]
    assert "MAX_BODY_MB" in received.json["error"]


def test_an_unread_body_is_not_taken_for_the_next_request(served):
    inner = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 17\r\n\r\n[5.9,3.0,5.1,1.8]"
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as connection:
        connection.sendall(b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(inner) + inner)
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answers = b"".join(iter(lambda: connection.recv(65536), b""))

    assert answers.count(b"HTTP/1.1 ") == 2
    assert b"predictions" not in answers
    assert b'{"status":"alive"}' in answers


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ["/livez", "/version", "/nothing-here", "/predict?sepal_length=long"])
def test_an_application_with_hooks_is_all_of_flask_and_answers_the_same(store, method, path):
    hooked, headers = _app(store), {"X-Request-ID": "the-same"}
    hooked.after_request(lambda response: _with_header(response, "X-Hook", flask.request.path))

    plain = _app(store).test_client().open(path, method=method, headers=headers)
    whole = hooked.test_client().open(path, method=method, headers=headers)

    assert (whole.status, whole.data) == (plain.status, plain.data)
    assert dict(whole.headers) == {**dict(plain.headers), "X-Hook": path.partition("?")[0]}


def test_what_a_client_has_already_is_not_sent_again_and_has_no_length(store):
    client = _app(store).test_client()
    tag = client.get("/models").headers["ETag"]

    answer = client.get("/models", headers={"If-None-Match": tag})

    assert (answer.status, answer.data) == ("304 NOT MODIFIED", b"")
    assert "Content-Length" not in answer.headers


def _app(store):
    return create_app(Settings.from_environ({"MODEL_STORE": str(store), "MODELS": "iris"}))


def _with_header(response, name, value):
    response.headers[name] = value
    return response
