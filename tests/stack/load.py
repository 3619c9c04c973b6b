"""A load of which every single request is judged: it had one answer, the right one, and in time."""

from __future__ import annotations

import http.client
import json
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from statistics import median
from types import TracebackType
from typing import NamedTuple

from tests.parts import FAULT_SECONDS

RATE = 120  # requests a second, while there are faults
ROUNDS = 4  # of quiet and fault in turn, where what is quick is compared
ROUND = max(FAULT_SECONDS / ROUNDS, 2.5)  # seconds, for enough requests to have a p99
UNMOVED = 1.5  # times the quiet p99: a handful of requests decide a p99, on a machine that other things use too

FLOWERS = (
    ([5.1, 3.5, 1.4, 0.2], "setosa"),
    ([6.3, 2.3, 4.4, 1.3], "versicolor"),
    ([5.9, 3.0, 5.1, 1.8], "virginica"),
)


class Question(NamedTuple):
    """A row to send and the prediction that is right."""

    row: list[float]
    answer: str | float


class Load:
    """POSTs rows to ``path`` on kept-alive connections, ``rate`` a second in all, until the ``with`` block ends.

    Enough connections that one which waits for seconds does not slow the others. in_time: seconds; later is a failure.
    allowed: statuses of refusals that are no failure, but counted. retry: ask once more where the connection broke.
    """

    def __init__(
        self,
        port: int,
        *,
        rate: int = 150,
        connections: int = 40,
        path: str = "/predict",
        questions: tuple[Question, ...] = tuple(Question(*flower) for flower in FLOWERS),
        in_time: float = 8.5,
        allowed: tuple[int, ...] = (),
        retry: bool = False,
    ):
        self.prefix = f"load-{uuid.uuid4().hex}-"
        self.rate = rate
        self.sent = 0
        self.broken = 0  # connections
        self.failures: list[str] = []
        self.seconds: list[float] = []  # of each request that was answered with 200
        self.refused: list[float] = []  # of each that was refused as allowed
        self.statuses: Counter[int] = Counter()
        self.versions: list[tuple[float, float, str]] = []  # of each answer: sent at, there at, by which version
        self._questions = questions
        self._path = path
        self._in_time = in_time
        self._allowed = allowed
        self._retry = retry
        self._port = port
        self._every = connections / rate  # seconds between two requests of one connection
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._send, args=(number,)) for number in range(connections)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def __str__(self) -> str:
        slowest = max(self.seconds, default=0.0)
        counts = f"{self.sent} sent, {self.broken} broken off, {len(self.failures)} failed"
        return f"{counts}, p99 {self.p99:.3f} s, slowest {slowest:.2f} s"

    @property
    def p99(self) -> float:
        """Seconds within which 99 of 100 answers came."""
        return quantile(self.seconds, 0.99)

    def _send(self, connection_number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        due = time.monotonic() + self._every * connection_number / len(self._threads)
        number = 0
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            question = self._questions[number % len(self._questions)]
            self._one(connection, f"{self.prefix}{connection_number}-{number}", question)
            number += 1
            due += self._every  # an answer that came late is made up for
        connection.close()

    def _one(self, connection: http.client.HTTPConnection, identity: str, question: Question) -> None:
        """Send one row and judge what comes."""
        started = time.monotonic()
        status, right, body = self._ask(connection, identity, question)
        if status == 0 and self._retry:
            status, right, body = self._ask(connection, identity, question)
        seconds = time.monotonic() - started
        version = ""
        if status == 200:
            decoded = json.loads(body)
            right = right and decoded["predictions"] == [question.answer]
            version = decoded["version"]
        else:
            right = right and status in self._allowed
        with self._lock:
            self.sent += 1
            self.statuses[status] += 1
            if not right or seconds > self._in_time:
                self.failures.append(f"{identity}: {status} after {seconds:.2f} s: {body!r}, expected {question.answer}")
            elif status == 200:
                self.seconds.append(seconds)
                self.versions.append((started, started + seconds, version))
            else:
                self.refused.append(seconds)

    def _ask(self, connection: http.client.HTTPConnection, identity: str, question: Question) -> tuple[int, bool, bytes]:
        """Status, whether the answer is to this very request, and body; status 0 where the connection broke."""
        headers = {"X-Request-ID": identity, "X-Client-ID": identity}  # each a client of its own, where there is a split
        try:
            connection.request("POST", self._path, json.dumps(question.row), headers)
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            with self._lock:
                self.broken += 1
            return 0, False, repr(error).encode()
        return response.status, response.headers["X-Request-ID"] == identity, body


def slowed(
    port: int,
    fault: Callable[[], None],
    before: Callable[[], object] = lambda: None,
    after: Callable[[], object] = lambda: None,
) -> float:
    """How much longer the p99 of a load on ``port`` is while ``fault`` runs than while it does not.

    In rounds that alternate, so that what else the machine does is as likely in the one as in the other, and by the median
    of their p99, which no single round decides; where it says that it moved, as many again, and all of them decide.

    before, after: what makes ready for the fault, and undoes it, while there is no load.
    """
    quiet: list[Load] = []
    beside: list[Load] = []
    ratio = 0.0
    while not quiet or (ratio > UNMOVED and len(quiet) == ROUNDS):
        for _ in range(ROUNDS):
            with Load(port, rate=RATE) as load:
                time.sleep(ROUND)
            quiet.append(load)
            before()
            with Load(port, rate=RATE) as load:
                fault()
            beside.append(load)
            after()
        ratio = median(load.p99 for load in beside) / median(load.p99 for load in quiet)
    print(
        *(f"quiet: {one}\nbeside: {other}" for one, other in zip(quiet, beside)),
        f"p99 {ratio:.2f} times the quiet one",
        sep="\n",
    )
    assert [failure for load in quiet + beside for failure in load.failures] == []
    return ratio


def endure(load: Load, fault: Callable[[], object], every: float) -> None:
    """Do the fault again and again while the load goes on; then nothing may have failed."""
    with load:
        end = time.monotonic() + FAULT_SECONDS
        while time.monotonic() < end:
            time.sleep(every)
            fault()
    print(load)
    assert load.failures == []
    assert load.sent >= RATE * FAULT_SECONDS * 0.9


def quantile(seconds: list[float], part: float) -> float:
    """The value below which that part of the values is."""
    return sorted(seconds)[min(int(len(seconds) * part), len(seconds) - 1)] if seconds else 0.0
