"""The operations of the native routes, made for each model with its own columns and a row that it takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from api import samples
from api.message import JSON
from api.negotiate import ARROW, CSV, JSON_LINES, NPY, PARQUET, TEXT
from api.openapi import cells, parts, schemas, tables, targets
from api.openapi.targets import Target
from tepal import Invalid, Repository
from tepal.manifest import Manifest
from tepal.notes import Notes
from tepal.wire import arrow, csv, jsonlines, shapes, text

Operation = dict[str, Any]
Described = Iterator[tuple[str, Operation]]

_MOST_ROWS = 5  # of an example, that anyone would read in every format
_BODY = (
    "Rows in JSON, of any shape below (pandas' `to_dict('list')` too), CSV, JSON lines or `.npy`; without a type the bytes "
    "tell which. A column that the model does not have is ignored with a warning; `?strict=true` refuses it."
)


def post(repository: Repository, path: str) -> Described:
    """Predictions for the rows of a body."""
    for target in targets.find(repository, path):
        yield (
            target.path,
            {
                "operationId": f"predict{target.name}",
                "tags": [target.tag],
                "summary": f"Ask {target.who}",
                "description": _BODY,
                "parameters": [*target.parameters, *parts.parameter("Probabilities", "RequestID", "ClientID")],
                "requestBody": {"required": True, "content": _body(target)},
                "responses": {
                    "200": _answer(target),
                    **parts.errors(*parts.ALWAYS, *parts.WITH_BODY, *parts.WITH_MODEL),
                    **_refusal(target.manifest),
                },
            },
        )


def query(repository: Repository, path: str) -> Described:
    """Predictions for rows in the query string."""
    for target in targets.find(repository, path):
        own, hidden = _query_parameters(target.manifest)
        common = [name for name in ("Probabilities", "Strict") if name.lower() not in hidden]
        yield (
            target.path,
            {
                "operationId": f"query{target.name}",
                "tags": [target.tag],
                "summary": f"Ask {target.who}, with the row in the query",
                "description": "A key again is another row; a key given once holds for all rows.",
                "parameters": [*target.parameters, *own, *parts.parameter(*common, "RequestID", "ClientID")],
                "responses": {
                    "200": _answer(target, "ETag"),
                    "304": parts.NOT_MODIFIED,
                    **parts.errors(400, *parts.ALWAYS, *parts.WITH_MODEL),
                },
            },
        )


def _body(target: Target) -> Operation:
    if target.manifest is None:
        return {JSON: {}, CSV: {}, JSON_LINES: {}, **_binary()}
    manifest = target.manifest
    content: Operation = {JSON: {"schema": schemas.ref(f"{target.prefix}.Body"), "examples": _examples(manifest)}}
    if tables.has_schema(manifest):
        content[CSV] = {"schema": tables.csv(manifest)}
        if len(samples.records(manifest)) <= _MOST_ROWS:
            content[CSV]["example"] = samples.csv_text(manifest)
    content[JSON_LINES] = {"schema": {"type": "string", "description": "A record or a vector a line."}}
    content |= _binary()
    return content


def _binary() -> Operation:
    """The formats that are no text; two of them where their package is installed."""
    types = (NPY, ARROW, PARQUET) if arrow.is_here() else (NPY,)
    return {type_: {"schema": {"type": "string", "format": "binary"}} for type_ in types}


def _examples(manifest: Manifest) -> dict[str, Operation]:
    """Bodies that are answered without a warning: the card's example first, in other shapes where it is short."""
    if len(rows := samples.records(manifest)) > _MOST_ROWS:
        return {"records": {"value": rows}}
    found: dict[str, Any] = {"records": rows, "matrix": samples.vectors(manifest)}
    if len(rows) == 1:
        found = {"record": rows[0], "records": rows, "vector": samples.vector(manifest)}
    if schemas.reads_split(manifest):
        found["split"] = samples.split(manifest)
    if "instances" not in manifest.signature.names:
        found["instances"] = {"instances": samples.vectors(manifest)}
    return {name: {"value": value} for name, value in found.items()}


def _answer(target: Target, *headers: str) -> Operation:
    found = {"description": "One prediction a row, in order.", "headers": parts.header("Server-Timing", *headers)}
    manifest = target.manifest
    if manifest is None:
        return {**found, "content": {JSON: {"schema": schemas.ref("Answer")}}}
    schema = schemas.ref("Answer" if target.several else f"{target.prefix}.Answer")
    predicted = samples.prediction(manifest)
    content: Operation = {JSON: {"schema": schema, "example": samples.answer(manifest)}}
    for type_, written in ((TEXT, text.write), (CSV, csv.write), (JSON_LINES, jsonlines.write)):
        content[type_] = {"schema": {"type": "string"}, "example": written(predicted).decode()}
    content |= _binary()
    return {**found, "content": content}


def _refusal(manifest: Manifest | None) -> Operation:
    """What this model's own callers read who forget its first column."""
    if manifest is None:
        return {}
    first, *others = manifest.signature.names
    record = {name: samples.records(manifest)[0][name] for name in others}
    try:
        shapes.table_of(manifest.signature, record or {f"{first}s": 1}, Notes(), strict=False)
    except Invalid as refused:
        example = parts.error_example(str(refused), "invalid_input", details=refused.details)
        content = parts.error_content({"missing": example})
        return {"422": {"description": "The rows do not fit.", "headers": parts.header(), "content": content}}
    return {}


def _query_parameters(manifest: Manifest | None) -> tuple[list[Operation], set[str]]:
    """A parameter for each column; and the names of all, since a column wins over an option of the same name."""
    if manifest is None:
        return [], set()
    record = samples.records(manifest)[0]
    found = []
    for column in manifest.signature.columns:
        parameter = {"name": column.name, "in": "query", "required": True, "schema": cells.of_query(column)}
        if column.nullable:
            parameter["allowEmptyValue"] = True
        found.append({**parameter, "example": "" if record[column.name] is None else record[column.name]})
    return found, set(manifest.signature.names)


OPERATIONS = {
    ("POST", "/predict"): post,
    ("GET", "/predict"): query,
    ("POST", "/models/{name}/predict"): post,
    ("GET", "/models/{name}/predict"): query,
    ("POST", "/models/{name}/versions/{version}/predict"): post,
    ("GET", "/models/{name}/versions/{version}/predict"): query,
}
