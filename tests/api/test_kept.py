"""A body is made once for what is served, and again when that changes; another repository has its own."""

from __future__ import annotations

import gc
import shutil
import weakref

from api.kept import Kept
from tepal import Repository, choice
from train import iris


def test_it_is_made_again_when_another_version_is_served_or_chosen(store, tmp_path):
    shutil.copytree(store / "iris", tmp_path / "iris")
    repository, made = Repository.open(tmp_path), []
    kept = Kept(lambda served: made.append(1) or ",".join(served.models).encode())

    assert kept.of(repository) is kept.of(repository)
    assert len(made) == 1

    shutil.copytree(store / "words", tmp_path / "words")
    repository.refresh()
    assert kept.of(repository) == b"iris,words"
    assert len(made) == 2

    iris.run("svm", iris.ALGORITHMS["svm"], tmp_path)
    repository.refresh()
    kept.of(repository)
    assert len(made) == 3
    choice.promote(tmp_path / "iris", "1")
    kept.of(repository)
    assert len(made) == 4

    assert kept.of(Repository()) == b""


def test_it_holds_no_version(store, tmp_path):
    """One that is dropped gives its memory back."""
    shutil.copytree(store / "iris", tmp_path / "iris")
    repository = Repository.open(tmp_path)
    kept = Kept(lambda _: b"")
    kept.of(repository)
    version = weakref.ref(repository.models["iris"].versions["1"])

    shutil.rmtree(tmp_path / "iris" / "1")
    repository.refresh()
    gc.collect()

    assert version() is None
