"""The table of errors, row by row: one request for each, to gunicorn alone and through nginx."""

from __future__ import annotations

import contextlib
import socket
import time
from typing import NamedTuple

import pytest

from tests import servers
from tests.models import Stall
from tests.stack.desync import ROW, TE, get, lines, post
from tests.stack.raw import PATIENCE, Answer, Way, converse, error_of, split

CLOSE = b"Connection: close"
MIB = 1024 * 1024


class Row(NamedTuple):
    """A request, and all that its answer says. details: how many bad cells it lists. has: a word of its sentence."""

    name: str
    request: bytes
    status: int
    code: str
    has: str
    details: int | None = None
    total: int | None = None
    headers: dict[str, str] | None = None


def to(path: bytes, body: bytes, *fields: bytes) -> bytes:
    return post(b"Content-Length: %d" % len(body), *fields, body=body, first=b"POST %s HTTP/1.1" % path)


def row(body: bytes, *fields: bytes) -> bytes:
    return to(b"/predict", body, *fields)


VECTORS = b"[" + b",".join([b'["a",3.0,5.1,1.8]'] * 30) + b"]"

# What a model and its signature refuse, and what the service does.
ROWS = (
    Row("nothing", row(b""), 400, "malformed_body", "empty"),
    Row("no JSON", row(b"{'a': 1}"), 400, "malformed_body", "JSON"),
    Row("NaN", row(b"[NaN,3.0,5.1,1.8]"), 400, "malformed_body", "null"),
    Row("a number beyond float64", row(b"[1e400,3.0,5.1,1.8]"), 400, "malformed_body", "64-bit"),
    Row("bad UTF-8", row(b'["\xff",3.0,5.1,1.8]'), 400, "malformed_body", "UTF-8"),
    Row("UTF-16", row("[5.9,3.0,5.1,1.8]".encode("utf-16")), 400, "malformed_body", "UTF-16"),
    Row("too deep", row(b"[" * 1000), 400, "malformed_body", "deep"),
    Row("unknown path", get(first=b"GET /nowhere HTTP/1.1"), 404, "not_found", "/predict"),
    Row("unknown model", to(b"/models/nobody/predict", ROW), 404, "not_found", "iris"),
    Row("unknown version", to(b"/models/iris/versions/9/predict", ROW), 404, "not_found", "9"),
    Row("DELETE", get(first=b"DELETE /models HTTP/1.1"), 405, "method_not_allowed", "GET", headers={"allow": "GET, HEAD"}),
    Row("OPTIONS", get(first=b"OPTIONS /livez HTTP/1.1"), 405, "method_not_allowed", "GET", headers={"allow": "GET, HEAD"}),
    Row("too large", post(b"Content-Length: %d" % (MIB + 1), body=b"a" * (MIB + 1)), 413, "body_too_large", "MAX_BODY_MB"),
    Row("a picture", row(ROW, b"Content-Type: image/png"), 415, "unsupported_media_type", "image/png"),
    Row("a charset", row(ROW, b"Content-Type: text/plain; charset=latin1"), 415, "unsupported_media_type", "latin1"),
    Row("an encoding", row(ROW, b"Content-Encoding: br"), 415, "unsupported_media_type", "br"),
    Row("no rows", row(b"[]"), 422, "invalid_input", "no"),
    Row("a scalar", row(b"5"), 422, "invalid_input", "5"),
    Row("ragged", row(b"[[5.9,3.0],[5.9,3.0,5.1,1.8]]"), 422, "invalid_input", "row 0", 1),
    Row("a wrong type", row(b'["wide",3.0,5.1,1.8]'), 422, "invalid_input", "wide", 1),
    Row("30 wrong types", row(VECTORS), 422, "invalid_input", "row 0", 20, 30),
    Row(
        "a missing column",
        row(b'{"sepal_length":1,"sepal_width":1,"petal_length":1}'),
        422,
        "invalid_input",
        "petal_width",
        1,
    ),
    Row("the estimator refuses", to(b"/models/temper/predict", b"[50,2]"), 422, "invalid_input", "50"),
    Row("the estimator raises", to(b"/models/temper/predict", b"[101,2]"), 500, "model_error", "log"),
)

