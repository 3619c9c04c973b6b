"""The straight way of a request: who may call, which route, the handler; any raise becomes an error answer."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from time import perf_counter

from msgspec.structs import replace

from api import access, errors, observe, routes
from api.errors import MethodNotAllowed
from api.exchange import Exchange
from api.message import Context, Request, Response


def answer(context: Context, request: Request, read_body: Callable[[], bytes], exchange: Exchange | None = None) -> Response:
    """The answer to a request whose body is still to be read. Raises nothing.

    exchange: where a server keeps the time of this request already.
    """
    started = perf_counter()
    context.repository.keep_up()
    exchange = exchange or Exchange(context.settings.timeout)
    identity = exchange.identity = observe.request_id(request.headers.get("x-request-id"))
    exchange.request = request
    path = None
    try:
        access.check(request)
        route, arguments = routes.find(request.method, request.path, context.routes)
        path = exchange.route = route.path
        exchange.shape = route.shape
        if route.method == "POST":
            exchange.check()
            body = read_body()
        else:
            body = b""
        exchange.arrived()
        request = replace(request, body=body, check=exchange.check)
        response = route.handler(context, request, *arguments)
        if route.method == "GET":
            response = _cached(request, response)
    except Exception as error:  # noqa: BLE001 whatever is raised becomes an answer
        if isinstance(error, MethodNotAllowed):
            exchange.shape = error.shape
        response = errors.respond(error, identity, exchange.shape)
    response = response.with_headers({"X-Request-ID": identity})
    if exchange.claim():
        seconds = perf_counter() - started
        observe.log_request(identity, request.method, path, response.status, seconds, response.facts)
        context.metrics.answered(request.method, path, response, exchange.facts, seconds, exchange.waited)
    else:
        exchange.lost = True  # it has been answered, and logged, when the time was over
    return response


def failure(error: Exception, identity: str, shape: errors.Shape | None = None) -> Response:
    """The whole answer to an exception. shape: of the dialect, where one is known."""
    return errors.respond(error, identity, shape).with_headers({"X-Request-ID": identity})


def _cached(request: Request, response: Response) -> Response:
    """Let a client ask whether what it has is still true: ETag, and 304 where it is (RFC 9110, 13.1.2)."""
    tag = f'"{hashlib.sha256(response.body).hexdigest()[:20]}"'
    headers = {"Cache-Control": "no-cache", "ETag": tag}
    known = {item.strip().removeprefix("W/") for item in request.headers.get("if-none-match", "").split(",")}
    if known & {tag, "*"}:
        varies = {name: value for name, value in response.headers.items() if name == "Vary"}
        return Response(304, headers | varies, b"")
    return response.with_headers(headers)
