"""Tepal's own protocol: rows in, predictions out."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from time import perf_counter
from typing import Any

import msgspec

from api import negotiate, prediction
from api.message import JSON, Context, Request, Response
from api.negotiate import ARROW, CSV, JSON_LINES, NPY, PARQUET, TEXT
from api.prediction import Asked
from tepal import Invalid, Malformed
from tepal.notes import Notes
from tepal.prediction import Prediction
from tepal.repository import Version
from tepal.table import Table
from tepal.wire import arrow, arrow_stream, csv, jsonlines, npy, parquet, text

# The last two need an extra; where it is not installed nobody is offered them.
ANSWERS = (JSON, TEXT, CSV, JSON_LINES, NPY, *((ARROW, PARQUET) if arrow.is_here() else ()))
_HEADERS = {type_: f"{type_}; charset=utf-8" if type_ in (TEXT, CSV) else type_ for type_ in ANSWERS}
_WITH_PROBABILITIES = (JSON, CSV, JSON_LINES, ARROW, PARQUET)


def predict(context: Context, request: Request, name: str | None = None, number: str | None = None) -> Response:
    """Answer the rows of the body: by the default model, a model's default version, or one version."""
    started = perf_counter()
    format_ = negotiate.body_type(request.headers.get("content-type", ""))
    probabilities = _flag(request.query, "probabilities", default=True)
    strict = _flag(request.query, "strict", default=False)
    version = prediction.find(context, request, name, number)
    body = prediction.inflated(context, request)
    read = partial(_read_body, format_, body, context.settings.max_body_mb)
    asked = Asked(version, read, started, shadowed=number is None, size=len(body), strict=strict)
    return _answer(context, request, asked, probabilities)


def predict_query(context: Context, request: Request, name: str | None = None, number: str | None = None) -> Response:
    """Answer the rows of the query string, as ``predict`` does those of a body."""
    started = perf_counter()
    if request.query_fault is not None:
        raise Malformed(request.query_fault)
    version = prediction.find(context, request, name, number)
    # A key that is a column's name is that column, whatever else it could mean.
    options = {key: value for key, value in request.query.items() if key not in version.manifest.signature.names}
    probabilities = _flag(options, "probabilities", default=True)
    strict = _flag(options, "strict", default=False)
    read = partial(_read_query, request.query)
    asked = Asked(version, read, started, shadowed=number is None, strict=strict)
    response = _answer(context, request, asked, probabilities)
    return response.with_headers({"Vary": "Accept"})


def _answer(context: Context, request: Request, asked: Asked, probabilities: bool) -> Response:
    type_ = negotiate.answer_type(request.headers.get("accept", ""), ANSWERS)
    probabilities = probabilities and type_ in _WITH_PROBABILITIES
    write = partial(_written, type_, probabilities, asked.version)
    return prediction.answer(context, request, asked, write, probabilities, tells_warnings=type_ == JSON)


def _read_body(format_: str | None, body: bytes, most_mb: int, version: Version, notes: Notes, strict: bool) -> Table:
    return version.readers.read(format_, body, notes, strict, most_mb)


def _read_query(query: Mapping[str, list[str]], version: Version, notes: Notes, strict: bool) -> Table:
    return version.readers.query.read(query, notes, strict, options=("probabilities", "strict"))


def _written(
    type_: str, probabilities: bool, version: Version, predicted: Prediction, notes: Notes
) -> tuple[dict[str, str], bytes]:
    return {"Content-Type": _HEADERS[type_]}, _body(type_, probabilities, version, predicted, notes)


def _body(type_: str, probabilities: bool, version: Version, predicted: Prediction, notes: Notes) -> bytes:
    if type_ == TEXT:
        return text.write(predicted)
    if type_ == CSV:
        return csv.write(predicted, probabilities)
    if type_ == JSON_LINES:
        return jsonlines.write(predicted, probabilities)
    if type_ == NPY:
        return npy.write(predicted)
    if type_ in (ARROW, PARQUET):
        write = arrow_stream.write if type_ == ARROW else parquet.write
        return write(predicted, probabilities, {"model": version.name, "version": version.number})
    said = Notes()  # of the answer, before what there is to say of the rows: why one is null must be among those listed
    answer: dict[str, Any] = {"model": version.name, "version": version.number, "predictions": predicted.labels(said)}
    if probabilities and (chances := predicted.class_probabilities(said)) is not None:
        answer["probabilities"] = chances
    if notes.total:
        said.extend(notes)
    if said.total:
        answer["warnings"] = said.listed
        if said.total > len(said.listed):
            answer["warnings_total"] = said.total
    return msgspec.json.encode(answer)


def _flag(query: Mapping[str, list[str]], key: str, default: bool) -> bool:
    """A query parameter that is true or false. Raises Invalid for any other value."""
    values = query.get(key)
    if not values:
        return default
    try:
        return {"true": True, "1": True, "false": False, "0": False}[values[-1].lower()]
    except KeyError:
        raise Invalid(f"?{key}= takes true or false, got {values[-1][:60]!r}") from None


ROUTES = (
    ("POST", "/predict", predict),
    ("GET", "/predict", predict_query),
    ("POST", "/models/{name}/predict", predict),
    ("GET", "/models/{name}/predict", predict_query),
    ("POST", "/models/{name}/versions/{version}/predict", predict),
    ("GET", "/models/{name}/versions/{version}/predict", predict_query),
)
