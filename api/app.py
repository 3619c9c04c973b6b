"""The Flask application: WSGI in, WSGI out. The only file that knows Flask."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

import flask

from api import observe
from api.answer import answer
from api.drift import Drift
from api.errors import BodyTooLarge
from api.message import Context, Request
from api.metrics import CHANGES, Metrics
from api.query import parse as parse_query
from api.server.slots import most
from api.settings import Settings
from api.shadow import Shadow
from tepal import Malformed, Repository
from tepal.repository import Change

Environ = dict[str, Any]

# How much of a body that is too large is read all the same, as a multiple of the limit, and in blocks of how many bytes.
DISCARDED = 4
BLOCK = 64 * 1024


def create_app(settings: Settings | None = None) -> flask.Flask:
    """The application with its models loaded. settings: read from the environment where none are given."""
    settings = settings or Settings.from_environ(os.environ)
    repository = Repository.open(
        settings.model_store,
        names=settings.models,
        elsewhere=settings.rooms,
        default_model=settings.default_model,
        allow_version_mismatch=settings.allow_version_mismatch,
    )
    metrics = Metrics(1 + most(settings.web_concurrency))
    repository.on_change = partial(_changed, metrics)
    context = Context(settings, repository, metrics, Drift(metrics.tally), Shadow(metrics))
    app = flask.Flask("api", static_folder=None)
    app.extensions["tepal"] = context

    # Every path goes to the route table in `routes.py`, which other servers share. Answered before Flask's own
    # dispatch, so that nothing is redirected and an unknown path or method gets our error, not Flask's page.
    @app.before_request
    def answer_request() -> flask.Response:
        environ = flask.request.environ
        read = partial(read_body, environ, settings.max_body_mb)
        response = answer(context, _request(environ), read, environ.get("tepal.exchange"))
        return flask.Response(response.body, response.status, response.headers)

    return app


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
    headers = {key[5:].replace("_", "-").lower(): value for key, value in environ.items() if key.startswith("HTTP_")}
    for key in ("CONTENT_TYPE", "CONTENT_LENGTH"):  # CGI's two exceptions
        if environ.get(key):
            headers[key.replace("_", "-").lower()] = environ[key]
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
