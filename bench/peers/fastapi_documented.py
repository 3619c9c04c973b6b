"""FastAPI as its documentation has it: rows and answer are pydantic models."""

import json
import os
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from fastapi import FastAPI
from pydantic import BaseModel, create_model

home = Path(os.environ["BENCH_MODEL"])
note = json.loads((home / "model.json").read_text())
kind, columns = note["kind"], note["columns"]
model = joblib.load(home / "model.joblib")

NUMBERS = {"age", "hours_per_week", "capital_gain"}
types = {
    name: (float | None if kind == "frame" and name in NUMBERS else str if kind != "matrix" else float) for name in columns
}
Row = create_model("Row", **{name: (type_, ...) for name, type_ in types.items()})


class Answer(BaseModel):
    predictions: list[str]


app = FastAPI()


@app.post("/predict")
def predict(rows: list[Row]) -> Answer:
    values = [[getattr(row, name) for name in columns] for row in rows]
    if kind == "matrix":
        X = np.array(values)
    elif kind == "frame":
        X = pd.DataFrame(values, columns=columns)
    else:
        X = [row[0] for row in values]
    return Answer(predictions=model.predict(X).tolist())
