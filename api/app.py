"""The Flask application: WSGI in, WSGI out. The only file that knows Flask."""

from __future__ import annotations

import os
from functools import lru_cache, partial
from http import HTTPStatus
from typing import Any

import flask
from werkzeug.http import HTTP_STATUS_CODES

from api import observe, routes
from api.answer import answer
from api.drift import Drift
from api.errors import BodyTooLarge
from api.message import Context, Request, Response
from api.metrics import CHANGES, Metrics
from api.query import parse as parse_query
from api.server.slots import most
from api.settings import Settings
from api.shadow import Shadow
from tepal import Malformed, Repository
from tepal.repository import Change

Environ = dict[str, Any]

_STATUS = {status: f"{status} {phrase.upper()}" for status, phrase in HTTP_STATUS_CODES.items()}

# How much of a body that is too large is read all the same, as a multiple of the limit, and in blocks of how many bytes.
DISCARDED = 4
BLOCK = 64 * 1024


class App(flask.Flask):
    """Flask, for which every path goes to the route table in ``routes.py``, which other servers share.

    Nothing is redirected, and an unknown path or method gets our error, not Flask's page.
    """

    def __init__(self, context: Context):
        super().__init__("api", static_folder=None)
        self.context = self.extensions["tepal"] = context

    def wsgi_app(self, environ: Environ, start_response: Any) -> Any:
        """The answer, without the session, the contexts and the signals that Flask makes for each request.

        Nobody here asks for them, and they cost as much as a prediction. An application that was given hooks has them all.
        """
        if self.before_request_funcs or self.after_request_funcs or self.teardown_request_funcs:
            return super().wsgi_app(environ, start_response)
        response = self._answer(environ)
        headers = list(response.headers.items())
        if response.status != HTTPStatus.NOT_MODIFIED:
            headers.append(("Content-Length", str(len(response.body))))
        start_response(_STATUS[response.status], headers)
        return [response.body] if environ["REQUEST_METHOD"] != "HEAD" else []

    def dispatch_request(self) -> flask.Response:
        """The same as Flask's own answer."""
        response = self._answer(flask.request.environ)
        return flask.Response(response.body, response.status, response.headers)

    def _answer(self, environ: Environ) -> Response:
        read = partial(read_body, environ, self.context.settings.max_body_mb)
        return answer(self.context, _request(environ), read, environ.get("tepal.exchange"))


def create_app(settings: Settings | None = None) -> flask.Flask:
    """The application with its models loaded. settings: read from the environment where none are given."""
    settings = settings or Settings.from_environ(os.environ)
    repository = Repository.open(
        settings.model_store,
        names=settings.models,
        elsewhere=settings.rooms,
        default_model=settings.default_model,
        allow_version_mismatch=settings.allow_version_mismatch,
        runtime=settings.runtime,
    )
    metrics = Metrics(1 + most(settings.web_concurrency))
    repository.on_change = partial(_changed, metrics)
    repository.on_error = partial(observe.log_exception, identity="-")
    drift, shadow = Drift(metrics.tally), Shadow(metrics)
    return App(Context(settings, repository, metrics, drift, shadow, routes.of_platform(settings)))


def _changed(metrics: Metrics, change: Change) -> None:
    metrics.add(CHANGES, change.name, change.what)
    bad = change.what in ("refused", "kept")
    observe.log(
        level="warning" if bad else "info",
        message=f"version {change.what}",
        model=change.name,
        version=change.number,
        reason=change.reason,
        seconds=round(change.seconds, 3),
    )


def _request(environ: Environ) -> Request:
    headers = environ.get("tepal.headers")  # of our own worker; another server has them under WSGI's keys alone
    if headers is None:
        headers = {name: value for key, value in environ.items() if value and (name := _header(key))}
    query_string = environ.get("QUERY_STRING", "")
    query, fault = parse_query(query_string.encode("latin-1")) if query_string else ({}, None)
    return Request(
        environ["REQUEST_METHOD"],
        environ.get("PATH_INFO", "").encode("latin-1").decode("utf-8", "replace"),  # WSGI passes bytes as latin-1
        query,
        headers,
        query_fault=fault,
        address=environ.get("REMOTE_ADDR", ""),
    )


@lru_cache(maxsize=256)
def _header(key: str) -> str:
    """The lower-case name of the header that WSGI's key means; empty for any other key. CGI has two exceptions."""
    if key.startswith("HTTP_"):
        key = key[5:]
    elif key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        return ""
    return key.replace("_", "-").lower()


def read_body(environ: Environ, limit_mb: int) -> bytes:
    """The body, whole or not at all.

    Werkzeug's own ``get_data`` cuts a chunked body at its limit and says nothing (3.1.9).
    Raises BodyTooLarge above ``limit_mb`` MiB, Malformed where the body did not fully arrive.
    """
    stream, limit = environ["wsgi.input"], limit_mb * 1024 * 1024
    length = environ.get("CONTENT_LENGTH")
    if not length and not environ.get("wsgi.input_terminated"):
        return b""  # nothing says where such a body would end
    if length and not length.isdecimal():
        raise Malformed("Content-Length is not a number")
    size = int(length) if length else limit + 1
    body = _arrived(stream, size) if size <= limit + 1 else b""
    if max(size if length else 0, len(body)) > limit:
        # A client that is still sending when the connection closes sees a broken pipe, not our answer.
        for _ in range(DISCARDED * limit // BLOCK):
            if not _arrived(stream, BLOCK):
                break
        raise BodyTooLarge(limit_mb)
    if length and len(body) < size:
        raise Malformed("the body ended before its Content-Length was reached")
    return body


def _arrived(stream: Any, size: int) -> bytes:
    try:
        data: bytes = stream.read(size)
    except Exception as error:  # each server has its own for broken chunks and clients that left
        raise Malformed("the body did not arrive whole: its chunks are broken, or the client left") from error
    return data
