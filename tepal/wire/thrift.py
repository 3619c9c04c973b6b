"""Thrift's compact protocol, as far as the headers of Parquet need it: bytes to plain values.

https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from __future__ import annotations

import struct as packed
from typing import Any, TypeVar

from tepal.errors import Malformed

Kind = TypeVar("Kind")

# Levels and items beyond which no header of Parquet goes.
_DEEPEST = 16
_MOST = 10_000

_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 12
_INTEGERS = (4, 5, 6)  # of 16, 32 and 64 bits: written alike


def struct(data: memoryview, start: int) -> tuple[dict[int, Any], int]:
    """The fields of a struct by their numbers, and where it ends. Raises Malformed where it is none."""
    reader = _Reader(data, start)
    try:
        return reader.struct(0), reader.at
    except (IndexError, packed.error):
        raise Malformed("a header is cut short, or is none") from None


def field(fields: Any, number: int, kind: type[Kind]) -> Kind:
    """A field of what should be a struct. Raises Malformed where it is not there, or of another kind."""
    value = fields.get(number) if isinstance(fields, dict) else None
    if not isinstance(value, kind):
        raise Malformed("a header lacks what it should have")
    return value


class _Reader:
    def __init__(self, data: memoryview, at: int):
        self._data = data
        self.at = at

    def struct(self, depth: int) -> dict[int, Any]:
        fields: dict[int, Any] = {}
        number = 0
        while head := self._byte():
            delta, kind = head >> 4, head & 15
            number = number + delta if delta else self._integer()
            if number in fields:
                raise Malformed("a header has a field twice")
            fields[number] = kind == _TRUE if kind in (_TRUE, _FALSE) else self._value(kind, depth + 1)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        if depth > _DEEPEST:
            raise Malformed("a header is nested too deeply")
        if kind in _INTEGERS:
            return self._integer()
        if kind == _BINARY:
            return self._bytes(self._varint())
        if kind in (_LIST, _SET):
            return self._list(depth)
        if kind == _STRUCT:
            return self.struct(depth)
        if kind in (_TRUE, _FALSE, _BYTE):
            return self._byte()
        if kind == _DOUBLE:
            return packed.unpack("<d", self._bytes(8))[0]
        raise Malformed("a header holds what no header of Parquet holds")

    def _list(self, depth: int) -> list[Any]:
        head = self._byte()
        many, kind = head >> 4, head & 15
        if many == 15:
            many = self._varint()
        if many > _MOST:
            raise Malformed("a header is too long")
        return [self._value(kind, depth + 1) for _ in range(many)]

    def _byte(self) -> int:
        byte = self._data[self.at]
        self.at += 1
        return byte

    def _bytes(self, many: int) -> bytes:
        start, self.at = self.at, self.at + many
        if self.at > len(self._data):
            raise IndexError
        return bytes(self._data[start : self.at])

    def _varint(self) -> int:
        value = shift = 0
        while shift < 70:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7
        raise Malformed("a header holds a number of too many bytes")

    def _integer(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
