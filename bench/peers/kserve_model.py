"""KServe's ModelServer with a model class of one's own, as its guide has it, in as many processes as there are cores."""

import json
import os
from pathlib import Path

import joblib
import kserve
import numpy as np
import pandas as pd


class Predictor(kserve.Model):
    def __init__(self):
        super().__init__("model")
        home = Path(os.environ["BENCH_MODEL"])
        note = json.loads((home / "model.json").read_text())
        self.kind, self.columns = note["kind"], note["columns"]
        self.model = joblib.load(home / "model.joblib")
        self.ready = True

    def predict(self, payload, headers=None, response_headers=None):
        rows = payload["instances"]
        if self.kind == "matrix":
            rows = np.array(rows)
        elif self.kind == "frame":
            rows = pd.DataFrame(rows, columns=self.columns)
        return {"predictions": self.model.predict(rows).tolist()}


if __name__ == "__main__":
    kserve.ModelServer(enable_grpc=False, enable_docs_url=False).start([Predictor()])