# What HTTP itself refuses: whoever reads it first.
BROKEN = (
    Row("a broken first line", get(first=b"GE T /livez HTTP/1.1"), 400, "malformed_body", "HTTP"),
    Row("a method that is none", get(first=b"G\xc9T /livez HTTP/1.1"), 400, "malformed_body", "HTTP"),
    Row("a header with a space", get(b"X : a"), 400, "malformed_body", "HTTP"),
    Row("a length that is none", post(b"Content-Length: ten"), 400, "malformed_body", "HTTP"),
    Row("two lengths", post(b"Content-Length: 17", b"Content-Length: 18"), 400, "malformed_body", "HTTP"),
    Row("length and chunks", post(b"Content-Length: 17", b"Transfer-Encoding: chunked"), 400, "malformed_body", "HTTP"),
    Row("a broken chunk", post(b"Transfer-Encoding: chunked", body=b"zz\r\n"), 400, "malformed_body", "chunks"),
    Row("a first line of 9 KB", get(first=b"GET /?%s HTTP/1.1" % (b"a" * 9000)), 414, "uri_too_long", "8"),
    Row("a header of 9 KB", get(b"X: %s" % (b"a" * 9000)), 431, "request_header_fields_too_large", "8"),
    Row("101 headers", get(*[b"X: a"] * 101), 431, "request_header_fields_too_large", "headers"),
    Row("an unknown coding", post(b"Transfer-Encoding: cow"), 501, "not_implemented", "Transfer-Encoding"),
    Row("a version of the future", get(first=b"GET /livez HTTP/9.9"), 505, "http_version_not_supported", "HTTP"),
)

# Where only nginx can say it.
AT_THE_DOOR = (
    Row("no host", lines(b"GET /livez HTTP/1.1"), 400, "malformed_body", "HTTP"),
    Row(
        "TRACE", get(first=b"TRACE /livez HTTP/1.1"), 405, "method_not_allowed", "GET", headers={"allow": "GET, HEAD, POST"}
    ),
)


def check(way: Way, row: Row) -> Answer:
    """Assert that the answer to a row's request is all that the row says, and that no other follows."""
    heard = converse(way.port, row.request.replace(b"{id}", b"row") + b"GET /livez HTTP/1.0\r\n\r\n")
    answer = heard.answers[0]
    body = error_of(answer)

    assert (answer.status, body["code"]) == (row.status, row.code)
    assert row.has in body["error"]
    assert len(body.get("details", [])) == (row.details or 0)
    assert body.get("details_total") == row.total
    assert {name: answer.all(name) for name in row.headers or {}} == {name: [v] for name, v in (row.headers or {}).items()}
    assert answer.all("cache-control") == ["no-cache"]
    assert len(heard.answers) <= 2
    return answer


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_what_the_service_refuses(way, row):
    """Status, code, details and headers are the contract's, under the client's own id, and nothing is cached."""
    assert check(way, row).identity == "row-first"


@pytest.mark.parametrize("row", BROKEN, ids=lambda row: row.name)
def test_what_http_itself_refuses(way, row):
    """It has the same shape, whoever read it first; the connection ends, for nobody knows where a next request begins."""
    check(way, row)


@pytest.mark.parametrize("row", AT_THE_DOOR, ids=lambda row: row.name)
def test_what_only_the_door_refuses(door, row):
    """The same shape again."""
    check(Way("nginx", door.port, [door]), row)


def test_a_head_has_the_headers_of_its_get(way):
    """An error's too, without a body that a next answer could be mistaken for."""
    request = get(first=b"HEAD /nowhere HTTP/1.1").replace(b"{id}", b"head") + get(CLOSE)
    first, second = converse(way.port, request, heads=1).answers

    assert (first.status, second.status) == (404, 200)
    assert first.all("content-type") == ["application/json"]
    assert first.identity == "head-first"


@pytest.fixture(scope="module", name="empty")
def _empty(tmp_path_factory):
    """A gunicorn over an empty model repository."""
    with servers.gunicorn(tmp_path_factory.mktemp("empty"), WEB_CONCURRENCY="1") as server:
        yield server


