"""Every kind of model answers in every protocol what it answers natively, to its own golden rows."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest

from tepal.notes import Notes
from tepal.wire import tensors

NAMES = (
    "iris", "iris-logistic", "people", "temper", "words", "labels", "numbers", "groups", "prices", "gaps", "big"
)  # fmt: skip


@pytest.fixture(name="name", params=NAMES)
def _name(request):
    return request.param


@pytest.fixture(name="rows")
def _rows(kinds, name):
    """The golden rows, as records."""
    return kinds.models[name].default.manifest.golden.rows


@pytest.fixture(name="native")
def _native(ask, name, rows):
    """What the model answers natively."""
    received = ask("POST", f"/models/{name}/predict", json.dumps(rows))
    assert received.status == 200, received.body
    return received.json


def test_there_is_every_kind(kinds):
    assert set(NAMES) | {"stall"} == set(kinds.models)


def test_v1(ask, name, rows, native):
    """Rows, and columns."""
    by_column = {key: [row[key] for row in rows] for key in rows[0]}

    answers = [
        ask("POST", f"/v1/models/{name}:predict", json.dumps({"instances": rows})).json,
        ask("POST", f"/v1/models/{name}/versions/1:predict", json.dumps({"inputs": by_column})).json,
    ]

    predictions = native["predictions"]
    several = isinstance(predictions[0], dict)
    columns = {key: [row[key] for row in predictions] for key in predictions[0]} if several else predictions
    assert answers == [{"predictions": predictions}, {"outputs": columns}]


def test_v1_probabilities(ask, name, rows, native):
    """In the order of the classes."""
    body = json.dumps({"signature_name": "predict_proba", "instances": rows})
    received = ask("POST", f"/v1/models/{name}:predict", body)

    if "probabilities" not in native:
        assert received.status == 400
        return
    expected = [
        {key: list(of.values()) if isinstance(of, dict) else of for key, of in row.items()}
        for row in native["probabilities"]
    ]
    if not isinstance(next(iter(native["probabilities"][0].values())), dict):
        expected = [list(row.values()) for row in native["probabilities"]]
    assert received.json == {"predictions": expected}


@pytest.mark.parametrize("body", ["split", "records", "instances", "inputs", "lines", "csv"])
def test_invocations(ask, name, rows, native, body):
    """In the shapes of MLflow's and SageMaker's clients."""
    type_, sent = "application/json", ""
    if body == "split":
        sent = json.dumps({"dataframe_split": {"columns": list(rows[0]), "data": [list(row.values()) for row in rows]}})
    elif body in ("instances", "inputs"):
        sent = json.dumps({body: rows})
    elif body == "records":
        sent = json.dumps({"dataframe_records": rows})
    elif body == "lines":
        type_, sent = "application/jsonlines", "\n".join(map(json.dumps, rows))
    else:
        type_, file = "text/csv", io.StringIO()
        csv.writer(file).writerows(["" if cell is None else cell for cell in row.values()] for row in rows)
        sent = file.getvalue()

    assert ask("POST", "/invocations", sent, default=name, content_type=type_).json == {"predictions": native["predictions"]}


def by_column(table) -> list[tensors.Tensor]:
    """One tensor a column, of arrays; integers with gaps, and numbers in general, as 64-bit floats."""
    given = []
    for column, array in zip(table.signature.columns, table.columns):
        values, datatype = array, {"f": "FP64", "i": "INT64", "u": "UINT64", "b": "BOOL"}.get(array.dtype.kind, "BYTES")
        if array.dtype.kind == "M":
            values = np.datetime_as_string(array).tolist()
        elif column.type == "integer" and array.dtype == object:
            values, datatype = np.array([np.nan if v is None else v for v in array]), "FP64"
        elif array.dtype == object:
            values = array.tolist()
        given.append(tensors.Tensor(column.name, datatype, (len(array),), values))
    return given


def in_json(given, **more) -> tuple[bytes, dict[str, str]]:
    """Real clients write NaN, which is no JSON."""
    unknown = {"values": None}  # a key of nobody's
    inputs = [{**t._asdict(), **unknown, "data": np.asarray(t.values, dtype=object).tolist()} for t in given]
    return json.dumps({"inputs": inputs, **more}).encode(), {}


def raw(given, **more) -> tuple[bytes, dict[str, str]]:
    parts = [tensors.to_bytes(tensor) for tensor in given]
    inputs = [
        {"name": t.name, "datatype": t.datatype, "shape": t.shape, "parameters": {"binary_data_size": len(part)}}
        for t, part in zip(given, parts)
    ]
    head = json.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}, **more}).encode()
    return head + b"".join(parts), {"inference_header_content_length": str(len(head))}


def outputs(received) -> dict[str, list]:
    """Every output by its name as a list, nested as its shape is."""
    assert received.status == 200, received.body
    length = received.headers.get("inference-header-content-length")
    head, rest = received.body[: length and int(length)], received.body[int(length or 0) :]
    found = {}
    for output in json.loads(head)["outputs"]:
        if "data" in output:
            values = np.array(output["data"], dtype=object)
        else:
            size = output["parameters"]["binary_data_size"]
            part, rest = rest[:size], rest[size:]
            tensor = tensors.of_bytes(output["name"], output["datatype"], output["shape"], memoryview(part))
            values = np.array(tensor.values, dtype=object)
        values[np.not_equal(values, values)] = None  # NaN
        found[output["name"]] = values.reshape(output["shape"]).tolist()
    return found


@pytest.mark.parametrize("encode", [in_json, raw])
def test_v2(ask, kinds, name, rows, native, encode):
    """One tensor a column, and all in one where they are all numbers; in JSON, and raw."""
    table = kinds.models[name].default.readers.json.read(json.dumps(rows).encode(), Notes())
    layouts = [by_column(table)]
    if table.matrix is not None:
        layouts.append([tensors.Tensor("anything", "FP64", table.matrix.shape, table.matrix.ravel())])

    for given in layouts:
        body, headers = encode(given, id="7")
        assert outputs(ask("POST", f"/v2/models/{name}/infer", body, **headers)) == as_outputs(native)


def as_outputs(native) -> dict[str, list]:
    """A native answer as the outputs of v2."""
    predictions = native["predictions"]
    if isinstance(predictions[0], dict):
        expected = {key: [row[key] for row in predictions] for key in predictions[0]}
        for key in (native.get("probabilities") or [{}])[0]:
            expected[f"predict_proba_{key}"] = [list(row[key].values()) for row in native["probabilities"]]
    else:
        expected = {"predict": predictions}
        if "probabilities" in native:
            expected["predict_proba"] = [list(row.values()) for row in native["probabilities"]]
    return expected


def test_v2_metadata_is_what_comes(ask, name, rows):
    """Names, datatypes and shapes of what is taken and given, and the names behind them."""
    told = ask("GET", f"/v2/models/{name}").json
    (taken, *others) = told["inputs"]
    if "parameters" in taken:
        assert not others
        assert taken["parameters"]["columns"] == list(rows[0])
    else:
        assert [tensor["name"] for tensor in told["inputs"]] == list(rows[0])
    by_name = {key: [row[key] for row in rows] for key in rows[0]}
    values = by_name if "parameters" not in taken else {taken["name"]: [value for row in rows for value in row.values()]}
    shape = {tensor["name"]: [len(rows), *tensor["shape"][1:]] for tensor in told["inputs"]}
    inputs = [{**tensor, "shape": shape[tensor["name"]], "data": values[tensor["name"]]} for tensor in told["inputs"]]

    received = ask("POST", f"/v2/models/{name}/infer", json.dumps({"inputs": inputs}))

    given = [{key: output[key] for key in ("name", "datatype", "shape")} for output in received.json["outputs"]]
    assert given == [
        {"name": output["name"], "datatype": output["datatype"], "shape": [len(rows), *output["shape"][1:]]}
        for output in told["outputs"]
    ]
