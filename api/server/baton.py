"""Which thread runs a worker's loop: the one that has it answers quick requests itself, which spares waking another one."""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
from collections.abc import Callable, Sequence

# Seconds after which another thread takes the loop over from one that is still at its request, and at most twice as many.
RELIEF = 0.005


class Relieved(Exception):
    """Another thread has the loop now; this one has finished its request, and ends."""


class Baton:
    """Runs a loop in one thread at a time.

    While that thread answers a request, the loop stands still: nobody is taken in, and no deadline of a connection is
    looked at. So where a request is not quick after all, a new thread takes the loop over.
    """

    def __init__(self, loop: Callable[[], None]):
        """loop: called by whichever thread has the baton; it goes on from wherever the one before it was."""
        self._loop = loop
        self._turn: list[bool] = []
        self._answers = threading.Event()  # requests are answered, so that there is something to look at
        self._failure: BaseException | None = None
        self._ended = False

    def run(self, pipe: Sequence[int]) -> None:
        """Until the loop ends. Raises what it raises.

        The caller's own thread stays free for signals. pipe: its ends; a signal writes to it, and so does the end.
        """
        self._pipe = pipe
        threading.Thread(target=self._relieve, name="relief", daemon=True).start()
        self._pass()
        while not self._ended:
            select.select(pipe[:1], [], [])
            os.read(pipe[0], 4096)
        if self._failure is not None:
            raise self._failure

    def begin(self) -> list[bool]:
        """The thread that has the loop begins with a request; what it returns is for ``finish``."""
        turn = self._turn = [True]
        if not self._answers.is_set():
            self._answers.set()
        return turn

    def finish(self, turn: list[bool]) -> bool:
        """Whether the caller still has the loop: true for the first who asks, itself or its relief."""
        try:
            return turn.pop()
        except IndexError:
            return False

    def _pass(self) -> None:
        threading.Thread(target=self._go_on, name="loop", daemon=True).start()

    def _go_on(self) -> None:
        try:
            self._loop()
        except Relieved:
            return
        except BaseException as error:  # noqa: BLE001 it is raised where the worker waits for its end
            self._failure = error
        self._ended = True
        with contextlib.suppress(OSError):  # nobody waits any more, and has closed it
            os.write(self._pipe[1], b".")

    def _relieve(self) -> None:
        while True:
            turn = self._turn
            time.sleep(RELIEF)
            if turn is not self._turn:
                continue
            if self.finish(turn):
                self._pass()
            self._answers.clear()
            if turn is self._turn:  # or else a request began just now
                self._answers.wait()
