"""An answer leaves in one piece, or not at all."""

from __future__ import annotations

import re
import socket
from types import SimpleNamespace

import pytest

from api.exchange import Exchange
from api.server.response import Response
from tests import servers
from tests.transports import over_http
from tests.wire import request


class Recorder:
    """A socket that remembers each write."""

    def __init__(self):
        self.writes = []

    def send(self, data, flags=0):
        self.writes.append(bytes(data))
        return len(data)

    sendall = send


@pytest.fixture(name="respond")
def _respond():
    def respond(
        *blocks, method="GET", headers=(("Content-Length", "4"),), status="200 OK", begun=0, lost=False, closing=False
    ):
        asked = SimpleNamespace(method=method, version=(1, 1))
        recorder = Recorder()
        exchange = Exchange(8)
        exchange.begun, exchange.lost = begun, lost
        response = Response(asked, exchange)
        response.start(status, list(headers))
        response.send(recorder, blocks, closing)
        return b"".join(recorder.writes)

    return respond


def test_head_and_body_are_one_write(respond):
    write = respond(b"bo", b"dy")

    assert write.startswith(b"HTTP/1.1 200 OK\r\nServer: gunicorn\r\nDate: ")
    assert write.endswith(b"GMT\r\nConnection: keep-alive\r\nContent-Length: 4\r\n\r\nbody")


@pytest.mark.parametrize("answer", [{"method": "HEAD"}, {"status": "304 NOT MODIFIED", "headers": ()}])
def test_an_answer_that_may_have_no_body_has_none(respond, answer):
    write = respond(b"body", **answer)

    assert write.endswith(b"\r\n\r\n")
    assert (b"Content-Length: 4" in write) == (answer.get("method") == "HEAD")


def test_an_answer_always_says_how_long_it_is(respond):
    assert b"\r\nContent-Length: 4\r\n\r\nbody" in respond(b"body", headers=())


def test_the_last_answer_of_a_connection_says_so(respond):
    assert b"\r\nConnection: close\r\n" in respond(b"body", closing=True)


def test_an_answer_that_somebody_else_has_given_does_not_leave(respond):
    with pytest.raises(BrokenPipeError):
        respond(b"body", lost=True)


@pytest.mark.parametrize(
    "answer",
    [
        {"blocks": [b"body"]},
        {"blocks": [b"bo", b"dy"]},
        {"blocks": [b"body"], "headers": ()},
        {"blocks": [], "method": "HEAD"},
        {"blocks": [], "status": "304 NOT MODIFIED", "headers": ()},
    ],
)
def test_what_went_ahead_is_not_sent_again(respond, answer):
    blocks = answer.pop("blocks")
    date = re.compile(rb"Date: .*\r\n")

    whole, rest = (date.sub(b"", respond(*blocks, **answer, begun=begun)) for begun in (0, 7))

    assert whole == b"HTTP/1." + rest


def test_the_real_server_sends_one_packet(served):
    """On the loopback one write of this size arrives as one read."""
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", served.port), timeout=10) as connection:
            connection.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 17\r\n\r\n[5.9,3.0,5.1,1.8]")
            assert connection.recv(65536).endswith(b'"predictions":["virginica"]}')


def test_an_empty_number_of_workers_counts_as_not_set(store):
    with servers.gunicorn(store, WEB_CONCURRENCY="") as server:
        assert over_http(server.port)(request("GET", "/livez")).status == 200
