"""The thread that keeps the time, so that a model that never returns does not cost its caller an answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from api import observe
from api.exchange import Exchange

# The most seconds between two looks. No request is due sooner after it came, but one that waited for a thread.
GLANCE = 0.5

Connection = Any  # gunicorn's, with its ``exchange``


class Watch(threading.Thread):
    """Calls ``late`` for each connection whose exchange is past its deadline and not answered, once.

    It needs the interpreter for that. Where native code never lets go of it, the worker's heartbeat stops too, and
    gunicorn's master ends the worker.
    """

    def __init__(self, late: Callable[[Connection], None]):
        super().__init__(name="watch", daemon=True)
        self._late = late
        self._connections: dict[int, Connection] = {}

    def add(self, connection: Connection) -> None:
        """From now on, until it is removed."""
        self._connections[id(connection)] = connection

    def remove(self, connection: Connection) -> None:
        self._connections.pop(id(connection), None)

    def has(self, connection: Connection) -> bool:
        return id(connection) in self._connections

    @property
    def busy(self) -> bool:
        """Whether any connection is left."""
        return bool(self._connections)

    def run(self) -> None:
        while True:
            now = time.monotonic()
            wake = now + GLANCE
            for connection in list(self._connections.values()):
                exchange: Exchange = connection.exchange
                if exchange.deadline > now:
                    wake = min(wake, exchange.deadline)
                elif exchange.claim():
                    try:
                        self._late(connection)
                    except Exception as error:  # noqa: BLE001 without this thread, nothing would ever be late again
                        observe.log_exception(error, exchange.identity or "-")
            time.sleep(max(wake - time.monotonic(), 0.005))
