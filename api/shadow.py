"""Asks the shadow version of a model what the answering one was asked, beside the answers, and counts where they differ."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from api import observe
from api.metrics import SHADOW_GAP, SHADOW_LOST, SHADOW_PAIRS, SHADOW_ROWS, SHADOW_SUSPECTS, Metrics
from tepal import ModelError, TepalError
from tepal.notes import Notes
from tepal.prediction import Prediction, class_key
from tepal.repository import BadVersion, Model, Version
from tepal.table import Table

# Requests that may wait for the shadow; those that come when it is so far behind are left out, and counted.
MOST = 100
# Bytes of their bodies together.
MOST_BYTES = 32 * 1024 * 1024
# For each second that the shadow computes, it rests so many: it shares the interpreter with the answers.
REST = 9.0
# Processes that may end while they ask a shadow, before it is not asked any more: the first may have another reason.
MOST_LOST = 2
# Numbers that are further apart than this, relative to the larger one, differ.
TOLERANCE = 1e-9
# Pairs of labels that are counted one by one; the rest are together.
MOST_PAIRS = 400

Read = Callable[[Version], Table]


class Shadow:
    """Takes answered requests from every thread, and asks their shadow in one of its own, so that no answer waits."""

    def __init__(self, metrics: Metrics):
        self._metrics = metrics
        self._pending: deque[tuple[Version, Version, Read, Prediction, int]] = deque()
        self._bytes = 0  # about: it is not locked
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        # A server's way to keep it apart from a request of which it must be known whether it ends the process.
        self.apart: Callable[[], AbstractContextManager[None]] = nullcontext

    def offer(self, model: Model, version: Version, read: Read, size: int, prediction: Prediction) -> None:
        """A request that ``version`` answered. read: its rows, as another version's signature has them. size: in bytes."""
        number = model.chosen.shadow  # as it was when this request looked
        if number is None or number == version.number:
            return
        shadow = model.versions.get(number)
        rows = len(prediction.values[0])
        if isinstance(shadow, BadVersion):
            self._count(version, number, "failed", rows)
        elif shadow is None or len(self._pending) >= MOST or self._bytes + size > MOST_BYTES:
            self._count(version, number, "skipped", rows)
        else:
            self._bytes += size
            self._pending.append((version, shadow, read, prediction, size))
            if self._thread is None:
                self._start()

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:  # in the worker: a thread does not survive a fork
                self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            if not self._pending:
                time.sleep(0.02)
                continue
            began = time.perf_counter()
            try:
                self.settle()
            except Exception as error:  # noqa: BLE001 the next request may be one that can be compared
                observe.log_exception(error, "-")
            time.sleep(REST * (time.perf_counter() - began))

    def settle(self) -> None:
        """Ask the shadow one of the requests that wait."""
        version, shadow, read, answered, size = self._pending.popleft()
        self._bytes -= size
        rows = len(answered.values[0])
        try:
            table = read(shadow)
            shadow.seen.check(table, Notes())
            differ, gap, pairs = _differing(answered, self._ask(version, shadow, table))
        except TepalError:
            self._count(version, shadow.number, "failed", rows)
            return
        count = int(differ.sum())
        self._count(version, shadow.number, "agree", rows - count)
        self._count(version, shadow.number, "differ", count)
        if gap:
            self._metrics.add(SHADOW_GAP, version.name, version.number, shadow.number, amount=gap)
        if pairs:
            self._count_pairs((version.name, version.number, shadow.number), pairs)

    def _ask(self, version: Version, shadow: Version, table: Table) -> Prediction:
        """What the shadow answers. The master learns of it where that ends the process (``Metrics.leave``)."""
        key = (version.name, version.number, shadow.number)
        (lost,) = self._metrics.sums(SHADOW_LOST).get(key, (0.0,))
        if lost >= MOST_LOST:
            raise ModelError(f"version {shadow.number} took down its process, {MOST_LOST} times")
        with self.apart():
            self._metrics.add(SHADOW_SUSPECTS, *key, amount=len(table))
            try:
                return shadow.runtime.predict(table, probabilities=False)
            finally:
                self._metrics.add(SHADOW_SUSPECTS, *key, amount=-len(table))

    def _count_pairs(self, key: tuple[str, str, str], pairs: Counter[tuple[Any, Any]]) -> None:
        known = set(self._metrics.sums(SHADOW_PAIRS))
        for (one, two), rows in pairs.items():
            labels = (*key, class_key(one)[:60], class_key(two)[:60])
            if labels not in known and len(known) >= MOST_PAIRS:
                labels = (*key, "other", "other")
            known.add(labels)
            self._metrics.add(SHADOW_PAIRS, *labels, amount=rows)

    def _count(self, version: Version, shadow: str, result: str, rows: int) -> None:
        if rows:
            self._metrics.add(SHADOW_ROWS, version.name, version.number, shadow, result, amount=rows)


def _differing(
    answered: Prediction, other: Prediction
) -> tuple[np.ndarray[Any, np.dtype[np.bool_]], float, Counter[tuple[Any, Any]]]:
    """Which rows differ in any output, by how much the numbers are apart, summed, and how often which labels differ."""
    rows, pairs, gap = len(answered.values[0]), Counter[tuple[Any, Any]](), 0.0
    if len(answered.outputs) != len(other.outputs) or rows != len(other.values[0]):
        return np.ones(rows, dtype=bool), gap, pairs
    differ = np.zeros(rows, dtype=bool)
    for output, one, two in zip(answered.outputs, answered.values, other.values):
        if {one.dtype.kind, two.dtype.kind} <= set("fiu") and output.classes is None:
            apart = ~np.isclose(one, two, rtol=TOLERANCE, atol=0, equal_nan=True)
            gap += float(np.nansum(np.abs(one[apart].astype(float) - two[apart].astype(float))))
        else:
            apart = np.array([a != b for a, b in zip(one.tolist(), two.tolist())], dtype=bool)
            pairs.update(zip(one[apart].tolist(), two[apart].tolist()))
        differ |= apart
    return differ, gap, pairs


def report(metrics: Metrics, name: str, shadow: str) -> dict[str, Any]:
    """What a shadow answered, over all workers: rows by result, the pairs of labels that differ, the most first."""
    rows = {"agree": 0, "differ": 0, "failed": 0, "skipped": 0}
    for (model, _, number, result), (count,) in metrics.sums(SHADOW_ROWS).items():
        if (model, number) == (name, shadow):
            rows[result] += int(count)
    compared = rows["agree"] + rows["differ"]
    told: dict[str, Any] = {"version": shadow, "rows": rows, "disagreement": rows["differ"] / compared if compared else None}
    pairs: list[dict[str, Any]] = [
        {"answered": answered, "shadow": other, "rows": int(count)}
        for (model, _, number, answered, other), (count,) in metrics.sums(SHADOW_PAIRS).items()
        if (model, number) == (name, shadow)
    ]
    gap = sum(
        total for (model, _, number), (total,) in metrics.sums(SHADOW_GAP).items() if (model, number) == (name, shadow)
    )
    lost = sum(
        count for (model, _, number), (count,) in metrics.sums(SHADOW_LOST).items() if (model, number) == (name, shadow)
    )
    if lost >= MOST_LOST:
        told["stopped"] = f"it took down its process, {MOST_LOST} times; it is not asked until the service is started again"
    if pairs:
        told["where"] = sorted(pairs, key=lambda pair: -pair["rows"])[:20]
    if gap:
        told["mean_difference"] = gap / rows["differ"] if rows["differ"] else 0.0
    return told
