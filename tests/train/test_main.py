"""``python -m train``: the list of trainers, and one that cannot run here."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.training import ROOT, refusal, train

TRAINERS = ["epidemic", "forecast", "income", "iris", "language"]


def without_pandas(folder, *arguments):
    """``python -m train`` where pandas cannot be imported. folder: where to put what stands in its way."""
    (folder / "pandas.py").write_text("raise ModuleNotFoundError(\"No module named 'pandas'\", name='pandas')")
    return subprocess.run(
        [sys.executable, "-m", "train", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "MODEL_STORE": str(folder / "store"), "PYTHONPATH": str(folder)},
    )


def test_no_name_lists_every_trainer_on_a_line_of_its_own(tmp_path):
    listed = train(tmp_path)

    assert listed.returncode == 0
    lines = listed.stdout.partition("Trainers:\n")[2].splitlines()
    assert [line.split()[0] for line in lines] == TRAINERS
    assert all(line.endswith(".") for line in lines)


def test_the_list_needs_no_package_that_a_trainer_needs(tmp_path):
    assert without_pandas(tmp_path).stdout == train(tmp_path).stdout


def test_a_trainer_without_its_package_says_what_to_install(tmp_path):
    for name in ("epidemic", "forecast", "income"):
        sentence = refusal(without_pandas(tmp_path, name))

        assert sentence == f"the trainer '{name}' needs pandas: pip install -r requirements-train.txt"
    for name in ("iris", "language"):
        assert without_pandas(tmp_path, name).returncode == 0


def test_each_trainer_has_help_with_an_example(tmp_path):
    for name in TRAINERS:
        told = train(tmp_path, name, "--help")

        assert told.returncode == 0
        assert f"Example: python -m train {name}" in told.stdout
