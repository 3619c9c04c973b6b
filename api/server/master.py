"""gunicorn's master, which starts the replacement of a worker before that is gone."""

from __future__ import annotations

import signal
import time
from typing import Any

from gunicorn.app.wsgiapp import WSGIApplication
from gunicorn.arbiter import Arbiter

ASLEEP = 2  # seconds between two rounds of the master, which are one apart, that tell that it did not run itself


class Master(Arbiter):  # type: ignore[misc]
    """The arbiter, for which a worker that takes no more requests is one that is missing."""

    _looked = 0.0

    def _wanted(self) -> int:
        """The number of workers to have: those asked for, and one for each that only finishes what it has."""
        return int(self._num_workers) + sum(bool(worker.slot.retired) for worker in self.WORKERS.values())

    num_workers = property(_wanted, Arbiter._set_num_workers)  # noqa: SLF001

    def spawn_worker(self) -> Any:
        """A signal that comes before the new worker has handlers of its own is held back: the master's would lose it."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, self.SIGNALS)
        try:
            return super().spawn_worker()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def murder_workers(self) -> None:
        """End the workers whose heart stopped; but not after a time in which nobody's could beat, ours included."""
        now = time.monotonic()
        slept, self._looked = now - self._looked, now
        if slept < ASLEEP:
            super().murder_workers()


class Application(WSGIApplication):  # type: ignore[misc]
    """gunicorn's command, with our master."""

    def run(self) -> Any:
        Master(self).run()
