"""Bytes to tensors and back, as the Open Inference Protocol has them: in JSON, and raw.

A number in JSON is what is written there, whatever its tensor's datatype is called; a raw one is what its bytes say, so
that a 32-bit float becomes the very same 64-bit float.
"""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Callable, Sequence
from types import NoneType
from typing import Any, NamedTuple

import msgspec
import numpy as np

from tepal.errors import Invalid, Malformed
from tepal.notes import quoted
from tepal.table import Array
from tepal.wire import cells, literals

BYTES = "BYTES"
# No datatype of the protocol's: values of any kind, which were BYTES.
ANY = "ANY"
# How a tensor's values lie in memory: little-endian, row by row. BYTES are a 4-byte length and UTF-8 each.
_CODES = {
    "BOOL": "?", "UINT8": "<u1", "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8",
    "INT8": "<i1", "INT16": "<i2", "INT32": "<i4", "INT64": "<i8", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8",
}  # fmt: skip
RAW: dict[str, np.dtype[Any]] = {datatype: np.dtype(code) for datatype, code in _CODES.items()}
_LENGTH = struct.Struct("<I")

# The Python types that values of a kind of datatype have in JSON.
_KINDS: dict[str, set[type]] = {"b": {bool}, "i": {int}, "u": {int}, "f": {int, float}, "O": {str}}
_values = msgspec.json.Decoder(float_hook=literals.number).decode
_FLOATS: tuple[Callable[[bytes], Any], ...] = (
    msgspec.json.Decoder(list[float | None]).decode,
    msgspec.json.Decoder(list[list[float | None]]).decode,
)


