"""How many requests a worker has, and how long one more would wait."""

from __future__ import annotations

from time import monotonic

# Seconds that a request may wait for a thread whatever it costs: a burst of quick ones is no overload.
SHORT = 0.025

# Mean seconds above which it matters which worker a request waits for.
SLOW = 0.005

# Seconds without a finished request, with every thread busy, after which they are taken for stuck.
STALL = 0.25

# How much of the mean the newest request is.
NEWEST = 0.1


class Queue:
    """The bookkeeping of one worker; changed by its main thread only.

    A request may wait for half the time that answering one takes, so that an answer is never twice as late as it has
    to be; more would come in vain.
    """

    def __init__(self, threads: int):
        self.length = 0
        self._threads = threads
        self._mean = 0.0
        self._moved = monotonic()

    @property
    def slow(self) -> bool:
        """Whether requests take long enough for their waiting to matter."""
        return self._mean > SLOW

    def enter(self) -> None:
        """One more request."""
        if self.length < self._threads:
            self._moved = monotonic()
        self.length += 1

    def leave(self, seconds: float | None = None) -> None:
        """One request less. seconds: what it took, where it was answered."""
        self._moved = monotonic()
        self.length -= 1
        if seconds is not None:
            self._mean += NEWEST * (seconds - self._mean)

    def stalled(self) -> bool:
        """Whether every thread is busy, and has been for longer than requests take."""
        return self.length >= self._threads and monotonic() - self._moved > max(STALL, 4 * self._mean)

    def full(self) -> bool:
        """Whether one more request would wait for too long."""
        before = self.length - self._threads
        if before < 0:
            return False
        return self.stalled() or (before + 1) * self._mean / self._threads > max(SHORT, self._mean / 2)
