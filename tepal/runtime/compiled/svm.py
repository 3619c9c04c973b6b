"""Support vector machines: libsvm's own functions, called as scikit-learn calls them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from sklearn.svm import _libsvm
from sklearn.svm._base import LIBSVM_IMPL
from sklearn.utils.multiclass import _ovr_decision_function

from tepal.runtime.compiled.forms import Comes, NotCompilable, Predictor, Rows, as_float, is_matrix, no_sparse
from tepal.table import Array


def classifier(machine: Any, comes: Comes) -> Predictor:
    """SVC and NuSVC."""
    predict = _kernel(machine, comes, _libsvm.predict)
    scores = _scores(machine, comes)
    classes = machine.classes_
    by_scores = machine.break_ties and machine.decision_function_shape == "ovr" and len(classes) > 2
    if machine.break_ties and machine.decision_function_shape == "ovo":
        raise NotCompilable(f"the {type(machine).__name__} refuses to break ties")
    has_chances = machine.probability not in (False, "deprecated") and machine._probA.size and machine._probB.size
    chances = _kernel(machine, comes, _libsvm.predict_proba) if has_chances else None

    def answer(rows: Rows, want: bool) -> tuple[Array, Array | None]:
        rows = as_float(rows)
        if by_scores:
            return classes.take(scores(rows).argmax(axis=1)), chances(rows) if want and chances else None
        return classes.take(predict(rows).astype(np.intp)), chances(rows) if want and chances else None

    return Predictor(answer, scores, chances and (lambda rows: chances(as_float(rows))))


def regressor(machine: Any, comes: Comes) -> Predictor:
    """SVR, NuSVR and OneClassSVM, which answers 1 or -1."""
    predict = _kernel(machine, comes, _libsvm.predict)
    of_one_class = type(machine).__name__ == "OneClassSVM"

    def answer(rows: Rows, want: bool) -> tuple[Array, None]:
        found = predict(as_float(rows))
        return found.astype(np.intp) if of_one_class else found, None

    return Predictor(answer)


def _scores(machine: Any, comes: Comes) -> Callable[[Rows], Array]:
    decide = _kernel(machine, comes, _libsvm.decision_function)
    many = len(machine.classes_)
    each = machine.decision_function_shape == "ovr" and many > 2

    def scores(rows: Rows) -> Array:
        found = decide(as_float(rows))
        if many == 2:
            found = -found.ravel()
        return _ovr_decision_function(found < 0, -found, many) if each else found

    return scores


def _kernel(machine: Any, comes: Comes, function: Callable[..., Array]) -> Callable[[Array], Array]:
    """A function of libsvm over the machine's support vectors, ``(n, k)`` float64 to what it returns."""
    no_sparse(machine, comes)
    is_matrix(machine, comes)
    kind = type(machine).__name__
    if machine._sparse or callable(machine.kernel) or machine.kernel == "precomputed":
        raise NotCompilable(f"the {kind} has a kernel of its own, or sparse support vectors")
    if machine.support_vectors_.size and machine.n_support_.sum() != len(machine.support_vectors_):
        raise NotCompilable(f"the {kind} was altered")  # which scikit-learn refuses at each call
    return partial(
        function,
        support=machine.support_,
        SV=machine.support_vectors_,
        nSV=machine._n_support,
        sv_coef=machine._dual_coef_,
        intercept=machine._intercept_,
        probA=machine._probA,
        probB=machine._probB,
        svm_type=LIBSVM_IMPL.index(machine._impl),
        kernel=machine.kernel,
        degree=machine.degree,
        coef0=machine.coef0,
        gamma=machine._gamma,
        cache_size=machine.cache_size,
    )
