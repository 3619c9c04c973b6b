"""A bad artifact never serves, and nothing of it is unpickled before it is verified."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil

import numpy as np
import pytest

from tepal import ArtifactError, artifact, repository
from tepal.repository import BadVersion, Repository


@pytest.fixture(name="version")
def _version(store, tmp_path):
    """A copy of iris-logistic version 1, to be damaged."""
    return shutil.copytree(store / "iris-logistic" / "1", tmp_path / "store" / "iris-logistic" / "1")


def edit(version, change):
    path = version / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def set_pickle(version, data):
    """Put other bytes in place of the pickle, with the digest that fits them."""
    (version / "model.pkl").write_bytes(data)
    edit(version, lambda manifest: manifest["files"].update({"model.pkl": hashlib.sha256(data).hexdigest()}))


class Canary:
    """Unpickling it leaves a folder behind."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


def truncate(version):
    data = (version / "model.pkl").read_bytes()
    (version / "model.pkl").write_bytes(data[: len(data) // 2])


def flip_a_bit(version):
    data = bytearray((version / "model.pkl").read_bytes())
    data[len(data) // 2] ^= 1
    (version / "model.pkl").write_bytes(data)


DAMAGE = {
    "truncated pickle": (truncate, "model.pkl is damaged"),
    "flipped bit": (flip_a_bit, "model.pkl is damaged"),
    "no pickle": (lambda v: (v / "model.pkl").unlink(), "model.pkl cannot be read"),
    "wrong sha256": (lambda v: edit(v, lambda m: m["files"].update({"model.pkl": "0" * 64})), "model.pkl is damaged"),
    "no manifest": (lambda v: (v / "manifest.json").unlink(), "manifest.json cannot be read"),
    "cut manifest": (lambda v: (v / "manifest.json").write_text('{"format": 1'), "manifest.json is damaged"),
    "manifest of another format": (lambda v: edit(v, lambda m: m.update(format=2)), "has format 2"),
    "manifest without a key": (lambda v: edit(v, lambda m: m.pop("golden")), "missing required field `golden`"),
    "manifest of another model": (lambda v: edit(v, lambda m: m.update(name="iris")), "is of iris version 1"),
    "file outside the folder": (lambda v: edit(v, lambda m: m["files"].update({"../x": "0"})), "outside its folder"),
    "other scikit-learn": (
        lambda v: edit(v, lambda m: m["packages"].update({"scikit-learn": "1.7.0"})),
        "scikit-learn 1.7.0",
    ),
    "package that is not here": (
        lambda v: edit(v, lambda m: m["packages"].update({"xgboost": "1.0"})),
        "here is no xgboost",
    ),
    "code of another Python": (lambda v: edit(v, lambda m: m.update(by_value=True, python="3.9.1")), "PYTHON=3.9 docker"),
    "golden label differs": (
        lambda v: edit(v, lambda m: m["golden"]["together"]["predictions"].__setitem__(3, "no iris")),
        'golden row 3 .in a batch. is not answered as recorded: prediction expected "no iris", got "',
    ),
    "golden probability differs": (
        lambda v: edit(v, lambda m: m["golden"]["alone"]["probabilities"][0].update(setosa=0.5)),
        "golden row 0 .alone. is not answered as recorded: probabilities expected",
    ),
    "renamed column": (lambda v: edit(v, lambda m: m["signature"]["columns"][0].update(name="x")), "self-test failed"),
    "pickle of something else": (lambda v: set_pickle(v, pickle.dumps({"not": "a model"})), "self-test failed"),
    "pickle that does not open": (lambda v: set_pickle(v, b"\x80\x04cno_such_module\nx\n."), "model.pkl cannot be opened"),
    "empty pickle": (lambda v: set_pickle(v, b""), "model.pkl cannot be opened"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_bad_artifact_is_refused_with_the_reason(version, damage):
    spoil, reason = DAMAGE[damage]
    spoil(version)

    with pytest.raises(ArtifactError, match=reason):
        repository.load(version)


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_bad_artifact_touches_no_other(version, store, damage):
    shutil.copytree(store / "iris", version.parent.parent / "iris")
    DAMAGE[damage][0](version)

    opened = Repository.open(version.parent.parent)

    assert isinstance(opened.models["iris-logistic"].versions["1"], BadVersion)
    assert opened.find("iris").number == "1"


BEFORE_UNPICKLING = (
    "wrong sha256",
    "manifest of another format",
    "other scikit-learn",
    "code of another Python",
    "manifest of another model",
)


@pytest.mark.parametrize("damage", BEFORE_UNPICKLING)
def test_nothing_is_unpickled_before_it_is_verified(version, tmp_path, damage):
    canary = tmp_path / "canary"
    set_pickle(version, pickle.dumps(Canary(canary)))
    with pytest.raises(ArtifactError):
        repository.load(version)
    assert canary.exists(), "the canary sings where all is verified"
    canary.rmdir()

    DAMAGE[damage][0](version)

    with pytest.raises(ArtifactError):
        repository.load(version)
    assert not canary.exists()


def test_the_bytes_that_are_verified_are_the_bytes_that_are_loaded(version, monkeypatch):
    _, data = artifact.verify(version)

    (version / "model.pkl").write_bytes(b"swapped after the check")

    assert artifact.load(data).predict([[5.9, 3.0, 5.1, 1.8]]) == ["virginica"]


def test_another_library_version_serves_where_it_is_allowed_and_golden_rows_replay(version):
    DAMAGE["other scikit-learn"][0](version)

    assert repository.load(version, allow_version_mismatch=True).number == "1"

    DAMAGE["golden label differs"][0](version)
    with pytest.raises(ArtifactError, match="golden row 3"):
        repository.load(version, allow_version_mismatch=True)


def test_other_packages_are_named_together_with_what_to_run_with_docker_and_without(version):
    here = artifact.installed("scikit-learn")
    edit(version, lambda m: m.update(python="3.9.1", packages={"scikit-learn": "1.7.2", "xgboost": "3.0", "numpy": "1.0"}))

    with pytest.raises(ArtifactError) as caught:
        artifact.verify(version)

    assert str(caught.value) == (
        f"it was made with scikit-learn 1.7.2, xgboost 3.0 on Python 3.9, here is scikit-learn {here}, no xgboost on Python "
        f"{artifact.PYTHON}; build the image for it: PYTHON=3.9 docker compose build "
        f"(without Docker: python -m tepal requirements > r.txt && pip install -r r.txt)"
    )


def test_another_numpy_or_python_alone_is_for_the_golden_rows_to_decide(version):
    edit(version, lambda manifest: (manifest["packages"].update(numpy="1.0"), manifest.update(python="3.9.1")))

    assert repository.load(version).number == "1"


def test_a_last_digit_may_differ_between_machines(version):
    def nudge(manifest):
        row = manifest["golden"]["together"]["probabilities"][0]
        row["setosa"] *= 1 + 1e-12

    edit(version, nudge)

    assert repository.load(version).number == "1"


def test_a_file_that_everyone_may_write_is_a_caution(version):
    assert repository.load(version).cautions == []

    (version / "model.pkl").chmod(0o666)

    (caution,) = repository.load(version).cautions
    assert caution.startswith("model.pkl can be written by every user")


@pytest.mark.parametrize("size", [0, 1, 256 * 1024 - 1, 256 * 1024, 5_000_000])
def test_what_is_read_in_pieces_is_what_was_pickled(size):
    """Bytes, arrays in one block and scattered ones, and what comes after them."""
    array = np.random.default_rng(size).random(size // 8)
    value = {"bytes": array.tobytes(), "array": array, "part": array[::2], "last": "whole"}

    for protocol in (2, 5):
        loaded = artifact.load(pickle.dumps(value, protocol))
        assert (loaded["bytes"], loaded["last"]) == (value["bytes"], "whole")
        assert np.array_equal(loaded["array"], array)
        assert np.array_equal(loaded["part"], array[::2])


def test_a_pickle_that_is_cut_short_cannot_be_opened():
    with pytest.raises(ArtifactError, match=r"model.pkl cannot be opened"):
        artifact.load(pickle.dumps(bytes(1_000_000))[:-10])
