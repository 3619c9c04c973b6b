"""The estimator's own answers, from one thread, in a process that may be forked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tepal.prediction import Output
from tepal.runtime.sklearn import SklearnRuntime

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
        container = staticmethod(lambda: [1, 2])

        def __len__(self):
            return 2

    with pytest.raises(Exception, match="an array of shape"):
        SklearnRuntime(Odd(), [Output("y")]).predict(Rows())
