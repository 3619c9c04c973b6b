"""What wraps a request from outside: its id, its log line, and the log's one format (another one at a terminal)."""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
import traceback
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any

import msgspec

from api import terminal

STDOUT = 1  # the descriptor: a line goes out in one write, past any buffer

_encode = msgspec.json.Encoder().encode
_REQUEST_ID = re.compile(r"[A-Za-z0-9._~+/=:@-]{1,100}")

# Asked once for a descriptor: who watches the log does not change while it is written.
is_watched = cache(terminal.is_one)


def request_id(given: str | None) -> str:
    """The client's own id where it is one that can be logged and sent back as it is; else a new one."""
    return given if given is not None and _REQUEST_ID.fullmatch(given) else os.urandom(16).hex()


def log_request(
    identity: str, method: str | None, route: str | None, status: int, seconds: float, facts: Mapping[str, Any]
) -> None:
    """One line a request. Nothing in it is a client's own text but the method, the checked id, and what warnings quote."""
    fields = {
        "time": _now(),
        "request_id": identity,
        "method": method and method[:20],
        "route": route,
        "status": status,
        "duration_ms": round(seconds * 1000, 3),
    }
    fields.update(facts)
    _write(fields)


def log_exception(error: BaseException, identity: str) -> None:
    """The whole traceback of what a caller is told nothing of."""
    log(level="error", request_id=identity, exception="".join(traceback.format_exception(error)))


def log(**fields: Any) -> None:
    """Write one line to standard output, in one call, so that lines of several workers do not mix.

    It is JSON; where a person watches at a terminal, words.
    """
    _write({"time": _now(), **fields})


def _write(fields: dict[str, Any]) -> None:
    if is_watched(STDOUT):
        line = terminal.line(fields, terminal.has_colour(STDOUT)).encode(errors="replace")
    else:
        line = _line(fields)
    with contextlib.suppress(OSError):  # a full disk or a closed pipe must not cost an answer
        os.write(STDOUT, line + b"\n")


def _now() -> str:
    """The time in UTC, ISO 8601, to the millisecond."""
    seconds, rest = divmod(time.time_ns(), 1_000_000_000)
    return f"{_second(seconds)}.{rest // 1_000_000:03d}Z"


@lru_cache(maxsize=2)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def _line(fields: dict[str, Any]) -> bytes:
    """One line of JSON that moves no terminal's cursor, whatever words of another's are in it."""
    try:
        line = _encode(fields)
        if line.decode().isprintable():
            return line
    except UnicodeEncodeError:
        pass  # half a surrogate pair
    # Slower; escapes what msgspec leaves as it is: DEL, the controls above ASCII, marks that turn the text around.
    return json.dumps(fields, default=str, separators=(",", ":")).replace("\x7f", r"\u007f").encode()
