"""A request as WSGI has it (PEP 3333)."""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import Any

from gunicorn.util import unquote_to_wsgi_str

_ALWAYS = {
    "SCRIPT_NAME": "",
    "wsgi.version": (1, 0),
    "wsgi.input_terminated": True,
    "wsgi.multithread": True,
    "wsgi.multiprocess": True,
    "wsgi.run_once": False,
}


def environ_of(request: Any, connection: Any) -> dict[str, Any]:
    """What the application is called with. request, connection: gunicorn's, with the connection's ``exchange``.

    gunicorn's own has what nobody here asks for, and takes a good part of a prediction's time for it. ``tepal.headers``:
    the headers once more, as ``Request`` has them.
    """
    headers: dict[str, str] = {}
    environ = {
        **_ALWAYS,
        "REQUEST_METHOD": request.method,
        "PATH_INFO": _unquoted(request.path),
        "QUERY_STRING": request.query,
        "RAW_URI": request.uri,
        "SERVER_PROTOCOL": f"HTTP/1.{request.version[1]}",
        "SERVER_NAME": connection.server[0],
        "SERVER_PORT": str(connection.server[1]),
        "REMOTE_ADDR": connection.client[0],
        "wsgi.url_scheme": request.scheme,
        "wsgi.input": request.body,
        "wsgi.errors": sys.stderr,
        "tepal.exchange": connection.exchange,
        "tepal.headers": headers,
    }
    for name, value in request.headers:
        key, plain = _names(name)
        environ[key] = headers[plain] = f"{environ[key]},{value}" if key in environ else value
    return environ


_unquoted = lru_cache(maxsize=256)(unquote_to_wsgi_str)


@lru_cache(maxsize=256)
def _names(name: str) -> tuple[str, str]:
    """A header's upper-case name as WSGI's key, of which CGI excepts two, and in lower case."""
    key = name.replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}", name.lower()
