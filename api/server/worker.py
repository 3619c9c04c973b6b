"""gunicorn's threaded worker (27.0), with a deadline for each request, a bounded queue, and connections that go
where there is room.

Taken over from it: reading and writing HTTP, threads, signals, the heartbeat. Its main loop calls what is here.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import re
import selectors
import signal
import socket
import sys
import threading
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from gunicorn import http, util
from gunicorn.http import wsgi
from gunicorn.workers.gthread import TConn, ThreadWorker

from api import metrics, observe
from api.answer import failure
from api.exchange import Exchange
from api.server import sockets
from api.server.company import Company
from api.server.queue import Queue
from api.server.refusal import refusal, to_bytes
from api.server.response import Response
from api.server.slots import Slot
from api.server.watch import Watch

# Seconds between two looks at the other workers, while this one leaves new connections to them.
GLANCE = 0.01

# Seconds for which a connection stays open, half closed, so that its client can read the last answer.
LINGER = 2.0

# The same for those of a worker that is to be replaced soon.
SHORT_LINGER = 0.25

# Seconds for which a thread may keep the interpreter while others want it. Python's 5 ms, taken by each of a few models
# that compute in Python, make a refusal or a health check take seconds.
SWITCH = 0.0005

# nginx says by it that a request was sent before, to a process that ended.
_AGAIN = "X-TEPAL-AGAIN"

# The first bytes of every answer.
_BEGINNING = b"HTTP/1."

_HOST = re.compile(r"[A-Za-z0-9._~%:\[\]-]*")

# Seconds in a queue after which it is worth asking whether the client is still there.
PATIENCE = 0.05


class Worker(ThreadWorker):  # type: ignore[misc]
    """The worker class for ``worker_class``.

    A connection is *idle* (kept alive, or new and silent; no thread), *busy* (its request has a thread or waits for
    one), *refused* (the same, where only what costs nothing is answered) or *leaving* (answered, half closed).
    """

    wsgi: Any

    def __init__(self, *arguments: Any, **options: Any):
        super().__init__(*arguments, **options)
        self.slot = Slot()
        context = self.app.wsgi().extensions["tepal"]
        self.seconds, self.metrics, self.drift = context.settings.timeout, context.metrics, context.drift

    def init_process(self) -> None:
        sys.setswitchinterval(SWITCH)
        self.metrics.take(1 + self.slot.place)
        self.metrics.gauge(metrics.WORKERS)[0] = 1
        self._in_progress, self._waiting = map(self.metrics.gauge, (metrics.IN_PROGRESS, metrics.WAITING))
        wsgi.Response = self._response  # gunicorn makes its responses by this name
        self.current = threading.local()
        self._company = Company()
        self._queue = Queue(self.cfg.threads)
        self._watch = Watch(self._answer_late)
        self._refusing = ThreadPoolExecutor(2)
        self._leaving: deque[Any] = deque()
        self._given_up: list[Any] = []
        super().init_process()

    def get_thread_pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(2 * self.cfg.threads)  # the second half is for when the first is stuck

    def init_signals(self) -> None:
        super().init_signals()
        signal.signal(signal.SIGABRT, signal.SIG_DFL)  # from the master, where Python's own handlers cannot run any more

    def _response(self, *arguments: Any) -> Response:
        return Response(self.current.exchange, self._crowded, *arguments)

    def load_wsgi(self) -> None:
        super().load_wsgi()
        application = self.wsgi

        def with_exchange(environ: dict[str, Any], start_response: Any) -> Any:
            environ["tepal.exchange"] = self.current.exchange
            return application(environ, start_response)

        self.wsgi = with_exchange

    # The main loop.

    def run(self) -> None:
        self._watch.start()
        self.drift.start()
        super().run()
        if self._watch.busy:
            os._exit(0)  # a thread that never returns would keep the interpreter from its end

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        self._queue.look()
        self._run_next()
        if self.nr_conns >= self.worker_connections:
            self._close_oldest()
        self.set_accept_enabled(self.alive and self.nr_conns < self.worker_connections)
        if self._queue.waiting or (self.alive and not self._accepting):
            timeout = GLANCE
        if self._queue.stalled():  # what waits, and what would come on an open connection, is better told so at once
            self.murder_keepalived(force=True)
            for connection in self._queue.give_up():
                connection.exchange.full = True
                self._submit(self._refusing, connection)
        while self._leaving and self._leaving[0].timeout <= time.monotonic():
            self._drained(self._leaving[0])
        super().wait_for_and_dispatch_events(timeout)

    def _close_oldest(self) -> None:
        """Of the connections on which nothing comes: many of them must not keep out one that has a request."""
        for idle in (self.pending_conns, self.keepalived_conns):
            if idle:
                idle[0].timeout = 0
                break
        self.murder_pending()
        self.murder_keepalived()

    def set_accept_enabled(self, enabled: bool) -> None:
        super().set_accept_enabled(enabled and self._has_room())

    def _has_room(self) -> bool:
        """Whether a new connection is best taken here. Where all are full, each takes it, to queue or to refuse it."""
        own = self._queue.busy
        if own == 0:
            return True
        others = self.slot.others()
        if own >= self.cfg.threads:
            return all(other >= self.cfg.threads for other in others)
        return own <= min(others, default=own) + 1

    def _crowded(self) -> bool:
        """Whether a client had better come again by a new connection, which goes where there is room."""
        own = self._queue.busy
        if own >= self.cfg.threads:
            return self._queue.slow
        return own >= 2 and own > min(self.slot.others(), default=own) + 1

    # A connection's way.

    def accept(self, listener: socket.socket) -> None:
        if not self._has_room():
            return  # another worker has got room since this one began to listen
        try:
            client, address = listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                time.sleep(GLANCE)  # until a connection closes
            elif error.errno not in (errno.EAGAIN, errno.EWOULDBLOCK, errno.ECONNABORTED):
                raise
            return
        self._take(listener, client, address)

    def _take(self, listener: socket.socket, client: socket.socket, address: Any) -> None:
        self.nr_conns += 1
        connection = TConn(self.cfg, client, address, listener.getsockname())
        if sockets.readable(client):
            self._start(connection)
            return
        connection.set_timeout()
        self.pending_conns.append(connection)
        self._poll(connection, self.on_pending_socket_readable)

    def enqueue_req(self, conn: Any) -> None:
        self._start(conn)

    def _start(self, connection: Any) -> None:
        connection.data_ready = True
        full = self._queue.full()
        if full:  # some may have ended that are not counted out yet
            self.method_queue.run_callbacks(None)
            full = self._queue.full()
        connection.exchange = Exchange(self.seconds, full)
        if full:
            self._submit(self._refusing, connection)
        else:
            self._queue.put(connection)
            self._run_next()

    def _run_next(self) -> None:
        while connection := self._queue.next():
            self._submit(self.tpool, connection)
        self.slot.busy = self._queue.busy
        self._in_progress[0], self._waiting[0] = self._queue.busy, self._queue.waiting

    def _submit(self, pool: ThreadPoolExecutor, connection: Any) -> None:
        done = pool.submit(self.handle, connection)
        done.add_done_callback(lambda future: self.method_queue.defer(self.finish_request, connection, future))

    def handle(self, conn: Any) -> Any:
        exchange = self.current.exchange = conn.exchange
        exchange.begin()
        if exchange.waited > PATIENCE and sockets.has_left(conn.sock):
            self.metrics.add(metrics.LEFT)
            return False
        self._watch.add(conn)
        try:
            return super().handle(conn)
        finally:
            self._watch.remove(conn)

    def handle_request(self, req: Any, conn: Any) -> Any:
        _check(req)
        names = {name for name, _ in req.headers}
        again = _AGAIN in names and "EXPECT" not in names
        with self._company.joined(suspect=again):
            if again:
                self._begin(req, conn)
            return super().handle_request(req, conn)

    def _begin(self, request: Any, connection: Any) -> None:
        """Tell nginx that this one is computed, by a part of its answer: should the process end now, it is the reason."""
        sockets.send(connection.sock, _BEGINNING)
        connection.exchange.begun = len(_BEGINNING)
        identity = observe.request_id(dict(request.headers).get("X-REQUEST-ID"))
        observe.log(level="warning", message="asked again, because a process ended under it", request_id=identity)

    def _keepalive_after(self, conn: Any, keepalive: bool) -> bool:
        if conn.exchange.full and keepalive:  # its body was not read, and is not waited for
            return bool(conn.parser.finish_body(deadline=time.monotonic() + GLANCE))
        return bool(super()._keepalive_after(conn, keepalive))

    def finish_request(self, conn: Any, fs: Future[Any]) -> None:
        exchange = conn.exchange
        if conn in self._given_up:
            self._given_up.remove(conn)
            util.close(conn.sock)
            return
        if not exchange.full:
            # A connection that closes and a look at /livez take no time, and tell nothing of how long a prediction takes.
            seconds = time.monotonic() - exchange.queued - exchange.waited if exchange.facts else None
            self._queue.done(conn, seconds)
            self._run_next()
        if not fs.cancelled() and fs.exception() is None and fs.result() and not exchange.lost:
            super().finish_request(conn, fs)
        else:
            self._let_go(conn)

    def _let_go(self, connection: Any) -> None:
        """Close a connection without waiting for its client, and so that the client can read what was sent."""
        with contextlib.suppress(OSError):
            connection.sock.setblocking(False)
            connection.sock.shutdown(socket.SHUT_WR)
            connection.timeout = time.monotonic() + LINGER
            self._poll(connection, self._drain)
            self._leaving.append(connection)
            return
        self._close(connection)

    def _drain(self, connection: Any, client: socket.socket) -> None:
        try:
            if client.recv(65536):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self._drained(connection)

    def _drained(self, connection: Any) -> None:
        self._leaving.remove(connection)
        self.poller.unregister(connection.sock)
        self._close(connection)

    def _close(self, connection: Any) -> None:
        self.nr_conns -= 1
        util.close(connection.sock)

    def _poll(self, connection: Any, callback: Any) -> None:
        connection.sock.setblocking(False)
        self.poller.register(connection.sock, selectors.EVENT_READ, functools.partial(callback, connection))

    # What ends otherwise.

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: Exception) -> None:
        """Answer what gunicorn could not read, or where something broke before the application could answer."""
        exchange = self.current.exchange
        if exchange.claim():
            self._send(client, refusal(exc), exchange)

    def _answer_late(self, connection: Any) -> None:
        """Called by the thread that keeps the time."""
        exchange = connection.exchange
        self._send(connection.sock, exchange.lateness(), exchange)
        with contextlib.suppress(OSError):
            connection.sock.shutdown(socket.SHUT_RDWR)  # a thread that waits for the client's bytes sees their end
        if not exchange.arriving:
            self.method_queue.defer(self._give_up, connection)

    def _send(self, client: socket.socket, error: Exception, exchange: Exchange) -> None:
        identity = exchange.identity or observe.request_id(None)
        response = failure(error, identity)._replace(facts=exchange.facts)
        method = exchange.request.method if exchange.request else None
        seconds = time.monotonic() - exchange.queued
        observe.log_request(identity, method, exchange.route, response.status, seconds, response.facts)
        self.metrics.answered(method, exchange.route, response, exchange.facts, seconds, exchange.waited)
        with contextlib.suppress(OSError):
            client.send(to_bytes(response)[exchange.begun :], socket.MSG_DONTWAIT)

    def _give_up(self, connection: Any) -> None:
        """Count the thread that computes for ``connection`` as lost, and make way for another worker."""
        if not self._watch.has(connection):
            return  # it came to its end after all
        self._given_up.append(connection)
        self.nr_conns -= 1
        self._queue.done(connection)
        if not self.slot.retired:
            self.log.warning("a model took longer than %s s; this worker is replaced", self.seconds)
            self.alive = False
            self._make_way()

    def _close_listeners(self) -> None:
        """Take what waits there, then no more: a client that comes now is refused at once, and can go elsewhere."""
        for listener in self.sockets:
            with contextlib.suppress(OSError):
                while not self.slot.retired:
                    self._take(listener, *listener.accept())
            listener.close()

    def _make_way(self) -> None:
        """Let the master start another worker while this one finishes what it has."""
        self.slot.retire()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.ppid, signal.SIGCHLD)  # wakes it

    def handle_quit(self, sig: int, frame: Any) -> None:
        if self._watch.busy:
            os._exit(0)  # at once, whatever is under way
        super().handle_quit(sig, frame)

    def _cap_keepalive(self, deadline: float) -> None:
        """Called when the main loop ends and only finishing is left."""
        if self.nr >= self.max_requests:
            self._make_way()
        self._close_listeners()
        if self.slot.retired:
            deadline = min(deadline, time.monotonic() + SHORT_LINGER)
        super()._cap_keepalive(deadline)
        for connection in self.pending_conns:
            connection.timeout = min(connection.timeout, deadline)


def _check(request: Any) -> None:
    """What gunicorn takes and HTTP/1.1 does not: no or several names of the host (RFC 9112, 3.2), a later version."""
    if request.version > (1, 1):
        raise http.errors.InvalidHTTPVersion(request.version)
    hosts = [value for name, value in request.headers if name == "HOST"]
    if len(hosts) > 1 or (not hosts and request.version == (1, 1)) or not all(map(_HOST.fullmatch, hosts)):
        raise http.errors.InvalidHeader("HOST")
