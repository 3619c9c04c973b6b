"""What the service counts of itself, and Prometheus' text of it.

A number of one's own: add its ``Family`` to FAMILIES, and call ``Metrics.add``, ``observe`` or ``gauge`` where it changes.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol

import msgspec
from prometheus_client import exposition
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from api.tally import Cells, Tally
from tepal import Repository, __version__
from tepal.repository import BadVersion

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
QUICK_SECONDS = (0.00005, 0.0001, 0.00025, *SECONDS)
ROWS = (1, 10, 100, 1_000, 10_000, 100_000)

# Any other method that a client makes up is "other".
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Family(NamedTuple):
    """One metric: its name as Prometheus shows it, and the names of its labels, whose values must come from a known set.

    bounds: upper ones of a histogram's buckets, ascending, without infinity. A gauge is summed over the workers that live.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()

    @property
    def cells(self) -> int:
        """Of one child: its value; or a count for each bucket, then the sum."""
        return len(self.bounds) + 2 if self.kind == "histogram" else 1


class Answer(Protocol):
    """What is read of a response (see ``message.py``)."""

    @property
    def status(self) -> int: ...
    @property
    def facts(self) -> Mapping[str, Any]: ...
    @property
    def stages(self) -> Sequence[float]: ...
    @property
    def code(self) -> str: ...


_VERSION = ("model", "version")

REQUESTS = Family(
    "tepal_requests_total",
    "counter",
    "Requests that were answered, refusals included. Labels are empty where nothing is known.",
    ("method", "route", *_VERSION, "status"),
)
ERRORS = Family("tepal_request_errors_total", "counter", "Answers that are errors, by their code.", ("code", *_VERSION))
LEFT = Family("tepal_requests_abandoned_total", "counter", "Requests not computed, because their client had left.")
DURATION = Family(
    "tepal_request_duration_seconds",
    "histogram",
    "Time from a request's reading to its answer, without the queue.",
    ("route", *_VERSION),
    SECONDS,
)
QUEUE = Family("tepal_request_queue_seconds", "histogram", "Time that a request waited for a thread.", (), QUICK_SECONDS)
STAGES = Family(
    "tepal_stage_duration_seconds",
    "histogram",
    "Parts of a prediction that was answered: decode, predict, encode.",
    ("stage", *_VERSION),
    QUICK_SECONDS,
)
REQUEST_ROWS = Family("tepal_request_rows", "histogram", "Rows of a prediction that was answered.", _VERSION, ROWS)
IN_PROGRESS = Family("tepal_requests_in_progress", "gauge", "Requests that run or wait for a thread.")
WAITING = Family("tepal_requests_waiting", "gauge", "Requests that wait for a thread.")
WORKERS = Family("tepal_workers", "gauge", "Worker processes.")
REPLACED = Family("tepal_workers_replaced_total", "counter", "Worker processes that ended, for whatever reason.")
SUSPECTS = Family(
    "tepal_requests_suspected",
    "gauge",
    "Requests that are computed a second time, because a process ended under them.",
    _VERSION,
)
LOST = Family(
    "tepal_requests_lost_total",
    "counter",
    "Requests that ended a second process; nginx answers them with 500.",
    _VERSION,
)
CHANGES = Family(
    "tepal_model_changes_total",
    "counter",
    "Versions that a worker loaded, refused, kept or dropped since its start.",
    ("model", "what"),
)
_SHADOW = ("model", "version", "shadow")
SHADOW_ROWS = Family(
    "tepal_shadow_rows_total",
    "counter",
    "Rows that a shadow version was asked too: agree or differ with the answer, failed, or skipped as too many.",
    (*_SHADOW, "result"),
)
SHADOW_PAIRS = Family(
    "tepal_shadow_pairs_total",
    "counter",
    "Rows on which a shadow version differs, by the label that was answered and the shadow's.",
    (*_SHADOW, "answered", "other"),
)
SHADOW_SUSPECTS = Family(
    "tepal_shadow_rows_in_progress", "gauge", "Rows that a shadow version is asked now, and may end its process on.", _SHADOW
)
SHADOW_LOST = Family(
    "tepal_shadow_lost_total", "counter", "Processes that ended while they asked a shadow version.", _SHADOW
)
SHADOW_GAP = Family(
    "tepal_shadow_difference_total",
    "counter",
    "How far the numbers of a shadow version are from the answers, summed.",
    _SHADOW,
)

