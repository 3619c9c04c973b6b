"""The Iris trainer: the walk-throughs' scores, and an account that a person can read."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tepal import manifest
from tepal.repository import versions_on_disk
from tests.training import ROOT, train
from train import iris


@pytest.mark.parametrize(
    ("arguments", "name", "accuracy"),
    [
        (("iris",), "iris", 0.9667),
        (("iris", "--algorithm", "svm"), "iris", 0.9667),
        (("iris", "--algorithm", "logistic"), "iris-logistic", 0.9333),
    ],
)
def test_the_held_out_score_is_the_walk_throughs(tmp_path, arguments, name, accuracy):
    result = train(tmp_path, *arguments)

    assert result.returncode == 0, result.stderr
    assert versions_on_disk(tmp_path) == {name: ["1"]}
    published = manifest.read(tmp_path / name / "1")
    assert published.metrics["accuracy"] == accuracy
    assert published.outputs[0].classes == ("setosa", "versicolor", "virginica")
    assert published.signature.names == ("sepal_length", "sepal_width", "petal_length", "petal_width")
    assert f"held out        {accuracy} accuracy" in result.stdout


def test_it_tells_what_it_did(tmp_path):
    told = train(tmp_path, "iris").stdout

    counts = "versicolor             0          12           1"
    for words in ("150 flowers", "120 to train, 30 held out", "cross-validated 0.9750 ±", counts):
        assert words in told
    assert f"published       iris version 1 in {tmp_path}/iris/1/" in told
    assert "curl -X POST http://127.0.0.1:8080/models/iris/predict -d '[" in told


def test_if_empty_leaves_a_repository_with_a_model_alone(tmp_path):
    both = ("iris", "--algorithm", "svm", "--algorithm", "logistic", "--if-empty")

    assert train(tmp_path, *both).returncode == 0
    again = train(tmp_path, *both)

    assert versions_on_disk(tmp_path) == {"iris": ["1"], "iris-logistic": ["1"]}
    assert "already holds iris, iris-logistic" in again.stdout


def test_a_wrong_name_is_wrong_usage(tmp_path):
    assert train(tmp_path, "rose").returncode == 2
    assert train(tmp_path, "iris", "--algorithm", "forest").returncode == 2


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")

    result = train(tmp_path / "file", "iris")

    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "cannot write" in result.stderr


def test_an_algorithm_is_one_line_and_only_here():
    tree = ast.parse(Path(iris.__file__).read_text())
    (table,) = [node for node in tree.body if isinstance(node, ast.Assign) and node.targets[0].id == "ALGORITHMS"]

    assert all(value.lineno == value.end_lineno for value in table.value.values)
    files = [path for folder in ("api", "tepal") for path in (ROOT / folder).rglob("*.py")]
    by_name = (
        ROOT / "tepal" / "card.py",
        ROOT / "tepal" / "runtime" / "compiled",
    )  # words, and forms
    served = "".join(path.read_text() for path in files if not any(map(path.is_relative_to, by_name)))
    assert "SVC" not in served
    assert "LogisticRegression" not in served
