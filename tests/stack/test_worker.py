"""A deadline for each request, a bounded queue, connections that go where there is room: over a real gunicorn."""

from __future__ import annotations

import concurrent.futures
import contextlib
import http.client
import json
import os
import signal
import socket
import time
from pathlib import Path

import pytest

from tests import servers
from tests.models import Stall
from tests.stack.refusals import HEAD, ask, check, stall


def post(port: int, row: list[float], path: str = "/models/stall/predict") -> tuple[int, dict, float]:
    """Status, body and seconds of one prediction, on a connection of its own."""
    started = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST", path, json.dumps(row))
        response = connection.getresponse()
        return response.status, json.loads(response.read()), time.monotonic() - started
    finally:
        connection.close()


@contextlib.contextmanager
def under_way(port: int, rows: list[list[float]]):
    """Predictions that run while the block does; their results when it has ended."""
    results: list = []
    with concurrent.futures.ThreadPoolExecutor(len(rows)) as pool:
        futures = [pool.submit(post, port, row) for row in rows]
        time.sleep(0.3)
        yield results
        results.extend(future.result() for future in futures)


def lines(server: servers.Server) -> list[dict]:
    """The JSON lines of its log."""
    return [json.loads(line) for line in server.log.read_text("utf-8").splitlines() if line.startswith("{")]


def test_a_model_that_never_returns_is_answered_for_at_the_deadline_and_its_worker_replaced(store):
    """Whatever it waits for; the worker's other requests are finished, and the log has one line for it."""
    with servers.gunicorn(store, TIMEOUT="1", WEB_CONCURRENCY="1") as server:
        (worker,) = server.workers()
        with under_way(server.port, [[60, Stall.SLEEPS]]) as stuck:
            time.sleep(0.4)
            status, body, _ = post(server.port, [0.6, Stall.SLEEPS])

        assert (status, body["predictions"]) == (200, [0.6])
        ((status, body, seconds),) = stuck
        assert (status, body["code"]) == (504, "timeout")
        assert "1 s" in body["error"]
        assert "TIMEOUT" in body["error"]
        assert 1 <= seconds < 2
        assert post(server.port, [0, Stall.SLEEPS])[0] == 200
        wait_until(lambda: worker not in server.workers())
        (line,) = [line for line in lines(server) if line.get("request_id") == body["request_id"]]
        assert (line["status"], line["model"], line["version"], line["rows"]) == (504, "stall", "1", 1)


AGAIN = b"X-Tepal-Again: 1\r\nHost"


def test_a_request_that_was_sent_before_is_begun_audibly(store):
    """The first bytes of its answer come before it is computed, and the rest after, be it from whomever."""
    with servers.gunicorn(store, TIMEOUT="1", WEB_CONCURRENCY="1") as server:
        for seconds, status in ((0.3, 200), (60, 504)):
            with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
                client.sendall(stall(seconds, Stall.SLEEPS).replace(b"Host", b"X-Request-ID: mine\r\n" + AGAIN))
                assert client.recv(65536) == b"HTTP/1."
                assert client.recv(65536).startswith(b"1 %d " % status)
        assert [line["request_id"] for line in lines(server) if line.get("message", "").startswith("asked again")] == [
            "mine"
        ] * 2


def test_every_answer_to_a_request_that_was_sent_before_is_whole(store):
    """With and without a body; refusals; and the next one on the connection."""
    with servers.gunicorn(store, WEB_CONCURRENCY="1") as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        for method, path, body, status in (
            ("POST", "/models/iris/predict", "[5.9,3.0,5.1,1.8]", 200),
            ("HEAD", "/models", None, 200),
            ("POST", "/models/iris/predict", "[", 400),
            ("POST", "/nowhere", "[]", 404),
            ("GET", "/livez", None, 200),
        ):
            for headers in ({}, {"X-Tepal-Again": "1"}):
                connection.request(method, path, body, headers)
                response = connection.getresponse()
                response.read()
                assert response.status == status
        connection.request("GET", "/livez", headers={"X-Tepal-Again": "1", "If-None-Match": "*"})
        assert connection.getresponse().status == 304
        connection.close()


