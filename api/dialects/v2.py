"""Open Inference Protocol v2, as KServe, MLServer and Triton speak it and their clients ask: JSON, and binary tensors.

The Content-Type says nothing here. A raw tensor follows the JSON, whose length is in Inference-Header-Content-Length:
https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from time import perf_counter
from typing import Any

import msgspec

from api import encoding, health, prediction
from api.errors import of_protocol
from api.message import JSON, Context, Request, Response, json_response
from api.prediction import Asked
from tepal import Invalid, Malformed, NotReady, __version__
from tepal.notes import Notes, quoted
from tepal.prediction import Prediction
from tepal.repository import BadVersion, Version
from tepal.table import Table
from tepal.wire import inference, json, literals, tensors, utf8
from tepal.wire.inference import Described
from tepal.wire.tensors import Tensor

EXTENSIONS = ("binary_tensor_data",)
_LENGTH = "Inference-Header-Content-Length"
_NOT_HERE = ("classification", "shared_memory_region")  # parameters of Triton's that ask for something else

refused = of_protocol


class _Named(msgspec.Struct):
    name: str
    parameters: dict[str, Any] | None = None


class _Input(_Named, kw_only=True):
    datatype: str
    shape: list[int]
    data: msgspec.Raw = msgspec.Raw()


class _Question(msgspec.Struct):
    """What a client asks. Keys that are not here are none of ours, and no fault."""

    inputs: list[_Input]
    id: str | int | None = None
    parameters: dict[str, Any] | None = None
    outputs: list[_Named] | None = None


_decode = msgspec.json.Decoder(_Question).decode


def server(context: Context, request: Request) -> Response:
    """What this server is."""
    return json_response({"name": "tepal", "version": __version__, "extensions": EXTENSIONS})


def live(context: Context, request: Request) -> Response:
    """200 while the process can answer."""
    return json_response({"live": True})


def ready(context: Context, request: Request) -> Response:
    """As ``/readyz``. Raises NotReady with the reasons."""
    health.ready(context, request)
    return json_response({"live": True, "ready": True})


def models(context: Context, request: Request) -> Response:
    """The names of the models."""
    return json_response({"models": context.repository.names})


def model(context: Context, request: Request, name: str, number: str | None = None) -> Response:
    """What a version takes and gives, as tensors: the default one, or one by its number."""
    version = _version(context, name, number)
    versions = [other.number for other in context.repository.model(name).versions.values() if isinstance(other, Version)]
    return json_response(
        {
            "name": version.name,
            "versions": versions if number is None else [number],
            "platform": "sklearn_joblib",
            "inputs": [_described(tensor, "columns") for tensor in inference.inputs(version.manifest.signature)],
            "outputs": [_described(tensor, "classes") for tensor in inference.outputs(version.manifest)],
        }
    )


def _described(tensor: Described, names: str) -> dict[str, Any]:
    described: dict[str, Any] = {"name": tensor.name, "datatype": tensor.datatype, "shape": tensor.shape}
    return {**described, "parameters": {names: tensor.names}} if tensor.names else described


def model_ready(context: Context, request: Request, name: str, number: str | None = None) -> Response:
    """200 where the version can serve. Raises NotFound, or NotReady with the reason."""
    return json_response({"name": _version(context, name, number).name, "ready": True})


def _version(context: Context, name: str, number: str | None) -> Version:
    if number is not None:
        return context.repository.find(name, number)
    found = context.repository.model(name)
    if found.default is None:
        raise NotReady(f"model '{name}' cannot serve: {found.reason}")
    return found.default


def index(context: Context, request: Request) -> Response:
    """Every version of every model, the bad ones included, as Triton's repository extension lists them."""
    listed: list[dict[str, str]] = []
    for found in context.repository.models.values():
        for version in found.versions.values():
            state = "UNAVAILABLE" if isinstance(version, BadVersion) else "READY"
            reason = version.reason if isinstance(version, BadVersion) else ""
            listed.append({"name": found.name, "version": version.number, "state": state, "reason": reason})
    for name, numbers in context.repository.elsewhere.items():
        for number in numbers:
            reason = "it has replicas of its own, which know more of it"
            listed.append({"name": name, "version": number, "state": "UNAVAILABLE", "reason": reason})
    return json_response(listed)


def infer(context: Context, request: Request, name: str, number: str | None = None) -> Response:
    """Answer the rows of the input tensors, by a model's default version or by one version."""
    started = perf_counter()
    version = prediction.find(context, request, name, number)
    body = prediction.inflated(context, request)
    question, raw = _parsed(body, request.headers.get(_LENGTH.lower()))
    given = _inputs(question.inputs, raw)
    wanted = _wanted(question.outputs, inference.outputs(version.manifest))
    asked = Asked(version, partial(_read, given), started, shadowed=number is None, size=len(body))
    write = partial(_written, version, question, wanted, encoding.wants_gzip(request.headers.get("accept-encoding", "")))
    return prediction.answer(context, request, asked, write, probabilities=any(len(tensor.shape) > 1 for tensor in wanted))


