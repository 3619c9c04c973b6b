"""The Flask application: WSGI in, WSGI out. The only file that knows Flask."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import flask

from api.answer import answer
from api.errors import BodyTooLarge
from api.message import Context, Request
from api.settings import Settings
from tepal import Malformed, Repository

Environ = dict[str, Any]


def create_app(settings: Settings | None = None) -> flask.Flask:
    """The application with its models loaded. settings: read from the environment where none are given."""
    settings = settings or Settings.from_environ(os.environ)
    repository = Repository.open(
        settings.model_store,
        names=settings.models,
        default_model=settings.default_model,
        allow_version_mismatch=settings.allow_version_mismatch,
    )
    context = Context(settings, repository)
    app = flask.Flask("api", static_folder=None)
    app.extensions["tepal"] = context

    # Every path goes to the route table in `routes.py`, which other servers share. Answered before Flask's own
    # dispatch, so that nothing is redirected and an unknown path or method gets our error, not Flask's page.
    @app.before_request
    def answer_request() -> flask.Response:
        environ = flask.request.environ
        response = answer(context, _request(environ), _body_reader(environ, settings.max_body_mb))
        return flask.Response(response.body, response.status, response.headers)

    return app


def _request(environ: Environ) -> Request:
    headers = {key[5:].replace("_", "-").lower(): value for key, value in environ.items() if key.startswith("HTTP_")}
    for key in ("CONTENT_TYPE", "CONTENT_LENGTH"):  # CGI's two exceptions
        if environ.get(key):
            headers[key.replace("_", "-").lower()] = environ[key]
    query = environ.get("QUERY_STRING", "")
    return Request(
        environ["REQUEST_METHOD"],
        environ.get("PATH_INFO", "").encode("latin-1").decode("utf-8", "replace"),  # WSGI passes bytes as latin-1
        parse_qs(query, keep_blank_values=True) if query else {},
        headers,
    )


def _body_reader(environ: Environ, limit_mb: int) -> Callable[[], bytes]:
    """Reads the body whole or not at all.

    Werkzeug's own ``get_data`` cuts a chunked body at its limit and says nothing (3.1.9).
    """
    limit = limit_mb * 1024 * 1024

    def read() -> bytes:
        stream = environ["wsgi.input"]
        length = environ.get("CONTENT_LENGTH")
        if length:
            if not length.isdecimal():
                raise Malformed("Content-Length is not a number")
            if int(length) > limit:
                raise BodyTooLarge(limit_mb)
            body: bytes = stream.read(int(length))
            if len(body) < int(length):
                raise Malformed("the body ended before its Content-Length was reached")
            return body
        if not environ.get("wsgi.input_terminated"):
            return b""  # without a length nothing says where such a body ends
        try:
            body = stream.read(limit + 1)
        except OSError as error:  # gunicorn's own errors about chunks are OSErrors
            raise Malformed("the body's chunks are broken") from error
        if len(body) > limit:
            raise BodyTooLarge(limit_mb)
        return body

    return read
