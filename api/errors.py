"""One table from exception to status and code, one shape for every error.

The library's errors carry facts and no status; the few that only HTTP knows are here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

import msgspec

from api import observe
from api.message import JSON, Response
from tepal import Invalid, Malformed, ModelError, NotFound, NotReady
from tepal.errors import NotInstalled, TooLarge


class MethodNotAllowed(Exception):
    """The path is there and does not take this method."""

    def __init__(self, method: str, allowed: Iterable[str], shape: Shape | None = None):
        """shape: of the dialect whose path it is."""
        self.allowed = ", ".join(allowed)
        self.shape = shape
        super().__init__(f"this path does not take {method[:20]}; it takes {self.allowed}")


class BodyTooLarge(Exception):
    """The body is larger than the limit; the message names the limit and its setting."""

    def __init__(self, limit_mb: int):
        super().__init__(f"the body is larger than {limit_mb} MiB; send fewer rows at once, or raise MAX_BODY_MB")


class UnsupportedMediaType(Exception):
    """The body's type, charset or encoding is none that is read here."""


class RequestTimeout(Exception):
    """The client did not send its request in time."""

    def __init__(self, seconds: float):
        super().__init__(f"the request did not arrive within {seconds:g} s; send it faster, or raise TIMEOUT")


class Overloaded(Exception):
    """Every thread is busy, and as many requests wait as may."""

    def __init__(self) -> None:
        super().__init__("more requests came than can be answered in time; try again in a moment")


class Timeout(Exception):
    """The model took too long, or the request waited too long for it."""

    def __init__(self, seconds: float):
        super().__init__(f"the model took longer than {seconds:g} s; send fewer rows at once, or raise TIMEOUT")


class NotHTTP(Exception):
    """What HTTP itself refuses. Its code is ``malformed_body``, or the phrase of its status."""

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status


TABLE: dict[type[Exception], tuple[int, str]] = {
    Malformed: (400, "malformed_body"),
    NotFound: (404, "not_found"),
    MethodNotAllowed: (405, "method_not_allowed"),
    RequestTimeout: (408, "request_timeout"),
    BodyTooLarge: (413, "body_too_large"),
    TooLarge: (413, "body_too_large"),
    UnsupportedMediaType: (415, "unsupported_media_type"),
    NotInstalled: (415, "unsupported_media_type"),
    Invalid: (422, "invalid_input"),
    ModelError: (500, "model_error"),
    NotReady: (503, "not_ready"),
    Overloaded: (503, "overloaded"),
    Timeout: (504, "timeout"),
}

# Seconds after which a caller may find the reason gone: a restart takes about this long, a queue less.
RETRY_AFTER = {NotReady: "5", Overloaded: "1"}


# How a dialect says an error: its own status and body, made of those that ``respond`` would send.
Shape = Callable[[int, dict[str, Any]], tuple[int, dict[str, Any]]]


def of_protocol(status: int, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """As the protocols of others have it: what is wrong with the rows is a bad request."""
    return (400 if status == 422 else status), body


def respond(error: Exception, request_id: str, shape: Shape | None = None) -> Response:
    """The answer to an exception. What only the operator may know goes to the log, under the request id."""
    status, code = _status(error)
    message = str(error).encode(errors="replace").decode()  # a model's own words may hold half a surrogate pair
    if status == 500:
        observe.log_exception(error, request_id)
        who = "the model failed on these rows" if code == "model_error" else "something went wrong here"
        message = f"{who}; the log says what, under this request id"
    body: dict[str, Any] = {"error": message, "code": code, "request_id": request_id}
    if isinstance(error, Invalid) and error.details:
        body["details"] = error.details
        if error.total > len(error.details):
            body["details_total"] = error.total
    if shape is not None:
        status, body = shape(status, body)
    headers = {"Content-Type": JSON, "Cache-Control": "no-cache"}  # it may be mended
    if isinstance(error, MethodNotAllowed):
        headers["Allow"] = error.allowed
    if type(error) in RETRY_AFTER:
        headers["Retry-After"] = RETRY_AFTER[type(error)]
    return Response(status, headers, msgspec.json.encode(body), code=code)


# Code by status where it is not the status's phrase as Python has it: 3.13 gave 414 the one of RFC 9110.
_NOT_HTTP = {400: "malformed_body", 414: "uri_too_long"}


def _status(error: Exception) -> tuple[int, str]:
    if isinstance(error, NotHTTP):
        return error.status, _NOT_HTTP.get(error.status) or HTTPStatus(error.status).name.lower()
    return TABLE.get(type(error), (500, "internal_error"))
