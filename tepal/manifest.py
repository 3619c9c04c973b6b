"""What an artifact says of itself: ``manifest.json``.

To change its shape: raise FORMAT, keep a reader of the old number here for as long as artifacts of it are about,
and add an artifact of the old format to the tests.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

import msgspec

from tepal.drift import Spread
from tepal.errors import ArtifactError
from tepal.prediction import Output
from tepal.signature import Signature

FORMAT = 1
FILE = "manifest.json"
PICKLE = "model.pkl"

NAME = re.compile(r"(?!.*\.\.)[a-z0-9][a-z0-9_.-]{0,63}")
VERSION = re.compile(r"[1-9][0-9]{0,8}")

Task = Literal["classification", "regression", "clustering", "outlier detection", "prediction"]


class Answers(msgspec.Struct, frozen=True):
    """What the model answered, as plain JSON values: predictions, and probabilities where it has them."""

    predictions: list[Any]
    probabilities: list[dict[str, Any]] | None = None


class Golden(msgspec.Struct, frozen=True):
    """Example rows with what the model answered when it was published.

    rows: records as a client would send them. alone: the answers to each row sent by itself (none for a
    sequence model, whose rows mean nothing alone). together: the answers to all rows as one batch, since
    scikit-learn's floats differ in their last digits between the two. scale: the largest absolute output
    seen in training, for each output that is a number.
    """

    rows: list[dict[str, Any]]
    alone: Answers | None
    together: Answers
    scale: float = 1.0


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """How many rows a compiled form has answered as its estimator does (tepal/proof.py).

    training: rows of the training; perturbed, extreme: made of these; thresholds, boundaries: on the edges of the model.
    alone: how many of all these were asked alone too. declined: how many the form left to the estimator.
    largest_difference: of a float, relative to it or to the output's scale in training.
    """

    training: int
    perturbed: int
    extreme: int
    thresholds: int
    boundaries: int
    alone: int
    declined: int
    largest_difference: float


class Compiled(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whether the estimator has a compiled form that may answer for it: the proof, or the reason why not."""

    compiled: bool
    proof: Proof | None = None
    reason: str | None = None


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """One published version.

    python, packages: of the interpreter that made the pickle; ``packages`` maps names on the package index to
    exact versions. by_value: the pickle carries code of the user's own, which only the same minor version of
    Python can run. files: sha256 of every other file of the artifact, in hex. created: UTC, ISO 8601.
    history: how many rows a sequence model needs before the first that it can answer.
    drift: how each column was spread in training; none in a version that was published before this was kept.
    runtime: whether a compiled form of the estimator may answer; None in a version that was published before there was one.
    """

    format: int
    name: str
    version: int
    task: Task
    estimator: str
    signature: Signature
    outputs: tuple[Output, ...]
    rows: Literal["independent", "sequence"]
    golden: Golden
    metrics: dict[str, Any]
    meta: dict[str, Any]
    python: str
    packages: dict[str, str]
    by_value: bool
    files: dict[str, str]
    created: str
    command: str
    n_rows: int
    history: int = 0
    drift: tuple[Spread | None, ...] = ()
    runtime: Compiled | None = None

    @property
    def example(self) -> Any:
        """A body to send: a record, or all records of a sequence, where a row means nothing without those before it."""
        return self.golden.rows if self.rows == "sequence" else self.golden.rows[0]

    @property
    def python_minor(self) -> str:
        """Such as ``3.11``."""
        return ".".join(self.python.split(".")[:2])


def read(path: Path) -> Manifest:
    """The manifest of the artifact in the folder ``path``, ``…/<name>/<version>``.

    Raises ArtifactError where it cannot be used.
    """
    try:
        data = (path / FILE).read_bytes()
    except OSError as error:
        raise ArtifactError(f"{FILE} cannot be read: {error.strerror}") from None
    try:
        number = msgspec.json.decode(data, type=_Format).format
        if number != FORMAT:
            raise ArtifactError(f"{FILE} has format {number}, this Tepal reads format {FORMAT}; publish the model again")
        manifest = msgspec.json.decode(data, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ArtifactError(f"{FILE} is damaged: {error}") from None
    if (manifest.name, str(manifest.version)) != (path.parent.name, path.name):
        raise ArtifactError(
            f"the manifest is of {manifest.name} version {manifest.version}; the folder was moved or renamed"
        )
    return manifest


class _Format(msgspec.Struct):
    format: int
