"""Content-Encoding: a body as it was before a client compressed it, never larger than the limit; and an answer as gzip."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator

from api.errors import BodyTooLarge, UnsupportedMediaType
from tepal import Malformed

_GZIP = 16 + zlib.MAX_WBITS  # zlib's way to say: gzip's header and checksum
_BLOCK = 64 * 1024
_MOST_MEMBERS = 1000  # each costs more than the few bytes that say it is there
_BROKEN = "the body is no whole gzip, which Content-Encoding says it is"


def inflate(body: bytes, content_encoding: str, limit_mb: int) -> bytes:
    """The body without its encoding: none, ``identity``, ``gzip`` or ``x-gzip``, once.

    Raises UnsupportedMediaType for any other, BodyTooLarge where more than ``limit_mb`` MiB come out,
    Malformed where the gzip is broken, cut short or followed by something else.
    """
    encoding = content_encoding.strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "x-gzip"):
        raise UnsupportedMediaType(
            f"Content-Encoding {content_encoding[:60]!r} is not read here; send the body as it is, or gzip it once"
        )
    if not body:
        return body  # its format says that it is empty
    return b"".join(_members(memoryview(body), limit_mb))


def wants_gzip(accept_encoding: str) -> bool:
    """Whether a client asks for gzip and nothing else. To most, which name all that they could read, it is no matter."""
    return accept_encoding.strip().lower() == "gzip"


def takes_gzip(accept_encoding: str) -> bool:
    """Whether a client names gzip among what it can read, and not with a weight of 0."""
    for item in accept_encoding.lower().split(","):
        coding, _, weight = item.replace(" ", "").partition(";q=")
        if coding in ("gzip", "x-gzip", "*"):
            return weight.strip("0.") != "" or not weight
    return False


def compress(body: bytes) -> bytes:
    """The body as gzip: fast, and the same bytes for the same body."""
    return gzip.compress(body, compresslevel=1, mtime=0)


def _members(body: memoryview, limit_mb: int) -> Iterator[bytes]:
    """What comes out of each gzip: there may be several, one after the other (RFC 1952, 2.2)."""
    left, at, members = limit_mb * 1024 * 1024, 0, 0
    member = zlib.decompressobj(_GZIP)
    while at < len(body) or not member.eof:
        if member.eof:
            member, members = zlib.decompressobj(_GZIP), members + 1
        block = body[at : at + _BLOCK]
        if not block or members == _MOST_MEMBERS:
            raise Malformed(_BROKEN)
        try:
            part = member.decompress(block, left + 1)
        except zlib.error:
            raise Malformed(_BROKEN) from None
        left -= len(part)
        if left < 0:
            raise BodyTooLarge(limit_mb)
        at += len(block) - len(member.unused_data)
        yield part
