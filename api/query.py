"""The query string of a request: ``application/x-www-form-urlencoded``, as browsers and curl write it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import unquote_to_bytes

_BAD_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})")


# Bytes up to which a query is kept as it was read: options, the same ones again and again, and not rows.
SHORT = 64


def parse(query: bytes) -> tuple[Mapping[str, list[str]], str | None]:
    """Every value of each key, in order; and what is wrong with the query, None where nothing is.

    A key without ``=`` has the empty value. What is wrong is left as it can be read, so that a route that takes
    no query need not care. To be read only: who asks for the same again may get the same.
    """
    return _kept(query) if len(query) <= SHORT else _parse(query)


def _parse(query: bytes) -> tuple[Mapping[str, list[str]], str | None]:
    found: dict[str, list[str]] = {}
    fault = None
    if _BAD_PERCENT.search(query):
        fault = "the query has a % that two hexadecimal digits must follow; write %25 for the sign itself"
    for item in query.replace(b"+", b" ").split(b"&"):
        key, _, value = (unquote_to_bytes(part) for part in item.partition(b"="))
        try:
            key.decode(), value.decode()
        except UnicodeDecodeError:
            fault = fault or "the query is not valid UTF-8"
        if item:
            found.setdefault(key.decode(errors="replace"), []).append(value.decode(errors="replace"))
    return found, fault


_kept = lru_cache(maxsize=256)(_parse)
