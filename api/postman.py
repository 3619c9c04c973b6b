"""A collection for Postman (v2.1): requests to the models that are served, with what to expect of each answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from api import samples
from api.kept import Kept
from api.message import JSON, Context, Request, Response
from api.samples import Ask
from tepal import Repository

_SCHEMA = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
_HERE = "http://127.0.0.1:8080"

# Relative, as golden rows are compared on another machine.
_TOLERANCE = 1e-9

_SERVICE = (Ask("Alive", "GET", "/livez"), Ask("Ready", "GET", "/readyz"), Ask("The models", "GET", "/models"))


def collection(context: Context, request: Request) -> Response:
    """The collection, whose variable ``baseUrl`` is where it was asked for."""
    body = _KEPT.of(context.repository)
    address = f"http://{request.headers['host']}" if request.headers.get("host") else _HERE
    return Response(200, {"Content-Type": JSON}, body.replace(_encoded(_HERE), _encoded(address), 1))


def make(repository: Repository) -> dict[str, Any]:
    """The collection as a plain value."""
    ready = [model.default.manifest for model in repository.models.values() if model.default]
    folders = {"Service": _SERVICE, **{manifest.name: samples.asks(manifest) for manifest in ready}}
    return {
        "info": {"name": "Tepal", "schema": _SCHEMA, "description": "Requests to the models that are served."},
        "variable": [{"key": "baseUrl", "value": _HERE}],
        "item": [{"name": name, "item": [_item(ask) for ask in asks]} for name, asks in folders.items()],
    }


def _item(ask: Ask) -> dict[str, Any]:
    url = {"raw": f"{{{{baseUrl}}}}{ask.path}", "host": ["{{baseUrl}}"], "path": ask.path[1:].split("/")}
    request: dict[str, Any] = {"method": ask.method, "header": [], "url": url}
    if ask.body:
        request["header"] = [{"key": "Content-Type", "value": ask.content_type}]
        language = "json" if ask.content_type == JSON else "text"
        request["body"] = {"mode": "raw", "raw": ask.body, "options": {"raw": {"language": language}}}
    script = {"type": "text/javascript", "exec": list(_tests(ask))}
    return {"name": ask.name, "request": request, "response": [], "event": [{"listen": "test", "script": script}]}


def _tests(ask: Ask) -> Iterator[str]:
    """Lines of JavaScript that check the answer."""
    yield f'pm.test("the status is {ask.status}", () => pm.response.to.have.status({ask.status}));'
    yield 'pm.test("it has an id", () => pm.response.to.have.header("X-Request-ID"));'
    if ask.rows:
        yield 'pm.test("it answers as when it was published", () => {'
        yield "  const { predictions } = pm.response.json();"
        yield f"  pm.expect(predictions.length).to.eql({ask.rows});"
        for row, value in ask.expects.items():
            yield from _expects(f"predictions[{row}]", value)
        yield "});"
    if ask.misses:
        yield 'pm.test("it says what is wrong", () => {'
        yield "  const { code, details } = pm.response.json();"
        yield '  pm.expect(code).to.eql("invalid_input");'
        yield f"  pm.expect(details[0].column).to.eql({_script(ask.misses)});"
        yield "});"


def _expects(what: str, value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _expects(f"{what}[{_script(key)}]", part)
    elif isinstance(value, float):
        yield f"  pm.expect({what}).to.be.closeTo({value!r}, {abs(value) * _TOLERANCE!r});"
    else:
        yield f"  pm.expect({what}).to.eql({_script(value)});"


def _script(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _encoded(value: Any) -> bytes:
    return msgspec.json.encode(value)


_KEPT = Kept(lambda repository: _encoded(make(repository)))

ROUTES = (("GET", "/postman_collection.json", collection),)
