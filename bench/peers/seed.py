"""What most walk-throughs end with: Flask, a DataFrame of the posted records, a pickle, gunicorn behind a plain nginx."""

import json
import os
from pathlib import Path

import joblib
import pandas as pd
from flask import Flask, jsonify, request

home = Path(os.environ["BENCH_MODEL"])
note = json.loads((home / "model.json").read_text())
model = joblib.load(home / "frame.joblib")

app = Flask(__name__)


@app.route("/predict", methods=["POST"])
def predict():
    data = request.get_json()
    frame = pd.DataFrame(data if isinstance(data, list) else [data])
    prediction = model.predict(frame["text"] if note["kind"] == "text" else frame[note["columns"]])
    return jsonify({"prediction": prediction.tolist()})
