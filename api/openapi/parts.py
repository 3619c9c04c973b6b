"""What operations share: the shape of an error, the answers that are one, headers and parameters."""

from __future__ import annotations

from typing import Any

from api.errors import RETRY_AFTER, TABLE
from api.message import JSON

Part = dict[str, Any]

# Statuses that a route can answer with: any; one that reads a body; one that asks a model.
ALWAYS = (404, 408, 500, 503)
WITH_BODY = (400, 413, 415)
WITH_MODEL = (422, 504)

_CODES = {status: [code for other, code in TABLE.values() if other == status] for status, _ in TABLE.values()}
_CODES[500].append("internal_error")
_RETRIED = {TABLE[type_][0] for type_ in RETRY_AFTER}

# One sentence of each, as it is said; that of 422 is made for each model.
_SENTENCES = {
    "malformed_body": "the body is empty; send the rows as JSON",
    "not_found": "there is no model 'rose'; there is iris, iris-logistic",
    "method_not_allowed": "this path does not take PUT; it takes POST, GET, HEAD",
    "request_timeout": "the request did not arrive within 8 s; send it faster, or raise TIMEOUT",
    "body_too_large": "the body is larger than 16 MiB; send fewer rows at once, or raise MAX_BODY_MB",
    "unsupported_media_type": "Content-Type 'image/png' is not read here; send application/json, text/csv, "
    "application/jsonlines or application/x-npy",
    "invalid_input": "there are no rows to predict",
    "model_error": "the model failed on these rows; the log says what, under this request id",
    "internal_error": "something went wrong here; the log says what, under this request id",
    "not_ready": "the model repository is empty; publish a model",
    "overloaded": "more requests came than can be answered in time; try again in a moment",
    "timeout": "the model took longer than 8 s; send fewer rows at once, or raise TIMEOUT",
}
_REQUEST_ID = "8c1f2a0d5b7e4c6f9a3b2d1e0f4a5b6c"

HEADERS: dict[str, Part] = {
    "X-Request-ID": {
        "description": "The client's own id, if it can be logged as it is, else a new one; the log has the same.",
        "required": True,
        "schema": {"type": "string", "examples": [_REQUEST_ID]},
    },
    "Server-Timing": {
        "description": "Milliseconds to decode the rows, to predict and to encode the answer.",
        "schema": {"type": "string", "examples": ["decode;dur=0.021, predict;dur=0.094, encode;dur=0.008"]},
    },
    "Retry-After": {
        "description": "Seconds after which to ask again.",
        "required": True,
        "schema": {"type": "string", "pattern": "^[0-9]+$", "examples": sorted(set(RETRY_AFTER.values()))},
    },
    "ETag": {
        "description": "Send it back as If-None-Match, and 304 says that nothing changed.",
        "required": True,
        "schema": {"type": "string", "examples": ['"0cb8b96d5c3f0a2b7d41"']},
    },
}

PARAMETERS: dict[str, Part] = {
    "Probabilities": {
        "name": "probabilities",
        "in": "query",
        "description": "Whether to answer with the probabilities of the classes, where the model has them.",
        "schema": {"type": "boolean", "default": True},
    },
    "Strict": {
        "name": "strict",
        "in": "query",
        "description": "Whether to refuse a column that the model does not have.",
        "schema": {"type": "boolean", "default": False},
    },
    "RequestID": {
        "name": "X-Request-ID",
        "in": "header",
        "description": "An id of your own, 1–100 of `A–Z a–z 0–9 . _ ~ + / = : @ -`; any other is replaced.",
        "schema": {"type": "string"},
    },
    "ClientID": {
        "name": "X-Client-ID",
        "in": "header",
        "description": "Who asks: where versions share the requests, the same client always gets the same one.",
        "schema": {"type": "string"},
    },
}

_DETAIL: Part = {
    "type": "object",
    "properties": {
        "row": {"type": "integer", "description": "From 0."},
        "column": {"type": "string"},
        "expected": {"type": "string"},
        "got": {"type": "string"},
        "near": {"type": "array", "items": {"type": "string"}, "description": "What may have been meant, best first."},
    },
}
SCHEMAS: dict[str, Part] = {
    "Error": {
        "type": "object",
        "required": ["error", "code", "request_id"],
        "properties": {
            "error": {"type": "string", "description": "One sentence, for a person to act on."},
            "code": {"type": "string", "description": "For a program.", "examples": list(_SENTENCES)},
            "request_id": {"type": "string"},
            "details": {"type": "array", "items": _DETAIL, "description": "The first 20 bad cells."},
            "details_total": {"type": "integer", "description": "Where there were more than are listed."},
        },
    },
    "Warning": {
        "type": "object",
        "required": ["message"],
        "properties": {
            "row": {"type": "integer", "description": "From 0; none where it is about the whole body."},
            "column": {"type": "string"},
            "message": {"type": "string"},
        },
    },
    "Answer": {
        "type": "object",
        "required": ["model", "version", "predictions"],
        "properties": {
            "model": {"type": "string"},
            "version": {"type": "string"},
            "predictions": {"type": "array", "description": "One a row, in order."},
            "probabilities": {"type": "array", "items": {"type": "object"}},
            "warnings": {"type": "array", "items": {"$ref": "#/components/schemas/Warning"}},
            "warnings_total": {"type": "integer"},
        },
    },
}


def responses() -> dict[str, Part]:
    """The answers that are errors, by their names."""
    found = {f"Error{status}": _error(status, codes) for status, codes in _CODES.items()}
    return {**found, "Error": _error(None, [])}


def errors(*statuses: int) -> dict[str, Part]:
    """References to the errors of these statuses, and to any other one."""
    found = {str(status): {"$ref": f"#/components/responses/Error{status}"} for status in sorted(statuses)}
    return {**found, "default": {"$ref": "#/components/responses/Error"}}


def error_content(examples: dict[str, Part]) -> dict[str, Part]:
    """The content of an answer that is an error. examples: whole bodies by a name."""
    content: Part = {"schema": {"$ref": "#/components/schemas/Error"}}
    if examples:
        content["examples"] = {name: {"value": value} for name, value in examples.items()}
    return {JSON: content}


def error_example(sentence: str, code: str, **more: Any) -> Part:
    """A body that tells of an error."""
    return {"error": sentence, "code": code, "request_id": _REQUEST_ID, **more}


def header(*names: str) -> dict[str, Part]:
    """References to headers; each answer has ``X-Request-ID``."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in ("X-Request-ID", *names)}


def parameter(*names: str) -> list[Part]:
    """References to parameters."""
    return [{"$ref": f"#/components/parameters/{name}"} for name in names]


NOT_MODIFIED: Part = {
    "description": "What If-None-Match names is still so.",
    "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in ("X-Request-ID", "ETag")},
}


def _error(status: int | None, codes: list[str]) -> Part:
    what = " or ".join(f"`{code}`" for code in codes) if status else "Any other error has the same shape."
    examples = {code: error_example(_SENTENCES[code], code) for code in codes}
    headers = header(*(["Retry-After"] if status in _RETRIED else []))
    return {"description": what, "headers": headers, "content": error_content(examples)}
