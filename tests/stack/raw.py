"""Raw bytes over a socket: what a client that keeps to no rule may send, and all that comes back."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.servers import Server

PATIENCE = 20  # seconds in which something must come, where something must
IDLE = 0.3  # seconds of silence after which a server is taken to wait for more

# What each status of a refusal may be called.
CODES = {
    400: {"malformed_body"},
    403: {"forbidden"},
    404: {"not_found"},
    405: {"method_not_allowed"},
    408: {"malformed_body", "request_timeout"},
    411: {"malformed_body", "length_required"},
    413: {"body_too_large"},
    414: {"uri_too_long"},
    415: {"unsupported_media_type"},
    417: {"malformed_body", "expectation_failed"},
    422: {"invalid_input"},
    431: {"request_header_fields_too_large"},
    500: {"model_error"},  # internal_error is a bug wherever it is seen
    501: {"not_implemented"},
    503: {"not_ready", "overloaded", "draining"},
    504: {"timeout"},
    505: {"http_version_not_supported"},
}


class Way(NamedTuple):
    """A way to reach the API. port: where to send to. servers: those on the way; the last one is the API."""

    name: str
    port: int
    servers: Sequence[Server]

    @property
    def api(self) -> Server:
        return self.servers[-1]


class Answer(NamedTuple):
    """headers: as they came, names in lower case. whole: nothing of the body is missing."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    whole: bool = True

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]

    @property
    def identity(self) -> str:
        (identity,) = self.all("x-request-id")
        return identity


class Heard(NamedTuple):
    """All that came on one connection. rest: bytes that are no answer. closed: by the server, of its own accord."""

    answers: list[Answer]
    rest: bytes
    closed: bool

    @property
    def statuses(self) -> list[int]:
        return [answer.status for answer in self.answers]


def converse(port: int, request: bytes, *, heads: int = 0, idle: float = PATIENCE, cut: int = 0) -> Heard:
    """Send bytes on one connection, then read until the server closes, or is silent for ``idle`` seconds.

    After that silence the client says that it has no more to send, and reads what there still is. heads: how many of
    the first answers are to HEAD. cut: the byte before which a new packet begins.
    """
    data, closed = b"", True
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        with contextlib.suppress(ConnectionError):  # refused before all was sent; the answer is there
            if cut:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.sendall(request[:cut])
                time.sleep(0.001)
            connection.sendall(request[cut:])
        connection.settimeout(idle)
        try:
            data += _until_closed(connection)
        except _Silence as silence:
            data, closed = silence.data, False
            connection.settimeout(PATIENCE)
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_WR)
            data += _until_closed(connection)
    return Heard(*split(data, heads), closed)


class _Silence(Exception):
    def __init__(self, data: bytes):
        self.data = data


def _until_closed(connection: socket.socket) -> bytes:
    data = b""
    try:
        while piece := connection.recv(65536):
            data += piece
    except ConnectionError:
        pass
    except TimeoutError:
        raise _Silence(data) from None
    return data


def split(data: bytes, heads: int = 0) -> tuple[list[Answer], bytes]:
    """The answers in what a server sent, without interim ones (1xx), and the bytes that are none."""
    answers: list[Answer] = []
    while (start := re.match(rb"HTTP/1\.[0-9] ([0-9]{3}) [^\r\n]*\r\n", data)) and b"\r\n\r\n" in data:
        head, _, data = data.partition(b"\r\n\r\n")
        status = int(start[1])
        lines = (line.decode("latin-1").partition(":") for line in head.split(b"\r\n")[1:])
        headers = [(name.lower(), value.strip()) for name, _, value in lines]
        if status < 200:
            continue
        if len(answers) < heads or status in (204, 304):
            answers.append(Answer(status, headers, b""))
            continue
        body, data, whole = _body(dict(headers), data)
        answers.append(Answer(status, headers, body, whole))
    return answers, data


def _body(headers: dict[str, str], data: bytes) -> tuple[bytes, bytes, bool]:
    if "transfer-encoding" not in headers:
        length = int(headers.get("content-length", len(data)))
        return data[:length], data[length:], len(data) >= length
    body = b""
    while chunk := re.match(rb"([0-9a-f]+)\r\n", data, re.IGNORECASE):
        size = int(chunk[1], 16)
        body, data = body + data[chunk.end() :][:size], data[chunk.end() + size + 2 :]
        if size == 0:
            return body, data, True
    return body, data, False


def error_of(answer: Answer) -> dict[str, Any]:
    """Assert that an answer is an error in the one shape. Returns its body."""
    assert answer.whole
    assert answer.all("content-type") == ["application/json"]
    body: dict[str, Any] = json.loads(answer.body)
    assert list(body)[:3] == ["error", "code", "request_id"]
    assert set(body) <= {"error", "code", "request_id", "details", "details_total"}
    assert re.search(r"\w{3,}", body["error"])
    assert not re.search(r"Traceback|site-packages|/work|/usr|\.py\b|gunicorn|nginx|Flask|Werkzeug", body["error"])
    assert body["code"] in CODES[answer.status], (answer.status, body)
    assert body["request_id"] == answer.identity
    assert bool(answer.all("retry-after")) == (answer.status in (429, 503))
    assert bool(answer.all("allow")) == (answer.status == 405)
    return body


class LogReader:
    """The lines that servers write from now on."""

    def __init__(self, *servers: Server):
        self._logs = [(server.log, server.log.stat().st_size) for server in servers]

    def text(self) -> bytes:
        return b"".join(_read(log, start) for log, start in self._logs)

    def lines(self) -> list[dict[str, Any]]:
        """Each line as the JSON object that it must be: UTF-8, without a control character."""
        return [line_of(line) for line in self.text().splitlines(keepends=True)]

    def of(self, prefix: str) -> list[dict[str, Any]]:
        """The lines of requests whose id starts so."""
        start = f'"request_id":"{prefix}'.encode()
        return [line_of(line) for line in self.text().splitlines(keepends=True) if start in line]


def _read(log: Path, start: int) -> bytes:
    with log.open("rb") as file:
        file.seek(start)
        return file.read()


def line_of(line: bytes) -> dict[str, Any]:
    """One line of a log as an object. Fails where it is not one complete line of printable UTF-8 JSON."""
    assert line.endswith(b"\n"), line
    text = line[:-1].decode("utf-8")
    assert text.isprintable(), text
    found = json.loads(text)
    assert isinstance(found, dict)
    return found


def joined(*parts: bytes | Iterable[bytes]) -> bytes:
    return b"".join(part if isinstance(part, bytes) else b"".join(part) for part in parts)
