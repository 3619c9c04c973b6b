"""What MLflow's scoring server and a container of SageMaker answer at ``/invocations``, by the default model.

The Content-Type says the format, or else the bytes do. A JSON object is MLflow's: one key says what its rows are. Anything
else is SageMaker's, where ``Accept`` says the format of the answer: CSV without a header, JSON, JSON lines or NumPy's.
"""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from time import perf_counter
from typing import Any

import msgspec

from api import negotiate, prediction
from api.errors import of_protocol
from api.message import JSON, Context, Request, Response
from api.negotiate import CSV, JSON_LINES, NPY
from api.prediction import Asked
from tepal import Invalid
from tepal.notes import Notes
from tepal.prediction import Prediction
from tepal.repository import Version
from tepal.table import Table
from tepal.wire import csv, formats, jsonlines, literals, npy, utf8

ANSWERS = (JSON, CSV, JSON_LINES, NPY)
KEYS = ("dataframe_split", "dataframe_records", "instances", "inputs")

# MLflow's names of what went wrong, by status; all others are INTERNAL_ERROR, or BAD_REQUEST below 500.
_CODES = {
    404: "RESOURCE_DOES_NOT_EXIST",
    429: "REQUEST_LIMIT_EXCEEDED",
    503: "TEMPORARILY_UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class _Body(msgspec.Struct):
    """MLflow's own keys; ``params`` and any other are none of ours, and no fault."""

    dataframe_split: msgspec.Raw = msgspec.Raw()
    dataframe_records: msgspec.Raw = msgspec.Raw()
    instances: msgspec.Raw = msgspec.Raw()
    inputs: msgspec.Raw = msgspec.Raw()
    signature_name: msgspec.Raw = msgspec.Raw()


_decode = msgspec.json.Decoder(_Body).decode


def refused(status: int, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """With the keys that MLflow's clients read."""
    status, body = of_protocol(status, body)
    server_s = status >= HTTPStatus.INTERNAL_SERVER_ERROR
    code = _CODES.get(status, "INTERNAL_ERROR" if server_s else "BAD_REQUEST")
    return status, {**body, "error_code": code, "message": body["error"]}


def predict(context: Context, request: Request) -> Response:
    """Answer the rows of the body."""
    started = perf_counter()
    format_ = negotiate.body_type(request.headers.get("content-type", ""))
    version = prediction.find(context, request, None, None)
    body = prediction.inflated(context, request)
    read = _reading(format_ or formats.by_magic(body), body, context.settings.max_body_mb)
    asked = Asked(version, read, started, shadowed=True, size=len(body))
    type_ = negotiate.answer_type(request.headers.get("accept", ""), ANSWERS)
    return prediction.answer(context, request, asked, partial(_written, type_), probabilities=type_ == JSON_LINES)


def _reading(format_: str | None, body: bytes, most_mb: int) -> prediction.Read:
    if format_ in ("csv", "npy", "arrow", "parquet"):
        return partial(_read, format_, body, most_mb)
    text = utf8.unmarked(body) if format_ in (None, "json") else b""
    if text.lstrip()[:1] != b"{":
        is_json = format_ is not None or text.lstrip()[:1] == b"["  # or else CSV, where these are words
        return partial(_read, format_, literals.spelled(body) if is_json else body, most_mb)
    text = literals.spelled(text)
    try:
        utf8.check(text)
        found = _decode(text)
    except (msgspec.DecodeError, RecursionError):
        return partial(_read, format_, text, most_mb)  # JSON lines, or a fault that their reader explains
    if found.signature_name:
        raise Invalid("'signature_name' is not known here")
    given = {key: bytes(raw) for key in KEYS if (raw := getattr(found, key))}
    if len(given) != 1:
        has = " and ".join(map(repr, given)) or "none of them"
        raise Invalid(f"a JSON object takes one of {', '.join(map(repr, KEYS))}; it has {has}")
    return partial(_read_json, *given.popitem())


def _read(format_: str | None, body: bytes, most_mb: int, version: Version, notes: Notes, strict: bool) -> Table:
    return version.readers.read(format_, body, notes, strict, most_mb)


def _read_json(key: str, rows: bytes, version: Version, notes: Notes, strict: bool) -> Table:
    return version.readers.json.read(rows, notes, strict, inside=key)


def _written(type_: str, predicted: Prediction, notes: Notes) -> tuple[dict[str, str], bytes]:
    if type_ == CSV:
        return {"Content-Type": f"{CSV}; charset=utf-8"}, csv.write(predicted, probabilities=False, header=False)
    if type_ == JSON_LINES:
        return {"Content-Type": JSON_LINES}, jsonlines.write(predicted, notes=notes)
    if type_ == NPY:
        return {"Content-Type": NPY}, npy.write(predicted)
    return {"Content-Type": JSON}, msgspec.json.encode({"predictions": predicted.labels(notes)})


ROUTES = (("POST", "/invocations", predict),)
