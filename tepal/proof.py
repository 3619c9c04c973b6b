"""The proof that a compiled form answers as its estimator: on rows of the training, near them, far off, and on the edges.

Labels must be equal, and floats within TOLERANCE, relative to the value or to the output's scale in training where that is
larger. scikit-learn itself differs in a last digit between a row alone and the same row in a batch, so where a difference
is seen, it is asked again with exactly the rows of the call that showed it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from time import thread_time
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from tepal import edges, perturbed
from tepal.errors import TepalError
from tepal.manifest import Compiled, Proof
from tepal.prediction import Prediction
from tepal.runtime.compiled.forms import NotCompilable, SparseRows
from tepal.runtime.compiled.runtime import Form
from tepal.runtime.sklearn import SklearnRuntime
from tepal.signature import Signature
from tepal.table import Array, Table

TOLERANCE = 1e-12

PERTURBED = 100_000
TRAINING = 10_000  # rows of the training, spread evenly where there are more
CHUNK = 5000
ALONE = 250  # rows of each chunk that are asked alone too
SOME = 7  # rows of a small batch
FEW = 140  # rows of each chunk that come in small batches
EXTREME = 200
SECONDS = 60.0  # of computing, after which no further chunk is begun: enough for all but very large models
LEAST = CHUNK  # perturbed rows without which nothing is proven
EDGES_OF = 1000  # rows of the training from which those on the edges are made
WIDEST = 5000  # columns before the last step, more than which a row on an edge is not made of

Arrays = list[Array]


class Unequal(Exception):
    """The form does not answer as the estimator; the message says where, as a part of a sentence."""


class Sides(NamedTuple):
    """The two that are compared: rows to what each answers, None where it does not; and some of the rows, by position."""

    expected: Callable[[Any], Arrays | None]
    got: Callable[[Any], Arrays | None]
    take: Callable[[Any, Sequence[int]], Any]


class Compared:
    """What was compared so far. values: how many of the arrays of an answer are predictions; labels: and no numbers."""

    def __init__(self, values: int, labels: bool, scale: float):
        self._values = values
        self._labels = labels
        self._scale = scale
        self.alone = 0
        self.declined = 0
        self.largest = 0.0

    def rows(self, sides: Sides, rows: Any, what: str, most: int, alone: int) -> None:
        """Compare all rows, ``most`` in a call, and so many of them alone too. Raises Unequal."""
        if not len(rows):
            return
        expected = sides.expected(rows)
        if expected is None:
            self._refused(sides, rows, what)
        else:
            self._parts(sides, rows, expected, what, most, alone)

    def _parts(self, sides: Sides, rows: Any, expected: Arrays, what: str, most: int, alone: int) -> None:
        some = min(SOME, most)  # a form may go another way with a few rows than with many
        starts = [*range(0, min(len(rows), FEW), some), *range(FEW, len(rows), most)]
        sizes = [some if start < FEW else most for start in starts]
        parts = [range(start, min(start + size, len(rows))) for start, size in zip(starts, sizes)]
        parts += [range(row, row + 1) for row in range(min(alone, len(rows)))]
        self.alone += len(rows) if most == 1 else min(alone, len(rows))
        for part in parts:
            self._part(sides, sides.take(rows, part), [array[part.start : part.stop] for array in expected], what)

    def _refused(self, sides: Sides, rows: Any, what: str) -> None:
        """Compare what the form answers of rows that the estimator refuses as a whole; the others it would be asked."""
        if what == "training":
            raise Unequal("the estimator refuses rows of its training")
        answered = [row for row in range(len(rows)) if sides.got(sides.take(rows, [row])) is not None]
        self.declined += len(rows) - len(answered)
        if answered:
            some = sides.take(rows, answered)
            expected = sides.expected(some)
            if expected is None:
                raise Unequal(f"it answers some of the {what} rows, which the estimator refuses")
            self._parts(sides, some, expected, what, 1, 0)

    def _part(self, sides: Sides, rows: Any, expected: Arrays, what: str) -> None:
        got = sides.got(rows)
        if got is None:
            self.declined += len(rows)
            if what == "training":
                raise Unequal("it cannot take rows of the training")
            return
        bad = self._differing(expected, got)
        if bad:
            again = sides.expected(rows)
            bad = "it answers what the estimator refuses" if again is None else self._differing(again, got)
        if bad:
            how = "alone" if len(rows) == 1 else f"in a batch of {len(rows)}"
            raise Unequal(f"on one of the {what} rows, {how}, {bad}")

    def _differing(self, expected: Arrays, got: Arrays) -> str:
        """What differs, in words; nothing where the answers are the same."""
        if len(expected) != len(got):
            return "it gives no probabilities"
        for at, (one, other) in enumerate(zip(expected, got)):
            if one.shape != other.shape or one.dtype != other.dtype:
                return f"it answers {other.dtype} of shape {other.shape}, the estimator {one.dtype} of shape {one.shape}"
            if one.dtype.kind != "f" or (at < self._values and self._labels):
                differ = np.flatnonzero((one != other).reshape(len(one), -1).any(axis=1))
                if differ.size:
                    return f"it answers {other[differ[0]]!r}, the estimator {one[differ[0]]!r}"
                continue
            gap = relative_gap(one, other, self._scale if at < self._values else 1.0)
            if not gap <= TOLERANCE:
                return f"it is off by {gap:.1e}"
            self.largest = max(self.largest, gap)
        return ""


def relative_gap(one: Array, other: Array, scale: float) -> float:
    """The largest difference of two arrays of floats, of the value or of ``scale`` where that is larger."""
    gaps = np.abs(one - other) / np.maximum(np.abs(one), scale)
    gaps[(one == other) | (np.isnan(one) & np.isnan(other))] = 0.0
    gaps[np.isnan(gaps)] = np.inf
    return float(gaps.max(initial=0.0))


def prove(form: Form, estimator: SklearnRuntime, table: Table, scale: float, many: int | None = None) -> Proof:
    """Compare a form with the estimator that it was compiled from. Raises Unequal, which says where they differ.

    table: rows of the training. scale: the output's scale there. many: how many rows to make of them, the same each time;
    PERTURBED where it is not given.
    """
    many = PERTURBED if many is None else many
    until, random = thread_time() + SECONDS, np.random.default_rng(0)
    compared = Compared(len(form.outputs), form.outputs[0].classes is not None, scale)
    on_edges = Compared(1, form.outputs[0].classes is not None, scale)
    sides = _sides(form, estimator)
    with threadpool_limits(1), warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of what training never saw
        base = table.take(np.linspace(0, len(table) - 1, min(len(table), TRAINING), dtype=int).tolist())
        for start in range(0, len(base), CHUNK):
            chunk = base.take(range(start, min(start + CHUNK, len(base))))
            compared.rows(sides, chunk, "training", form.most, ALONE)
        compared.rows(sides, perturbed.extreme(base, EXTREME, random), "extreme", form.most, EXTREME)
        thresholds, boundaries = _compare_edges(on_edges, form, base, random)
        made = 0
        while made < many and (thread_time() < until or made < LEAST):
            rows = min(CHUNK, many - made)
            compared.rows(sides, perturbed.perturbed(base, rows, random), "perturbed", form.most, ALONE)
            made += rows
    return Proof(
        training=len(base),
        perturbed=made,
        extreme=EXTREME,
        thresholds=thresholds,
        boundaries=boundaries,
        alone=compared.alone + on_edges.alone,
        declined=compared.declined,
        largest_difference=max(compared.largest, on_edges.largest),
    )


def outcome(
    estimator: SklearnRuntime, signature: Signature, table: Table, scale: float, rows: str, many: int | None = None
) -> Compiled:
    """What the manifest says of the compiled form of an estimator: the proof, or why there is none. Raises nothing.

    rows: as the manifest has it. The rest as ``prove`` has it.
    """
    if rows == "sequence":
        return Compiled(compiled=False, reason="its rows are a sequence, which only the estimator itself answers")
    try:
        form = Form(estimator.estimator, signature, estimator.outputs)
        return Compiled(compiled=True, proof=prove(form, estimator, table, scale, many))
    except NotCompilable as error:
        return Compiled(compiled=False, reason=str(error))
    except Unequal as error:
        return Compiled(compiled=False, reason=f"its compiled form is not equal: {error}")
    except (Exception, SystemExit) as error:  # noqa: BLE001 an estimator may raise anything at rows that it was not trained on
        return Compiled(compiled=False, reason=f"the proof of its compiled form failed: {type(error).__name__}: {error}")


def _sides(form: Form, estimator: SklearnRuntime) -> Sides:
    """The whole of it: from a table to an answer."""

    def expected(table: Table) -> Arrays | None:
        try:
            return _arrays(estimator.predict(table))
        except TepalError:
            return None

    def got(table: Table) -> Arrays | None:
        try:
            values, chances = form.answer(table, True)
        except (Exception, SystemExit):  # noqa: BLE001 whatever it is, the estimator would be asked
            return None
        return _arrays(Prediction(form.outputs, values, chances))

    return Sides(expected, got, Table.take)


def _arrays(prediction: Prediction) -> Arrays:
    return [*prediction.values, *(matrix for matrix in prediction.probabilities if matrix is not None)]


def _compare_edges(compared: Compared, form: Form, base: Table, random: np.random.Generator) -> tuple[int, int]:
    """Compare the last step on its thresholds, or where it has none on its boundaries. Returns how many rows of each."""
    some = base.take(np.linspace(0, len(base) - 1, min(len(base), EDGES_OF), dtype=int).tolist())
    rows = form.last.before(form.hand(some))
    if isinstance(rows, SparseRows) and rows.width <= WIDEST:
        rows = rows.dense()
    if not isinstance(rows, np.ndarray) or rows.dtype.kind not in "fiub":
        return 0, 0
    rows, sides = rows.astype(np.float64), _last_sides(form)
    splits = form.last.predictor.splits()
    made = edges.on_thresholds(splits, rows, random)
    for start in range(0, len(made), CHUNK):
        compared.rows(sides, made[start : start + CHUNK], "threshold", form.most, ALONE)
    if splits or len(form.outputs) > 1 or form.outputs[0].classes is None:
        return len(made), 0

    def labels(rows: Array) -> Array:
        return form.last.predictor.answer(_for_form(form, rows), False)[0].reshape(-1)

    on_boundary = edges.on_boundaries(labels, rows, random)
    compared.rows(sides, on_boundary, "boundary", form.most, len(on_boundary))
    return len(made), len(on_boundary)


def _for_form(form: Form, rows: Array) -> Any:
    if not form.last.comes.sparse:
        return rows
    return SparseRows([(np.flatnonzero(row), row[np.flatnonzero(row)]) for row in rows], rows.shape[1])


def _last_sides(form: Form) -> Sides:
    """The last step alone: from a matrix to an answer."""
    from scipy.sparse import csr_matrix  # nobody waits for it who only reads what was proven

    estimator, has_chances = form.last.estimator, any(output.probabilities for output in form.outputs)

    def expected(rows: Array) -> Arrays | None:
        given = csr_matrix(rows) if form.last.comes.sparse else rows
        try:
            values, chances = estimator.predict(given), estimator.predict_proba(given) if has_chances else None
        except ValueError:
            return None
        return [np.asarray(values), *_listed(chances)]

    def got(rows: Array) -> Arrays | None:
        try:
            values, chances = form.last.predictor.answer(_for_form(form, rows), has_chances)
        except (Exception, SystemExit):  # noqa: BLE001 as above
            return None
        return [values, *_listed(chances)]

    return Sides(expected, got, lambda rows, part: rows[list(part)])


def _listed(chances: Sequence[Array] | Array | None) -> Arrays:
    return [] if chances is None else list(chances) if isinstance(chances, (list, tuple)) else [np.asarray(chances)]
