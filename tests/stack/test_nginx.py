"""The door, as this machine's nginx before a real gunicorn."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import re
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests import servers
from tests.models import Stall
from tests.stack.refusals import HEAD, REFUSALS, Answer, ask, check, stall

PREDICT = HEAD + b"Content-Length: 17\r\n\r\n[5.9,3.0,5.1,1.8]"


@pytest.fixture(scope="module", name="door")
def _door(served):
    """nginx with a small limit, before the gunicorn of the session."""
    with servers.nginx([f"127.0.0.1:{served.port}"], MAX_BODY_MB="1") as server:
        yield server


@pytest.mark.parametrize(("request_", "status", "code"), REFUSALS)
def test_what_nginx_refuses_has_the_shape_of_every_error(door, request_, status, code):
    """Whoever refuses, a client reads one shape."""
    check(ask(door.port, request_), status, code)


def test_a_body_that_is_too_large_is_told_the_limit_and_its_setting(door):
    """The sentence can be acted on."""
    body = check(ask(door.port, HEAD + b"Content-Length: 1048577\r\n\r\n"), 413, "body_too_large")

    assert "1 MiB" in body["error"]
    assert "MAX_BODY_MB" in body["error"]


def test_a_body_at_the_limit_passes(door):
    """The limit itself is allowed, by length and by chunks."""
    row = b"[5.9,3.0,5.1,1.8]".ljust(1024 * 1024)

    by_length = ask(door.port, HEAD + b"Content-Length: %d\r\n\r\n%s" % (len(row), row))
    by_chunks = ask(door.port, HEAD + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(row), row))

    assert [by_length.status, by_chunks.status] == [200, 200]


def test_an_unknown_method_is_told_the_known_ones(door):
    """405 has Allow."""
    assert ask(door.port, b"TRACE / HTTP/1.1\r\nHost: tepal\r\n\r\n").headers["Allow"] == "GET, HEAD, POST"


@pytest.mark.parametrize("line", [8100, 8188])
def test_what_passes_nginx_is_not_too_long_for_gunicorn(door, line):
    """The longest first line and the longest header that nginx lets through get an answer of the API's own."""
    path = b"/x?".ljust(line - len("GET  HTTP/1.1"), b"a")
    for request in (
        b"GET %s HTTP/1.1\r\nHost: tepal\r\n\r\n" % path,
        b"GET /x HTTP/1.1\r\nHost: tepal\r\nX-Long: %s\r\n\r\n" % (b"a" * (line - len("X-Long: "))),
    ):
        check(ask(door.port, request), 404, "not_found")


@pytest.mark.parametrize("given", ["order-17", "A.b_c~d+e/f=g:h@i-j", "x" * 100])
def test_a_request_id_that_can_be_trusted_is_kept(door, given):
    """On an answer and on a refusal, once."""
    header = f"X-Request-ID: {given}\r\n".encode()

    answered = ask(door.port, PREDICT.replace(b"\r\n", b"\r\n" + header, 1))
    refused = ask(door.port, HEAD + header + b"Content-Length: 9999999\r\n\r\n")

    assert [given] == answered.headers.get_all("X-Request-ID")
    assert given == check(refused, 413, "body_too_large")["request_id"]


@pytest.mark.parametrize("given", ["", "x" * 101, "a b", 'a"b', "a\\b", "ä", "\x1b[31m"])
def test_any_other_request_id_is_replaced(door, given):
    """What cannot be logged as it is, is not."""
    header = f"X-Request-ID: {given}\r\n".encode()

    answered = ask(door.port, PREDICT.replace(b"\r\n", b"\r\n" + header, 1))
    refused = ask(door.port, HEAD + header + b"Content-Length: 9999999\r\n\r\n")

    assert re.fullmatch(r"[0-9a-f]{32}", answered.headers["X-Request-ID"])
    assert re.fullmatch(r"[0-9a-f]{32}", check(refused, 413, "body_too_large")["request_id"])


def test_two_request_ids_do_not_become_one_text(door):
    """The first one (nginx 1.22) or a new one (since 1.23), but not both with a comma."""
    answer = ask(door.port, PREDICT.replace(b"\r\n", b"\r\nX-Request-ID: a\r\nX-Request-ID: b\r\n", 1))

    assert re.fullmatch(r"a|[0-9a-f]{32}", answer.headers["X-Request-ID"])


def test_each_request_has_one_line_of_json_with_its_id(door):
    """Joined with the API's line by it, whatever bytes a client sends."""
    hostile = b'User-Agent: \xff"\\\x1b[31m\r\nReferer: \xfe\r\n'
    check(ask(door.port, HEAD + hostile + b"X-Request-ID: line-1\r\nContent-Length: 9999999\r\n\r\n"), 413, "body_too_large")
    ask(door.port, b"GET /\xff?\xff HTTP/1.1\r\nHost: \xff\r\n\r\n")
    ask(door.port, PREDICT.replace(b"\r\n", b"\r\nX-Request-ID: line-2\r\n", 1))
    wait_for_line(door, "line-2")
    by_id = {line["request_id"]: line for line in map(json.loads, door.log.read_text("utf-8").splitlines())}

    assert by_id["line-1"]["status"] == "413"
    assert by_id["line-2"]["status"] == by_id["line-2"]["upstream_status"] == "200"


