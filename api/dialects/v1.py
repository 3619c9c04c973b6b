"""KServe's first protocol and TensorFlow Serving's, which are nearly one; and what Vertex AI asks.

The Content-Type says nothing here. ``instances`` are rows and get ``predictions``, ``inputs`` get ``outputs``. The signature
``predict_proba`` gives probabilities in the place of labels, in the order of the model's classes.
"""

from __future__ import annotations

from functools import partial
from time import perf_counter
from typing import Any

import msgspec

from api import prediction
from api.errors import of_protocol
from api.message import JSON, Context, Request, Response, json_response
from api.prediction import Asked
from tepal import Invalid, NotFound, NotReady
from tepal.notes import Notes, quoted
from tepal.prediction import Prediction
from tepal.repository import BadVersion, Model, Version
from tepal.table import Table
from tepal.wire import json, literals, utf8

# What the value of each key is answered with.
_ANSWERS = {"instances": "predictions", "inputs": "outputs"}
PROBABILITIES = "predict_proba"
SIGNATURES = ("serving_default", "predict", PROBABILITIES)

refused = of_protocol


class _Body(msgspec.Struct):
    """Keys that are not here are none of ours, and no fault: Vertex AI sends ``parameters``."""

    instances: msgspec.Raw = msgspec.Raw()
    inputs: msgspec.Raw = msgspec.Raw()
    signature_name: str | None = None


_decode = msgspec.json.Decoder(_Body).decode


def models(context: Context, request: Request) -> Response:
    """The names of the models."""
    return json_response({"models": context.repository.names})


def model(context: Context, request: Request, name: str) -> Response:
    """Whether a model can serve, and the state of each of its versions. Raises NotReady with the reason."""
    found = context.repository.model(name)
    if found.default is None:
        raise NotReady(f"model '{name}' cannot serve: {found.reason}")
    return json_response({"name": name, "ready": True, "model_version_status": _states(found)})


def model_version(context: Context, request: Request, name: str, number: str) -> Response:
    """The same of one version. Raises NotReady where it cannot serve."""
    version = context.repository.find(name, number)
    states = [state for state in _states(context.repository.model(name)) if state["version"] == number]
    return json_response({"name": version.name, "ready": True, "model_version_status": states})


def _states(found: Model) -> list[dict[str, Any]]:
    """As TensorFlow Serving tells them."""
    return [
        {"version": version.number, "state": "END", "status": {"error_code": "UNAVAILABLE", "error_message": version.reason}}
        if isinstance(version, BadVersion)
        else {"version": version.number, "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
        for version in found.versions.values()
    ]


def predict(context: Context, request: Request, name: str | None = None, number: str | None = None) -> Response:
    """Answer the rows of the body: by the default model, a model's default version, or one version."""
    started = perf_counter()
    version = prediction.find(context, request, name, number)
    body = prediction.inflated(context, request)
    key, rows, signature = _parsed(body)
    probabilities = signature == PROBABILITIES
    if probabilities and not any(output.probabilities for output in version.manifest.outputs):
        raise Invalid(f"model '{version.name}' has no probabilities; leave the signature_name out")
    asked = Asked(version, partial(_read, key, rows), started, shadowed=number is None, size=len(body))
    return prediction.answer(context, request, asked, partial(_written, key, probabilities), probabilities)


def _parsed(body: bytes) -> tuple[str, bytes, str]:
    """Under which key the rows are, the rows as JSON, and what is asked of the model."""
    text = literals.spelled(utf8.unmarked(body))
    try:
        utf8.check(text)
        found = _decode(text)
    except msgspec.ValidationError as error:
        raise Invalid(f"the body is no request to predict: {error}") from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise json.malformed(text, error) from None
    given = {key: bytes(raw) for key in _ANSWERS if (raw := getattr(found, key))}
    if len(given) != 1:
        raise Invalid(f"the body takes one of 'instances' and 'inputs', it has {'both' if given else 'neither'}")
    ((key, rows),) = given.items()
    if key == "instances" and rows[:1] != b"[":
        raise Invalid("'instances' takes a list of rows")
    signature = found.signature_name or SIGNATURES[0]
    if signature not in SIGNATURES:
        raise NotFound(f"there is no signature {quoted(signature)}; there is {', '.join(SIGNATURES)}")
    return key, rows, signature


def _read(key: str, rows: bytes, version: Version, notes: Notes, strict: bool) -> Table:
    return version.readers.json.read(rows, notes, strict, inside=key)


def _written(key: str, probabilities: bool, predicted: Prediction, notes: Notes) -> tuple[dict[str, str], bytes]:
    """Of several outputs an object a row, or (``outputs``) an object of lists."""
    rows = _probabilities(predicted, notes) if probabilities else predicted.labels(notes)
    if key == "inputs" and len(predicted.outputs) > 1:
        return {"Content-Type": JSON}, msgspec.json.encode(
            {"outputs": {name: [row[name] for row in rows] for name in rows[0]}}
        )
    return {"Content-Type": JSON}, msgspec.json.encode({_ANSWERS[key]: rows})


def _probabilities(predicted: Prediction, notes: Notes) -> list[Any]:
    """One list a row, in the order of the classes; of several outputs an object of such lists."""
    rows = predicted.class_probabilities(notes) or []
    if len(predicted.outputs) == 1:
        return [list(row.values()) for row in rows]
    return [{name: list(chances.values()) for name, chances in row.items()} for row in rows]


ROUTES = (
    ("GET", "/v1/models", models),
    ("GET", "/v1/models/{name}", model),
    ("POST", "/v1/models/{name}:predict", predict),
    ("GET", "/v1/models/{name}/versions/{version}", model_version),
    ("POST", "/v1/models/{name}/versions/{version}:predict", predict),
)
