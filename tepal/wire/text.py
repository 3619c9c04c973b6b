"""Predictions as plain text: one a line and nothing else."""

from __future__ import annotations

from tepal.prediction import Prediction, class_key

_BREAKS = str.maketrans({"\n": "\\n", "\r": "\\r"})


def write(prediction: Prediction) -> bytes:
    """UTF-8 lines, one a row; a label as it is, a number as JSON writes it, an empty line for no answer.

    A line break within a label is written as ``\\n``, so that a row stays a line.
    """
    lines = ("" if label is None else class_key(label) for label in prediction.labels())
    return "".join(f"{line.translate(_BREAKS)}\n" for line in lines).encode()
