"""The operations of the routes about the service: its pages, its models, and whether they can serve."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from api.message import JSON
from api.negotiate import TEXT
from api.openapi import parts, targets
from api.pages import docs, home
from tepal import Repository, __version__

Operation = dict[str, Any]
Described = Iterator[tuple[str, Operation]]

_HTML = "text/html"


def _object(**properties: Any) -> Operation:
    return {"type": "object", "required": list(properties), "properties": properties}


_TEXT = {"type": "string"}
_LISTED = {
    **_object(
        name=_TEXT,
        default_version={"type": ["string", "null"]},
        versions={"type": "array", "items": _TEXT},
        task={"type": ["string", "null"]},
        status={"type": "string", "examples": ["ready", "not_ready", "elsewhere"]},
    )
}
_LISTED["properties"]["reason"] = _TEXT
_COLUMN = _object(name=_TEXT, type=_TEXT, nullable={"type": "boolean"})
_CARD = {
    **_object(name=_TEXT, status={"type": "string", "examples": ["ready", "not_ready"]}),
    "description": "Of a version that cannot serve: `status` and `reason`.",
}
_CARD["properties"] |= {
    "reason": _TEXT,
    "version": _TEXT,
    "task": _TEXT,
    "signature": _object(columns={"type": "array", "items": _COLUMN}),
    "classes": {"type": ["array", "null"]},
    "metrics": {"type": "object"},
    "example": {"description": "A body that the model takes."},
}

SCHEMAS = {"Listed": _LISTED, "Card": _CARD}

Describe = Callable[[Repository, str], Described]


def _get(name: str, summary: str, content: dict[str, Operation], tag: str = "About", *statuses: int) -> Describe:
    """An operation that takes nothing."""

    def describe(_: Repository, path: str) -> Described:
        answer = {"description": summary, "headers": parts.header("ETag"), "content": content}
        yield (
            path,
            {
                "operationId": name,
                "tags": [tag],
                "summary": summary,
                "responses": {"200": answer, "304": parts.NOT_MODIFIED, **parts.errors(408, 500, 503, *statuses)},
            },
        )

    return describe


def _card(name: str, summary: str) -> Describe:
    """An operation that takes the name of a model, and the number of a version where the path has it."""

    def describe(repository: Repository, path: str) -> Described:
        ((_, operation),) = _get(name, summary, {JSON: {"schema": _ref("Card")}}, "Models", 404)(repository, path)
        model = next(iter(repository.models.values()), None)
        parameters = [targets.path_parameter("name", "The name of a model.", example=model.name if model else None)]
        if "{version}" in path:
            number = next(iter(model.versions), None) if model else None
            parameters.append(targets.path_parameter("version", "The number of a version.", example=number))
        yield path, {**operation, "parameters": parameters}

    return describe


def _file(name: str, summary: str, files: Mapping[str, str], example: str) -> Describe:
    """One of the files beside a page. files: the type of each, by its name."""

    def describe(repository: Repository, path: str) -> Described:
        content = {type_.partition(";")[0]: {"schema": {"type": "string"}} for type_ in files.values()}
        ((_, operation),) = _get(name, summary, content, "About", 404)(repository, path)
        yield path, {**operation, "parameters": [targets.path_parameter("file", "Its name.", files, example)]}

    return describe


def _ref(name: str) -> Operation:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(schema: Operation, example: Any = None) -> dict[str, Operation]:
    return {JSON: {"schema": schema} if example is None else {"schema": schema, "example": example}}


def _text(type_: str, example: str | None = None) -> dict[str, Operation]:
    return {type_: {"schema": _TEXT} if example is None else {"schema": _TEXT, "example": example}}


_METRICS = _text(TEXT) | _text("application/openmetrics-text")
_STATUS = {"type": "string"}
_ALIVE = _object(status=_STATUS, name=_TEXT, models={"type": "array", "items": _TEXT})
_READY = _object(status=_STATUS, models={"type": "object", "additionalProperties": _TEXT})
_READY_SAYS = "200 when every model can serve (READY=any: one of them), else 503 with the reason"

OPERATIONS: dict[tuple[str, str], Describe] = {
    ("GET", "/"): _get(
        "root", "A page for a browser, the names of the models for anyone else", _json(_ALIVE) | _text(_HTML)
    ),
    ("GET", "/models"): _get(
        "list_models",
        "The models with their versions",
        _json(_object(models={"type": "array", "items": _ref("Listed")})),
        "Models",
    ),
    ("GET", "/models/{name}"): _card("model_card", "The card of a model: what it takes, and what is known of it"),
    ("GET", "/models/{name}/versions/{version}"): _card("version_card", "The card of one version"),
    ("GET", "/livez"): _get("live", "200 while the process can answer", _json(_object(status=_STATUS), {"status": "alive"})),
    ("GET", "/readyz"): _get("ready", _READY_SAYS, _json(_READY)),
    ("GET", "/health"): _get("health", "As /readyz", _json(_READY)),
    ("GET", "/ping"): _get("ping", "As /readyz", _json(_READY)),
    ("GET", "/version"): _get("version", "The version of Tepal", _text(TEXT, f"{__version__}\n")),
    ("GET", "/metrics"): _get("metrics", "What is counted, for Prometheus; through nginx for METRICS_ALLOW only", _METRICS),
    ("GET", "/docs"): _get("docs", "This description as a page to try", _text(_HTML)),
    ("GET", "/docs/{file}"): _file("docs_file", "A file of that page", docs.FILES, "start.js"),
    ("GET", "/page/{file}"): _file("page_file", "A file of the page at /", home.FILES, "page.js"),
    ("GET", "/openapi.json"): _get("openapi", "This description", _json({"type": "object"})),
    ("GET", "/postman_collection.json"): _get("postman", "Requests to import into Postman", _json({"type": "object"})),
}
