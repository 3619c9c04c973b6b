"""The files of a page: read once, sent as they are or gzipped, and as nothing but what they are."""

from __future__ import annotations

import gzip
from functools import cache
from pathlib import Path, PurePath

from api import encoding
from api.message import Request, Response

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}
_SMALL = (".html", ".png")  # not worth it, or no smaller


def type_of(name: str) -> str:
    """The media type of a file, by its name."""
    return TYPES[PurePath(name).suffix]


def sent(file: Path, request: Request) -> Response:
    """A file, gzipped where the client takes that; read and gzipped once a process."""
    headers = {
        "Content-Type": type_of(file.name),
        "Referrer-Policy": "no-referrer",
        "Vary": "Accept-Encoding",
        "X-Content-Type-Options": "nosniff",
    }
    if file.name.endswith(_SMALL) or not encoding.takes_gzip(request.headers.get("accept-encoding", "")):
        return Response(200, headers, _read(file))
    return Response(200, {**headers, "Content-Encoding": "gzip"}, _gzipped(file))


@cache
def _read(file: Path) -> bytes:
    return file.read_bytes()


@cache
def _gzipped(file: Path) -> bytes:
    """mtime: the same bytes, and so the same ETag, in every worker."""
    return gzip.compress(_read(file), mtime=0)
