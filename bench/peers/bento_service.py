"""BentoML: a service with one API, typed and asynchronous as documented, in as many workers as there are cores."""

import json
import os
from pathlib import Path

import bentoml
import joblib
import numpy as np
import pandas as pd

home = Path(os.environ["BENCH_MODEL"])
note = json.loads((home / "model.json").read_text())
kind, columns = note["kind"], note["columns"]
Rows = {"matrix": np.ndarray, "frame": pd.DataFrame, "text": list[str]}[kind]


@bentoml.service(workers=int(os.environ["BENCH_WORKERS"]), logging={"access": {"enabled": False}})
class Predictor:
    def __init__(self):
        self.model = joblib.load(home / "model.joblib")

    @bentoml.api(route="/predict")
    async def predict(self, rows: Rows) -> list[str]:
        return self.model.predict(rows[columns] if kind == "frame" else rows).tolist()
