"""``tepal publish``: a file and a table of examples become a version, or a sentence says what is missing."""

from __future__ import annotations

import json
import pickle
import shlex
import subprocess
import sys
import textwrap

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
import skops.io
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier

from tepal import manifest as manifests
from tepal import repository
from tests.servers import ROOT

# A user's own files: a module with a transformer, and a script that fits, pickles, and defines a class of its own.
MODULE = """
from sklearn.base import BaseEstimator, TransformerMixin

class Ratio(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X.assign(ratio=X["balance"] / (X["age"] + 1))
"""
SCRIPT = '''
import pickle
import numpy as np, pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from model import Ratio

class Local(Ratio):
    """Defined in the script itself."""

def main():
    rng = np.random.default_rng(0)
    rows = 200
    frame = pd.DataFrame({
        "id": range(rows),
        "age": rng.integers(18, 90, rows),
        "balance": rng.normal(1000, 300, rows).round(2),
        "zip": rng.choice(["01067", "10115", "20095"], rows),
    })
    frame["churned"] = np.where(frame["age"] > 50, "yes", "no")
    frame.to_csv("train.csv", index=False)
    columns = ColumnTransformer([
        ("numbers", StandardScaler(), ["age", "balance", "ratio"]),
        ("zip", OneHotEncoder(), ["zip"]),
    ])
    for name, own in {"churn.pkl": Ratio(), "local.pkl": Local()}.items():
        pipeline = make_pipeline(own, columns, LogisticRegression())
        pipeline.fit(frame[["age", "balance", "zip"]], frame["churned"])
        with open(name, "wb") as file:
            pickle.dump(pipeline, file)
    print(pipeline.predict_proba(frame[["age", "balance", "zip"]])[:3].tolist())

if __name__ == "__main__":
    main()
'''


@pytest.fixture(scope="session", name="users")
def _users(tmp_path_factory):
    """The folder of a user who fitted and pickled two pipelines, and what one of them answered there."""
    folder = tmp_path_factory.mktemp("users")
    (folder / "model.py").write_text(MODULE)
    (folder / "fit.py").write_text(SCRIPT)
    done = subprocess.run([sys.executable, "fit.py"], cwd=folder, capture_output=True, text=True, check=True)
    (folder / "answered.json").write_text(done.stdout)
    return folder


@pytest.fixture(name="publish")
def _publish(tmp_path):
    """Run ``tepal publish`` in a folder, into a repository of its own."""

    def run(arguments, folder):
        return subprocess.run(
            [sys.executable, "-P", "-m", "tepal", "publish", *shlex.split(arguments)],
            cwd=folder,
            env={"MODEL_STORE": str(tmp_path / "store"), "PYTHONPATH": str(ROOT), "PATH": ""},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def refused(result):
    """The one sentence of a refusal."""
    assert (result.returncode, result.stdout) == (1, ""), result
    lines = [line for line in result.stderr.splitlines() if not line.startswith("Note: ")]
    assert len(lines) == 1
    assert lines[0].startswith("Error: ")
    return lines[0].removeprefix("Error: ")


def test_a_pickle_whose_class_is_in_a_file_of_the_users(publish, users, tmp_path):
    result = publish("churn.pkl --name churn --examples train.csv --target churned --code model.py", users)

    assert result.returncode == 0, result.stderr
    assert result.stderr == "Note: the model does not know id; ignored\n"
    assert "Published churn version 1 in " in result.stdout
    version = repository.load(tmp_path / "store" / "churn" / "1")
    assert version.manifest.signature.names == ("age", "balance", "zip")
    assert version.manifest.signature.columns[2].categories == (
        "01067",
        "10115",
        "20095",
    )  # not the numbers that a CSV shows
    assert version.manifest.outputs[0].name == "churned"


def test_a_pickle_whose_class_is_of_the_script_that_pickled_it(publish, users):
    arguments = "local.pkl --name churn --examples train.csv --target churned --code fit.py --code model.py"

    result = publish(arguments, users)

    assert result.returncode == 0, result.stderr


def test_what_was_published_answers_elsewhere_as_the_script_did(publish, users, tmp_path):
    publish("local.pkl --name churn --examples train.csv --target churned --code fit.py --code model.py", users)
    program = """
        import sys
        from pathlib import Path
        from tepal import repository
        from tepal.notes import Notes
        version = repository.load(Path(sys.argv[1]))
        rows = version.readers.csv.read(Path(sys.argv[2]).read_bytes(), Notes())
        print(version.runtime.predict(rows).probabilities[0][:3].tolist())
        """

    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), tmp_path / "store" / "churn" / "1", users / "train.csv"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    answered = json.loads((users / "answered.json").read_text())
    expected = pd.read_csv(users / "train.csv")
    assert len(expected) == 200
    np.testing.assert_array_equal(json.loads(done.stdout), answered)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("churn.pkl", "it needs the module 'model'"),
        ("churn.pkl", "give its file: --code model.py"),
        ("local.pkl --code model.py", "local.pkl needs 'Local' of the script or notebook that pickled it"),
        ("local.pkl --code fit.py", "needs the module 'model' (for Ratio), which is part of no installed package"),
        ("nothing.pkl", "there is no file nothing.pkl"),
        ("train.csv", "train.csv cannot be opened: it is no whole pickle"),
        ("churn.pkl --code model.py --target chruned", "no such column; did you mean 'churned'?"),
        ("churn.pkl --code nothing.py", "nothing.py is no Python file"),
    ],
)
def test_what_is_missing_is_named(arguments, sentence, publish, users):
    assert sentence in refused(publish(f"{arguments} --name churn --examples train.csv", users))


