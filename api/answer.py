"""The straight way of a request: who may call, which route, the handler; any raise becomes an error answer."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from time import perf_counter

from api import access, errors, observe, routes
from api.message import Context, Request, Response


def answer(context: Context, request: Request, read_body: Callable[[], bytes]) -> Response:
    """The answer to a request whose body is still to be read. Raises nothing."""
    started = perf_counter()
    identity = observe.request_id(request.headers.get("x-request-id"))
    route = None
    try:
        access.check(request)
        route, arguments = routes.find(request.method, request.path)
        if route.method == "POST":
            request = request._replace(body=read_body())
        response = route.handler(context, request, *arguments)
        if route.method == "GET":
            response = _cached(request, response)
    except Exception as error:  # noqa: BLE001 whatever is raised becomes an answer
        response = errors.respond(error, identity)
    if response.status >= 400:
        response = response._replace(headers={**response.headers, "Cache-Control": "no-cache"})  # it may be mended
    response = response._replace(headers={**response.headers, "X-Request-ID": identity})
    observe.log_request(identity, request, route and route.path, response, perf_counter() - started)
    return response


def _cached(request: Request, response: Response) -> Response:
    """Let a client ask whether what it has is still true: ETag, and 304 where it is (RFC 9110, 13.1.2)."""
    tag = f'"{hashlib.sha256(response.body).hexdigest()[:20]}"'
    headers = {**response.headers, "Cache-Control": "no-cache", "ETag": tag}
    known = {item.strip().removeprefix("W/") for item in request.headers.get("if-none-match", "").split(",")}
    if known & {tag, "*"}:
        return Response(304, {key: headers[key] for key in ("Cache-Control", "ETag")}, b"")
    return response._replace(headers=headers)
