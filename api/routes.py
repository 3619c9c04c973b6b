"""Every route of the service, and how a path finds its handler."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import NamedTuple

from api import about, health
from api.dialects import native
from api.errors import MethodNotAllowed
from api.message import Response
from tepal import NotFound

Handler = Callable[..., Response]  # (Context, Request, one str for each {name} of the path)


class Route(NamedTuple):
    """One method of one path; a ``{…}`` segment is passed to the handler as text."""

    method: str
    path: str
    handler: Handler


ROUTES = tuple(Route(*row) for row in (*native.ROUTES, *about.ROUTES, *health.ROUTES))

_FIXED: dict[str, dict[str, Route]] = {}
_OPEN: dict[tuple[str, ...], dict[str, Route]] = {}
for _route in ROUTES:
    if "{" in _route.path:
        _OPEN.setdefault(tuple(_route.path.split("/")), {})[_route.method] = _route
    else:
        _FIXED.setdefault(_route.path, {})[_route.method] = _route
_PATHS = tuple(dict.fromkeys(route.path for route in ROUTES))


def find(method: str, path: str) -> tuple[Route, list[str]]:
    """The route of a request and the text of its ``{…}`` segments. HEAD is as GET.

    Raises NotFound for a path that is none, MethodNotAllowed for a method that it does not take.
    """
    methods, arguments = _FIXED.get(path), list[str]()
    if methods is None:
        methods, arguments = _find_open(path)
    route = methods.get("GET" if method == "HEAD" else method)
    if route is None:
        allowed = list(methods) + (["HEAD"] if "GET" in methods else [])
        raise MethodNotAllowed(method, allowed)
    return route, arguments


def _find_open(path: str) -> tuple[dict[str, Route], list[str]]:
    parts = path[:1000].split("/")
    for pattern, methods in _OPEN.items():
        if len(pattern) == len(parts) and all(want == part or want[:1] == "{" for want, part in zip(pattern, parts)):
            arguments = [part for want, part in zip(pattern, parts) if want[:1] == "{"]
            return methods, arguments
    near = difflib.get_close_matches(path[:100], _FIXED, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise NotFound(f"there is no path {path[:100]!r}; {hint}there is {', '.join(_PATHS)}")
