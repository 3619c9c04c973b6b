"""LitServe: its API class, as many inference workers and servers as there are cores."""

import json
import os
import sys
from pathlib import Path

import joblib
import litserve
import numpy as np
import pandas as pd


class Api(litserve.LitAPI):
    def setup(self, device):
        home = Path(os.environ["BENCH_MODEL"])
        note = json.loads((home / "model.json").read_text())
        self.kind, self.columns = note["kind"], note["columns"]
        self.model = joblib.load(home / "model.joblib")

    def decode_request(self, request):
        rows = request["rows"]
        if self.kind == "matrix":
            return np.array(rows)
        return pd.DataFrame(rows, columns=self.columns) if self.kind == "frame" else rows

    def predict(self, rows):
        return self.model.predict(rows)

    def encode_response(self, labels):
        return {"predictions": labels.tolist()}


if __name__ == "__main__":
    port, workers = map(int, sys.argv[1:])
    server = litserve.LitServer(Api(), accelerator="cpu", workers_per_device=workers)
    server.run(
        host="127.0.0.1",
        port=port,
        num_api_servers=workers,
        generate_client_file=False,
        log_level="warning",
        access_log=False,
    )
