"""How an answer leaves: whole, and no second time."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterable
from functools import lru_cache
from time import time
from typing import Any

from gunicorn.util import http_date

from api.exchange import Exchange
from api.server import sockets

_BODILESS = ("204", "304")


class Response:
    """Takes an answer from the application as WSGI has it, and sends head and body in one write.

    gunicorn sends the head first. A worker that is killed between the two has promised an answer that never comes,
    and nginx, which has passed the head on, cannot ask another worker.
    """

    def __init__(self, request: Any, exchange: Exchange):
        """request: gunicorn's."""
        self._request = request
        self._exchange = exchange
        self._status = ""
        self._headers: list[tuple[str, str]] = []
        self._blocks: list[bytes] = []

    def start(self, status: str, headers: list[tuple[str, str]], *_: Any) -> Callable[[bytes], None]:
        """WSGI's ``start_response``."""
        self._status, self._headers = status, headers
        return self._blocks.append

    def send(self, client: socket.socket, body: Iterable[bytes], closing: bool) -> None:
        """All of it, but for what went ahead. closing: whether nothing more will come on this connection.

        Raises BrokenPipeError where somebody else has answered in the meantime.
        """
        if self._exchange.lost:
            raise BrokenPipeError(errno.EPIPE, "answered in the meantime")
        content = b"".join([*self._blocks, *body])
        lines = [
            f"HTTP/1.{self._request.version[1]} {self._status}\r\n",
            f"Server: gunicorn\r\nDate: {_date(int(time()))}\r\nConnection: {'close' if closing else 'keep-alive'}\r\n",
        ]
        lines += [f"{name}: {value}\r\n" for name, value in self._headers]
        if self._status[:3] in _BODILESS or self._request.method == "HEAD":
            content = b""
        elif "Content-Length" not in dict(self._headers):
            lines.append(f"Content-Length: {len(content)}\r\n")
        lines.append("\r\n")
        sockets.send(client, ("".join(lines).encode("latin-1") + content)[self._exchange.begun :])


@lru_cache(maxsize=2)
def _date(seconds: int) -> str:
    """A second of Unix time as HTTP has it."""
    return str(http_date(seconds))
