"""The least that Flask can do for a POST: read it, and answer a constant."""

from flask import Flask, Response, request

app = Flask(__name__, static_folder=None)


@app.post("/predict")
def predict():
    request.get_data()
    return Response(b'{"model":"iris","version":"1","predictions":["virginica"]}', mimetype="application/json")
