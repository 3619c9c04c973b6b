"""Flatbuffers, as far as the headers of Arrow's messages need them: https://flatbuffers.dev/internals/.

Every position is looked up with its bounds checked; what is out of them raises Malformed.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from tepal.errors import Malformed
from tepal.table import Array

_BROKEN = "a message's header is broken"


class Fields:
    """A table of a flatbuffer: its fields by their places in the schema. A field that is not there is its default."""

    def __init__(self, data: memoryview, at: int):
        self._data = data
        self._at = at
        self._index = at - self._read("<i", at)
        self._size = self._read("<H", self._index)

    @classmethod
    def root(cls, data: memoryview) -> Fields:
        """The outermost table."""
        (at,) = unpack("<I", data, 0)
        return cls(data, at)

    def integer(self, place: int, form: str, default: int = 0) -> int:
        """A number of the ``struct`` module's form."""
        at = self._find(place)
        return self._read(form, at) if at else default

    def table(self, place: int) -> Fields | None:
        """A table within it."""
        at = self._find(place)
        return Fields(self._data, at + self._read("<I", at)) if at else None

    def pairs(self, place: int) -> Array:
        """A vector of pairs of int64, ``(n, 2)``."""
        at = self._find(place)
        if not at:
            return np.empty((0, 2), dtype="<i8")
        at += self._read("<I", at)
        many = self._read("<I", at)
        if at + 4 + 16 * many > len(self._data):
            raise Malformed(_BROKEN)
        return np.frombuffer(self._data, dtype="<i8", count=2 * many, offset=at + 4).reshape(-1, 2)

    def _find(self, place: int) -> int:
        entry = 4 + 2 * place
        offset = self._read("<H", self._index + entry) if entry + 2 <= self._size else 0
        return self._at + offset if offset else 0

    def _read(self, form: str, at: int) -> int:
        return int(unpack(form, self._data, at)[0])


def unpack(form: str, data: memoryview, at: int) -> tuple[Any, ...]:
    """The values at a place of some bytes. Raises Malformed where they end before."""
    if not 0 <= at <= len(data) - struct.calcsize(form):
        raise Malformed(_BROKEN)
    return struct.unpack_from(form, data, at)
