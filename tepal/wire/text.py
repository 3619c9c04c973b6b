"""Predictions as plain text: one a line and nothing else."""

from __future__ import annotations

from tepal.prediction import Prediction, class_key


def write(prediction: Prediction) -> bytes:
    """UTF-8 lines, one a row; a label as it is, a number as JSON writes it, an empty line for no answer."""
    return "".join(f"{'' if label is None else class_key(label)}\n" for label in prediction.labels()).encode()
