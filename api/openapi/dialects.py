"""The operations of the protocols that other clients speak: KServe v1 and TensorFlow Serving, v2, MLflow, SageMaker.

Their own specifications describe them in full; here stands enough to ask each model in each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from api import samples
from api.message import JSON
from api.negotiate import CSV, JSON_LINES, NPY
from api.openapi import cells, parts, schemas, tables, targets
from api.openapi.targets import Target
from tepal import Repository
from tepal.manifest import Manifest
from tepal.signature import Column

Operation = dict[str, Any]
Described = Iterator[tuple[str, Operation]]
Describe = Callable[[Repository, str], Described]

V1, V2, INVOCATIONS = "KServe v1, TensorFlow Serving", "Open Inference Protocol v2", "MLflow, SageMaker"
TAGS = [{"name": V1}, {"name": V2}, {"name": INVOCATIONS}]

_TEXT = {"type": "string"}
_FLAG = {"type": "boolean"}


def _object(**properties: Any) -> Operation:
    return {"type": "object", "required": list(properties), "properties": properties}


def _look(tag: str, name: str, summary: str, schema: Operation) -> Describe:
    """A route that tells of the server, a model or a version."""

    def describe(repository: Repository, path: str) -> Described:
        reads = name != "v2_index"
        model = next(iter(repository.models.values()), None)
        parameters = []
        if "{name}" in path:
            parameters.append(targets.path_parameter("name", "The name of a model.", example=model.name if model else None))
        if "{version}" in path:
            number = next(iter(model.versions), None) if model else None
            parameters.append(targets.path_parameter("version", "The number of a version.", example=number))
        headers = parts.header(*(["ETag"] if reads else []))
        answer = {"description": summary, "headers": headers, "content": {JSON: {"schema": schema}}}
        yield (
            path,
            {
                "operationId": name,
                "tags": [tag],
                "summary": summary,
                "parameters": parameters,
                "responses": {
                    "200": answer,
                    **({"304": parts.NOT_MODIFIED} if reads else {}),
                    **parts.errors(*parts.ALWAYS),
                },
            },
        )

    return describe


def _ask(
    tag: str, name: str, bodies: Callable[[Target, Manifest], Operation], answers: Callable[[Manifest], Operation]
) -> Describe:
    """A route of predictions. bodies, answers: the content of what is sent and what comes."""

    def describe(repository: Repository, path: str) -> Described:
        for target in targets.find(repository, path):
            manifest = target.manifest
            content = bodies(target, manifest) if manifest else {JSON: {}}
            given = {"description": "One prediction a row, in order.", "headers": parts.header("Server-Timing")}
            yield (
                target.path,
                {
                    "operationId": f"{name}{target.name}",
                    "tags": [tag],
                    "summary": f"Ask {target.who}",
                    "parameters": [*target.parameters, *parts.parameter("RequestID", "ClientID")],
                    "requestBody": {"required": True, "content": content},
                    "responses": {
                        "200": {**given, "content": answers(manifest) if manifest else {JSON: {}}},
                        **parts.errors(*parts.ALWAYS, *parts.WITH_BODY, 504),
                    },
                },
            )

    return describe


def _lists(target: Target) -> list[Operation]:
    """Rows as a list: records, a vector, vectors."""
    record, vector = schemas.ref(f"{target.prefix}.Record"), schemas.ref(f"{target.prefix}.Vector")
    manifest = target.manifest
    return [schemas.many(record), vector, schemas.many(schemas.row_of(manifest, vector) if manifest else vector)]


def _v1_bodies(target: Target, manifest: Manifest) -> Operation:
    alternatives = [
        _object(instances={"oneOf": _lists(target)}),
        _object(inputs=schemas.ref(f"{target.prefix}.Rows")),
    ]
    return {JSON: {"schema": {"oneOf": alternatives}, "example": {"instances": samples.vectors(manifest)}}}


def _predictions(manifest: Manifest) -> Operation:
    return {"type": "array", "items": schemas.prediction(manifest)}


def _v1_answers(manifest: Manifest) -> Operation:
    """``instances`` get ``predictions``, ``inputs`` get ``outputs``: of several outputs an object of lists."""
    schema = {"type": "object", "properties": {"predictions": _predictions(manifest), "outputs": {}}}
    return {JSON: {"schema": schema, "example": {"predictions": samples.answer(manifest)["predictions"]}}}


# What a column's values are called as a tensor.
_DATATYPES = {"number": "FP64", "integer": "INT64", "boolean": "BOOL", "string": "BYTES", "datetime": "BYTES"}


def _datatype(column: Column) -> str:
    return "UINT64" if column.dtype == "uint64" else _DATATYPES[column.type]


def _tensor(name: Operation, datatype: str, shape: list[int], data: list[Operation]) -> Operation:
    width = len(data)
    flat = {"type": "array", "prefixItems": data, "minItems": width, "maxItems": width, "items": False}
    return _object(name=name, datatype={"const": datatype}, shape={"type": "array", "const": shape}, data=flat)


def _v2_bodies(_: Target, manifest: Manifest) -> Operation:
    """One row; of more, each shape begins with their number. All numbers: one tensor; else one a column."""
    columns = manifest.signature.columns
    row = samples.vector(manifest)
    if manifest.signature.numeric:
        shape = [1, len(columns)]
        tensors = [_tensor(_TEXT, "FP64", shape, [cells.of_tensor(column) for column in columns])]
        sent = [{"name": "rows", "datatype": "FP64", "shape": shape, "data": row}]
    else:
        name = (lambda column: {"const": column.name}) if len(columns) > 1 else (lambda _: _TEXT)
        tensors = [_tensor(name(column), _datatype(column), [1], [cells.of_tensor(column)]) for column in columns]
        sent = [
            {"name": column.name, "datatype": _datatype(column), "shape": [1], "data": [value]}
            for column, value in zip(columns, row)
        ]
    count = len(tensors)
    inputs = {"type": "array", "prefixItems": tensors, "minItems": count, "maxItems": count, "items": False}
    content: Operation = {"schema": {**_object(inputs=inputs), "description": "One row; more where each shape says so."}}
    return {JSON: content if None in row else {**content, "example": {"inputs": sent}}}


def _v2_answers(_: Manifest) -> Operation:
    tensor = _object(
        name=_TEXT, datatype=_TEXT, shape={"type": "array", "items": {"type": "integer"}}, data={"type": "array"}
    )
    return {JSON: {"schema": _object(model_name=_TEXT, model_version=_TEXT, outputs=schemas.many(tensor))}}


def _invocations_bodies(target: Target, manifest: Manifest) -> Operation:
    rows = schemas.ref(f"{target.prefix}.Rows")
    record, split = (schemas.ref(f"{target.prefix}.{kind}") for kind in ("Record", "Split"))
    keys = {"instances": rows, "inputs": rows, "dataframe_records": schemas.many(record), "dataframe_split": split}
    alternatives = [*(_object(**{key: schema}) for key, schema in keys.items()), *_lists(target)]
    content: Operation = {JSON: {"schema": {"oneOf": alternatives}, "example": {"instances": samples.vectors(manifest)}}}
    if tables.has_schema(manifest):
        content[CSV] = {"schema": tables.csv(manifest)}
    return {**content, JSON_LINES: {"schema": _TEXT}, NPY: {"schema": {"type": "string", "format": "binary"}}}


def _invocations_answers(manifest: Manifest) -> Operation:
    content: Operation = {JSON: {"schema": _object(predictions=_predictions(manifest))}}
    return content | {type_: {"schema": _TEXT} for type_ in (CSV, JSON_LINES, NPY)}


_NAMES = _object(models={"type": "array", "items": _TEXT})
_STATES = _object(name=_TEXT, ready=_FLAG, model_version_status={"type": "array", "items": {"type": "object"}})
_METADATA = _object(
    name=_TEXT,
    versions={"type": "array", "items": _TEXT},
    platform=_TEXT,
    inputs={"type": "array", "items": {"type": "object"}},
    outputs={"type": "array", "items": {"type": "object"}},
)
_READY = _object(name=_TEXT, ready=_FLAG)
_SERVER = _object(name=_TEXT, version=_TEXT, extensions={"type": "array", "items": _TEXT})
_INFER = _ask(V2, "v2_infer", _v2_bodies, _v2_answers)
_PREDICT = _ask(V1, "v1_predict", _v1_bodies, _v1_answers)

OPERATIONS: dict[tuple[str, str], Describe] = {
    ("GET", "/v1/models"): _look(V1, "v1_models", "The names of the models", _NAMES),
    ("GET", "/v1/models/{name}"): _look(V1, "v1_model", "Whether a model can serve", _STATES),
    ("GET", "/v1/models/{name}/versions/{version}"): _look(V1, "v1_version", "Whether a version can serve", _STATES),
    ("POST", "/v1/models/{name}:predict"): _PREDICT,
    ("POST", "/v1/models/{name}/versions/{version}:predict"): _PREDICT,
    ("GET", "/v2"): _look(V2, "v2_server", "What this server is", _SERVER),
    ("GET", "/v2/"): _look(V2, "v2_server_too", "The same", _SERVER),
    ("GET", "/v2/health/live"): _look(V2, "v2_live", "200 while the process can answer", _object(live=_FLAG)),
    ("GET", "/v2/health/ready"): _look(V2, "v2_ready", "As /readyz", _object(live=_FLAG, ready=_FLAG)),
    ("GET", "/v2/models"): _look(V2, "v2_models", "The names of the models", _NAMES),
    ("GET", "/v2/models/{name}"): _look(V2, "v2_model", "What a model takes and gives, as tensors", _METADATA),
    ("GET", "/v2/models/{name}/versions/{version}"): _look(V2, "v2_version", "The same of a version", _METADATA),
    ("GET", "/v2/models/{name}/ready"): _look(V2, "v2_model_ready", "Whether a model can serve", _READY),
    ("GET", "/v2/models/{name}/versions/{version}/ready"): _look(
        V2, "v2_version_ready", "Whether a version can serve", _READY
    ),
    ("POST", "/v2/models/{name}/infer"): _INFER,
    ("POST", "/v2/models/{name}/versions/{version}/infer"): _INFER,
    ("POST", "/v2/repository/index"): _look(V2, "v2_index", "Every version of every model", {"type": "array"}),
    ("POST", "/invocations"): _ask(INVOCATIONS, "invocations", _invocations_bodies, _invocations_answers),
}
