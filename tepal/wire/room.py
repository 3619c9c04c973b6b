"""How much a body may become in memory: what it inflates to counts as if it had been sent written out."""

from __future__ import annotations

from tepal.errors import TooLarge

MIB = 1024 * 1024

# Bytes that a cell is counted as at least, about as many as in text: runs of equal ones take next to none, until read.
CELL = 4

# MiB, as long as nobody says otherwise; the service says MAX_BODY_MB.
DEFAULT_MB = 16


class Room:
    """What is left of so many MiB. None: there is no end of it, as for a file that is read in chunks."""

    def __init__(self, most_mb: int | None):
        self._most_mb = most_mb
        self._left = 0 if most_mb is None else most_mb * MIB

    def take(self, size: int) -> None:
        """Count so many bytes. Raises TooLarge where there is no room for them."""
        if self._most_mb is None:
            return
        self._left -= size
        if self._left < 0:
            raise TooLarge(self._most_mb)
