"""With whom a request is computed: what may end its process is kept apart from what only happened to be there."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from time import monotonic

# The most seconds for which one that may end its process waits until it is alone; and for which others keep away from it.
# A model may never return, and most of what was under way when a process ended is harmless.
PATIENCE = 0.25
DISTANCE = 0.05


class Company:
    """Requests that are computed in one process: together, but a suspect, which was under way when another ended, alone.

    So a request that ended its process is told from those that were there with it: of these, each is answered alone.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._computed = 0
        self._suspect = False  # there is one, be it that it waits until it is alone
        self._since = 0.0

    def join(self, suspect: bool, distance: float | None = None) -> None:
        """Wait until it may be computed in here. distance: seconds to keep from a suspect that is here already.

        Who has joined must ``leave``.
        """
        with self._lock:
            if self._suspect:
                left = PATIENCE if suspect else self._since + (DISTANCE if distance is None else distance) - monotonic()
                self._changed.wait_for(lambda: not self._suspect, left)
            if suspect:
                self._suspect, self._since = True, monotonic()
                self._changed.wait_for(lambda: not self._computed, PATIENCE)
            self._computed += 1

    def leave(self, suspect: bool) -> None:
        """It is computed."""
        with self._lock:
            self._computed -= 1
            if self._suspect:
                self._suspect = not suspect
                self._changed.notify_all()

    @contextlib.contextmanager
    def joined(self, suspect: bool, distance: float | None = None) -> Iterator[None]:
        """Join, and leave at the end of the ``with`` block."""
        self.join(suspect, distance)
        try:
            yield
        finally:
            self.leave(suspect)
