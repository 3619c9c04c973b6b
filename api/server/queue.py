"""Which requests of a worker run, which wait, and whether one more may."""

from __future__ import annotations

from collections import deque
from itertools import islice
from time import monotonic
from typing import Any

Connection = Any  # gunicorn's

# Mean seconds above which requests are slow: then it matters for how long one waits, and in which worker.
SLOW = 0.02

# Seconds that a quick one may wait: a burst of them is no overload.
SHORT = 0.25

# Seconds without a finished request, with every thread busy, after which these are taken for stuck; or so many times the
# mean, where that is longer.
STALL, TIMES = 0.05, 8

# The same after which nothing is to be hoped for, so that nobody is let wait.
HOPELESS = 0.5

# How much of the mean the newest request is, and how many times the mean it counts for at most: a first request that loads
# something is no measure of the next.
NEWEST, MOST = 0.1, 4


class Queue:
    """The requests of one worker; used by its main thread only.

    ``threads`` of them run. While that many are stuck (a model that hangs, say), as many again may run beside them. A
    slow one may wait for half the time that its answer takes, so that none is twice as late as it has to be; more is
    overload.
    """

    def __init__(self, threads: int):
        self._threads = threads
        self._waiting: deque[Connection] = deque()
        self._running: dict[Connection, None] = {}
        self._stuck: set[Connection] = set()
        self._mean = 0.0
        self._moved = monotonic()

    @property
    def busy(self) -> int:
        """Requests that run or wait, but for the stuck ones."""
        return len(self._waiting) + self._active

    @property
    def waiting(self) -> int:
        """Requests that wait for a thread."""
        return len(self._waiting)

    @property
    def _active(self) -> int:
        return len(self._running) - len(self._stuck)

    @property
    def slow(self) -> bool:
        """Whether requests take long enough for their waiting to matter."""
        return self._mean > SLOW

    def full(self) -> bool:
        """Whether one more request would wait for too long."""
        if not self._waiting:
            return self.stalled()
        wait = (len(self._waiting) + 1) * self._mean / self._threads
        return self.stalled() or wait > (self._mean / 2 if self.slow else SHORT)

    def put(self, connection: Connection) -> None:
        """Let it wait for a thread."""
        self._waiting.append(connection)

    def next(self) -> Connection | None:
        """The one that may run now, if any may."""
        if not self._waiting or self._active >= self._threads:
            return None
        connection = self._waiting.popleft()
        self._running[connection] = None
        self._moved = monotonic()
        return connection

    def done(self, connection: Connection, seconds: float | None = None) -> None:
        """It runs no more. seconds: what it took, where it was answered."""
        self._running.pop(connection, None)
        self._stuck.discard(connection)
        self._moved = monotonic()
        if seconds is not None:
            self._mean += NEWEST * (min(seconds, SLOW + MOST * self._mean) - self._mean)

    def give_up(self) -> list[Connection]:
        """Those that wait where nothing is to be hoped for; they wait no more."""
        waiting = list(self._waiting) if self.stalled() else []
        if waiting:
            self._waiting.clear()
        return waiting

    def look(self) -> None:
        """Take requests for stuck where nothing has moved for longer than requests take."""
        if self._active >= self._threads and self._is_still(STALL):
            active = (connection for connection in self._running if connection not in self._stuck)
            self._stuck.update(list(islice(active, self._threads - len(self._stuck))))

    def stalled(self) -> bool:
        """Whether nothing moves, and as many are stuck as may be."""
        return self._active >= self._threads <= len(self._stuck) and self._is_still(HOPELESS)

    def _is_still(self, seconds: float) -> bool:
        return monotonic() - self._moved > max(seconds, TIMES * self._mean)
