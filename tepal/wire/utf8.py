"""Bytes to text: UTF-8 and nothing else, for every format that is text."""

from __future__ import annotations

from tepal.errors import Malformed

MARK = b"\xef\xbb\xbf"


def unmarked(body: bytes) -> bytes:
    """The body without the byte order mark that Excel and PowerShell write."""
    return body.removeprefix(MARK)


def check_start(start: bytes) -> None:
    """Raise Malformed where the first bytes, four at least, are those of UTF-16 or UTF-32."""
    if start[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\x00" in start[:4]:
        raise Malformed("the body is UTF-16 or UTF-32; send UTF-8")


def check(body: bytes) -> None:
    """Raise Malformed where the body is not UTF-8; UTF-16 and UTF-32 are called by their names."""
    check_start(body)
    try:
        if not body.isascii():
            body.decode()
    except UnicodeDecodeError:
        raise Malformed("the body is not valid UTF-8") from None


def decoded(body: bytes) -> str:
    """The body as text. Raises Malformed as ``check``."""
    check(body)
    return body.decode()
