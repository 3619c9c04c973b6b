"""What the workers know of each other: how many requests each has, in memory that all of them share."""

from __future__ import annotations

import mmap
import struct
from typing import ClassVar

_CELL = struct.calcsize("I")
_FREE, _RETIRED = 0, 2**32 - 1


def most(workers: int) -> int:
    """How many of them there may be at once, with those that only finish what they have."""
    return 4 * workers + 32


class Slot:
    """One worker's place. Only its worker writes its number, so nothing is locked; the master takes and frees it.

    A place holds 0 where nobody has it, a mark where its worker takes no more requests, else 1 + its requests.
    """

    _memory: ClassVar[memoryview] = memoryview(b"").cast("I")

    @classmethod
    def make(cls, count: int) -> None:
        """Room for ``count`` workers at once, before the first of them is forked."""
        cls._memory = memoryview(mmap.mmap(-1, count * _CELL)).cast("I")

    def __init__(self) -> None:
        """Take the lowest free place. In the master, before the fork."""
        self.place = self._memory.tolist().index(_FREE)
        self.busy = 0

    @property
    def busy(self) -> int:
        """Requests that the worker has, those that wait for a thread included."""
        return self._memory[self.place] - 1

    @busy.setter
    def busy(self, requests: int) -> None:
        if not self.retired:
            self._memory[self.place] = 1 + requests

    @property
    def retired(self) -> bool:
        """Whether the worker takes no more requests, so that another may take its part."""
        return self._memory[self.place] == _RETIRED

    def retire(self) -> None:
        """Take no more requests."""
        self._memory[self.place] = _RETIRED

    def free(self) -> None:
        """Give the place back, when the worker is dead. In the master."""
        self._memory[self.place] = _FREE

    def others(self) -> list[int]:
        """The requests of every other worker that takes any."""
        return [cell - 1 for place, cell in enumerate(self._memory) if cell not in (_FREE, _RETIRED) and place != self.place]
