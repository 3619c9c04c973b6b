"""From a fitted estimator to a version on disk, whole or not at all."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import tepal
from tepal import PublishError, Repository, manifest
from tepal.notes import Notes
from tepal.repository import Version, versions_on_disk

X = np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 2.0], [3.0, 1.0]])
Y = np.array(["no", "no", "yes", "yes"])


class Odd(RegressorMixin, BaseEstimator):
    """Answers by a function, and cannot say what it is."""

    n_features_in_ = 2

    def __init__(self, answer=None):
        self.answer = answer

    def __repr__(self, N_CHAR_MAX=700):
        raise RuntimeError("no words")

    def predict(self, X):
        return self.answer(X)


@pytest.fixture(name="estimator", scope="module")
def _estimator():
    return LogisticRegression().fit(X, Y)


def test_versions_count_up_from_one_and_are_whole(estimator, tmp_path):
    first = tepal.publish(estimator, name="m", X=X, y=Y, store=tmp_path)
    second = tepal.publish(estimator, name="m", X=X, y=Y, store=tmp_path)

    assert (first.name, first.version, first.path) == ("m", 1, tmp_path / "m" / "1")
    assert second.version == 2
    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == ["1", "2"]
    assert sorted(path.name for path in second.path.iterdir()) == ["manifest.json", "model.pkl"]


def test_the_pickle_is_the_estimator_and_joblib_opens_it(estimator, tmp_path):
    path = tepal.publish(estimator, name="m", X=X, y=Y, store=tmp_path).path

    loaded = joblib.load(path / "model.pkl")

    assert loaded.predict_proba(X).tobytes() == estimator.predict_proba(X).tobytes()


def test_everyone_may_read_a_version_and_only_its_owner_write(estimator, tmp_path):
    path = tepal.publish(estimator, name="m", X=X, y=Y, store=tmp_path).path

    modes = {stat.S_IMODE(file.stat().st_mode) for file in path.iterdir()}
    assert (stat.S_IMODE(path.stat().st_mode), modes) == (0o755, {0o644})


def test_the_manifest_says_what_was_published(estimator, tmp_path):
    options = {"metrics": {"accuracy": np.float64(0.5), "confusion": np.eye(2)}, "meta": {"run": "r1"}}
    path = tepal.publish(estimator, name="m", X=X, y=Y, store=tmp_path, **options).path

    said = manifest.read(path)

    assert (said.task, said.rows, said.n_rows) == ("classification", "independent", 4)
    assert said.metrics == {"accuracy": 0.5, "confusion": [[1.0, 0.0], [0.0, 1.0]]}
    assert said.meta == {"run": "r1"}
    assert said.outputs[0].classes == ("no", "yes")
    assert said.packages["scikit-learn"]
    assert "pytest" in said.command
    assert not said.by_value


def test_model_store_names_the_repository(estimator, tmp_path, monkeypatch):
    monkeypatch.setenv("MODEL_STORE", str(tmp_path / "elsewhere"))

    assert tepal.publish(estimator, name="m", X=X).path == tmp_path / "elsewhere" / "m" / "1"


@pytest.mark.parametrize("name", ["", "A", "a/b", "..", "a..b", "-a", ".a", "a" * 65, "a b", "é"])
def test_a_name_that_could_not_be_a_path_is_refused(estimator, tmp_path, name):
    with pytest.raises(PublishError, match="cannot be a model's name"):
        tepal.publish(estimator, name=name, X=X, store=tmp_path)


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (StandardScaler().fit(X), "has no predict"),
        (LogisticRegression(), "not fitted"),
        (LogisticRegression().fit(X[:, :1], Y), "X has 2 columns, and the model, which was fitted on 1"),
        ("model.pkl", "a str is no model"),
        (Odd(lambda rows: np.empty((len(rows), 0))), "no column at all"),
        (Odd(lambda _: sys.exit("enough")), "cannot predict the rows of X: SystemExit: enough"),
    ],
)
def test_what_cannot_be_served_is_refused_with_the_reason(estimator, message, tmp_path):
    with pytest.raises(PublishError, match=message):
        tepal.publish(estimator, name="m", X=X, store=tmp_path)
    assert versions_on_disk(tmp_path) == {}


def test_an_estimator_without_words_is_called_by_its_class(tmp_path):
    path = tepal.publish(Odd(lambda rows: np.zeros(len(rows))), name="m", X=X, store=tmp_path).path

    assert json.loads((path / "manifest.json").read_text())["estimator"] == "Odd"


@pytest.mark.parametrize("dtype", ["Int64", "Int32", "UInt8", "Float64", "Float32", "int64[pyarrow]", "double[pyarrow]"])
def test_numbers_in_pandas_own_dtypes_are_numbers(dtype, tmp_path):
    frame = pd.DataFrame(X, columns=["a", "b"]).astype(dtype)
    fitted = LogisticRegression().fit(frame, Y)
    tepal.publish(fitted, name="m", X=frame, store=tmp_path)

    version = Repository.open(tmp_path).find("m")
    answered = version.runtime.predict(version.readers.read("json", b"[[3,1],[0,1]]", Notes(), False, 1))

    assert answered.labels() == fitted.predict(frame.iloc[[3, 0]]).tolist()


def test_a_text_that_is_missing_is_not_the_word_for_it(tmp_path):
    """In a list, of which NumPy would make the text nan."""
    words = ["good day", "bad day", float("nan")] * 5
    fitted = make_pipeline(CountVectorizer(), LogisticRegression()).fit(["good day", "bad day"] * 5, [1, 0] * 5)

    with pytest.raises(PublishError, match="the model cannot predict the rows of X"):
        tepal.publish(fitted, name="m", X=words, store=tmp_path)


def test_texts_that_no_json_can_hold_are_refused(tmp_path):
    frame = pd.DataFrame({"city": ["Oslo", "Rome", "\udcff"] * 20}, dtype=object)
    coded = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression()).fit(frame, [0, 1, 1] * 20)

    with pytest.raises(PublishError, match="surrogates not allowed"):
        tepal.publish(coded, name="m", X=frame, store=tmp_path)


def test_an_estimator_that_cannot_be_pickled_is_refused(tmp_path):
    estimator = DummyClassifier().fit(X, Y)
    estimator.lock = multiprocessing.get_context("spawn").Lock()

    with pytest.raises(PublishError, match="cannot be pickled"):
        tepal.publish(estimator, name="m", X=X, store=tmp_path)


def test_metrics_that_are_no_json_are_refused(estimator, tmp_path):
    endless = {}
    endless["x"] = endless
    for metrics in ({"x": object()}, endless):
        with pytest.raises(PublishError, match="metrics must hold JSON"):
            tepal.publish(estimator, name="m", X=X, store=tmp_path, metrics=metrics)


def test_a_frame_of_numbers_needs_no_frame_to_be_served(tmp_path):
    frame = pd.DataFrame(X, columns=["a", "b"])
    path = tepal.publish(LogisticRegression().fit(frame, Y), name="m", X=frame, store=tmp_path).path

    signature = manifest.read(path).signature

    assert (signature.container, signature.names) == ("columns", ("a", "b"))


def test_several_outputs_are_named_by_their_targets(tmp_path):
    targets = pd.DataFrame({"up": X[:, 0], "down": -X[:, 0]})
    path = tepal.publish(LinearRegression().fit(X, targets), name="m", X=X, y=targets, store=tmp_path).path

    assert [output.name for output in manifest.read(path).outputs] == ["up", "down"]
    version = Repository.open(tmp_path).find("m")
    answer = version.runtime.predict(version.readers.json.read(b"[1,2]", tepal.notes.Notes())).labels()
    assert answer[0].keys() == {"up", "down"}


def test_classes_of_the_users_own_script_travel_in_the_pickle(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
            import numpy as np, tepal
            from sklearn.base import BaseEstimator, ClassifierMixin
            class Mine(ClassifierMixin, BaseEstimator):
                classes_ = np.array(["a", "b"])
                def predict(self, X):
                    return np.where(np.asarray(X)[:, 0] > 1, "b", "a")
            tepal.publish(Mine(), name="mine", X=np.array([[0.0], [2.0]]), store="store")
        """)
    )
    subprocess.run([sys.executable, script], check=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(Path.cwd())})

    version = Repository.open(tmp_path / "store").find("mine")

    assert version.manifest.by_value
    assert version.runtime.predict(version.readers.json.read(b"[[3],[0]]", tepal.notes.Notes())).labels() == ["b", "a"]


