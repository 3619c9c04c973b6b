"""What was begun and not ended by the processes of one service: to load a version can take its process down."""

from __future__ import annotations

import contextlib
import mmap
import os
import sys
import tempfile
import weakref
import zlib
from collections.abc import Iterator

from tepal.errors import ArtifactError

# More keys than a repository has versions; two that share a place only wait for each other.
PLACES = 4096
# The first death of a process in the middle of something may have another reason.
MOST = 2


class Attempts:
    """Counts, in memory that processes forked from this one share; a process that dies leaves its count behind."""

    def __init__(self) -> None:
        self._counts = mmap.mmap(-1, PLACES)
        with tempfile.TemporaryFile() as file:
            self._locks = os.dup(file.fileno())
        weakref.finalize(self, os.close, self._locks).atexit = False

    @contextlib.contextmanager
    def attempt(self, key: str) -> Iterator[None]:
        """Let one process at a time do what ``key`` names. Raises ArtifactError where it ended two of them.

        For one thread of a process.
        """
        place = zlib.crc32(key.encode()) % PLACES
        with self._locked(place):
            if self._counts[place] >= MOST:
                raise ArtifactError(f"it took down the process that loaded it, {MOST} times; publish it again")
            self._counts[place] += 1
            try:
                yield
            finally:
                self._counts[place] = 0

    @contextlib.contextmanager
    def _locked(self, place: int) -> Iterator[None]:
        if sys.platform == "win32":  # has no fork, and so nobody to wait for
            yield
            return
        import fcntl

        # A lock of the process, not of the file that all of them inherited; it ends with the process.
        fcntl.lockf(self._locks, fcntl.LOCK_EX, 1, place)
        try:
            yield
        finally:
            fcntl.lockf(self._locks, fcntl.LOCK_UN, 1, place)