def _parsed(body: bytes, length: str | None) -> tuple[_Question, memoryview]:
    """What is asked, and the raw tensors behind it. length: of the JSON, where it is not all."""
    if length is not None and not (re.fullmatch(r"[0-9]{1,12}", length) and int(length) <= len(body)):
        raise Malformed(f"{_LENGTH} is {length[:60]!r}; it takes the bytes of the JSON, of which the body has {len(body)}")
    size = len(body) if length is None else int(length)
    text = literals.spelled(utf8.unmarked(body[:size]))
    try:
        utf8.check(text)
        return _decode(text), memoryview(body)[size:]
    except msgspec.ValidationError as error:
        raise Invalid(f"the body is no inference request: {error}") from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise json.malformed(text, error) from None


def _inputs(given: Sequence[_Input], raw: memoryview) -> list[Tensor]:
    read, at = [], 0
    for tensor in given:
        parameters = tensor.parameters or {}
        _check_parameters(parameters)
        size, data = parameters.get("binary_data_size"), bytes(tensor.data)
        if (size is None) == (not data):
            raise Invalid(f"input {quoted(tensor.name)} takes either data or the parameter binary_data_size")
        if size is None:
            found = tensors.of_json(tensor.name, tensor.datatype, tensor.shape, data)
        elif type(size) is not int or not 0 <= size <= len(raw) - at:
            raise Malformed(f"input {quoted(tensor.name)} has no {size} bytes in the body: {len(raw) - at} are left for it")
        else:
            found = tensors.of_bytes(tensor.name, tensor.datatype, tensor.shape, raw[at : at + size])
            at += size
        read.append(_of_content(found, parameters))
    if at != len(raw):
        raise Malformed(f"the body has {len(raw) - at} bytes more than its inputs")
    return read


def _of_content(tensor: Tensor, parameters: Mapping[str, Any]) -> Tensor:
    """With the values that its texts stand for, as MLServer's clients say by the parameter content_type."""
    decode = tensors.CONTENTS.get(str(parameters.get("content_type")))
    return tensor if decode is None or tensor.datatype != tensors.BYTES else decode(tensor)


def _check_parameters(parameters: Mapping[str, Any]) -> None:
    for name in _NOT_HERE:
        if parameters.get(name):
            raise Invalid(f"the parameter '{name}' is not known here; tensors come and go in the body, whole")


def _wanted(named: Sequence[_Named] | None, there: Sequence[Described]) -> list[Described]:
    """The outputs that a client names, or else all."""
    if not named:
        return list(there)
    by_name = {tensor.name: tensor for tensor in there}
    for output in named:
        _check_parameters(output.parameters or {})
        if output.name not in by_name:
            raise Invalid(f"the model has no output {quoted(output.name)}; it has {', '.join(by_name)}")
    return [by_name[output.name] for output in named]


def _read(given: Sequence[Tensor], version: Version, notes: Notes, strict: bool) -> Table:
    return version.readers.tensors.read(given, notes, strict)


def _written(
    version: Version, question: _Question, wanted: Sequence[Described], as_gzip: bool, predicted: Prediction, notes: Notes
) -> tuple[dict[str, str], bytes]:
    everywhere = (question.parameters or {}).get("binary_data_output", False)
    named = {output.name: output.parameters or {} for output in question.outputs or ()}
    outputs, raw = [], []
    for tensor in inference.of_prediction(predicted, wanted, notes):
        output: dict[str, Any] = {"name": tensor.name, "datatype": tensor.datatype, "shape": tensor.shape}
        if named.get(tensor.name, {}).get("binary_data", everywhere) is True:
            raw.append(tensors.to_bytes(tensor))
            outputs.append({**output, "parameters": {"binary_data_size": len(raw[-1])}})
        else:
            outputs.append({**output, "data": tensors.to_list(tensor)})
    answer: dict[str, Any] = {"model_name": version.name, "model_version": version.number}
    if question.id is not None:
        answer["id"] = question.id
    text = msgspec.json.encode({**answer, "outputs": outputs})
    headers = {"Content-Type": "application/octet-stream", _LENGTH: str(len(text))} if raw else {"Content-Type": JSON}
    body = b"".join((text, *raw))
    if not as_gzip:
        return headers, body
    return {**headers, "Content-Encoding": "gzip", "Vary": "Accept-Encoding"}, encoding.compress(body)


ROUTES = (
    ("GET", "/v2", server),
    ("GET", "/v2/", server),
    ("GET", "/v2/health/live", live),
    ("GET", "/v2/health/ready", ready),
    ("GET", "/v2/models", models),
    ("GET", "/v2/models/{name}", model),
    ("GET", "/v2/models/{name}/ready", model_ready),
    ("POST", "/v2/models/{name}/infer", infer),
    ("GET", "/v2/models/{name}/versions/{version}", model),
    ("GET", "/v2/models/{name}/versions/{version}/ready", model_ready),
    ("POST", "/v2/models/{name}/versions/{version}/infer", infer),
    ("POST", "/v2/repository/index", index),
)