@pytest.mark.parametrize("request_", [row(ROW, CLOSE), get(CLOSE, first=b"GET /readyz HTTP/1.1")], ids=["predict", "readyz"])
def test_a_service_without_a_model_is_not_ready(empty, request_):
    """503 with when to come back, alone and through nginx, which does not take it for a dead replica."""
    with servers.nginx([f"127.0.0.1:{empty.port}"]) as door:
        for port in (empty.port, door.port):
            (answer,) = converse(port, request_.replace(b"{id}", b"row")).answers
            body = error_of(answer)

            assert (answer.status, body["code"]) == (503, "not_ready")
            assert "publish" in body["error"]
            assert answer.all("retry-after") == ["5"]
            assert answer.identity == body["request_id"] == "row-first"


@pytest.fixture(scope="module", name="hurried")
def _hurried(store):
    """A gunicorn with one thread and one second for each request, and nginx before it."""
    with servers.gunicorn(store, WEB_CONCURRENCY="1", THREADS="1", TIMEOUT="1") as server:
        yield server


@pytest.fixture(params=["gunicorn", "nginx"], name="narrow")
def _narrow(request, hurried):
    """Each way to ``hurried``, in turn."""
    if request.param == "gunicorn":
        yield Way("gunicorn", hurried.port, [hurried])
        return
    with servers.nginx([f"127.0.0.1:{hurried.port}"], TIMEOUT="1") as door:
        yield Way("nginx", door.port, [door, hurried])


def stall(seconds: float) -> bytes:
    """A request that keeps a thread busy."""
    return to(b"/models/stall/predict", b"[%f,%d]" % (seconds, Stall.SLEEPS), CLOSE).replace(b"{id}", b"stall")


def until(condition) -> None:
    """Wait for what must come true."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end


def test_a_service_without_room_says_so_at_once(narrow):
    """503 with when to come back; what costs nothing is answered all the same."""
    predict, livez = (request.replace(b"{id}", b"row") for request in (row(ROW, CLOSE), get(CLOSE)))
    found: dict[str, Answer] = {}

    def refused() -> bool:
        with contextlib.ExitStack() as stack:
            busy = [stack.enter_context(socket.create_connection(("127.0.0.1", narrow.port), PATIENCE)) for _ in range(6)]
            for connection in busy:
                connection.sendall(stall(0.9))
            time.sleep(0.7)  # long enough to be taken for stuck
            (found["predict"],), (found["livez"],) = (converse(narrow.port, request).answers for request in (predict, livez))
            stalled = [split(b"".join(iter(lambda: connection.recv(65536), b"")))[0][0] for connection in busy]  # noqa: B023
            found["stall"] = min(stalled)
        return found["predict"].status != 200

    until(refused)
    answer, body = found["predict"], error_of(found["predict"])

    assert (answer.status, body["code"], answer.identity) == (503, "overloaded", "row-first")
    assert answer.all("retry-after") == ["1"]
    assert answer.all("cache-control") == ["no-cache"]
    assert (found["livez"].status, found["stall"].status) == (200, 200)


def test_a_model_that_takes_too_long_is_a_timeout(narrow):
    """504 names the limit and its setting, and the next request is answered by somebody else."""
    (answer,) = converse(narrow.port, stall(4)).answers
    body = error_of(answer)

    assert (answer.status, body["code"], answer.identity) == (504, "timeout", "stall-first")
    assert "1 s" in body["error"]
    assert "TIMEOUT" in body["error"]
    assert answer.all("cache-control") == ["no-cache"]


@pytest.mark.parametrize(
    "half",
    [b"POST /predict HTTP/1.1\r\nHost: a\r\n", post(b"Content-Length: 17", body=b"[5.9"), post(TE, body=b"11\r\n[5.9")],
)
def test_a_request_that_does_not_arrive_is_a_timeout_of_its_client(hurried, half):
    """408 in the same shape from the API alone. nginx closes without a word, as it does on every silent client."""
    until(lambda: converse(hurried.port, row(ROW, CLOSE)).statuses == [200])
    (answer,) = converse(hurried.port, half.replace(b"{id}", b"row")).answers
    body = error_of(answer)

    assert (answer.status, body["code"]) == (408, "request_timeout")
    assert "TIMEOUT" in body["error"]
