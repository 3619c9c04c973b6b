"""What wraps a request from outside: its id, its log line, and the log's one format."""

from __future__ import annotations

import contextlib
import json
import os
import re
import traceback
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

STDOUT = 1  # the descriptor: a line goes out in one write, past any buffer

_REQUEST_ID = re.compile(r"[A-Za-z0-9._~+/=:@-]{1,100}")


def request_id(given: str | None) -> str:
    """The client's own id where it is one that can be logged and sent back as it is; else a new one."""
    return given if given is not None and _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def log_request(
    identity: str, method: str | None, route: str | None, status: int, seconds: float, facts: Mapping[str, Any]
) -> None:
    """One line a request. Nothing in it is a client's own text but the method and the checked id."""
    log(
        request_id=identity,
        method=method and method[:20],
        route=route,
        status=status,
        duration_ms=round(seconds * 1000, 3),
        **facts,
    )


def log_exception(error: Exception, identity: str) -> None:
    """The whole traceback of what a caller is told nothing of."""
    log(level="error", request_id=identity, exception="".join(traceback.format_exception(error)))


def log(**fields: Any) -> None:
    """Write one JSON line to standard output, in one call, so that lines of several workers do not mix."""
    time = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    line = _line({"time": time, **fields})
    with contextlib.suppress(OSError):  # a full disk or a closed pipe must not cost an answer
        os.write(STDOUT, line + b"\n")


def _line(fields: dict[str, Any]) -> bytes:
    """One line of JSON that moves no terminal's cursor, whatever words of another's are in it."""
    with contextlib.suppress(UnicodeEncodeError):  # half a surrogate pair
        line = msgspec.json.encode(fields)
        if line.decode().isprintable():
            return line
    # Slower; escapes what msgspec leaves as it is: DEL, the controls above ASCII, marks that turn the text around.
    return json.dumps(fields, default=str, separators=(",", ":")).replace("\x7f", r"\u007f").encode()
