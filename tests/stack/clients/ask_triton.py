"""Asks by Triton's own client what standard input says; run in an environment of its own.

Input: ``{"url", "calls": [{"model", "version", "inputs": [{"name", "datatype", "shape", "data"}], "id", "outputs",
"binary_in", "binary_out", "gzip_in", "gzip_out"}]}``. Output: what the server says of itself, and for each call its outputs
by name, or its error.
"""

import json
import sys

import numpy as np
from tritonclient import http as triton
from tritonclient.utils import InferenceServerException, triton_to_np_dtype


def main():
    asked = json.load(sys.stdin)
    client = triton.InferenceServerClient(asked["url"], network_timeout=60)
    server = {
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "server": client.get_server_metadata(),
        "models": [model["name"] for model in client.get_model_repository_index()],
        "model": client.get_model_metadata("people"),
        "model_ready": client.is_model_ready("people", "1"),
        "unknown_ready": client.is_model_ready("rose"),
    }
    for name in ("get_model_config", "get_inference_statistics"):
        server[name] = error_of(lambda name=name: getattr(client, name)("people"))
    json.dump({"server": server, "answers": [answer(client, call) for call in asked["calls"]]}, sys.stdout)


def error_of(call):
    try:
        call()
    except InferenceServerException as error:
        return {"error": error.message(), "status": error.status()}


def answer(client, call):
    inputs = []
    for given in call["inputs"]:
        dtype = object if given["datatype"] == "BYTES" else triton_to_np_dtype(given["datatype"])
        array = np.array(given["data"], dtype=dtype).reshape(given["shape"])
        tensor = triton.InferInput(given["name"], given["shape"], given["datatype"])
        inputs.append(tensor.set_data_from_numpy(array, binary_data=call.get("binary_in", True)))
    outputs = call.get("outputs") and [
        triton.InferRequestedOutput(name, binary_data=call.get("binary_out", True)) for name in call["outputs"]
    ]
    try:
        result = client.infer(
            call["model"], inputs, model_version=call.get("version", ""), outputs=outputs, request_id=call.get("id", ""),
            request_compression_algorithm="gzip" if call.get("gzip_in") else None,
            response_compression_algorithm="gzip" if call.get("gzip_out") else None,
        )  # fmt: skip
    except InferenceServerException as error:
        return {"error": error.message(), "status": error.status()}
    response = result.get_response()
    return {
        "id": response.get("id"),
        "outputs": {o["name"]: values(result.as_numpy(o["name"])) for o in response["outputs"]},
    }


def values(array):
    texts = array.dtype == object
    return (
        [text.decode() if isinstance(text, bytes) else text for text in array.ravel().tolist()] if texts else array.tolist()
    )


if __name__ == "__main__":
    main()