KILLED = """
import os, signal, sys, numpy as np, tepal
from pathlib import Path
from sklearn.dummy import DummyRegressor
from tepal import artifact
step, store = sys.argv[1:]
def dies(*arguments, **options):
    os.kill(os.getpid(), signal.SIGKILL)
if step == "first file":
    artifact._write_file = lambda path, data: (path.write_bytes(data[:5]), dies())
elif step == "second file":
    write = artifact._write_file
    artifact._write_file = lambda path, data: write(path, data) if path.suffix == ".pkl" else dies()
elif step == "rename":
    artifact.flush = dies
X = np.array([[0.0], [1.0]])
tepal.publish(DummyRegressor().fit(X, X[:, 0]), name="m", X=X, store=store)
"""


@pytest.mark.parametrize("step", ["first file", "second file", "rename"])
def test_a_killed_publish_leaves_nothing_half_made(step, tmp_path):
    result = subprocess.run([sys.executable, "-c", KILLED, step, tmp_path], check=False)

    assert result.returncode == -signal.SIGKILL
    assert versions_on_disk(tmp_path) == {}
    assert Repository.open(tmp_path).models == {}
    published = tepal.publish(DummyRegressor().fit(X, X[:, 0]), name="m", X=X, store=tmp_path)
    assert published.version == 1
    assert [path.name for path in (tmp_path / "m").iterdir()] == ["1"], "the next publish clears up"


def publish_some(store, count):
    for _ in range(count):
        tepal.publish(DummyRegressor().fit(X, X[:, 0]), name="m", X=X, store=store)


def test_two_publishers_never_share_a_number(tmp_path):
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=publish_some, args=(tmp_path, 5)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()

    assert versions_on_disk(tmp_path) == {"m": [str(number) for number in range(1, 16)]}
    assert all(isinstance(version, Version) for version in Repository.open(tmp_path).model("m").versions.values())


def test_publishing_leaves_the_users_estimator_as_it_was(tmp_path):
    forest = RandomForestClassifier(n_estimators=3, n_jobs=2, random_state=0).fit(X, Y)

    tepal.publish(forest, name="m", X=X, store=tmp_path)

    assert forest.n_jobs == 2
