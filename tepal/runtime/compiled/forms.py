"""What every compiled form is made of: what comes in, what goes out, and who compiles which class of scikit-learn.

A form repeats the arithmetic of an estimator's own ``predict``, in its order, and leaves out what happens around it at each
call: validation, dispatch, containers. It checks instead what the validation would refuse, and declines such rows, so
that the estimator itself refuses them in its own words.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from math import isfinite
from typing import Any, NamedTuple

import numpy as np

from tepal.signature import Column
from tepal.table import Array


class NotCompilable(Exception):
    """An estimator that has no compiled form; the message says why, as a part of a sentence."""


class Declined(Exception):
    """Rows that a form leaves to the estimator itself."""


class SparseRows(NamedTuple):
    """Rows of which few values are not 0, as scikit-learn hands them on in a CSR matrix.

    rows: for each the ascending positions ``(m,)`` and the values ``(m,)`` float64. width: columns.
    """

    rows: list[tuple[Array, Array]]
    width: int

    def dense(self) -> Array:
        """The same rows as one array ``(n, width)`` float64."""
        found = np.zeros((len(self.rows), self.width))
        for row, (at, values) in zip(found, self.rows):
            row[at] = values
        return found


# What a form gets: a matrix ``(n, k)``, columns ``(n,)`` each, texts, or sparse rows; which of them, `Comes` says.
Rows = Any


class Comes(NamedTuple):
    """What the rows are that come to a form, known when it is compiled.

    columns: the request's own columns, whose arrays come in a list. width: how many columns a matrix has. Neither where
    texts come. sparse: they come as SparseRows.
    """

    columns: tuple[Column, ...] | None = None
    width: int | None = None
    sparse: bool = False


class Splits(NamedTuple):
    """The inner nodes of a tree: ``(nodes,)`` each. left: the number of a node, below 0 in a leaf."""

    left: Array
    right: Array
    feature: Array
    threshold: Array


def no_splits() -> list[Splits]:
    return []


class Predictor(NamedTuple):
    """An estimator that answers, compiled.

    answer: ``(rows, want)`` to what ``predict`` returns, and what ``predict_proba`` does, None where that is not wanted or
    not there. scores, chances: rows to what ``decision_function`` and ``predict_proba`` return, where they are compiled.
    most: the rows of a call from which on scikit-learn itself is as fast. splits: its trees', for a proof.
    last: of a pipeline the estimator at its end, with its form, what comes to it, and how that is made of what comes here.
    """

    answer: Callable[[Rows, bool], tuple[Array, Any]]
    scores: Callable[[Rows], Array] | None = None
    chances: Callable[[Rows], Any] | None = None
    most: int = sys.maxsize
    splits: Callable[[], list[Splits]] = no_splits
    last: Last | None = None


class Last(NamedTuple):
    """The end of a pipeline, as Predictor has it."""

    estimator: Any
    predictor: Predictor
    comes: Comes
    before: Callable[[Rows], Rows]


class Step(NamedTuple):
    """A transformer, compiled: what becomes of rows, and what these are then. most: as of a Predictor."""

    apply: Callable[[Rows], Rows]
    gives: Comes
    most: int = sys.maxsize


_Table = dict[str, tuple[str, str]]


def _table(*lines: str) -> _Table:
    """Lines ``module compiler: class class …`` of scikit-learn as a table from the class to (module, compiler) here."""
    found = {}
    for line in lines:
        head, _, names = line.partition(": ")
        where, compiler = head.split(" ")
        family, _, function = compiler.partition(".")
        found.update({f"sklearn.{where}.{name}": (family, function) for name in names.split()})
    return found


PREDICTORS = _table(
    "linear_model linear.classifier: LogisticRegression LogisticRegressionCV SGDClassifier Perceptron RidgeClassifier",
    "linear_model linear.classifier: RidgeClassifierCV PassiveAggressiveClassifier",
    "svm linear.classifier: LinearSVC",
    "discriminant_analysis linear.classifier: LinearDiscriminantAnalysis",
    "linear_model linear.regressor: LinearRegression Ridge RidgeCV Lasso LassoCV ElasticNet ElasticNetCV BayesianRidge",
    "linear_model linear.regressor: ARDRegression HuberRegressor Lars LarsCV LassoLars LassoLarsCV LassoLarsIC",
    "linear_model linear.regressor: OrthogonalMatchingPursuit OrthogonalMatchingPursuitCV QuantileRegressor",
    "linear_model linear.regressor: TheilSenRegressor MultiTaskLasso MultiTaskLassoCV MultiTaskElasticNet",
    "linear_model linear.regressor: MultiTaskElasticNetCV SGDRegressor PassiveAggressiveRegressor",
    "linear_model linear.regressor: PoissonRegressor GammaRegressor TweedieRegressor",
    "svm linear.regressor: LinearSVR",
    "svm svm.classifier: SVC NuSVC",
    "svm svm.regressor: SVR NuSVR OneClassSVM",
    "tree trees.classifier: DecisionTreeClassifier ExtraTreeClassifier",
    "tree trees.regressor: DecisionTreeRegressor ExtraTreeRegressor",
    "ensemble trees.classifier: RandomForestClassifier ExtraTreesClassifier",
    "ensemble trees.regressor: RandomForestRegressor ExtraTreesRegressor",
    "ensemble boosting.classifier: GradientBoostingClassifier",
    "ensemble boosting.regressor: GradientBoostingRegressor",
    "ensemble boosting.hist_classifier: HistGradientBoostingClassifier",
    "ensemble boosting.hist_regressor: HistGradientBoostingRegressor",
    "ensemble compose.soft_vote: VotingClassifier",
    "ensemble compose.mean_vote: VotingRegressor",
    "naive_bayes bayes.gaussian: GaussianNB",
    "naive_bayes bayes.multinomial: MultinomialNB",
    "naive_bayes bayes.complement: ComplementNB",
    "naive_bayes bayes.bernoulli: BernoulliNB",
    "neural_network network.classifier: MLPClassifier",
    "neural_network network.regressor: MLPRegressor",
    "pipeline compose.pipeline: Pipeline",
    "model_selection compose.search: GridSearchCV RandomizedSearchCV HalvingGridSearchCV HalvingRandomSearchCV",
    "calibration compose.calibrated: CalibratedClassifierCV",
    "multiclass compose.each_against_the_rest: OneVsRestClassifier",
    "multioutput compose.each_output: MultiOutputClassifier MultiOutputRegressor",
    "frozen compose.frozen: FrozenEstimator",
    "linear_model compose.frozen: RANSACRegressor",
)
STEPS = _table(
    "pipeline compose.pipeline_step: Pipeline",
    "pipeline compose.union: FeatureUnion",
    "compose compose.columns: ColumnTransformer",
    "impute scale.imputer: SimpleImputer",
    "preprocessing scale.standard: StandardScaler",
    "preprocessing scale.min_max: MinMaxScaler",
    "preprocessing scale.max_abs: MaxAbsScaler",
    "preprocessing scale.robust: RobustScaler",
    "preprocessing scale.polynomial: PolynomialFeatures",
    "preprocessing scale.function: FunctionTransformer",
    "preprocessing encode.one_hot: OneHotEncoder",
    "preprocessing encode.ordinal: OrdinalEncoder",
    "preprocessing encode.target: TargetEncoder",
    "decomposition scale.projection: PCA",
    "feature_selection scale.selection: SelectKBest SelectPercentile SelectFpr SelectFdr SelectFwe GenericUnivariateSelect",
    "feature_selection scale.selection: VarianceThreshold SelectFromModel RFE RFECV SequentialFeatureSelector",
    "feature_extraction.text text.count: CountVectorizer",
    "feature_extraction.text text.tf_idf: TfidfVectorizer",
    "feature_extraction.text text.weights: TfidfTransformer",
    "feature_extraction.text text.hashing: HashingVectorizer",
)


def predictor(estimator: Any, comes: Comes) -> Predictor:
    """The compiled form of an estimator that answers. Raises NotCompilable."""
    found: Predictor = _compile(PREDICTORS, estimator, comes)
    return found


def step(transformer: Any, comes: Comes) -> Step:
    """The compiled form of a transformer. Raises NotCompilable."""
    found: Step = _compile(STEPS, transformer, comes)
    return found


def _compile(table: _Table, estimator: Any, comes: Comes) -> Any:
    kind = type(estimator)
    family, function = table.get(public_name(kind), ("", ""))
    if not family or getattr(sys.modules.get(kind.__module__), kind.__name__, None) is not kind:
        raise NotCompilable(f"there is no compiled form of {kind.__name__}")
    own = {"predict", "predict_proba", "decision_function", "transform"} & vars(estimator).keys()
    if own:
        raise NotCompilable(f"the {kind.__name__} has a {min(own)}() of its own")
    return getattr(import_module(f"tepal.runtime.compiled.{family}"), function)(estimator, comes)


def public_name(kind: type) -> str:
    """``sklearn.svm.SVC`` of the class that lives in ``sklearn.svm._classes``: only an exact class counts."""
    parts = kind.__module__.split(".")
    private = next((i for i, part in enumerate(parts) if part.startswith("_")), len(parts))
    return ".".join([*parts[:private], kind.__name__])


def check_finite(array: Array) -> None:
    """Decline numbers among which one is NaN or infinite, or so large that its square is."""
    if not isfinite(np.vdot(array, array)):
        raise Declined


def as_float(rows: Rows) -> Array:
    """What comes to a form that wants a float64 matrix ``(n, k)`` in C order, finite."""
    matrix = np.ascontiguousarray(rows, dtype=np.float64)
    check_finite(matrix)
    return matrix


def no_sparse(estimator: Any, comes: Comes) -> None:
    """Raise NotCompilable where sparse rows come, which go another way through the estimator."""
    if comes.sparse:
        raise NotCompilable(f"the {type(estimator).__name__} gets sparse rows")


def is_matrix(estimator: Any, comes: Comes) -> None:
    """Raise NotCompilable where what comes is no matrix of numbers."""
    if comes.width is None:
        raise NotCompilable(f"the {type(estimator).__name__} gets columns that are not all numbers")
