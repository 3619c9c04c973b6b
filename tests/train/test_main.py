"""``python -m train``: the list of trainers, and one that cannot run here."""

from __future__ import annotations

from tepal import manifest
from tests.training import refusal, train, without_pandas

TRAINERS = ["epidemic", "forecast", "income", "iris", "language"]


def test_no_name_lists_every_trainer_on_a_line_of_its_own(tmp_path):
    listed = train(tmp_path)

    assert listed.returncode == 0
    lines = listed.stdout.partition("Trainers:\n")[2].splitlines()
    assert [line.split()[0] for line in lines] == TRAINERS
    assert all(line.endswith(".") for line in lines)


def test_the_list_needs_no_package_that_a_trainer_needs(tmp_path):
    assert train(tmp_path, **without_pandas(tmp_path)).stdout == train(tmp_path).stdout


def test_a_trainer_without_its_package_says_what_to_install(tmp_path):
    for name in ("epidemic", "forecast", "income"):
        sentence = refusal(train(tmp_path / "store", name, **without_pandas(tmp_path)))

        assert sentence == f"the trainer '{name}' needs pandas: pip install -r requirements-train.txt"
    # Nor does language: tests/train/test_language.py.
    assert train(tmp_path / "store", "iris", **without_pandas(tmp_path)).returncode == 0


def test_what_a_trainer_publishes_is_proven_on_as_many_rows_as_documented(tmp_path):
    assert train(tmp_path, "iris").returncode == 0

    proof = manifest.read(tmp_path / "iris" / "1").runtime.proof
    assert proof.perturbed == 100_000
    assert proof.largest_difference <= 1e-12


def test_each_trainer_has_help_with_an_example(tmp_path):
    for name in TRAINERS:
        told = train(tmp_path, name, "--help")

        assert told.returncode == 0
        assert f"Example: python -m train {name}" in told.stdout