class Tensor(NamedTuple):
    """values: of ``shape``, but flat, row by row; a list, where an array could not hold them all."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    values: Array | list[Any]


def of_bytes(name: str, datatype: str, shape: Sequence[int], data: memoryview) -> Tensor:
    """A tensor of raw bytes. Raises Malformed where they are not what the datatype and the shape say."""
    count = _count(name, datatype, shape)
    if datatype == BYTES:
        return Tensor(name, datatype, tuple(shape), _texts(name, data, count))
    dtype = RAW[datatype]
    if count * dtype.itemsize != len(data):
        said = f"{count * dtype.itemsize} bytes ({datatype}, shape {list(shape)})"
        raise Malformed(f"input {quoted(name)} should have {said}, the body has {len(data)} for it")
    return Tensor(name, datatype, tuple(shape), np.frombuffer(data, dtype))


def _texts(name: str, data: memoryview, count: int) -> list[Any]:
    broken = Malformed(f"input {quoted(name)} is not {count} texts with a 4-byte length each, which its shape says")
    texts: list[bytes] = []
    at = 0
    while at + _LENGTH.size <= len(data) and len(texts) < count:
        (length,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size + length
        if at > len(data):
            raise broken
        texts.append(bytes(data[at - length : at]))
    if at != len(data) or len(texts) != count:
        raise broken
    try:
        return [text.decode() for text in texts]
    except UnicodeDecodeError:
        raise Malformed(f"input {quoted(name)} holds text that is not valid UTF-8") from None


def of_json(name: str, datatype: str, shape: Sequence[int], data: bytes) -> Tensor:
    """A tensor of a JSON list, flat or nested as its shape is, after ``literals.spelled``.

    Raises Invalid where it is not what the datatype and the shape say, Malformed for a number beyond a 64-bit float.
    """
    count = _count(name, datatype, shape)
    values: Array | list[Any] | None = _floats(data, shape) if _kind(datatype) == "f" else None
    if values is None:
        values = _flat(name, _values(data), shape)
    if len(values) != count:
        raise Invalid(f"input {quoted(name)} has {len(values)} values, its shape {list(shape)} has {count}")
    return Tensor(name, datatype, tuple(shape), values)


def of_json_texts(tensor: Tensor) -> Tensor:
    """Of a tensor of BYTES that are a JSON value each: those values. Raises Invalid where one is none."""
    try:
        return tensor._replace(datatype=ANY, values=[value if value is None else _values(value) for value in tensor.values])
    except (msgspec.DecodeError, TypeError, RecursionError):
        raise Invalid(f"input {quoted(tensor.name)} is said to hold JSON in each value, and one is none") from None


def of_base64(tensor: Tensor) -> Tensor:
    """Of a tensor of BYTES that are texts in base64: those texts. Raises Invalid where one is none."""
    try:
        texts = [value if value is None else base64.b64decode(value, validate=True).decode() for value in tensor.values]
    except (ValueError, TypeError):
        raise Invalid(f"input {quoted(tensor.name)} is said to hold base64 of UTF-8, and one value is none") from None
    return tensor._replace(values=texts)


# By the name that MLServer has for what BYTES hold, where that is not the texts themselves:
# https://github.com/SeldonIO/MLServer/tree/master/mlserver/codecs
CONTENTS: dict[str, Callable[[Tensor], Tensor]] = {"pd_json": of_json_texts, "base64": of_base64}


def _floats(data: bytes, shape: Sequence[int]) -> Array | None:
    """Numbers as an array, null as NaN; None where somebody else must look."""
    for decode in _FLOATS[: len(shape)]:
        try:
            array = np.array(decode(data), dtype=np.float64)
        except (msgspec.DecodeError, ValueError):
            continue
        if array.ndim == 1 or array.shape == tuple(shape):
            return array.ravel()
    return None


def _flat(name: str, value: Any, shape: Sequence[int]) -> list[Any]:
    if not isinstance(value, list):
        raise Invalid(f"the data of input {quoted(name)} is {cells.shown(value)}; send a list")
    nested, level = [len(value)], value
    while level and isinstance(level[0], list) and len(nested) < len(shape):
        width = len(level[0])
        if any(not isinstance(item, list) or len(item) != width for item in level):
            raise Invalid(f"the data of input {quoted(name)} is ragged; its shape is {list(shape)}")
        nested.append(width)
        level = [item for items in level for item in items]
    if len(nested) > 1 and nested != list(shape):
        raise Invalid(f"the data of input {quoted(name)} is nested as {nested}, its shape is {list(shape)}")
    return level


def _is_whole(value: Any, kind: str) -> bool:
    """Whether it is 6.0 where 6 is meant, which clients in JavaScript do not tell apart."""
    return kind in "iu" and isinstance(value, float) and value.is_integer()


def check(tensor: Tensor) -> None:
    """Raise Invalid for values that are none of the tensor's datatype. Those of an array are."""
    values = tensor.values
    if not isinstance(values, list) or tensor.datatype == ANY:
        return
    kind = _kind(tensor.datatype)
    kinds = _KINDS[kind] | {NoneType}
    bad = next((value for value in values if type(value) not in kinds and not _is_whole(value, kind)), None)
    if bad is None and kind in "iu" and values:
        whole = [value for value in values if value is not None]
        limits = np.iinfo(RAW[tensor.datatype])
        bad = next((value for value in whole if not limits.min <= value <= limits.max), None)
    if bad is not None:
        raise Invalid(f"input {quoted(tensor.name)} is {tensor.datatype} and holds {cells.shown(bad)}")


def _kind(datatype: str) -> str:
    return "O" if datatype == BYTES else RAW[datatype].kind


def _count(name: str, datatype: str, shape: Sequence[int]) -> int:
    if datatype != BYTES and datatype not in RAW:
        raise Invalid(f"input {quoted(name)} has datatype {quoted(datatype)}; it takes {', '.join(RAW)} or {BYTES}")
    if any(size < 0 for size in shape):
        raise Invalid(f"input {quoted(name)} has shape {list(shape)[:20]}; a size cannot be negative")
    return math.prod(shape)


def to_list(tensor: Tensor) -> list[Any]:
    """A tensor's values for JSON, flat, row by row."""
    return tensor.values if isinstance(tensor.values, list) else list(tensor.values.tolist())


def to_bytes(tensor: Tensor) -> bytes:
    """A tensor's values as they lie in memory. No answer is NaN, or the empty text."""
    if tensor.datatype != BYTES:
        return np.asarray(tensor.values, dtype=RAW[tensor.datatype]).tobytes()
    texts = [(text or "").encode() for text in tensor.values]
    return b"".join(part for text in texts for part in (_LENGTH.pack(len(text)), text))
