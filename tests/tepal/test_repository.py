"""Which version answers, and what is said where none can."""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path

import pytest

from tepal import NotFound, NotReady, Repository, choice


@pytest.fixture(name="folder")
def _folder(store, tmp_path):
    """Two models; iris has a version 2, 10 and a damaged 11."""
    folder = tmp_path / "store"
    for source, target in [("iris", "iris/1"), ("iris-logistic", "iris-logistic/1")]:
        shutil.copytree(store / source / "1", folder / target)
    for number in ("2", "10", "11"):
        copy = shutil.copytree(folder / "iris" / "1", folder / "iris" / number)
        manifest = copy / "manifest.json"
        manifest.write_text(re.sub(r'"version": 1\b', f'"version": {number}', manifest.read_text()))
    (folder / "iris" / "11" / "model.pkl").write_bytes(b"")
    return folder


def test_the_default_version_is_the_highest_that_verified(folder):
    model = Repository.open(folder).model("iris")

    assert list(model.versions) == ["1", "2", "10", "11"]
    assert model.default.number == "10"
    assert model.reason is None


def test_a_version_is_found_by_number(folder):
    repository = Repository.open(folder)

    assert repository.find("iris", "2").number == "2"
    with pytest.raises(NotReady, match=r"version 11 cannot serve: model.pkl is damaged"):
        repository.find("iris", "11")
    with pytest.raises(NotFound, match="has no version '3'; it has 1, 2, 10, 11"):
        repository.find("iris", "3")


def test_a_model_that_is_not_there_is_said_with_those_that_are(folder):
    with pytest.raises(NotFound, match=r"did you mean 'iris-logistic'. there is iris, iris-logistic"):
        Repository.open(folder).find("iris-logistics")


def test_the_default_model_is_named_or_iris_or_the_only_one(folder):
    assert Repository.open(folder).find().name == "iris"
    assert Repository.open(folder, default_model="iris-logistic").find().name == "iris-logistic"
    assert Repository.open(folder, names=["iris-logistic"]).find().name == "iris-logistic"
    (folder / "iris").rename(folder / "other")
    with pytest.raises(NotFound, match="there is iris-logistic, other"):
        Repository.open(folder).find()


def test_a_default_model_that_is_not_there_is_a_state(folder):
    with pytest.raises(NotReady, match="the default model 'rose' is not in the model repository"):
        Repository.open(folder, default_model="rose").find()


def test_a_named_model_that_is_not_there_is_a_state(folder):
    repository = Repository.open(folder, names=["iris", "rose"])

    assert list(repository.models) == ["iris", "rose"]
    assert repository.find().name == "iris"
    with pytest.raises(NotReady, match="'rose' cannot serve: it is not in the model repository"):
        repository.find("rose")


def test_a_model_that_others_serve_is_known_and_not_loaded(folder):
    repository = Repository.open(folder, elsewhere=["iris", "rose"])

    assert list(repository.models) == ["iris-logistic"]
    assert repository.elsewhere == {"iris": ["1", "2", "10", "11"], "rose": []}
    assert repository.names == ["iris", "iris-logistic", "rose"]
    for name in ("iris", "rose"):
        with pytest.raises(NotReady, match=f"model '{name}' has replicas of its own"):
            repository.find(name)
    with pytest.raises(NotFound, match=r"did you mean 'rose'. there is iris, iris-logistic, rose"):
        repository.find("roses")
    with pytest.raises(NotReady, match="model 'iris' has replicas of its own"):
        Repository.open(folder, elsewhere=["iris"], default_model="iris").find()


def test_a_version_that_comes_of_a_model_that_others_serve_is_listed(folder):
    repository = Repository.open(folder, elsewhere=["iris"])
    shutil.copytree(folder / "iris" / "1", folder / "iris" / "12")

    assert repository.refresh() == []
    assert repository.elsewhere["iris"][-1] == "12"


def test_whoever_serves_a_model_of_others_by_name_is_one_of_them(folder):
    repository = Repository.open(folder, names=["iris"], elsewhere=["iris", "iris-logistic"])

    assert repository.find("iris").number == "10"
    assert list(repository.elsewhere) == ["iris-logistic"]


def test_a_model_without_a_good_version_says_why(folder):
    for number in ("1", "2", "10"):
        shutil.rmtree(folder / "iris" / number)

    with pytest.raises(NotReady, match=r"model 'iris' cannot serve: version 11: model.pkl is damaged"):
        Repository.open(folder).find()


@pytest.mark.parametrize("there", [True, False])
def test_an_empty_repository_is_a_state(tmp_path, there):
    with pytest.raises(NotReady, match="the model repository is empty"):
        Repository.open(tmp_path if there else tmp_path / "nowhere").find()


def test_what_is_no_model_in_the_folder_is_left_alone(folder):
    (folder / "README.md").write_text("x")
    (folder / ".git").mkdir()
    (folder / "Not A Model" / "1").mkdir(parents=True)
    (folder / "iris" / ".publishing-x").mkdir()
    (folder / "iris" / "01").mkdir()
    (folder / "iris" / "notes").mkdir()

    repository = Repository.open(folder)

    assert list(repository.models) == ["iris", "iris-logistic"]
    assert list(repository.model("iris").versions) == ["1", "2", "10", "11"]


