"""An answer leaves in one piece, or not at all."""

from __future__ import annotations

import re
import socket
from types import SimpleNamespace

import pytest
from gunicorn.config import Config

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
    def respond(*blocks, method="GET", headers=(("Content-Length", "4"),), status="200 OK", begun=0):
        asked = SimpleNamespace(method=method, version=(1, 1), should_close=lambda: False, headers=[])
        recorder = Recorder()
        exchange = Exchange(8)
        exchange.begun = begun
        response = Response(exchange, lambda: False, asked, recorder, Config())
        response.start_response(status, list(headers))
        for block in blocks:
            response.write(block)
        response.close()
        return recorder.writes

    return respond


def test_head_and_body_are_one_write(respond):
    (write,) = respond(b"body")

    assert write.startswith(b"HTTP/1.1 200 OK\r\n")
    assert write.endswith(b"\r\n\r\nbody")


def test_further_blocks_follow(respond):
    first, second = respond(b"bo", b"dy")

    assert first.endswith(b"\r\n\r\nbo")
    assert second == b"dy"


def test_an_answer_without_a_body_is_its_head(respond):
    (write,) = respond(method="HEAD")

    assert write.endswith(b"\r\n\r\n")


def test_a_chunked_answer_is_gunicorns_own_affair(respond):
    assert b"".join(respond(b"body", headers=())).endswith(b"\r\n\r\n4\r\nbody\r\n0\r\n\r\n")


@pytest.mark.parametrize(
    "answer",
    [
        {"blocks": [b"body"]},
        {"blocks": [b"bo", b"dy"]},
        {"blocks": [b"body"], "headers": ()},
        {"blocks": [], "method": "HEAD"},
        {"blocks": [], "status": "304 Not Modified", "headers": ()},
    ],
)
def test_what_went_ahead_is_not_sent_again(respond, answer):
    blocks = answer.pop("blocks")
    date = re.compile(rb"Date: .*\r\n")

    whole, rest = (date.sub(b"", b"".join(respond(*blocks, **answer, begun=begun))) for begun in (0, 7))

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
