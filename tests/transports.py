"""Three ways to reach the service, with one face: in process, over gunicorn, over nginx before gunicorn."""

from __future__ import annotations

import http.client
from collections.abc import Callable

import flask

from tests.wire import Received, Sent

Transport = Callable[[Sent], Received]


def in_process(app: flask.Flask) -> Transport:
    """Calls the WSGI application."""

    def send(sent: Sent) -> Received:
        response = app.test_client().open(sent.target, method=sent.method, headers=sent.headers, data=sent.body)
        return Received(response.status_code, {k.lower(): v for k, v in response.headers.items()}, response.data)

    return send


def over_http(port: int) -> Transport:
    """Sends to a server on this machine, a connection a request."""

    def send(sent: Sent) -> Received:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            connection.putrequest(sent.method, sent.target, skip_accept_encoding=True)
            for name, value in sent.headers:
                connection.putheader(name, value)
            connection.endheaders(sent.body or None)
            response = connection.getresponse()
            return Received(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    return send
