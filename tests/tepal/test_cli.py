"""The command line, as its own process."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest


@pytest.fixture(name="tepal")
def _tepal(store):
    def run(*arguments, model_store=store):
        command = [sys.executable, "-m", "tepal", *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, check=False, env={"MODEL_STORE": str(model_store), "PATH": ""}
        )

    return run


def test_list_names_models_and_versions(tepal):
    assert "iris           versions 1\n" in tepal("list").stdout
    assert json.loads(tepal("list", "--json").stdout)["models"][0] == {"name": "iris", "versions": ["1"]}


def test_list_of_an_empty_repository_says_what_to_do(tepal, tmp_path):
    assert "python -m train iris" in tepal("list", model_store=tmp_path).stdout


def test_show_is_a_card_for_a_person_or_a_script(tepal):
    shown = tepal("show", "people").stdout

    assert "city: string, one of Amsterdam, Berlin, Copenhagen" in shown
    assert "height: number, 141.8–190.6 in training, may be null" in shown
    assert json.loads(tepal("show", "people", "1", "--json").stdout)["name"] == "people"


def test_verify_passes_good_versions_and_names_bad_ones(tepal, store, tmp_path):
    assert tepal("verify", "iris").returncode == 0
    damaged = shutil.copytree(store, tmp_path / "store")
    (damaged / "iris" / "1" / "model.pkl").write_bytes(b"damaged")

    result = tepal("verify", model_store=damaged)

    assert result.returncode == 1
    assert "✗ iris version 1: model.pkl is damaged" in result.stdout
    assert "✓ iris-logistic version 1" in result.stdout
    assert result.stderr == "Error: 1 of 6 versions must not serve\n"


def test_what_is_not_there_is_one_sentence_and_exit_code_1(tepal):
    result = tepal("show", "irsi")

    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: there is no model 'irsi' in ")


def test_wrong_usage_is_exit_code_2(tepal):
    assert tepal("show").returncode == 2
    assert tepal("nonsense").returncode == 2


def test_every_command_has_help_with_an_example(tepal):
    for command in ([], ["list"], ["show"], ["verify"]):
        assert "Example: tepal" in tepal(*command, "--help").stdout