def test_a_module_that_happens_to_be_importable_must_be_given_all_the_same(publish, users, tmp_path):
    (tmp_path / "work").mkdir()
    for name in ("churn.pkl", "train.csv"):
        (tmp_path / "work" / name).write_bytes((users / name).read_bytes())
    command = [sys.executable, "-m", "tepal", "publish", "churn.pkl", "--name", "churn", "--examples", "train.csv"]
    environ = {"MODEL_STORE": str(tmp_path / "store"), "PYTHONPATH": f"{users}:{ROOT}", "PATH": ""}

    result = subprocess.run(command, cwd=tmp_path / "work", env=environ, capture_output=True, text=True, check=False)

    assert "the model needs the module 'model' (for Ratio)" in refused(result)


def test_a_cut_file_is_no_whole_pickle(publish, users, tmp_path):
    whole = (users / "churn.pkl").read_bytes()
    (tmp_path / "cut.pkl").write_bytes(whole[: len(whole) // 2])

    result = publish(f"{tmp_path}/cut.pkl --name churn --examples train.csv --code model.py", users)

    assert "cut.pkl cannot be opened" in refused(result)


@pytest.mark.parametrize("kind", ["plain.pkl", "whole.joblib", "gzipped.joblib", "lzma.joblib"])
@pytest.mark.parametrize("opens", [True, False])
def test_a_pickle_of_another_scikit_learn_gets_the_command_that_makes_its_environment(kind, opens, publish, tmp_path):
    X = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    pd.DataFrame(X, columns=["a", "b"]).to_csv(tmp_path / "train.csv", index=False)
    estimator = LogisticRegression().fit(X, [0, 1, 1, 0])
    state = estimator.__dict__ | {"_sklearn_version": "1.7.2"}
    fake = Restored(estimator, state) if opens else Restored(Broken(), state)
    if kind == "plain.pkl":
        (tmp_path / kind).write_bytes(pickle.dumps(fake))
    else:
        joblib.dump(
            fake, tmp_path / kind, compress={"whole": 0, "gzipped": ("gzip", 3), "lzma": ("xz", 3)}[kind.split(".")[0]]
        )

    sentence = refused(publish(f"{kind} --name x --examples train.csv --meta 'why=a b'", tmp_path))

    assert f"{kind} was made with scikit-learn 1.7.2, here is {sklearn.__version__}" in sentence
    python = f"python{sys.version_info.major}.{sys.version_info.minor}"
    assert f"{python} -m venv .venv-sklearn-1.7.2 && .venv-sklearn-1.7.2/bin/pip install scikit-learn==1.7.2" in sentence
    assert sentence.endswith(f"/bin/python -m tepal publish {kind} --name x --examples train.csv --meta 'why=a b'")


class Restored:
    """Pickles as an estimator with another state would."""

    def __init__(self, estimator, state):
        self.estimator, self.state = estimator, state

    def __reduce__(self):
        return (type(self.estimator), (), self.state)


class Broken:
    """Stands for a class that the other version had, and this one cannot open."""

    def __reduce__(self):
        raise NotImplementedError

    def __setstate__(self, state):
        raise AttributeError("no such state here")


def test_a_skops_file_needs_its_foreign_types_named(publish, tmp_path):
    X = pd.DataFrame({"a": [0.0, 1.0, 2.0, 3.0], "b": [1.0, 0.0, 1.0, 0.0]})
    X.to_csv(tmp_path / "train.csv", index=False)
    skops.io.dump(DecisionTreeClassifier().fit(X, [0, 0, 1, 1]), tmp_path / "tree.skops")

    sentence = refused(publish("tree.skops --name tree --examples train.csv", tmp_path))

    assert "types that skops does not trust: sklearn.tree._tree.Tree" in sentence
    assert sentence.endswith("--trust sklearn.tree._tree.Tree")
    assert publish(
        "tree.skops --name tree --examples train.csv --trust sklearn.tree._tree.Tree", tmp_path
    ).returncode == 0  # fmt: skip


def test_texts_are_one_column(publish, tmp_path):
    texts, labels = ["good day", "good luck", "bad day", "bad luck"], ["+", "+", "-", "-"]
    pd.DataFrame({"review": texts, "label": labels}).to_csv(tmp_path / "reviews.csv", index=False)
    joblib.dump(make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, labels), tmp_path / "words.joblib")

    result = publish("words.joblib --name words --examples reviews.csv --target label --json", tmp_path)

    published = json.loads(result.stdout)
    assert published["version"] == 1
    manifest = manifests.read(tmp_path / "store" / "words" / "1")
    assert (manifest.signature.container, manifest.signature.names) == ("list", ("text",))


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "json", "parquet", "npy"])
def test_examples_in_each_format_make_the_same_signature(suffix, publish, tmp_path):
    X = np.array([[0.5, 1.0], [1.5, 0.0], [2.5, 1.0], [3.5, 0.0]])
    joblib.dump(LogisticRegression().fit(X, [0, 0, 1, 1]), tmp_path / "m.joblib")
    frame = pd.DataFrame(X, columns=["x0", "x1"])
    write = {
        "csv": lambda path: frame.to_csv(path, index=False),
        "jsonl": lambda path: frame.to_json(path, orient="records", lines=True),
        "json": lambda path: frame.to_json(path, orient="split"),
        "parquet": frame.to_parquet,
        "npy": lambda path: np.save(path, X),
    }[suffix]
    write(tmp_path / f"train.{suffix}")

    result = publish(f"m.joblib --name m --examples train.{suffix}", tmp_path)

    assert result.returncode == 0, result.stderr
    columns = manifests.read(tmp_path / "store" / "m" / "1").signature.columns
    assert [(c.name, c.type, c.minimum, c.maximum) for c in columns] == [("x0", "number", 0.5, 3.5), ("x1", "number", 0, 1)]


