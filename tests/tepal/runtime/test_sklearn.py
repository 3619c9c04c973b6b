"""The estimator's own answers, from one thread, in a process that may be forked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn import get_config
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from tepal.errors import Invalid
from tepal.prediction import Output
from tepal.runtime.sklearn import SklearnRuntime
from tepal.signature import derive
from tepal.table import Table

IRIS = load_iris()


def forest():
    return RandomForestClassifier(n_estimators=3, n_jobs=-1, random_state=0)


@pytest.mark.parametrize(
    ("estimator", "inner"),
    [
        (forest(), lambda e: [e]),
        (make_pipeline(StandardScaler(), forest()), lambda e: [e[-1]]),
        (GridSearchCV(forest(), {"max_depth": [2]}, cv=2), lambda e: [e, e.best_estimator_]),
        (
            VotingClassifier([("a", forest()), ("b", LogisticRegression(max_iter=500))], n_jobs=2),
            lambda e: [e, e.estimators_[0]],
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_estimator_inside_runs_on_the_calling_thread(estimator, inner):
    estimator.fit(IRIS.data, IRIS.target)

    SklearnRuntime(estimator, [Output("y", (0, 1, 2))])

    assert {part.n_jobs for part in inner(estimator)} <= {1, None}, "None is one, for joblib"


def test_answers_are_the_estimators_own_bit_for_bit():
    estimator = LogisticRegression(max_iter=500).fit(IRIS.data, IRIS.target)
    runtime = SklearnRuntime(estimator, [Output("y", (0, 1, 2), True)])

    class Rows:
        matrix = IRIS.data
        container = staticmethod(lambda: IRIS.data)

        def __len__(self):
            return len(IRIS.data)

    prediction = runtime.predict(Rows())

    assert prediction.values[0].tobytes() == estimator.predict(IRIS.data).tobytes()
    assert prediction.probabilities[0].tobytes() == estimator.predict_proba(IRIS.data).tobytes()
    assert runtime.predict(Rows(), probabilities=False).probabilities == [None]


FORK = """
import os, sys, tempfile
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    if sys.argv[1] == "pinned":
        os.environ[variable] = "1"
from pathlib import Path
import numpy as np, tepal
from sklearn.cluster import KMeans
from sklearn.datasets import make_classification
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.neighbors import KNeighborsClassifier
X, y = make_classification(5000, random_state=0)
store = Path(tempfile.mkdtemp())
estimators = {"hgb": HistGradientBoostingClassifier(max_iter=5), "knn": KNeighborsClassifier(), "kmeans": KMeans(3)}
for name, estimator in estimators.items():
    if sys.argv[2] == "publish":
        tepal.publish(estimator.fit(X, y), name=name, X=X, y=y, store=os.environ["STORE"])
if sys.argv[2] == "serve":
    from tepal.notes import Notes
    repository = tepal.Repository.open(Path(os.environ["STORE"]))
    assert len(repository.models) == 3, repository.models
    for round in range(3):
        child = os.fork()
        if child == 0:
            for model in repository.models.values():
                table = model.default.readers.json.read(bytes(str(X.tolist()), "ascii"), Notes())
                assert len(model.default.runtime.predict(table).labels()) == 5000
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
"""


def test_models_that_answered_before_a_fork_answer_after_it(tmp_path):
    """OpenMP's threads do not survive a fork: a child that waits for them hangs for ever."""
    environ = {**os.environ, "STORE": str(tmp_path), "PYTHONPATH": str(Path.cwd())}
    subprocess.run([sys.executable, "-c", FORK, "free", "publish"], check=True, env=environ)

    process = subprocess.Popen([sys.executable, "-c", FORK, "pinned", "serve"], env=environ, start_new_session=True)
    try:
        assert process.wait(timeout=60) == 0
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def test_the_shape_of_an_answer_is_checked():
    class Odd:
        def predict(self, rows):
            return np.zeros((len(rows), 3))

        def get_params(self):
            return {}

    class Rows:
        matrix = None
        container = staticmethod(lambda: [1, 2])

        def __len__(self):
            return 2

    with pytest.raises(Exception, match="an array of shape"):
        SklearnRuntime(Odd(), [Output("y")]).predict(Rows())


class Spy(LogisticRegression):
    """Says whether scikit-learn was told that the rows are finite."""

    __module__ = "sklearn.linear_model"

    def predict(self, X):
        return np.full(len(X), get_config()["assume_finite"])


def table_of(rows):
    matrix = np.array(rows, dtype=np.float64)
    return Table.from_matrix(derive(np.zeros((2, matrix.shape[1])))[0], matrix)


