"""``NaN`` and ``Infinity`` in JSON: no JSON, and yet what Python's own writes, and what clients of other services send.

A body is made JSON first, and then read like any other: NaN becomes null, and Infinity a number that no one else writes
and that ``number`` knows. So it comes to its cell, which refuses it by row and column.
"""

from __future__ import annotations

import math
import re

from tepal.wire import cells

_INFINITE = "1e+00999"
# A whole string, even one that never ends; or a literal outside of any.
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|(?<![\w.])(?:NaN|Infinity)\b', re.DOTALL)
_INSTEAD = {b"NaN": b"null", b"Infinity": _INFINITE.encode()}


def spelled(body: bytes) -> bytes:
    """The body with something that JSON has in the place of each literal; as it is where there is none."""
    if b"NaN" not in body and b"Infinity" not in body:
        return body
    return _TOKEN.sub(_spelled, body)


def _spelled(found: re.Match[bytes]) -> bytes:
    return _INSTEAD.get(found[0], found[0])


def number(text: str) -> int | float:
    """A number's text as ``cells.number`` reads it, and infinity for what ``spelled`` wrote."""
    if text.lstrip("-") == _INFINITE:
        return -math.inf if text[0] == "-" else math.inf
    return cells.number(text)
