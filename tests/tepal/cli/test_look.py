"""The commands list, show and verify, as their own processes."""

from __future__ import annotations

import json
import shutil


def test_list_names_models_with_their_versions_and_what_they_are(tepal, store, tmp_path):
    copied = shutil.copytree(store, tmp_path / "store")
    for number in ("2", "3", "5"):  # three that are not what they say
        shutil.copytree(copied / "iris" / "1", copied / "iris" / number)

    shown = tepal("list", model_store=copied).stdout.splitlines()

    assert shown[0].split() == ["NAME", "VERSIONS", "DEFAULT", "TASK", "ROWS", "TRAINED"]
    assert shown[1].startswith("iris           1–3, 5    1        classification  120   20")


def test_list_as_json_has_what_the_service_lists(tepal, served, store):
    listed = json.loads(tepal("list", "--json").stdout)["models"]

    assert [model["name"] for model in listed] == sorted(path.name for path in store.iterdir())
    assert listed[0]["trained"].keys() == {"at", "rows"}
    del listed[0]["trained"]
    assert listed[0] == {
        "name": "iris",
        "default_version": "1",
        "versions": ["1"],
        "pinned": None,
        "split": None,
        "shadow": None,
        "task": "classification",
        "rows": "independent",
        "reason": None,
    }


def test_list_says_why_a_model_cannot_serve(tepal, store, tmp_path):
    shutil.copytree(store / "iris", tmp_path / "iris")
    (tmp_path / "iris" / "1" / "model.pkl").write_bytes(b"damaged")

    result = tepal("list", model_store=tmp_path)

    assert result.returncode == 0
    assert "iris  1         none     unknown" in result.stdout
    assert "✗ iris cannot serve: version 1: model.pkl is damaged" in result.stdout


def test_list_of_an_empty_repository_says_what_to_do(tepal, tmp_path):
    assert "python -m train iris" in tepal("list", model_store=tmp_path).stdout
    assert json.loads(tepal("list", "--json", model_store=tmp_path).stdout) == {"models": []}


def test_show_is_a_card_for_a_person_or_a_script(tepal):
    shown = tepal("show", "people").stdout

    assert "  city    string          Amsterdam, Berlin, Copenhagen; another is refused\n" in shown
    assert "  height  number    yes   141.8 to 190.6\n" in shown
    assert "✓ Its files are whole" in shown
    assert json.loads(tepal("show", "people", "1", "--json").stdout)["name"] == "people"


def test_show_fits_the_terminal(tepal):
    for width in (50, 80, 200):
        lines = tepal("show", "iris", COLUMNS=str(width)).stdout.splitlines()
        prose = lines[: lines.index("Ask it")]  # a request can only be copied whole

        wide = [line for line in prose if len(line) > min(width, 100)]
        assert [line for line in wide if len(line.split("  ")[-1].split()) > 1] == []  # one word, which stays whole


def test_show_tells_of_a_version_that_must_not_serve(tepal, store, tmp_path):
    shutil.copytree(store / "iris", tmp_path / "iris")
    (tmp_path / "iris" / "1" / "model.pkl").write_bytes(b"damaged")

    result = tepal("show", "iris", model_store=tmp_path)

    assert result.returncode == 0
    assert "✗ It must not serve: model.pkl is damaged" in result.stdout


def test_verify_passes_good_versions_and_names_bad_ones(tepal, store, tmp_path):
    assert tepal("verify", "iris").returncode == 0
    damaged = shutil.copytree(store, tmp_path / "store")
    (damaged / "iris" / "1" / "model.pkl").write_bytes(b"damaged")

    result = tepal("verify", model_store=damaged)

    assert result.returncode == 1
    assert "✗ iris version 1: model.pkl is damaged" in result.stdout
    assert "✓ iris-logistic version 1: verified" in result.stdout
    assert result.stderr == f"Error: 1 of {len(list(store.iterdir()))} versions must not serve\n"


def test_verify_as_json_exits_as_it_does_for_a_person(tepal, store, tmp_path):
    good = tepal("verify", "iris", "--json")
    shutil.copytree(store / "iris", tmp_path / "iris")
    (tmp_path / "iris" / "1" / "model.pkl").write_bytes(b"damaged")
    bad = tepal("verify", "iris", "--json", model_store=tmp_path)

    assert (good.returncode, json.loads(good.stdout)) == (
        0,
        {"versions": [{"name": "iris", "version": "1", "reason": None, "chosen": []}]},
    )
    assert bad.returncode == 1
    assert json.loads(bad.stdout)["versions"][0]["reason"].startswith("model.pkl is damaged")
