"""Requests that nginx refuses itself, and how a client of raw bytes reads what it says."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket
from typing import Any, NamedTuple

import pytest

HEAD = b"POST /predict HTTP/1.1\r\nHost: tepal\r\n"
MIB = 1024 * 1024


def case(name: str, request: bytes, status: int, code: str) -> Any:
    return pytest.param(request, status, code, id=name)


# Against an nginx with MAX_BODY_MB=1.
REFUSALS = (
    case("broken first line", b"GE T / HTTP/1.1\r\nHost: tepal\r\n\r\n", 400, "malformed_body"),
    case("no HTTP at all", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, "malformed_body"),
    case("no host", b"GET / HTTP/1.1\r\n\r\n", 400, "malformed_body"),
    case("two hosts", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "malformed_body"),
    case("length is no number", HEAD + b"Content-Length: ten\r\n\r\n[1]", 400, "malformed_body"),
    case("length is negative", HEAD + b"Content-Length: -1\r\n\r\n", 400, "malformed_body"),
    case("two lengths", HEAD + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\n[1]", 400, "malformed_body"),
    case(
        "length and chunks",
        HEAD + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n[1]\r\n0\r\n\r\n",
        400,
        "malformed_body",
    ),
    case("broken chunk", HEAD + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n[1]\r\n0\r\n\r\n", 400, "malformed_body"),
    case("path above the root", b"GET /../etc/passwd HTTP/1.1\r\nHost: tepal\r\n\r\n", 400, "malformed_body"),
    case("NUL in the path", b"GET /a%00b HTTP/1.1\r\nHost: tepal\r\n\r\n", 400, "malformed_body"),
    case("nginx's own page", b"GET /_error HTTP/1.1\r\nHost: tepal\r\n\r\n", 404, "not_found"),
    case("TRACE", b"TRACE / HTTP/1.1\r\nHost: tepal\r\n\r\n", 405, "method_not_allowed"),
    case("body by its length", HEAD + b"Content-Length: %d\r\n\r\n" % (MIB + 1), 413, "body_too_large"),
    case(
        "body by its chunks",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (MIB + 1, b" " * (MIB + 1)),
        413,
        "body_too_large",
    ),
    case("long first line", b"GET /?%s HTTP/1.1\r\nHost: tepal\r\n\r\n" % (b"a" * 9000), 414, "uri_too_long"),
    case("long header", HEAD + b"X-Long: %s\r\n\r\n" % (b"a" * 9000), 431, "request_header_fields_too_large"),
    case("long headers", HEAD + b"X-Long: %s\r\n" % (b"a" * 8000) * 5 + b"\r\n", 431, "request_header_fields_too_large"),
    case("unknown encoding", HEAD + b"Transfer-Encoding: gzip\r\n\r\n", 501, "not_implemented"),
    case("HTTP of the future", b"GET / HTTP/9.9\r\nHost: tepal\r\n\r\n", 505, "http_version_not_supported"),
)


def stall(seconds: float, way: int, model: str = "stall") -> bytes:
    """A request that takes so long, or its process with it; see ``tests/models.py``."""
    body = b"[%f,%d]" % (seconds, way)
    head = HEAD.replace(b"/predict", f"/models/{model}/predict".encode())
    return head + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes
    rest: bytes  # what came after it on the same connection


def ask(port: int, request: bytes) -> Answer:
    """Send raw bytes, then read the one answer and whatever follows until the server closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        with contextlib.suppress(ConnectionError):  # refused before all was sent; the answer is there
            connection.sendall(request)
        response = http.client.HTTPResponse(connection)
        response.begin()
        body = response.read()
        rest = b"" if response.will_close else _drain(connection)
        return Answer(response.status, response.headers, body, rest)


def _drain(connection: socket.socket) -> bytes:
    connection.shutdown(socket.SHUT_WR)
    return b"".join(iter(lambda: connection.recv(65536), b""))


def check(answer: Answer, status: int, code: str) -> dict[str, str]:
    """Assert the one shape of every error. Returns the body."""
    body: dict[str, str] = json.loads(answer.body)

    assert status == answer.status
    assert list(body) == ["error", "code", "request_id"]
    assert code == body["code"]
    assert re.search(r"\w{3,}", body["error"])
    assert answer.headers.get_all("Content-Type") == ["application/json"]
    assert [body["request_id"]] == answer.headers.get_all("X-Request-ID")
    assert answer.rest == b""
    return body
