"""Counts a sample of the rows that come, beside the answers, and says how they differ from those of the training."""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Iterator

import msgspec
import numpy as np
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from api import observe
from api.tally import Cells, Tally
from tepal import Repository
from tepal.drift import ColumnDrift, Comparison, Floats
from tepal.repository import Version
from tepal.table import Table

# Seconds of half a window: what is told is of the half that runs and the one before it, so of the last one to two hours.
HALF = 3600

# Seconds between two counts; how many requests may wait for one, the rest being left out; and how many rows of each.
EVERY, MOST_REQUESTS, MOST_ROWS = 1.0, 50, 500

# Columns of a wide model that are looked at.
MOST_COLUMNS = 200


class Report(msgspec.Struct, frozen=True):
    """Of one version: the rows that were looked at, and what they had in each column."""

    rows: int
    columns: list[ColumnDrift]


class Drift:
    """Takes rows from every thread, and counts them in one of its own where it is started, so that no answer waits."""

    def __init__(self, tally: Tally):
        self._tally = tally
        self._pending: deque[tuple[Version, Table]] = deque()
        self._comparisons: dict[bytes, Comparison] = {}
        self._counting = threading.Lock()
        self._thread: threading.Thread | None = None

    def offer(self, version: Version, table: Table) -> None:
        """Rows that were answered. Those of a busy second are a sample: the first requests of it."""
        if len(self._pending) >= MOST_REQUESTS:
            if self._thread is not None:
                return
            self.settle()
        rows = len(table)
        if rows > MOST_ROWS:
            # Not each nth: in a table by the hour, each 24th has the same hour.
            table = table.take(random.sample(range(rows), MOST_ROWS))
        self._pending.append((version, table))

    def start(self) -> None:
        """Count once a second from now on. After the fork, which a thread does not survive."""
        self._thread = threading.Thread(target=self._run, name="drift", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            time.sleep(EVERY)
            try:
                self.settle()
            except Exception as error:  # noqa: BLE001 the next rows may be countable again
                observe.log_exception(error, "-")

    def settle(self) -> None:
        """Count what is pending."""
        with self._counting:
            tables: dict[int, tuple[Version, list[Table]]] = {}
            for _ in range(len(self._pending)):
                version, table = self._pending.popleft()
                tables.setdefault(id(version), (version, []))[1].append(table)
            for version, some in tables.values():
                comparison = self._comparison(version)
                counts = np.asarray(self._half(version, comparison))  # the same memory
                counts[:] += comparison.count(some)

    def _comparison(self, version: Version) -> Comparison:
        manifest, key = version.manifest, _key(version)
        if key not in self._comparisons:
            columns = manifest.signature.columns[:MOST_COLUMNS]
            signature = msgspec.structs.replace(manifest.signature, columns=columns)
            self._comparisons[key] = Comparison(signature, manifest.drift[:MOST_COLUMNS])
        return self._comparisons[key]

    def _half(self, version: Version, comparison: Comparison) -> Cells:
        """The counts of the half window that runs; its old ones are cleared."""
        epoch = int(time.time() // HALF)
        cells = self._tally.cells(_key(version), 2 * (1 + comparison.size))
        first = (epoch % 2) * (1 + comparison.size)
        half = cells[first + 1 : first + 1 + comparison.size]
        if cells[first] != epoch:
            half[:] = memoryview(bytes(8 * comparison.size)).cast("d")
            cells[first] = epoch
        return half

    def report(self, version: Version) -> Report:
        """What came lately, over all workers. It may be a second late."""
        self.settle()
        return self._report(version, self._lately())

    def families(self, repository: Repository) -> Iterator[Metric]:
        """The reports of all versions to which rows came lately, for Prometheus."""
        labels = ("model", "version")
        rows = GaugeMetricFamily("tepal_drift_rows", "Rows of the window, a sample where there are many.", labels=labels)
        index = GaugeMetricFamily(
            "tepal_drift_psi", "Population stability index against the training.", labels=(*labels, "column")
        )
        values = GaugeMetricFamily(
            "tepal_drift_values",
            "Values of the window that were outside of training, or missing.",
            labels=(*labels, "column", "kind"),
        )
        self.settle()
        lately = self._lately()
        for version in (version for model in repository.models.values() for version in model.versions.values()):
            if not isinstance(version, Version) or _key(version) not in lately:
                continue
            report, named = self._report(version, lately), (version.name, version.number)
            rows.add_metric(named, report.rows)
            for column in report.columns:
                values.add_metric((*named, column.name, "outside"), column.outside)
                values.add_metric((*named, column.name, "missing"), column.missing)
                if column.psi is not None and column.state != "too few rows":
                    index.add_metric((*named, column.name), column.psi)
        yield from (rows, index, values)

    def _report(self, version: Version, lately: dict[bytes, Floats]) -> Report:
        comparison = self._comparison(version)
        counts = lately.get(_key(version))
        counts = np.zeros(comparison.size) if counts is None else counts
        return Report(int(counts[0]), comparison.report(counts))

    def _lately(self) -> dict[bytes, Floats]:
        """The counts of both halves of the window, summed over all workers, by version."""
        found: dict[bytes, Floats] = {}
        epoch = int(time.time() // HALF)
        for key, cells in self._tally.records():
            if key.startswith(_PREFIX):
                halves = np.array(cells).reshape(2, -1)
                counts = halves[halves[:, 0] >= epoch - 1, 1:].sum(axis=0)
                found[key] = found.get(key, 0.0) + counts
        return {key: counts for key, counts in found.items() if counts[0]}


_PREFIX = b'["drift",'


def _key(version: Version) -> bytes:
    return msgspec.json.encode(("drift", version.name, version.number, version.manifest.created))