FAMILIES = (
    REQUESTS,
    ERRORS,
    LEFT,
    DURATION,
    QUEUE,
    STAGES,
    REQUEST_ROWS,
    IN_PROGRESS,
    WAITING,
    WORKERS,
    REPLACED,
    SUSPECTS,
    LOST,
    CHANGES,
    SHADOW_ROWS,
    SHADOW_PAIRS,
    SHADOW_SUSPECTS,
    SHADOW_LOST,
    SHADOW_GAP,
)
_BY_NAME = {family.name: family for family in FAMILIES}
_AT_ONCE = tuple(family for family in FAMILIES if not family.labels)  # shown as 0 before anything happens


class Totals(NamedTuple):
    """Of one version since the start of the service: requests, and those of them answered with 4xx and with 5xx.

    What ended its process twice is among the last: nginx has answered it.
    """

    requests: int
    client_errors: int
    server_errors: int


class Metrics:
    """The numbers of one service, over all its workers. Safe to call from several threads."""

    def __init__(self, places: int = 1):
        """Before the fork. places: the processes that may be there at once."""
        self.tally = Tally(places)
        self.started = time.time()
        self.take(0)

    def take(self, place: int) -> None:
        """Count in ``place`` from now on. After the fork, before any thread."""
        self.tally.take(place)
        self._lock = threading.Lock()
        self._answers: dict[tuple[Any, ...], _Answers] = {}
        with self._lock:
            self._queue = self._cells(QUEUE)
            for family in _AT_ONCE:
                self._cells(family)

    def leave(self, place: int) -> None:
        """The process of ``place`` is dead: its gauges are nobody's, and its suspects are guilty. In the master."""
        for key, cells in self.tally.records(place):
            name, *labels = msgspec.json.decode(key)
            family = _BY_NAME.get(name)
            if family is SUSPECTS and cells[0]:
                self.add(LOST, *labels, amount=cells[0])
            if family is SHADOW_SUSPECTS and cells[0]:
                self.add(SHADOW_LOST, *labels)
                self.add(SHADOW_ROWS, *labels, "failed", amount=cells[0])
            if family is not None and family.kind == "gauge":
                cells[0] = 0.0
        self.add(REPLACED)

    def add(self, family: Family, *labels: str, amount: float = 1.0) -> None:
        """Count in a counter, or in a gauge that several threads change.

        labels: values in the family's order, each from a known set.
        """
        with self._lock:
            self._cells(family, *labels)[0] += amount

    def observe(self, family: Family, *labels: str, value: float) -> None:
        """Count a value in a histogram."""
        with self._lock:
            _observe(self._cells(family, *labels), family.bounds, value)

    def gauge(self, family: Family, *labels: str) -> Cells:
        """The one cell of a gauge, for a single thread to write to."""
        with self._lock:
            return self._cells(family, *labels)

    def answered(
        self,
        method: str | None,
        route: str | None,
        response: Answer,
        facts: Mapping[str, Any],
        seconds: float,
        waited: float,
    ) -> None:
        """Count a request, once, when it is settled who answers it and what.

        method, route, facts: as far as they are known; facts: model, version and rows. seconds: without the queue, in which
        it ``waited``.
        """
        known = method if method is None or method in METHODS else "other"
        facts, code, stages = response.facts or facts, response.code, response.stages
        key = (known, route, facts.get("model"), facts.get("version"), response.status, code)
        with self._lock:
            answers = self._answers.get(key) or self._bind(key)
            answers.requests[0] += 1
            if code:
                answers.errors[0] += 1
            values = (seconds, waited, *stages, facts["rows"]) if stages else (seconds, waited)
            for cells, bounds, value in zip(answers.histograms, answers.bounds, values):
                cells[bisect_left(bounds, value)] += 1
                cells[-1] += value

    def _bind(self, key: tuple[Any, ...]) -> _Answers:
        method, route, *version, status, code = ["" if value is None else str(value) for value in key]
        is_known = bool(version[0])
        histograms = [self._cells(DURATION, route, *version), self._queue]
        if is_known:
            histograms += [self._cells(STAGES, stage, *version) for stage in ("decode", "predict", "encode")]
            histograms.append(self._cells(REQUEST_ROWS, *version))
        bound = self._answers[key] = _Answers(
            self._cells(REQUESTS, method, route, *version, status),
            self._cells(ERRORS, code, *version) if code else _NONE,
            histograms,
        )
        return bound

    def _cells(self, family: Family, *labels: str) -> Cells:
        return self.tally.cells(msgspec.json.encode((family.name, *labels)), family.cells)

    def sums(self, family: Family) -> dict[tuple[str, ...], list[float]]:
        """The cells of every child of a family, summed over all workers, by the values of its labels."""
        return self._all_sums().get(family.name, {})

    def totals(self, model: str) -> dict[str, Totals]:
        """What each version of a model that was asked was asked and how it answered, over all workers, by its number."""
        sums = self._all_sums()
        asked: dict[str, dict[str, int]] = {}
        for (_, _, name, number, status), (count,) in sums.get(REQUESTS.name, {}).items():
            if name == model:
                by_class = asked.setdefault(number, dict.fromkeys("2345", 0))
                by_class[status[0]] += int(count)
        for (name, number), (lost,) in sums.get(LOST.name, {}).items():
            if name == model:
                asked.setdefault(number, dict.fromkeys("2345", 0))["5"] += int(lost)
        return {number: Totals(sum(found.values()), found["4"], found["5"]) for number, found in asked.items()}

    def _all_sums(self) -> dict[str, dict[tuple[str, ...], list[float]]]:
        found: dict[bytes, list[float]] = {}
        for key, cells in self.tally.records():
            values: list[float] = cells.tolist()  # type: ignore[assignment]
            summed = found.get(key)
            found[key] = values if summed is None else [one + other for one, other in zip(summed, values)]
        sums: dict[str, dict[tuple[str, ...], list[float]]] = {}
        for key, values in found.items():
            name, *labels = msgspec.json.decode(key)
            if name in _BY_NAME:
                sums.setdefault(name, {})[tuple(labels)] = values
        return sums

    def text(self, repository: Repository, accept: str = "", more: Iterable[Metric] = ()) -> tuple[bytes, str]:
        """All of it as Prometheus reads it, and its content type: OpenMetrics where ``accept`` asks for that.

        more: families that somebody else knows.
        """
        encode, content_type = exposition.choose_encoder(accept)
        families = [*self._counted(), *_of_models(repository), *_of_process(self.started), *more]
        return encode(_Collected(families)), content_type

    def _counted(self) -> Iterator[Metric]:
        sums = self._all_sums()
        for family in FAMILIES:
            shown = _SHOWN[family.kind](family.name, family.help, labels=family.labels)
            for labels, values in sorted(sums.get(family.name, {}).items()):
                if family.kind == "histogram":
                    shown.add_metric(labels, _buckets(family.bounds, values), values[-1])
                else:
                    shown.add_metric(labels, values[0])
            yield shown


