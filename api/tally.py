"""Numbers that each worker adds to and any worker can sum, in memory that all of them share."""

from __future__ import annotations

import mmap
import threading
from collections.abc import Iterator
from typing import TypeAlias

from api import observe

Cells: TypeAlias = "memoryview[float]"  # float64

# Bytes of a place. Memory is taken as it is written to: 20 models need about a tenth of this.
PLACE = 2 * 1024 * 1024

_WORD = 8


class Tally:
    """One place for the master and one for each worker that may be there at once.

    Only its own process writes in a place, so that processes wait for no lock. A worker that is killed leaves its place as
    it is, and the next one that takes it adds to what is there: a total never goes back, and there are no more places for
    more deaths. Nothing is on disk, so nothing needs a folder or is left behind.

    A place is 8 bytes that say how many words of it are in use, then records: the length of a key, a number of cells, the
    key, the cells. A record counts only when it is whole, so one that a killed worker had begun is written over.
    """

    def __init__(self, places: int = 1, size: int = PLACE):
        """Before the fork. size: bytes of each place, a multiple of 8."""
        self._places = places
        self._size = size // _WORD  # in words
        memory = memoryview(mmap.mmap(-1, places * size))
        self._bytes, self._words, self._cells = memory, memory.cast("Q"), memory.cast("d")
        self.take(0)

    def take(self, place: int) -> None:
        """Write to ``place`` from now on: 0 is the master's, or the only process's. After the fork, before any thread."""
        self._start = place * self._size
        self._known = dict(self._records(place))
        self._lock = threading.Lock()

    def cells(self, key: bytes, count: int) -> Cells:
        """The cells of a key in this process's place, ``(count,)`` float64; zeros where the key is new.

        Where there is no room for it, they are cells that nobody sums, and the log says so once for each key.
        """
        found = self._known.get(key)
        if found is None:
            with self._lock:
                found = self._known.get(key) or self._append(key, count)
                self._known[key] = found
        return found

    def _append(self, key: bytes, count: int) -> Cells:
        used = self._words[self._start]
        at = self._start + 1 + used
        first = at + 2 + _words_of(len(key))
        if first + count > self._start + self._size:
            observe.log(level="warning", message="there is no room to count more in", key=key.decode(errors="replace")[:200])
            return memoryview(bytearray(count * _WORD)).cast("d")
        self._words[at], self._words[at + 1] = len(key), count
        self._bytes[(at + 2) * _WORD : (at + 2) * _WORD + len(key)] = key
        cells = self._cells[first : first + count]
        cells[:] = memoryview(bytes(count * _WORD)).cast("d")  # of a record that was begun and never counted
        self._words[self._start] = used + 2 + _words_of(len(key)) + count
        return cells

    def records(self, place: int | None = None) -> Iterator[tuple[bytes, Cells]]:
        """Every key with its cells: once for each place that has it, or of one place."""
        for number in range(self._places) if place is None else (place,):
            yield from self._records(number)

    def _records(self, place: int) -> Iterator[tuple[bytes, Cells]]:
        start = place * self._size
        at, end = start + 1, start + 1 + self._words[start]
        while at < end:
            length, count = self._words[at], self._words[at + 1]
            first = at + 2 + _words_of(length)
            yield bytes(self._bytes[(at + 2) * _WORD : (at + 2) * _WORD + length]), self._cells[first : first + count]
            at = first + count


def _words_of(length: int) -> int:
    return -(-length // _WORD)
