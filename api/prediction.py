"""From rows to an answer, the same way for every dialect: limits, warnings, drift and shadow hold for all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any

import msgspec

from api import encoding
from api.message import Context, Request, Response
from tepal.notes import Notes
from tepal.prediction import Prediction
from tepal.repository import Version
from tepal.table import Table

# The rows of a request as a version has them, strictly or not; and the headers and the body that tell what it predicts.
Read = Callable[[Version, Notes, bool], Table]
Write = Callable[[Prediction, Notes], tuple[Mapping[str, str], bytes]]


class Asked(msgspec.Struct, frozen=True):
    """What a dialect has understood of a request.

    started: when, by ``perf_counter``. shadowed: the version was not asked for by its number, so that its shadow is asked
    the same, which ``read`` holds ``size`` bytes for. strict: unknown columns are refused.
    """

    version: Version
    read: Read
    started: float
    shadowed: bool
    size: int = 0
    strict: bool = False


def find(context: Context, request: Request, name: str | None, number: str | None) -> Version:
    """The version that answers: of the default model without a name, the default or this client's one without a number.

    Raises NotFound, NotReady, and Overloaded or Timeout where the answer would come in vain.
    """
    version = context.repository.find(name, number, request.client, context.settings.timeout / 2)
    request.check(model=version.name, version=version.number)
    return version


def inflated(context: Context, request: Request) -> bytes:
    """The body of a request without its Content-Encoding. Raises as ``encoding.inflate``."""
    return encoding.inflate(request.body, request.headers.get("content-encoding", ""), context.settings.max_body_mb)


def answer(
    context: Context, request: Request, asked: Asked, write: Write, probabilities: bool, tells_warnings: bool = False
) -> Response:
    """What the version that is asked predicts for the rows of a request.

    probabilities: ``write`` wants them where the model has them. tells_warnings: it tells them; else the log does.
    """
    version, notes = asked.version, Notes()
    table = asked.read(version, notes, asked.strict)
    version.seen.check(table, notes)
    facts: dict[str, Any] = {"model": version.name, "version": version.number, "rows": len(table)}
    request.check(**facts)
    decoded = perf_counter()
    prediction = version.runtime.predict(table, probabilities)
    predicted = perf_counter()
    headers, body = write(prediction, notes)
    stages = (decoded - asked.started, predicted - decoded, perf_counter() - predicted)
    if request.headers.get("x-tepal-drift") != "off":
        context.drift.offer(version, table)
    if asked.shadowed:
        model = context.repository.models[version.name]
        context.shadow.offer(model, version, lambda other: asked.read(other, Notes(), False), asked.size, prediction)
    if notes.total and not tells_warnings:
        facts |= {"warnings": msgspec.to_builtins(notes.listed), "warnings_total": notes.total}
    return Response(200, {**headers, "Server-Timing": _timing(*stages)}, body, facts, stages)


def _timing(decode: float, predict: float, encode: float) -> str:
    """Server-Timing, in milliseconds: https://www.w3.org/TR/server-timing/."""
    return f"decode;dur={decode * 1000:.3f}, predict;dur={predict * 1000:.3f}, encode;dur={encode * 1000:.3f}"