@pytest.mark.parametrize(
    ("estimator", "rows", "spared"),
    [
        (Spy(), [[5.9, 3.0], [0.0, -7.0]], True),
        (Spy(), [[5.9, np.nan]], False),
        (Spy(), [[5.9, np.inf]], False),
        (Spy(), [[5.9, -1e39]], False),  # which is none as a float32
        (make_pipeline(StandardScaler(), Spy()).fit([[0.0, 0.0], [1.0, 1.0]], [0, 1]), [[5.9, 3.0]], False),
        (FrozenEstimator(Spy()), [[5.9, 3.0]], False),
    ],
)
def test_rows_that_are_finite_are_looked_at_once(estimator, rows, spared):
    """But where another estimator comes first, whose result may be no number."""
    prediction = SklearnRuntime(estimator, [Output("y")]).predict(table_of(rows))

    assert prediction.values[0].tolist() == [spared] * len(rows)
    assert not get_config()["assume_finite"]


def test_what_is_no_number_is_refused_wherever_it_comes_about():
    alone = KNeighborsClassifier().fit([[1.0], [2.0]] * 5, [0, 1] * 5)
    roots = make_pipeline(FunctionTransformer(np.sqrt), LogisticRegression()).fit([[1.0], [2.0]], [0, 1])

    for estimator, rows in ((alone, [[1.0], [np.nan]]), (roots, [[1.0], [-1.0]])):
        with np.errstate(invalid="ignore"), pytest.raises(Invalid, match="NaN"):
            SklearnRuntime(estimator, [Output("y")]).predict(table_of(rows))


class All:
    """Every row of Iris, as a table hands them over."""

    def __len__(self):
        return len(IRIS.data)

    def container(self):
        return IRIS.data


class Counting(TransformerMixin, BaseEstimator):
    """Counts how often it is asked."""

    def fit(self, X, y=None):
        self.calls_ = 0
        return self

    def transform(self, X):
        self.calls_ += 1
        return X * 2


def test_a_pipeline_transforms_the_rows_once_for_labels_and_probabilities():
    pipeline = make_pipeline(StandardScaler(), Counting(), LogisticRegression()).fit(IRIS.data, IRIS.target)
    pipeline[1].calls_ = 0
    runtime = SklearnRuntime(pipeline, [Output("y", (0, 1, 2), True)])

    prediction = runtime.predict(All())

    assert pipeline[1].calls_ == 1
    assert prediction.values[0].tobytes() == pipeline.predict(IRIS.data).tobytes()
    assert prediction.probabilities[0].tobytes() == pipeline.predict_proba(IRIS.data).tobytes()


class Doubling(TransformerMixin, BaseEstimator):
    """Learns nothing, so that a pipeline which ends in it takes itself for not fitted."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X * 2


def test_a_step_that_learns_nothing_is_no_reason_to_refuse_a_pipeline():
    pipeline = make_pipeline(StandardScaler(), "passthrough", Doubling(), LogisticRegression()).fit(IRIS.data, IRIS.target)

    prediction = SklearnRuntime(pipeline, [Output("y", (0, 1, 2), True)]).predict(All())

    assert prediction.probabilities[0].tobytes() == pipeline.predict_proba(IRIS.data).tobytes()


def tenth(rows):
    rows[:, 0] = rows[:, 0] / 10
    return rows


@pytest.mark.parametrize(
    "pipeline",
    [
        make_pipeline(FunctionTransformer(tenth), LogisticRegression()),
        GridSearchCV(
            make_pipeline(FunctionTransformer(tenth), LogisticRegression()), {"logisticregression__C": [1.0]}, cv=2
        ),
        CalibratedClassifierCV(make_pipeline(StandardScaler(copy=False), KNeighborsClassifier()), cv=2),
    ],
)
def test_a_step_that_changes_what_it_gets_changes_nothing_for_the_others(pipeline):
    """Neither for the probabilities, nor for whoever reads the rows after the answer."""
    rows = np.random.default_rng(0).normal(size=(60, 2))
    pipeline.fit(rows.copy(), rows[:, 0] > 0)
    runtime = SklearnRuntime(pipeline, [Output("y", (False, True), True)])
    for some in (rows, rows[:1]):
        table = table_of(some)

        prediction = runtime.predict(table)

        assert prediction.values[0].tolist() == pipeline.predict(some.copy()).tolist()
        assert prediction.probabilities[0].tolist() == pipeline.predict_proba(some.copy()).tolist()
        assert table.matrix.tolist() == some.tolist()
