"""Saves a fitted model as MLflow's own server takes it: ``mlflow_save.py MODEL FOLDER``."""

import sys
from pathlib import Path

import joblib
import mlflow.sklearn

home, folder = map(Path, sys.argv[1:])
mlflow.sklearn.save_model(
    joblib.load(home / "model.joblib"), folder, pip_requirements=[], serialization_format="cloudpickle"
)
