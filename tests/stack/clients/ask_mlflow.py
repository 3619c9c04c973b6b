"""Asks by MLflow's own scoring client what standard input says; run in an environment of its own.

Input: ``{"port", "calls": [{"kind": "frame" | "array" | "list", "data", "columns", "datetimes"}]}``. Output: the
version that the server says, and for each call its predictions, or its error.
"""

import json
import sys

import numpy as np
import pandas as pd
from mlflow.pyfunc.scoring_server.client import ScoringServerClient


def main():
    asked = json.load(sys.stdin)
    client = ScoringServerClient("127.0.0.1", asked["port"])
    client.wait_server_ready(timeout=10)
    answers = [answer(client, call) for call in asked["calls"]]
    json.dump({"version": client.get_version(), "answers": answers}, sys.stdout)


def data_of(call):
    data = call["data"]
    if call["kind"] == "frame":
        frame = pd.DataFrame(data, columns=call["columns"])
        for name in call.get("datetimes", ()):
            frame[name] = pd.to_datetime(frame[name])
        return frame
    return np.array(data) if call["kind"] == "array" else data


def answer(client, call):
    try:
        response = client.invoke(data_of(call), params=call.get("params"))
    except Exception as error:  # noqa: BLE001 it raises nothing more special
        return {"error": str(error)}
    return {"predictions": json.loads(response.to_json())["predictions"], "frame": list(response.get_predictions().shape)}


if __name__ == "__main__":
    main()
