"""Every route of the service, and how a path finds its handler."""

from __future__ import annotations

import contextlib
import difflib
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from api import about, health, postman
from api.dialects import invocations, native, v1, v2
from api.errors import MethodNotAllowed, Shape
from api.kept import Kept
from api.message import JSON, Context, Request, Response
from api.openapi import document
from api.pages import docs, home
from api.settings import Settings
from tepal import NotFound, Repository

Handler = Callable[..., Response]  # (Context, Request, one str for each {name} of the path)


class Route(NamedTuple):
    """One method of one path; a ``{…}`` in it is passed to the handler as text. shape: of its errors."""

    method: str
    path: str
    handler: Handler
    shape: Shape | None = None


def describe(context: Context, _: Request) -> Response:
    """The routes and the models that they ask, as OpenAPI 3.1."""
    return Response(200, {"Content-Type": JSON}, _DESCRIPTION.of(context.repository))


def _description(repository: Repository) -> bytes:
    return msgspec.json.encode(document.make(repository, [(route.method, route.path) for route in ROUTES]))


_DESCRIPTION = Kept(_description)
_OF_THEMSELVES = (("GET", "/openapi.json", describe),)

Methods = Mapping[str, Route]

_OURS = tuple(
    Route(*row)
    for row in (
        *native.ROUTES, *about.ROUTES, *health.ROUTES, *home.ROUTES, *docs.ROUTES, *postman.ROUTES, *_OF_THEMSELVES
    )
)  # fmt: skip
_THEIRS = ((v1.ROUTES, v1.refused), (v2.ROUTES, v2.refused), (invocations.ROUTES, invocations.refused))
ROUTES = (
    *_OURS,
    *(Route(method, path, handler, shape) for rows, shape in _THEIRS for method, path, handler in rows),
)

_FIXED: dict[str, dict[str, Route]] = {}
_OPEN: dict[int, dict[str, dict[str, Route]]] = {}  # by the number of slashes, then by path
for _route in ROUTES:
    _same = _OPEN.setdefault(_route.path.count("/"), {}) if "{" in _route.path else _FIXED
    _same.setdefault(_route.path, {})[_route.method] = _route
# No name has a colon: what comes after one is TensorFlow Serving's verb.
_PATTERNS = {
    slashes: [(re.compile(re.sub(r"\\{\w+\\}", "([^/:]*)", re.escape(path))), methods) for path, methods in paths.items()]
    for slashes, paths in _OPEN.items()
}
_PATHS = tuple(dict.fromkeys(route.path for route in _OURS))  # to be shown; who speaks a protocol knows its paths


def find(method: str, path: str, more: Mapping[str, Methods] = MappingProxyType({})) -> tuple[Route, list[str]]:
    """The route of a request and the text of each ``{…}`` in its path. HEAD is as GET.

    more: routes of this service alone, by path and method.
    Raises NotFound for a path that is none, MethodNotAllowed for a method that it does not take.
    """
    methods, arguments = more.get(path) or _FIXED.get(path), list[str]()
    if methods is None:
        methods, arguments = _find_open(path)
    route = methods.get("GET" if method == "HEAD" else method)
    if route is None:
        allowed = list(methods) + (["HEAD"] if "GET" in methods else [])
        raise MethodNotAllowed(method, allowed, next(iter(methods.values())).shape)
    return route, arguments


def _find_open(path: str) -> tuple[Methods, list[str]]:
    for pattern, methods in _PATTERNS.get(path.count("/"), ()):
        if found := pattern.fullmatch(path):
            return methods, list(found.groups())
    near = difflib.get_close_matches(path[:100], _FIXED, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise NotFound(f"there is no path {path[:100]!r}; {hint}there is {', '.join(_PATHS)}")


def of_platform(settings: Settings) -> Mapping[str, Methods]:
    """The routes that Vertex AI names by its settings, by path and method. A path that is there already stays what it is."""
    more: dict[str, dict[str, Route]] = {}
    for method, path, handler in (
        ("GET", settings.aip_health_route, health.ready),
        ("POST", settings.aip_predict_route, v1.predict),
    ):
        if path is not None and not _is_there(method, path):
            known = more.setdefault(path, dict(_FIXED.get(path, {})))
            known[method] = Route(method, path, handler, v1.refused)
    return more


def _is_there(method: str, path: str) -> bool:
    with contextlib.suppress(NotFound, MethodNotAllowed):
        find(method, path)
        return True
    return False
