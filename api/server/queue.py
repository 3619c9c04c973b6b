"""Which requests of a worker run, which wait, and whether one more may."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import chain, islice
from math import inf
from time import monotonic
from typing import Any

Connection = Any  # gunicorn's

# Seconds above which requests are slow, even those that take the least: then it matters for how long one waits, and in
# which worker. Where only their mean is above it, it is the machine that is slow, because others use it too.
SLOW = 0.02

# Mean seconds below which requests are answered by the worker's loop itself, one after the other. Above it threads answer,
# for a while that is twice as long each time in a row.
QUICK = 0.001
WHILE, LONGEST_WHILE = 0.02, 3.0

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

# How much of its distance to the mean the least that a request takes rises with each that takes more.
RISE = 0.02


class Queue:
    """The requests of one worker; used by the thread that has its loop only.

    ``threads`` of them run. While that many are stuck (a model that hangs, say), as many again may run beside them. A
    slow one may wait for half the time that its answer takes, so that none is twice as late as it has to be; more is
    overload. A quick one may wait for ``SHORT``.
    """

    def __init__(self, threads: int):
        self._threads = threads
        self._waiting: deque[Connection] = deque()
        self._running: dict[Connection, None] = {}
        self._stuck: set[Connection] = set()
        self._active = 0  # that run and are not stuck
        self._mean = 0.0
        self._least = inf
        self._moved = monotonic()
        self._quick_mean = 0.0
        self._is_proven = False  # that predictions are quick, by the last one that was taken to be
        self._while = WHILE
        self._threads_until = 0.0

    def __iter__(self) -> Iterator[Connection]:
        """All that run or wait."""
        return chain(self._running, self._waiting)

    @property
    def busy(self) -> int:
        """Requests that run or wait, but for the stuck ones."""
        return len(self._waiting) + self._active

    @property
    def waiting(self) -> int:
        """Requests that wait for a thread."""
        return len(self._waiting)

    @property
    def slow(self) -> bool:
        """Whether requests take long enough for their waiting to matter."""
        return min(self._mean, self._least) > SLOW

    @property
    def quick(self) -> bool:
        """Whether the next one is taken to be quick."""
        return monotonic() >= self._threads_until

    def took(self, seconds: float) -> None:
        """What a prediction took that was taken to be quick."""
        self._quick_mean += NEWEST * (min(seconds, 2 * QUICK) - self._quick_mean)
        if self._quick_mean < QUICK:
            self._while = WHILE
            self._is_proven = True
        else:
            self.slows()

    def slows(self) -> None:
        """Those that were taken to be quick are not."""
        self._is_proven = False
        self._quick_mean = 0.0  # the next try is judged by itself
        self._threads_until = monotonic() + self._while
        self._while = min(2 * self._while, LONGEST_WHILE)

    def full(self) -> bool:
        """Whether one more request would wait for too long."""
        if self._is_proven and self.quick:  # whatever the mean of threads that had to wait for a core
            return self.stalled() or (len(self._waiting) + 1) * self._quick_mean > SHORT
        free = max(self._threads - self._active, 0)
        beyond = len(self._waiting) - free  # who waits for a free thread waits for no other request
        if beyond <= 0:
            return self.stalled()
        wait = (beyond + 1) * self._mean / self._threads
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
        self._active += 1
        self._moved = monotonic()
        return connection

    def done(self, connection: Connection, seconds: float | None = None) -> None:
        """It runs no more. seconds: what it took, where it was answered."""
        self._running.pop(connection, None)
        if self._stuck:
            self._stuck.discard(connection)
        self._active = len(self._running) - len(self._stuck)
        self._moved = monotonic()
        if seconds is not None:
            self._mean += NEWEST * (min(seconds, SLOW + MOST * self._mean) - self._mean)
            self._least = min(seconds, self._least + RISE * (self._mean - self._least))

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
            self._active = len(self._running) - len(self._stuck)

    def stalled(self) -> bool:
        """Whether nothing moves, and as many are stuck as may be."""
        return self._active >= self._threads <= len(self._stuck) and self._is_still(HOPELESS)

    def _is_still(self, seconds: float) -> bool:
        return monotonic() - self._moved > max(seconds, TIMES * self._mean)