def wait_until(true, seconds=10):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_more_stuck_requests_than_threads_leave_room_for_others(store):
    """One worker, two threads, two sleepers: the third request has its answer long before they have theirs."""
    with servers.gunicorn(store, TIMEOUT="3", WEB_CONCURRENCY="1", THREADS="2") as server:
        with under_way(server.port, [[60, Stall.SLEEPS]] * 2) as stuck:
            assert post(server.port, [5.9, 3.0, 5.1, 1.8], "/models/iris/predict")[0] == 200
        assert [status for status, _, _ in stuck] == [504, 504]


def test_native_code_that_never_lets_go_of_the_interpreter_costs_its_worker(store):
    """The heart of the worker stops; the master ends it, and another takes its place."""
    with servers.gunicorn(store, TIMEOUT="2", WEB_CONCURRENCY="1") as server:
        (worker,) = server.workers()
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            post(server.port, [60, Stall.HOLDS])

        assert post(server.port, [0, Stall.SLEEPS])[0] == 200
        assert worker not in server.workers()


def test_more_requests_than_can_be_answered_in_time_are_refused_at_once(store):
    """503 with Retry-After; what costs nothing is answered all the same; and then there is room again."""
    with servers.gunicorn(store, TIMEOUT="8", WEB_CONCURRENCY="1", THREADS="1") as server:
        for _ in range(30):  # it learns how long an answer takes
            post(server.port, [0.05, Stall.SLEEPS])
        with under_way(server.port, [[0.9, Stall.SLEEPS]] * 12) as results:
            for path in ("/livez", "/readyz", "/models/stall"):
                assert ask(server.port, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()).status == 200

        refused = [(body, seconds) for status, body, seconds in results if status == 503]
        assert {status for status, _, _ in results} == {200, 503}
        assert all(body["code"] == "overloaded" for body, _ in refused)
        assert max(seconds for _, seconds in refused) < 0.9
        assert post(server.port, [0, Stall.SLEEPS])[0] == 200


def test_a_refusal_says_when_to_come_again(store):
    """Retry-After, for a POST and for a GET that asks for a prediction."""
    with servers.gunicorn(store, WEB_CONCURRENCY="1", THREADS="1") as server:
        for _ in range(30):
            post(server.port, [0.05, Stall.SLEEPS])
        with under_way(server.port, [[0.9, Stall.SLEEPS]] * 6):
            answer = ask(server.port, HEAD + b"Content-Length: 17\r\n\r\n[5.9,3.0,5.1,1.8]")

            check(answer, 503, "overloaded")
            assert answer.headers["Retry-After"] == "1"


def test_a_client_that_left_while_it_waited_is_not_computed_for(store):
    """Nor logged: nothing is known of its request."""
    with servers.gunicorn(store, WEB_CONCURRENCY="1", THREADS="1") as server:
        for _ in range(15):
            post(server.port, [0.3, Stall.SLEEPS])  # so that it knows that these are slow, not stuck
        with under_way(server.port, [[0.8, Stall.SLEEPS]]):
            for _ in range(5):
                with socket.create_connection(("127.0.0.1", server.port)) as client:
                    client.sendall(HEAD.replace(b"/predict", b"/models/stall/predict") + b"Content-Length: 5\r\n\r\n[0,0]")
        assert post(server.port, [0, Stall.SLEEPS])[0] == 200
        assert len([line for line in lines(server) if line.get("model") == "stall"]) == 15 + 1 + 1


