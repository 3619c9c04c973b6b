"""Which modules and packages a pickle needs, and how a user's own code travels in it."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import lightgbm
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import tepal
from tepal import PublishError, environment
from tests import models
from tests.servers import ROOT

FEATURES = '''
import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from {beside} import FACTOR

class Scaled(TransformerMixin, BaseEstimator):
    """Multiplies, by what stands in another file."""

    def fit(self, X, y=None):
        self.n_features_in_ = 2
        return self

    def transform(self, X):
        return np.asarray(X) * FACTOR
'''

SCRIPT = """
import numpy as np, sys
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
import tepal
from {module} import Scaled

rows = np.array([[1.0, 2.0], [2.0, 1.0], [4.0, 3.0]])
model = make_pipeline(Scaled(), LinearRegression()).fit(rows, rows[:, 0])
print(model.predict(rows).tolist())
tepal.publish(model, name="scaled", X=rows, store=sys.argv[1])
"""

ASK = """
import json, sys
from pathlib import Path
from tepal import Repository, repository
from tepal.wire.json import JsonReader
from tepal.notes import Notes
version = repository.load(Path(sys.argv[1]) / "scaled" / "1")
rows = JsonReader(version.manifest.signature).read(b"[[1,2],[2,1],[4,3]]", Notes())
print(version.runtime.predict(rows).labels())
"""


def python(program, *arguments, folder):
    """Run a program as a script in ``folder``, which is the only place that it imports from besides Tepal."""
    (folder / "script.py").write_text(textwrap.dedent(program))
    done = subprocess.run(
        [sys.executable, "script.py", *map(str, arguments)],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("module", ["own_features", "own_package.features"])
def test_a_class_in_the_users_own_modules_opens_where_they_are_not(module, tmp_path):
    at_home, away, store = tmp_path / "home", tmp_path / "away", tmp_path / "store"
    folder = (at_home / module.replace(".", "/")).parent
    folder.mkdir(parents=True)
    away.mkdir()
    beside = "own_factor" if "." not in module else "own_package.own_factor"
    (folder / "own_factor.py").write_text("FACTOR = 3.0\n")
    (at_home / f"{module.replace('.', '/')}.py").write_text(FEATURES.format(beside=beside))

    answered = python(SCRIPT.format(module=module), store, folder=at_home)

    assert python(ASK, store, folder=away) == answered


def test_every_package_that_a_pickle_needs_is_recorded(tmp_path):
    rows = np.arange(40.0).reshape(20, 2)
    booster = lightgbm.LGBMRegressor(n_estimators=2, min_child_samples=2, verbose=-1)
    pipeline = make_pipeline(FunctionTransformer(lambda X: pd.DataFrame(X).to_numpy()), booster).fit(rows, rows[:, 0])

    pickled = environment.dump(pipeline)

    assert set(pickled.packages) >= {"lightgbm", "pandas", "scikit-learn", "numpy", "scipy", "cloudpickle"}
    assert pickled.packages["lightgbm"] == lightgbm.__version__
    assert pickled.by_value


def test_a_model_of_scikit_learn_alone_needs_nothing_else():
    pickled = environment.dump(make_pipeline(StandardScaler(), LogisticRegression()))

    assert set(pickled.packages) == {"scikit-learn", "numpy", "scipy"}
    assert not pickled.by_value


def test_what_a_function_imports_as_it_runs_is_needed_too():
    def late(X):
        import msgspec  # noqa: F401
        import nothing_of_this_name  # noqa: F401

        return X

    packages = environment.dump(FunctionTransformer(late)).packages

    assert "msgspec" in packages


def test_a_module_that_was_not_given_is_refused_by_its_name():
    with pytest.raises(PublishError, match=r"needs the module 'tests.models' \(for Temper\).*--code tests/models.py"):
        environment.dump(models.Temper(), code=())


def test_a_module_that_was_given_travels(tmp_path):
    rows = np.array([[1.0, 2.0], [3.0, 4.0]])

    published = tepal.publish(models.Temper(), name="temper", X=rows, code=models.__file__, store=tmp_path)

    assert published.version == 1
    assert environment.dump(models.Temper(), code=environment.given(models.__file__)).by_value


def test_a_users_module_that_is_imported_inside_a_function_is_refused_with_the_way_out():
    def late(X):
        from tests import wire  # noqa: F401

        return X

    with pytest.raises(PublishError, match=r"'tests'.*imported inside a function.*at the top of the file"):
        environment.dump(FunctionTransformer(late))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("missing.py", None, "missing.py is no Python file"),
        ("notes.txt", "text", "notes.txt is no Python file"),
        ("breaks.py", "import nothing_of_this_name", "breaks.py cannot be imported: ModuleNotFoundError"),
        ("leaves.py", "raise SystemExit(3)", "leaves.py cannot be imported: SystemExit: 3"),
        ("numpy.py", "", "numpy.py would be the module 'numpy', which is another's name"),
    ],
)
def test_code_that_cannot_be_imported_says_so(name, text, message, tmp_path):
    if text is not None:
        (tmp_path / name).write_text(text)

    with pytest.raises(PublishError, match=message):
        environment.given(tmp_path / name)


def test_a_module_that_no_one_imported_yet_is_refused_too(tmp_path, monkeypatch):
    (tmp_path / "own_late.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)

    def late(X):
        import own_late  # noqa: F401

        return X

    with pytest.raises(PublishError, match="'own_late', which is imported inside a function"):
        environment.dump(FunctionTransformer(late))


def test_what_was_registered_for_publishing_is_not_left_behind():
    import cloudpickle

    environment.dump(models.Temper())

    assert cloudpickle.list_registry_pickle_by_value() == set()
