"""What gunicorn cannot read as HTTP, said in the one shape of every error."""

from __future__ import annotations

from http import HTTPStatus

from gunicorn.http import errors as http

from api.errors import NotHTTP
from api.message import Response

_NOT_HTTP = "this is not a valid HTTP request; look at its first line, its headers and its chunks"
_REFUSALS: dict[type[Exception], tuple[int, str]] = {
    http.LimitRequestLine: (414, "the first line is longer than 8 KiB; send the rows as the body of a POST"),
    http.ExpectationFailed: (417, "the only expectation that is met is 100-continue"),
    http.LimitRequestHeaders: (431, "there are more than 100 headers, or one is longer than 8 KiB"),
    http.UnsupportedTransferCoding: (
        501,
        "this Transfer-Encoding is not known; send the body with a Content-Length, or chunked",
    ),
    http.InvalidHTTPVersion: (505, "this version of HTTP is not known; use HTTP/1.1"),
}

# Faults of the service itself, which gunicorn counts among those of a request.
_OURS = (http.InvalidResponseHeader, http.InvalidResponseHeaderName, http.ConfigurationProblem)


def refusal(error: Exception) -> Exception:
    """What to tell the client of an exception of gunicorn's: its own where it is not about the request."""
    if not isinstance(error, http.ParseException) or type(error) in _OURS:
        return error
    return NotHTTP(*_REFUSALS.get(type(error), (400, _NOT_HTTP)))


def to_bytes(response: Response) -> bytes:
    """A whole answer as HTTP/1.1, after which the connection closes."""
    headers = {**response.headers, "Content-Length": str(len(response.body)), "Connection": "close"}
    lines = [f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}", *(f"{k}: {v}" for k, v in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + response.body
