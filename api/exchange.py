"""One request on its way to its one answer: when that is due, and who gives it."""

from __future__ import annotations

from time import monotonic
from typing import Any

from api.errors import Overloaded, RequestTimeout, Shape, Timeout
from api.message import Request
from api.metrics import SUSPECTS, Metrics


class Exchange:
    """Made when a request's first bytes are there; shared by the thread that answers and the one that watches the time.

    timeout: seconds for a body to arrive, and then again for the answer; time spent in a queue counts.
    full: every thread is busy and so is the queue, so that only what costs nothing is answered.
    """

    # As each begins; an object of its own has only what becomes another.
    waited = 0.0
    arriving = True  # what is waited for: the client's bytes, or our answer
    lost = False  # the thread that computed the answer came too late
    begun = 0  # bytes of the answer that went ahead, the same for every answer
    # What is known so far, for an answer that somebody else must give.
    identity: str | None = None
    request: Request | None = None
    route: str | None = None
    shape: Shape | None = None
    suspect: Suspect | None = None  # where a process ended under it before

    def __init__(self, timeout: float, full: bool = False):
        self.timeout = timeout
        self.full = full
        self.queued = monotonic()
        self.deadline = self.queued + timeout
        self.facts: dict[str, Any] = {}
        self._unclaimed = [True]

    def begin(self) -> None:
        """A thread has time for it."""
        self.waited = monotonic() - self.queued

    def arrived(self) -> None:
        """The request is here, whole: from now on it is us whom the client waits for."""
        self.arriving = False
        self.deadline = monotonic() + self.timeout - self.waited

    def check(self, **facts: Any) -> None:
        """Before anything that costs. Raises Overloaded or Timeout where it would be in vain.

        facts: for the log, if the answer does not come in time.
        """
        self.facts = facts
        if self.full:
            raise Overloaded
        if self.late():
            raise Timeout(self.timeout)
        if self.suspect is not None:
            self.suspect.begins(self.facts)

    def late(self) -> bool:
        """Whether the time is over."""
        return monotonic() > self.deadline

    def claim(self) -> bool:
        """Whether the caller may answer: true for the first who asks, whichever thread that is."""
        try:
            return self._unclaimed.pop()
        except IndexError:
            return False

    def lateness(self) -> RequestTimeout | Timeout:
        """What to tell a client when the time is over."""
        return RequestTimeout(self.timeout) if self.arriving else Timeout(self.timeout)


class Suspect:
    """What is known of a request that is computed again: should this process end too, its version is the reason.

    The master then counts it as lost (``Metrics.leave``), since nobody else here can.
    """

    def __init__(self, metrics: Metrics):
        self._metrics = metrics
        self._begun = False
        self._named: list[tuple[str, str]] = []

    def begins(self, facts: dict[str, Any]) -> None:
        """It is about to be computed. facts: with its model and version, once they are known."""
        if not self._begun and "version" in facts:
            self._begun = True
            self._metrics.add(SUSPECTS, facts["model"], facts["version"])
            self._named.append((facts["model"], facts["version"]))

    def cleared(self) -> None:
        """It has its answer. Called by the thread that computes it and by the one that watches the time."""
        try:
            named = self._named.pop()
        except IndexError:
            return
        self._metrics.add(SUSPECTS, *named, amount=-1)
