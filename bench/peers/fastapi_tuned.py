"""FastAPI by hand, without all that it can do without: orjson, a coroutine, no validation, no checks of scikit-learn's."""

import json
import os
from pathlib import Path

import joblib
import numpy as np
import orjson
import pandas as pd
import sklearn
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

sklearn.set_config(assume_finite=True, skip_parameter_validation=True)
home = Path(os.environ["BENCH_MODEL"])
note = json.loads((home / "model.json").read_text())
kind, columns = note["kind"], note["columns"]
model = joblib.load(home / "model.joblib")

app = FastAPI(openapi_url=None)


async def predict(request: Request) -> Response:
    rows = orjson.loads(await request.body())
    if kind == "matrix":
        X = np.array(rows, dtype=float)
    elif kind == "frame":
        X = pd.DataFrame(rows, columns=columns)
    else:
        X = rows
    labels = model.predict(X).tolist()
    return Response(orjson.dumps({"predictions": labels}), media_type="application/json")


app.add_route("/predict", predict, methods=["POST"])
