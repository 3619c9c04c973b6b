"""How an answer leaves: whole, and no second time."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

from gunicorn.http import wsgi

from api.exchange import Exchange
from api.server import sockets


class Response(wsgi.Response):  # type: ignore[misc]
    """Sends head and body in one write.

    gunicorn sends the head first. A worker that is killed between the two has promised an answer that never comes,
    and nginx, which has passed the head on, cannot ask another worker.
    """

    sock: Any

    def __init__(self, exchange: Exchange, crowded: Callable[[], bool], *arguments: Any):
        """crowded: whether the client had better come again by a new connection."""
        super().__init__(*arguments)
        self._exchange = exchange
        self._crowded = crowded

    def write(self, data: bytes) -> None:
        if self.headers_sent or self.chunked:
            super().write(data)
            return
        if self._exchange.lost:
            raise BrokenPipeError(errno.EPIPE, "answered in the meantime")
        if self._crowded():
            self.force_close()
        connection, held = self.sock, _Held()
        self.sock = held
        try:
            super().write(data)
        finally:
            self.sock = connection
        sockets.send(connection, b"".join(held.parts))

    def send_headers(self) -> None:
        """But for what of them went ahead."""
        connection, held = self.sock, _Held()
        self.sock = held
        try:
            super().send_headers()
        finally:
            self.sock = connection
        if held.parts:
            connection.sendall(b"".join(held.parts)[self._exchange.begun :])


class _Held:
    """Stands in for the socket while an answer is put together."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def sendall(self, data: bytes) -> None:
        self.parts.append(data)
