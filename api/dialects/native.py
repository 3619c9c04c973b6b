"""Tepal's own protocol: rows in, predictions out."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from time import perf_counter
from typing import Any

import msgspec

from api import encoding, negotiate
from api.message import JSON, Context, Request, Response
from api.negotiate import CSV, JSON_LINES, NPY, TEXT
from tepal import Invalid, Malformed
from tepal.notes import Notes
from tepal.prediction import Prediction
from tepal.repository import Version
from tepal.table import Table
from tepal.wire import csv, jsonlines, npy, text

ANSWERS = (JSON, TEXT, CSV, JSON_LINES, NPY)
_HEADERS = {type_: f"{type_}; charset=utf-8" if type_ in (TEXT, CSV) else type_ for type_ in ANSWERS}
_WITH_PROBABILITIES = (JSON, CSV, JSON_LINES)


def predict(context: Context, request: Request, name: str | None = None, number: str | None = None) -> Response:
    """Answer the rows of the body: by the default model, a model's default version, or one version."""
    started = perf_counter()
    format_ = negotiate.body_type(request.headers.get("content-type", ""))
    probabilities = _flag(request.query, "probabilities", default=True)
    strict = _flag(request.query, "strict", default=False)
    version = context.repository.find(name, number, request.client, context.settings.timeout / 2)
    request.check(model=version.name, version=version.number)
    body = encoding.inflate(request.body, request.headers.get("content-encoding", ""), context.settings.max_body_mb)
    notes = Notes()
    table = version.readers.read(format_, body, notes, strict)
    response, prediction = _answer(context, request, version, table, notes, probabilities, started)
    if number is None:
        read = partial(_read_body, format_, body)
        context.shadow.offer(context.repository.models[version.name], version, read, len(body), prediction)
    return response


def predict_query(context: Context, request: Request, name: str | None = None, number: str | None = None) -> Response:
    """Answer the rows of the query string, as ``predict`` does those of a body."""
    started = perf_counter()
    if request.query_fault is not None:
        raise Malformed(request.query_fault)
    version = context.repository.find(name, number, request.client, context.settings.timeout / 2)
    request.check(model=version.name, version=version.number)
    # A key that is a column's name is that column, whatever else it could mean.
    options = {key: value for key, value in request.query.items() if key not in version.manifest.signature.names}
    probabilities = _flag(options, "probabilities", default=True)
    strict = _flag(options, "strict", default=False)
    notes = Notes()
    table = version.readers.query.read(request.query, notes, strict, options=("probabilities", "strict"))
    response, prediction = _answer(context, request, version, table, notes, probabilities, started)
    if number is None:
        read = partial(_read_query, request.query)
        context.shadow.offer(context.repository.models[version.name], version, read, 0, prediction)
    return response._replace(headers={**response.headers, "Vary": "Accept"})


def _answer(
    context: Context, request: Request, version: Version, table: Table, notes: Notes, probabilities: bool, started: float
) -> tuple[Response, Prediction]:
    version.seen.check(table, notes)
    request.check(model=version.name, version=version.number, rows=len(table))
    decoded = perf_counter()
    type_ = negotiate.answer_type(request.headers.get("accept", ""), ANSWERS)
    probabilities = probabilities and type_ in _WITH_PROBABILITIES
    prediction = version.runtime.predict(table, probabilities)
    predicted = perf_counter()
    body = _written(type_, version, prediction, notes, probabilities)
    stages = (decoded - started, predicted - decoded, perf_counter() - predicted)
    context.drift.offer(version, table)
    facts = {"model": version.name, "version": version.number, "rows": len(table)}
    headers = {"Content-Type": _HEADERS[type_], "Server-Timing": _timing(*stages)}
    return Response(200, headers, body, facts, stages), prediction


def _read_body(format_: str | None, body: bytes, version: Version) -> Table:
    return version.readers.read(format_, body, Notes())


def _read_query(query: Mapping[str, list[str]], version: Version) -> Table:
    return version.readers.query.read(query, Notes(), options=("probabilities", "strict"))


def _written(type_: str, version: Version, prediction: Prediction, notes: Notes, probabilities: bool) -> bytes:
    if type_ == TEXT:
        return text.write(prediction)
    if type_ == CSV:
        return csv.write(prediction, probabilities)
    if type_ == JSON_LINES:
        return jsonlines.write(prediction, probabilities)
    if type_ == NPY:
        return npy.write(prediction)
    said = Notes()  # of the answer, before what there is to say of the rows: why one is null must be among those listed
    answer: dict[str, Any] = {"model": version.name, "version": version.number, "predictions": prediction.labels(said)}
    if probabilities and (chances := prediction.class_probabilities(said)) is not None:
        answer["probabilities"] = chances
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


def _timing(decode: float, predict: float, encode: float) -> str:
    """Server-Timing, in milliseconds: https://www.w3.org/TR/server-timing/."""
    return f"decode;dur={decode * 1000:.3f}, predict;dur={predict * 1000:.3f}, encode;dur={encode * 1000:.3f}"


ROUTES = (
    ("POST", "/predict", predict),
    ("GET", "/predict", predict_query),
    ("POST", "/models/{name}/predict", predict),
    ("GET", "/models/{name}/predict", predict_query),
    ("POST", "/models/{name}/versions/{version}/predict", predict),
    ("GET", "/models/{name}/versions/{version}/predict", predict_query),
)