def wait_for_line(door, identity):
    """A line is written after its answer."""
    deadline = time.monotonic() + 5
    while f'"{identity}"' not in door.log.read_text("utf-8"):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_liveness_probe_leaves_no_line(door):
    """Watchers ask every few seconds."""
    ask(door.port, b"GET /livez HTTP/1.1\r\nHost: tepal\r\nX-Request-ID: probe\r\n\r\n")
    ask(door.port, b"GET /nowhere HTTP/1.1\r\nHost: tepal\r\nX-Request-ID: after-probe\r\n\r\n")
    wait_for_line(door, "after-probe")

    assert b'"request_id":"probe"' not in door.log.read_bytes()


def test_a_dead_upstream_is_not_ready():
    """503 and when to come back, never 502."""
    with servers.nginx([f"127.0.0.1:{servers.free_port()}"]) as door:
        for request in (PREDICT, b"GET /livez HTTP/1.1\r\nHost: tepal\r\n\r\n"):
            answer = ask(door.port, request)
            check(answer, 503, "not_ready")

            assert answer.headers["Retry-After"] == "5"


def test_an_upstream_that_cannot_be_reached_is_not_ready():
    """A machine that is gone does not even refuse a connection; no model was too slow there."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        waiting = [socket.socket() for _ in range(4)]  # they fill its queue; further ones are met with silence
        for client in waiting:
            client.setblocking(False)
            client.connect_ex(full.getsockname())
        with servers.nginx([f"127.0.0.1:{full.getsockname()[1]}"]) as door:
            check(ask(door.port, PREDICT), 503, "not_ready")
        for client in waiting:
            client.close()


def test_a_replica_that_is_silent_is_dead_and_the_request_is_asked_for_once_more():
    """The API itself answers 504 in time; where nothing comes, another replica may, and else nginx says it."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with servers.nginx([address, address], TIMEOUT="1") as door:
            body = check(ask(door.port, PREDICT), 504, "timeout")

        silent.settimeout(0.2)
        tries = [silent.accept()[0] for _ in range(2)]
        with pytest.raises(TimeoutError):
            silent.accept()
        for connection in tries:
            connection.close()
    assert "1 s" in body["error"]
    assert "TIMEOUT" in body["error"]


def test_an_answer_that_says_no_is_not_asked_for_again(store):
    """504 from the API is an answer: the model is not asked a second time."""
    with servers.gunicorn(store, TIMEOUT="1") as server, servers.nginx([f"127.0.0.1:{server.port}"], TIMEOUT="1") as door:
        body = check(ask(door.port, stall(60, Stall.SLEEPS)), 504, "timeout")

        assert server.log.read_text().count('"status":504') == 1
    assert "1 s" in body["error"]


GET = b"GET /predict?x=1 HTTP/1.1\r\nHost: tepal\r\n\r\n"


@pytest.mark.parametrize("request_", [PREDICT, GET])
@pytest.mark.parametrize("replicas", [1, 5])
def test_a_request_that_ends_every_process_is_computed_twice(request_, replicas):
    """The bound on what one poisonous request can break, however many replicas there are to break."""
    deaths, answer = ended(request_, replicas, b"HTTP/1.")

    body = check(answer, 500, "model_error")
    assert "twice" in body["error"]
    assert deaths == [False, True], "the second time it is said that it was sent before"


@pytest.mark.parametrize("request_", [PREDICT, GET])
def test_a_request_that_no_process_begins_is_not_tried_for_ever(request_):
    """Each of them ended for another reason, so it is tried longer."""
    deaths, answer = ended(request_, 5, b"")

    check(answer, 503, "not_ready")
    assert deaths == [False] + [True] * 4


def ended(request_: bytes, replicas: int, beginning: bytes) -> tuple[list[bool], Answer]:
    """For each process that ended, whether it was told that the request was sent before; and the client's answer.

    beginning: what each sends before its end, if it is told so.
    """
    with socket.create_server(("127.0.0.1", 0)) as mortal, concurrent.futures.ThreadPoolExecutor(1) as client:
        mortal.settimeout(1)
        with servers.nginx([f"127.0.0.1:{mortal.getsockname()[1]}"] * replicas) as door:
            asked = client.submit(ask, door.port, request_)
            return list(die(mortal, beginning)), asked.result()


def die(listener: socket.socket, beginning: bytes = b"") -> Iterator[bool]:
    """Take each request, until there are no more, and close without an answer."""
    with contextlib.suppress(TimeoutError):
        while True:
            connection, _ = listener.accept()
            again = b"\r\nX-Tepal-Again: 1\r\n" in connection.recv(65536)
            if again:
                connection.sendall(beginning)
            connection.close()
            yield again


def test_a_client_cannot_say_that_its_request_was_sent_before():
    with socket.create_server(("127.0.0.1", 0)) as mortal, concurrent.futures.ThreadPoolExecutor(1) as client:
        mortal.settimeout(5)
        with servers.nginx([f"127.0.0.1:{mortal.getsockname()[1]}"]) as door:
            client.submit(ask, door.port, PREDICT.replace(b"Host", b"X-Tepal-Again: 1\r\nHost"))
            assert next(die(mortal)) is False
            mortal.settimeout(1)
            list(die(mortal))


def test_replicas_that_go_cost_nothing_while_one_stays(served):
    """Those that refuse, and those that take a connection and are gone, are no reason to give up."""
    with socket.create_server(("127.0.0.1", 0)) as mortal:
        gone = [f"127.0.0.1:{servers.free_port()}" for _ in range(2)]
        mortal.settimeout(1)
        dying = threading.Thread(target=lambda: sum(1 for _ in die(mortal)))
        dying.start()
        with servers.nginx([*gone, f"127.0.0.1:{mortal.getsockname()[1]}", f"127.0.0.1:{served.port}"]) as door:
            statuses = [ask(door.port, PREDICT).status for _ in range(20)]
        dying.join()

    assert statuses == [200] * 20
