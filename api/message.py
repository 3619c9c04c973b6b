"""A request and its response as plain values, so that no function below ``app.py`` needs a server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

from api.drift import Drift
from api.metrics import Metrics
from api.settings import Settings
from api.shadow import Shadow
from tepal import Repository

JSON = "application/json"


class Context(NamedTuple):
    """What every request may need and none may change, but for the counts.

    routes: those of this service alone, as ``routes.of_platform`` makes them.
    """

    settings: Settings
    repository: Repository
    metrics: Metrics
    drift: Drift
    shadow: Shadow
    routes: Mapping[str, Mapping[str, Any]] = MappingProxyType({})


class Request(msgspec.Struct, frozen=True):
    """path: percent-decoded. query: every value of each key. headers: by lower-case name. body: as sent.

    check: to be called before anything that costs; raises where the answer would come in vain. It takes facts for the log.
    query_fault: what is wrong with the query string, for a route that takes rows from it. address: of whoever is at
    the other end of the connection, which may be a proxy.
    """

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes = b""
    check: Callable[..., None] = lambda **_: None
    query_fault: str | None = None
    address: str = ""

    @property
    def client(self) -> str:
        """Who asks, as far as that can be told: always the same text for the same client. Proves nothing."""
        named = self.headers.get("x-client-id")
        return named or self.headers.get("x-forwarded-for") or self.address


class Response(msgspec.Struct, frozen=True):
    """facts: what the log line of this request tells besides (model, version, rows). stages: seconds of decode, predict
    and encode, of a prediction. code: of an error.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    facts: Mapping[str, Any] = {}
    stages: tuple[float, ...] = ()
    code: str = ""

    def with_headers(self, more: Mapping[str, str]) -> Response:
        """The same with more headers."""
        return msgspec.structs.replace(self, headers={**self.headers, **more})


def json_response(value: Any, status: int = 200, **facts: Any) -> Response:
    """A JSON answer. value: anything that msgspec encodes; NaN would become null."""
    return Response(status, {"Content-Type": JSON}, msgspec.json.encode(value), facts)