def test_a_folder_that_cannot_be_looked_into_touches_no_other(folder, monkeypatch):
    iterate = Path.iterdir

    def locked(path):
        if path.name == "iris":
            raise PermissionError(13, "Permission denied")
        return iterate(path)

    shutil.rmtree(folder / "iris")
    (folder / "iris").mkdir()
    monkeypatch.setattr(Path, "iterdir", locked)

    repository = Repository.open(folder)

    assert repository.find("iris-logistic").number == "1"
    assert "manifest.json cannot be read" in repository.model("iris").reason


def test_a_repository_that_cannot_be_looked_into_is_a_state_and_changes_nothing(folder, monkeypatch):
    """Too many open files, say; the next look finds it."""
    iterate = Path.iterdir

    def full(path):
        if path == folder:
            raise OSError(24, "Too many open files")
        return iterate(path)

    served = Repository.open(folder)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "iterdir", full)
        shutil.rmtree(folder / "iris" / "10")
        assert served.refresh() == []
        assert served.find("iris").number == "10"
        with pytest.raises(NotReady, match="the model repository cannot be looked into: Too many open files"):
            Repository.open(folder).find()
        named = Repository.open(folder, names=["iris"])
        with pytest.raises(NotReady, match="'iris' cannot serve"):
            named.find("iris")
    for repository in (served, named):
        repository.refresh()
        assert repository.find("iris").number == "2"


def test_a_look_that_fails_is_told_and_is_not_the_last_one(folder, monkeypatch):
    repository = Repository.open(folder)
    told, look = [], repository.refresh
    repository.on_error = told.append

    def fail_once():
        monkeypatch.setattr(repository, "refresh", look)
        raise RuntimeError("a bug")

    monkeypatch.setattr(repository, "refresh", fail_once)
    shutil.rmtree(folder / "iris" / "10")
    repository.keep_up()
    deadline = time.monotonic() + 10
    while "10" in repository.model("iris").versions:
        assert time.monotonic() < deadline
        time.sleep(0.01)

    assert [str(error) for error in told] == ["a bug"]


def test_what_is_chosen_and_cannot_be_read_is_no_other_version(folder):
    """Until somebody can read it."""
    choice.promote(folder / "iris", "1")
    serving = folder / "iris" / choice.FILE
    text = serving.read_text()
    serving.write_text(text[:-3])

    repository = Repository.open(folder)

    assert "serving.json of model 'iris' is damaged" in repository.model("iris").reason
    with pytest.raises(NotReady, match=r"serving.json of model 'iris' is damaged"):
        repository.find("iris")
    assert repository.find("iris", "2").number == "2"
    serving.write_text(text)
    assert repository.find("iris").number == "1"


def test_every_worker_goes_on_with_the_same_version_whether_it_was_asked_or_not(folder):
    asked, not_asked = (Repository.open(folder) for _ in range(2))
    assert asked.find("iris").number == "10"
    (folder / "iris" / choice.FILE).write_text('{"pinned":"11"}')

    assert asked.find("iris").number == not_asked.find("iris").number == "10"
    with pytest.raises(NotReady, match=r"version 11, which is pinned: model.pkl is damaged"):
        Repository.open(folder).find("iris")


def test_of_a_named_model_that_is_removed_nothing_answers(folder):
    repository = Repository.open(folder, names=["iris"])
    assert repository.find().number == "10"
    shutil.rmtree(folder / "iris")

    assert {change.what for change in repository.refresh()} == {"dropped"}
    with pytest.raises(NotReady, match="it is not in the model repository"):
        repository.find()


def test_without_a_folder_for_models_what_is_loaded_goes_on(folder):
    """As where it was unmounted."""
    for names in ([], ["iris"]):
        repository = Repository.open(folder, names=names)
        folder.rename(folder.parent / "away")

        assert repository.refresh() == []
        assert repository.find("iris").number == "10"
        (folder.parent / "away").rename(folder)


def test_no_other_model_answers_in_place_of_one_that_others_serve(folder):
    """Where no model is named; iris is the default, here or elsewhere."""
    with pytest.raises(NotReady, match="'iris' has replicas of its own"):
        Repository.open(folder, elsewhere=["iris"]).find()
    assert Repository.open(folder, elsewhere=["iris-logistic"]).find().name == "iris"
    assert Repository.open(folder, names=["iris-logistic"], elsewhere=["iris"]).find().name == "iris-logistic"


def test_a_version_whose_rights_change_is_looked_at_again(folder):
    """It may be readable now."""
    repository = Repository.open(folder)
    assert repository.refresh() == []
    (folder / "iris" / "2" / "manifest.json").chmod(0o600)

    assert [(change.number, change.what) for change in repository.refresh()] == [("2", "loaded")]
