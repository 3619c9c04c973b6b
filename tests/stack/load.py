"""A load of which every single request is judged: it had one answer, and the right one."""

from __future__ import annotations

import http.client
import json
import threading
import time
import uuid
from types import TracebackType

FLOWERS = (
    ([5.1, 3.5, 1.4, 0.2], "setosa"),
    ([6.3, 2.3, 4.4, 1.3], "versicolor"),
    ([5.9, 3.0, 5.1, 1.8], "virginica"),
)


class Load:
    """POSTs flowers to /predict on kept-alive connections, ``rate`` a second in all, until the ``with`` block ends."""

    def __init__(self, port: int, *, rate: int = 150, connections: int = 10):
        self.prefix = f"load-{uuid.uuid4().hex}-"
        self.rate = rate
        self.sent = 0
        self.failures: list[str] = []
        self._port = port
        self._every = connections / rate  # seconds between two requests of one connection
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._send, args=(number,)) for number in range(connections)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _send(self, connection_number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        due = time.monotonic() + self._every * connection_number / len(self._threads)
        number = 0
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            wrong = self._one(connection, f"{self.prefix}{connection_number}-{number}", FLOWERS[number % len(FLOWERS)])
            with self._lock:
                self.sent += 1
                self.failures += [wrong] if wrong else []
            number += 1
            due += self._every  # an answer that came late is made up for
        connection.close()

    @staticmethod
    def _one(connection: http.client.HTTPConnection, identity: str, flower: tuple[list[float], str]) -> str | None:
        """What was wrong with the answer to one flower; None where it was right."""
        row, species = flower
        try:
            connection.request("POST", "/predict", json.dumps(row), {"X-Request-ID": identity})
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            return f"{identity}: {error!r}"
        if (
            response.status == 200
            and response.headers["X-Request-ID"] == identity
            and json.loads(body)["predictions"] == [species]
        ):
            return None
        return f"{identity}: {response.status} {body.decode()!r}, expected {species}"
