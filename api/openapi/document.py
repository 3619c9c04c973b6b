"""OpenAPI 3.1: the whole description, for the routes that there are and the models that are served."""

from __future__ import annotations

from collections.abc import Iterable
from textwrap import shorten
from typing import Any

from api.openapi import about, dialects, native, parts, schemas, targets
from tepal import Repository, __version__
from tepal.repository import Version

Document = dict[str, Any]

# What makes the operations of a route, by its method and path; another dialect adds its own.
OPERATIONS = {**native.OPERATIONS, **about.OPERATIONS, **dialects.OPERATIONS}

_DESCRIPTION = (
    "Predictions from trained scikit-learn models. Each model has its own columns below, a row that it takes, and what it "
    "answered to that row. Every error has one shape, and every answer an `X-Request-ID`."
)


def make(repository: Repository, routes: Iterable[tuple[str, str]]) -> Document:
    """The description. routes: method and path of each."""
    paths: dict[str, Any] = {}
    tags = [_PREDICT, *map(_tag, targets.ready(repository)), *_REST, *dialects.TAGS]
    for method, path in routes:
        for described, operation in OPERATIONS[method, path](repository, path):
            paths.setdefault(described, {})[method.lower()] = operation
    used = {operation["tags"][0] for item in paths.values() for operation in item.values()}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tepal",
            "version": __version__,
            "description": _DESCRIPTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "tags": [tag for tag in tags if tag["name"] in used],
        "paths": paths,
        "components": {
            "schemas": {**parts.SCHEMAS, **about.SCHEMAS, **_schemas(repository)},
            "responses": parts.responses(),
            "parameters": parts.PARAMETERS,
            "headers": parts.HEADERS,
        },
    }


_PREDICT = {"name": "Predict", "description": "Ask the default model, or one by its name"}
_REST = [
    {"name": "Models", "description": "What is served"},
    {"name": "About", "description": "Health, pages and this description"},
]


def _tag(version: Version) -> Document:
    manifest = version.manifest
    said = shorten(f"{manifest.task.capitalize()}: {manifest.estimator}", 100, placeholder="…")
    return {"name": version.name, "description": said}


def _schemas(repository: Repository) -> Document:
    return {
        name: schema
        for prefix, manifest in targets.schemas_of(repository)
        for name, schema in schemas.of(prefix, manifest).items()
    }
