"""Tepal's own protocol: rows in, predictions out."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import msgspec

from api import negotiate
from api.message import JSON, Context, Request, Response
from tepal import Invalid
from tepal.notes import Notes
from tepal.wire import text

TEXT = "text/plain"


def predict(context: Context, request: Request, name: str | None = None, number: str | None = None) -> Response:
    """Answer the rows of the body: by the default model, a model's default version, or one version."""
    started = perf_counter()
    negotiate.body_type(request.headers.get("content-type", ""), request.headers.get("content-encoding", ""))
    answer_type = negotiate.answer_type(request.headers.get("accept", ""), (JSON, TEXT))
    probabilities = _flag(request, "probabilities", default=True) and answer_type == JSON
    strict = _flag(request, "strict", default=False)
    version = context.repository.find(name, number)
    notes = Notes()
    table = version.json.read(request.body, notes, strict)
    version.seen.check(table, notes)
    request.check(model=version.name, version=version.number, rows=len(table))
    decoded = perf_counter()
    prediction = version.runtime.predict(table, probabilities)
    predicted = perf_counter()
    if answer_type == TEXT:
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        body = text.write(prediction)
    else:
        headers = {"Content-Type": JSON}
        answer: dict[str, Any] = {"model": version.name, "version": version.number, "predictions": prediction.labels(notes)}
        if probabilities and (chances := prediction.class_probabilities(notes)) is not None:
            answer["probabilities"] = chances
        if notes.total:
            answer["warnings"] = notes.listed
            if notes.total > len(notes.listed):
                answer["warnings_total"] = notes.total
        body = msgspec.json.encode(answer)
    headers["Server-Timing"] = _timing(decoded - started, predicted - decoded, perf_counter() - predicted)
    return Response(200, headers, body, {"model": version.name, "version": version.number, "rows": len(table)})


def _flag(request: Request, key: str, default: bool) -> bool:
    """A query parameter that is true or false. Raises Invalid for any other value."""
    values = request.query.get(key)
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
    ("POST", "/models/{name}/predict", predict),
    ("POST", "/models/{name}/versions/{version}/predict", predict),
)