class _Answers(NamedTuple):
    """Where one kind of answer is counted. histograms: of its seconds, those in the queue, its stages and its rows."""

    requests: Cells
    errors: Cells
    histograms: list[Cells]
    bounds: tuple[tuple[float, ...], ...] = (SECONDS, QUICK_SECONDS, QUICK_SECONDS, QUICK_SECONDS, QUICK_SECONDS, ROWS)


_NONE: Cells = memoryview(bytearray(8)).cast("d")

_SHOWN: dict[str, Callable[..., Any]] = {
    "counter": CounterMetricFamily,
    "gauge": GaugeMetricFamily,
    "histogram": HistogramMetricFamily,
}


def _observe(cells: Cells, bounds: tuple[float, ...], value: float) -> None:
    cells[bisect_left(bounds, value)] += 1
    cells[-1] += value


def _buckets(bounds: tuple[float, ...], values: list[float]) -> list[tuple[str, float]]:
    """Prometheus counts in each bucket what is in those below it, too."""
    total, buckets = 0.0, []
    for bound, count in zip((*bounds, float("inf")), values):
        total += count
        buckets.append(("+Inf" if bound == float("inf") else str(float(bound)), total))
    return buckets


class _Collected(Collector):
    """Families in the place of prometheus_client's registry, which would want to sum them itself."""

    def __init__(self, families: Iterable[Metric]):
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _of_models(repository: Repository) -> Iterator[Metric]:
    ready = GaugeMetricFamily(
        "tepal_model_version_ready", "1 where a version verified, loaded and passed its self-test, else 0.", labels=_VERSION
    )
    seconds = GaugeMetricFamily(
        "tepal_model_load_seconds", "Time to verify, load and self-test a version, in the worker asked.", labels=_VERSION
    )
    default = GaugeMetricFamily("tepal_model_default_version", "1 for the default version of a model.", labels=_VERSION)
    for model in repository.models.values():
        for number, version in model.versions.items():
            is_bad = isinstance(version, BadVersion)
            ready.add_metric((model.name, number), 0 if is_bad else 1)
            if not isinstance(version, BadVersion):
                seconds.add_metric((model.name, number), version.load_seconds)
        if model.default is not None:
            default.add_metric((model.name, model.default.number), 1)
    return iter((ready, seconds, default))


def _of_process(started: float) -> Iterator[Metric]:
    build = GaugeMetricFamily("tepal_build_info", "1, with the version of Tepal.", labels=("version",))
    build.add_metric((__version__,), 1)
    yield build
    yield GaugeMetricFamily("process_start_time_seconds", "Unix time of the start of the service.", value=started)