def test_metrics_and_meta_are_kept(publish, tmp_path):
    joblib.dump(LogisticRegression().fit([[0.0], [1.0]], [0, 1]), tmp_path / "m.joblib")
    (tmp_path / "train.csv").write_text("0.0\n1.0\n")

    publish("m.joblib --name m --examples train.csv --metric accuracy=0.9 --metric by=hand --meta commit=0012", tmp_path)

    manifest = manifests.read(tmp_path / "store" / "m" / "1")
    assert manifest.metrics == {"accuracy": 0.9, "by": "hand"}
    assert manifest.meta == {"commit": "0012"}


def test_wrong_usage_leaves_with_2(publish, tmp_path):
    result = publish("m.joblib --name m --examples train.csv --meta x", tmp_path)
    missing = publish("m.joblib --name m", tmp_path)

    assert (result.returncode, missing.returncode) == (2, 2)
    assert "Missing option '--examples'" in missing.stderr


def test_a_lambda_from_a_script_travels(publish, tmp_path):
    script = """
        import cloudpickle
        import numpy as np
        from sklearn.linear_model import LinearRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import FunctionTransformer
        X = np.array([[1.0], [2.0]])
        pipeline = make_pipeline(FunctionTransformer(lambda X: X * 2), LinearRegression()).fit(X, X[:, 0])
        open("m.pkl", "wb").write(cloudpickle.dumps(pipeline))
        """
    (tmp_path / "train.csv").write_text("1.0\n2.0\n")
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], cwd=tmp_path, check=True)

    assert publish("m.pkl --name m --examples train.csv", tmp_path).returncode == 0
    assert manifests.read(tmp_path / "store" / "m" / "1").by_value
