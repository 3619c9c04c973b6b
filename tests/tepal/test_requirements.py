"""What models need is read from their manifests, and what cannot be had together is said with the way out."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest

from tepal import ArtifactError, artifact, requirements

SKLEARN = artifact.installed("scikit-learn")


@pytest.fixture(name="repository")
def _repository(store, tmp_path):
    """An empty repository, and what adds a version to it that says it was made with something else."""
    made = tmp_path / "made"
    made.mkdir()

    def add(name, number=1, **changes):
        path = shutil.copytree(store / "iris" / "1", made / name / str(number))
        manifest = json.loads((path / "manifest.json").read_text())
        manifest.update(name=name, version=number, **changes)
        (path / "manifest.json").write_text(json.dumps(manifest))
        (path / "model.pkl").write_bytes(b"nothing that could be unpickled")

    return made, add


def packages(**versions):
    return {"numpy": "2.3.5", "scikit-learn": SKLEARN, "scipy": "1.16.3"} | versions


OLD = packages(**{"scikit-learn": "1.7.2"})


def test_an_empty_repository_needs_nothing(tmp_path):
    assert requirements.read(tmp_path / "nowhere") == requirements.Requirements(None, {}, {}, [])


def test_what_must_be_exact_is_pinned_and_what_golden_rows_decide_is_not(repository):
    store, add = repository
    add("churn", packages=packages(pandas="3.1.1", joblib="1.0", cloudpickle="3.0"))
    add("rent", packages=packages(lightgbm="4.6.0", pandas="3.1.1"))

    needed = requirements.read(store)

    assert needed.packages == {"lightgbm": "4.6.0", "pandas": "3.1.1", "scikit-learn": SKLEARN}
    assert needed.needed_by == {"lightgbm": ["rent"], "pandas": ["churn", "rent"], "scikit-learn": ["churn", "rent"]}
    assert needed.notes == []


def test_beside_another_scikit_learn_numpy_and_scipy_are_those_of_the_model(repository):
    store, add = repository
    add("churn", packages=OLD)

    assert requirements.read(store).packages == OLD


def test_of_several_numpys_that_of_a_model_made_on_this_python_is_taken(repository):
    store, add = repository
    add("here", packages=OLD | {"numpy": "2.2.6"}, created="2026-01-01T00:00:00Z", python=f"{artifact.PYTHON}.1")
    add("there", packages=OLD, created="2026-02-01T00:00:00Z", python="3.10.1")

    assert requirements.read(store).packages["numpy"] == "2.2.6"


def test_the_newest_version_of_a_model_counts_and_an_older_one_that_cannot_serve_beside_it_is_named(repository):
    store, add = repository
    add("churn", 9, packages=OLD)
    add("churn", 10, packages=packages())
    add("churn", 8, packages=packages())
    add("churn", 7, packages=packages(), by_value=True, python="3.9.1")

    needed = requirements.read(store)

    assert needed.packages == {"scikit-learn": SKLEARN}
    assert needed.notes == [
        "only the newest version of a model counts: 'churn' version 9, which needs scikit-learn 1.7.2, will not serve",
        "only the newest version of a model counts: 'churn' version 7, which needs Python 3.9, will not serve",
    ]


def choose(store, name, **chosen):
    (store / name / "serving.json").write_text(json.dumps(chosen))


def test_the_version_that_was_chosen_counts_in_the_place_of_the_newest(repository):
    store, add = repository
    add("churn", 1, packages=OLD)
    add("churn", 2, packages=packages())
    choose(store, "churn", pinned="1")

    needed = requirements.read(store)

    assert needed.packages == OLD
    assert needed.notes == [
        f"only the chosen version of a model counts: 'churn' version 2, which needs scikit-learn {SKLEARN}, will not serve"
    ]


def test_all_versions_of_a_split_and_the_shadow_must_fit(repository):
    store, add = repository
    add("churn", 1, packages=packages(pandas="3.1.1"))
    add("churn", 2, packages=packages(lightgbm="4.6.0"))
    add("churn", 3, packages=packages(xgboost="3.0.0"))
    add("churn", 4, packages=OLD)
    choose(store, "churn", split={"1": 90, "2": 10}, shadow="3")

    needed = requirements.read(store)

    assert needed.packages == {"lightgbm": "4.6.0", "pandas": "3.1.1", "scikit-learn": SKLEARN, "xgboost": "3.0.0"}
    assert needed.needed_by["scikit-learn"] == ["churn"]
    choose(store, "churn", pinned="1", shadow="4")
    with pytest.raises(ArtifactError) as caught:
        requirements.read(store)
    assert str(caught.value) == (
        f"no image can hold what the chosen versions of 'churn' need: 'churn' version 4 needs scikit-learn 1.7.2, 'churn' "
        f"version 1 needs scikit-learn {SKLEARN}; choose one that answers alone: tepal promote churn VERSION, and tepal "
        f"shadow churn off"
    )


def test_a_version_that_cannot_be_read_is_left_out_and_named(repository):
    store, add = repository
    add("churn", packages=packages())
    add("churn", 2, packages=OLD)
    (store / "churn" / "2" / "manifest.json").write_text("{")

    needed = requirements.read(store)

    assert needed.packages == {"scikit-learn": SKLEARN}
    assert needed.notes[0].startswith("'churn' version 2 is left out: manifest.json is damaged")


def test_models_that_need_different_versions_are_told_apart_with_a_command_for_each(repository):
    store, add = repository
    add("churn", 3, packages=OLD, python="3.11.7")
    add("rent", packages=packages(pandas="3.1.1"), python="3.13.5")
    add("sales", packages=packages(), python="3.12.1")

    with pytest.raises(ArtifactError) as caught:
        requirements.read(store)

    assert str(caught.value) == (
        f"no image can hold what all models need: 'churn' version 3 needs scikit-learn 1.7.2, 'rent' version 1 needs "
        f"scikit-learn {SKLEARN}; build one for each: IMAGE=tepal:churn MODELS=churn PYTHON=3.11 docker compose build, "
        f"and IMAGE=tepal:rent MODELS=rent,sales PYTHON=3.13 docker compose build"
    )
    assert requirements.read(store, ["churn"]).packages == OLD
    assert requirements.read(store, ["sales", "rent"]).packages == {"pandas": "3.1.1", "scikit-learn": SKLEARN}


def test_code_by_value_of_two_pythons_is_told_apart_too(repository):
    store, add = repository
    add("churn", by_value=True, python="3.9.7")
    add("rent", by_value=True, python="3.10.1")
    add("sales", python="3.14.1")

    with pytest.raises(ArtifactError) as caught:
        requirements.read(store)

    assert "'churn' version 1 needs Python 3.9, 'rent' version 1 needs Python 3.10; build one for each: " in str(
        caught.value
    )
    assert "IMAGE=tepal:churn MODELS=churn,sales PYTHON=3.9 docker compose build, and " in str(caught.value)
    assert str(caught.value).endswith("IMAGE=tepal:rent MODELS=rent PYTHON=3.10 docker compose build")


def test_code_by_value_of_another_python_is_refused_with_the_command(repository):
    store, add = repository
    add("churn", by_value=True, python="3.9.7")

    with pytest.raises(ArtifactError, match=r"^'churn' version 1 cannot serve here: .* PYTHON=3.9 docker compose build"):
        requirements.read(store)


def test_the_python_is_that_of_code_by_value_else_the_highest(repository):
    store, add = repository
    add("churn", python="3.9.7")
    add("rent", python="3.12.1")
    assert requirements.read(store).python == "3.12"

    add("sales", by_value=True, python=f"{artifact.PYTHON}.0")

    assert requirements.read(store).python == artifact.PYTHON


@pytest.mark.parametrize(("package", "version"), [("--index-url", "x"), ("a", "1\nb==2"), ("a", "1 # c"), ("a[b]", "1")])
def test_a_manifest_cannot_tell_pip_anything_but_a_version(repository, package, version):
    store, add = repository
    add("churn", packages={package: version})

    with pytest.raises(ArtifactError, match="'churn' version 1 names no package and version"):
        requirements.read(store)


def tepal(store, *arguments, **environ):
    command = [sys.executable, "-m", "tepal", "requirements", *arguments]
    environ = {**os.environ, "MODEL_STORE": str(store), **environ}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environ)


def test_the_command_prints_a_file_for_pip(repository):
    store, add = repository
    add("churn", packages=OLD, python="3.11.7")
    add("rent", packages=OLD | {"pandas": "3.1.1"}, python="3.11.7")

    result = tepal(store, MODELS="rent, churn,nobody")

    assert result.stdout == (
        "# Made on Python 3.11; as an image: PYTHON=3.11 docker compose build\n"
        "numpy==2.3.5  # churn, rent\n"
        "pandas==3.1.1  # rent\n"
        "scikit-learn==1.7.2  # churn, rent\n"
        "scipy==1.16.3  # churn, rent\n"
    )
    assert result.stderr == f"Note: there is no model 'nobody' in {store}/\n"
    assert json.loads(tepal(store, "--json", MODELS="churn").stdout) == {
        "python": "3.11",
        "packages": OLD,
        "needed_by": {package: ["churn"] for package in OLD},
    }


def test_pip_takes_the_file(repository, tmp_path):
    store, add = repository
    add("churn", packages={"scikit-learn": SKLEARN})
    (tmp_path / "r.txt").write_text(tepal(store).stdout)

    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-index", "--no-deps", "-r", tmp_path / "r.txt"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert f"Requirement already satisfied: scikit-learn=={SKLEARN}" in done.stdout


def test_the_command_prints_nothing_for_an_empty_repository_and_one_sentence_where_it_refuses(repository):
    store, add = repository
    nothing = tepal(store)
    assert (nothing.returncode, nothing.stdout, nothing.stderr) == (0, "", "")
    add("churn", packages=OLD)
    add("rent", packages=packages())

    refused = tepal(store)

    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("Error: no image can hold what all models need: 'churn' version 1 needs")
    assert refused.stderr.count("\n") == 1


def test_its_help_has_an_example(tmp_path):
    assert "Example: tepal requirements > r.txt" in tepal(tmp_path, "--help").stdout