def test_a_request_that_does_not_arrive_is_told_so_and_frees_its_thread(store):
    """Half a head, half a body: 408 at the deadline, and never a computed answer. Silence costs no thread."""
    with servers.gunicorn(store, TIMEOUT="1", WEB_CONCURRENCY="1", THREADS="2") as server, contextlib.ExitStack() as stack:
        connect = lambda: stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=10))  # noqa: E731
        silent = [connect() for _ in range(20)]
        half = [connect() for _ in range(2)]
        half[0].sendall(HEAD[:30])
        half[1].sendall(HEAD + b"Content-Length: 17\r\n\r\n[5.9,")
        for client in half:
            answer = http.client.HTTPResponse(client)
            answer.begin()
            assert answer.status == 408
            assert json.loads(answer.read())["code"] == "request_timeout"
        assert post(server.port, [0, Stall.SLEEPS])[0] == 200
        assert len(silent) == 20
        server.settle(1)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_stop_cuts_no_answer(store, workers):
    """What is under way is finished; nothing new is taken; silent connections do not hold it up."""
    with (
        servers.gunicorn(store, WEB_CONCURRENCY=workers) as server,
        socket.create_connection(("127.0.0.1", server.port)),
    ):
        with under_way(server.port, [[2, Stall.SLEEPS]] * 4) as results:
            server.process.send_signal(signal.SIGTERM)
        assert [status for status, _, _ in results] == [200] * 4
        started = time.monotonic()
        assert server.process.wait(10) == 0
        assert time.monotonic() - started < 4


def test_a_model_that_never_returns_does_not_hold_up_a_stop(store):
    """Its caller has its 504, and the process its end."""
    with servers.gunicorn(store, TIMEOUT="2") as server:
        with under_way(server.port, [[60, Stall.SLEEPS]]) as results:
            server.process.send_signal(signal.SIGTERM)
        assert [status for status, _, _ in results] == [504]
        assert server.process.wait(5) == 0


def test_an_interrupt_ends_it_at_once(store):
    """Ctrl-C in a terminal reaches every process."""
    with servers.gunicorn(store) as server:
        with contextlib.suppress(http.client.HTTPException, ConnectionError), under_way(server.port, [[60, Stall.SLEEPS]]):
            for process in (*server.workers(), server.process.pid):
                os.kill(process, signal.SIGINT)
        assert server.process.wait(5) == 0


def test_a_worker_that_has_just_been_born_hears_a_signal(store):
    """In its first moments it has only the master's handlers, which put a signal where nobody looks in it."""
    with servers.gunicorn(store, WEB_CONCURRENCY="1") as server:
        children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
        for _ in range(5):
            (worker,) = server.workers()
            os.kill(worker, signal.SIGKILL)
            while (newborn := children.read_text().split()) in ([], [str(worker)]):
                pass
            os.kill(int(newborn[0]), signal.SIGTERM)
            wait_until(lambda newborn=newborn: newborn != children.read_text().split(), 3)
            server.settle(1)


def test_the_masters_own_messages_are_lines_of_the_same_log(store):
    """A killed worker, a malformed request: JSON, each line."""
    with servers.gunicorn(store) as server:
        os.kill(server.workers()[0], signal.SIGKILL)
        wait_until(lambda: "SIGKILL" in server.log.read_text())
        after_start = server.log.read_text().rpartition("in a browser.")[2].split("\n")

        (killed,) = [line for line in map(json.loads, filter(None, after_start)) if "SIGKILL" in line.get("message", "")]
        assert killed["level"] == "error"
        assert killed["pid"] == server.process.pid


def test_a_client_that_does_not_read_its_answer_gives_its_thread_back(store):
    """Even with gunicorn alone: what was to be sent is given up after ten seconds without progress."""
    rows = b"[" + b",".join([b"[5.9,3.0,5.1,1.8]"] * 200_000) + b"]"
    with servers.gunicorn(store, WEB_CONCURRENCY="1", THREADS="1", TIMEOUT="30") as server, contextlib.ExitStack() as stack:
        for _ in range(2):  # the thread, and the one for when that is stuck
            client = stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            head = HEAD.replace(b"/predict", b"/models/iris-logistic/predict")
            client.sendall(head + b"Content-Length: %d\r\n\r\n%s" % (len(rows), rows))
        wait_until(lambda: len([line for line in lines(server) if line.get("rows") == 200_000]) == 2, 30)

        wait_until(lambda: post(server.port, [0, Stall.SLEEPS])[0] == 200, 15)
        server.settle(1)
