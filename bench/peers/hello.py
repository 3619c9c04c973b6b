"""The limits: all that Tepal does around a prediction, and a constant in the place of one.

Tepal's gunicorn, worker, settings, metrics, request ids and log line. Nothing decides who may call, finds a model, decodes,
predicts or encodes.
"""

import sys
from time import perf_counter

import flask

from api import app as tepal
from api import observe
from api.message import Response
from api.server.master import Application

BODY = b'{"model":"iris","version":"1","predictions":["virginica"]}'
HEADERS = [
    ("Content-Type", "application/json"),
    ("Content-Length", str(len(BODY))),
    ("Server-Timing", "decode;dur=0.010, predict;dur=0.010, encode;dur=0.010"),
]
FACTS = {"model": "iris", "version": "1", "rows": 1}
RESPONSE = Response(200, {}, BODY, FACTS, (0.00001, 0.00001, 0.00001))


def _around(environ, metrics):
    """What is done for every prediction. Its request id."""
    started, exchange = perf_counter(), environ["tepal.exchange"]
    identity = observe.request_id(environ.get("HTTP_X_REQUEST_ID"))
    environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    exchange.arrived()
    exchange.claim()
    seconds = perf_counter() - started
    observe.log_request(identity, "POST", "/predict", 200, seconds, FACTS)
    metrics.answered("POST", "/predict", RESPONSE, FACTS, seconds, exchange.waited)
    return identity


class Hello(flask.Flask):
    """Answers before Flask makes a session, contexts and signals."""

    def wsgi_app(self, environ, start_response):
        identity = _around(environ, self.extensions["tepal"].metrics)
        start_response("200 OK", [*HEADERS, ("X-Request-ID", identity)])
        return [BODY]


def least() -> flask.Flask:
    """As little as Tepal makes of Flask."""
    app = Hello("hello", static_folder=None)
    app.extensions.update(tepal.create_app().extensions)  # what Tepal's worker asks for
    return app


def whole() -> flask.Flask:
    """A route of Flask, as anyone would write it."""
    app = flask.Flask("hello", static_folder=None)
    app.extensions.update(tepal.create_app().extensions)
    metrics = app.extensions["tepal"].metrics

    @app.post("/predict")
    def predict() -> flask.Response:
        identity = _around(flask.request.environ, metrics)
        return flask.Response(BODY, 200, [*HEADERS, ("X-Request-ID", identity)])

    return app


if __name__ == "__main__":
    sys.argv[1:] = ["--config", "api/gunicorn.conf.py", f"bench.peers.hello:{sys.argv[1]}()"]
    Application("%(prog)s [OPTIONS]").run()
