"""gunicorn's threaded worker, with the one thing about it that an answer needs otherwise."""

from __future__ import annotations

from typing import Any

from gunicorn.http import wsgi
from gunicorn.workers.gthread import ThreadWorker


class Response(wsgi.Response):  # type: ignore[misc]
    """Sends head and body in one write.

    gunicorn sends the head first. A worker that is killed between the two has promised an answer that never comes,
    and nginx, which has passed the head on, cannot ask another worker.
    """

    sock: Any

    def write(self, data: bytes) -> None:
        if self.headers_sent or self.chunked:
            super().write(data)
            return
        connection, held = self.sock, _Held()
        self.sock = held
        try:
            super().write(data)
        finally:
            self.sock = connection
        connection.sendall(b"".join(held.parts))


class _Held:
    """Stands in for the socket while an answer is put together."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def sendall(self, data: bytes) -> None:
        self.parts.append(data)


class Worker(ThreadWorker):  # type: ignore[misc]
    """The worker class for ``worker_class``."""

    def init_process(self) -> None:
        wsgi.Response = Response  # gunicorn makes its responses by this name (27.0)
        super().init_process()
