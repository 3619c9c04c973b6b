"""JSON Schemas of the rows that a model takes and of what it answers, from its manifest.

A schema says of what is sent exactly what the API takes: where it cannot, a shape is told in words instead.
"""

from __future__ import annotations

from typing import Any

from api import samples
from api.openapi import cells
from tepal.manifest import Manifest
from tepal.prediction import Output, class_key
from tepal.signature import Column
from tepal.wire.shapes import WRAPPERS

Schema = dict[str, Any]


def ref(name: str) -> Schema:
    """A reference to the schema of that name."""
    return {"$ref": f"#/components/schemas/{name}"}


def of(prefix: str, manifest: Manifest) -> dict[str, Schema]:
    """The schemas of a model by their names: ``<prefix>.Record``, ``.Vector``, ``.Rows``, ``.Body`` and ``.Answer``."""
    record, vector, rows = (ref(f"{prefix}.{kind}") for kind in ("Record", "Vector", "Rows"))
    shapes = [record, many(record), vector, many(row_of(manifest, vector))]
    if reads_split(manifest):
        shapes.append(ref(f"{prefix}.Split"))
    return {
        f"{prefix}.Record": _record(manifest),
        f"{prefix}.Vector": _vector(manifest),
        f"{prefix}.Split": _split(manifest, vector),
        f"{prefix}.Rows": {"title": "Rows in any shape of JSON", "anyOf": shapes},
        f"{prefix}.Body": {"title": "Rows, or rows in a wrapper", "anyOf": [rows, *_wrapped(prefix, manifest)]},
        f"{prefix}.Answer": answer(manifest),
    }


def many(schema: Schema) -> Schema:
    """A list of at least one."""
    return {"type": "array", "items": schema, "minItems": 1}


def _record(manifest: Manifest) -> Schema:
    example = samples.records(manifest)[0]
    columns = manifest.signature.columns
    return {
        "title": "One record",
        "type": "object",
        "required": list(manifest.signature.names),
        "properties": {column.name: cells.told(column, example[column.name]) for column in columns},
        "examples": [example],
    }


def _vector(manifest: Manifest) -> Schema:
    columns, example = manifest.signature.columns, samples.vector(manifest)
    if len(columns) == 1:
        return {"title": "One value a row", **many(cells.plain(columns[0])), "examples": [example]}
    return {
        "title": "One vector",
        "description": f"In this order: {', '.join(manifest.signature.names)}.",
        **_laid_out(columns),
        "examples": [example],
    }


def row_of(manifest: Manifest, vector: Schema) -> Schema:
    """A row of a matrix: a vector, but for a model of one column, whose vector holds many rows."""
    columns = manifest.signature.columns
    return _laid_out(columns) if len(columns) == 1 else vector


def _laid_out(columns: tuple[Column, ...]) -> Schema:
    width, laid_out = len(columns), [{"title": column.name, **cells.plain(column)} for column in columns]
    return {"type": "array", "prefixItems": laid_out, "minItems": width, "maxItems": width, "items": False}


def reads_split(manifest: Manifest) -> bool:
    """Whether a frame without a wrapper can be told from a record: not where columns have the names of its parts."""
    return not {"columns", "data"} & set(manifest.signature.names)


def _split(manifest: Manifest, vector: Schema) -> Schema:
    names = list(manifest.signature.names)
    return {
        "title": "pandas' to_dict('split')",
        "description": "The columns may come in any order, each row in the same; `index` may say one for each row.",
        "type": "object",
        "required": ["columns", "data"],
        "properties": {
            "columns": {"type": "array", "items": {"type": "string"}, "const": names},
            "data": many(row_of(manifest, vector)),
        },
        "examples": [samples.split(manifest)],
    }


def _wrapped(prefix: str, manifest: Manifest) -> list[Schema]:
    """The wrappers, but for those that are the name of a column, which wins."""
    inside = {"dataframe_split": ref(f"{prefix}.Split"), "dataframe_records": many(ref(f"{prefix}.Record"))}
    wrappers = [name for name in WRAPPERS if name not in manifest.signature.names]
    rows = ref(f"{prefix}.Rows")
    found = {
        name: {"title": name, "type": "object", "required": [name], "properties": {name: inside.get(name, rows)}}
        for name in wrappers
    }
    if "data" in found:
        found["data"]["not"] = {"required": ["columns"]}  # that is a frame, not a wrapper
    return list(found.values())


def answer(manifest: Manifest) -> Schema:
    """What the native routes answer with 200."""
    properties = {
        "model": {"type": "string", "const": manifest.name},
        "version": {"type": "string", "examples": [str(manifest.version)]},
        "predictions": {"type": "array", "items": prediction(manifest), "description": "One a row, in order."},
    }
    if (chances := _probabilities(manifest)) is not None:
        properties["probabilities"] = {"type": "array", "items": chances, "description": "One object a row."}
    properties["warnings"] = {"type": "array", "items": ref("Warning"), "description": "The first 20."}
    properties["warnings_total"] = {"type": "integer", "description": "Where there were more than are listed."}
    return {
        "title": f"What {manifest.name} answers",
        "type": "object",
        "required": ["model", "version", "predictions"],
        "properties": properties,
        "examples": [samples.answer(manifest)],
    }


def prediction(manifest: Manifest) -> Schema:
    """One row's prediction."""
    seen = manifest.golden.together.predictions
    if len(manifest.outputs) == 1:
        return _value(manifest.outputs[0], seen)
    return _object({output.name: _value(output, [row[output.name] for row in seen]) for output in manifest.outputs})


def _value(output: Output, seen: list[Any]) -> Schema:
    """One prediction, null where the model has none: a class, or of the type that the golden rows got."""
    if output.classes is not None:
        return {"enum": [*output.classes, None]}
    kinds = {type(value) for value in seen} - {type(None)}
    if kinds and kinds <= {int, float}:
        return {"type": ["number", "null"]}
    return {"type": ["string", "null"]} if kinds == {str} else {}


def _probabilities(manifest: Manifest) -> Schema | None:
    chance = {"type": ["number", "null"]}
    found = {
        output.name: _object({class_key(label): chance for label in output.classes})
        for output in manifest.outputs
        if output.probabilities and output.classes is not None
    }
    if not found:
        return None
    return _object(found) if len(manifest.outputs) > 1 else next(iter(found.values()))


def _object(properties: dict[str, Schema]) -> Schema:
    return {"type": "object", "required": list(properties), "properties": properties}
