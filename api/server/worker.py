"""gunicorn's threaded worker (27.0), with a deadline for each request, a bounded queue, and connections that go
where there is room.

Taken over from it: reading and writing HTTP, threads, signals, the heartbeat. The loop of the worker is here: it answers
quick requests itself, and gives the others to threads.
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
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from gunicorn import http, util
from gunicorn.arbiter import Arbiter
from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, TConn, ThreadWorker
from msgspec.structs import replace

from api import metrics, observe
from api.answer import failure
from api.exchange import Exchange, Suspect
from api.server import sockets
from api.server.baton import Baton, Relieved
from api.server.company import Company
from api.server.environ import environ_of
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

# Seconds between two beats of the heart, at which connections that were idle for too long are closed, too. gunicorn's
# master takes two without one for death.
BEAT = 0.2

# Seconds in a queue after which it is worth asking whether the client is still there.
PATIENCE = 0.05


class Worker(ThreadWorker):  # type: ignore[misc]
    """The worker class for ``worker_class``.

    A connection is *idle* (kept alive, or new and silent; no thread), *busy* (its request is answered or waits for
    that), *refused* (the same, where only what costs nothing is answered) or *leaving* (answered, half closed).
    """

    wsgi: Any  # the application
    alive: bool

    def __init__(self, *arguments: Any, **options: Any):
        super().__init__(*arguments, **options)
        self.slot = Slot()
        context = self.app.wsgi().extensions["tepal"]
        self.seconds, self.metrics, self.drift = context.settings.timeout, context.metrics, context.drift
        self._shadow = context.shadow

    def init_process(self) -> None:
        sys.setswitchinterval(SWITCH)
        self.metrics.take(1 + self.slot.place)
        self.metrics.gauge(metrics.WORKERS)[0] = 1
        self._in_progress, self._waiting = map(self.metrics.gauge, (metrics.IN_PROGRESS, metrics.WAITING))
        # gunicorn looks its settings up again and again for each request; as plain attributes they cost next to nothing.
        self.cfg.__dict__.update({name: setting.get() for name, setting in self.cfg.settings.items()})
        self.current = threading.local()
        self._company = Company()
        self._shadow.apart = functools.partial(self._company.joined, suspect=False, distance=self.seconds)
        self._queue = Queue(self.cfg.threads)
        self._watch = Watch(self._answer_late)
        self._refusing = ThreadPoolExecutor(2)
        self._leaving: deque[Any] = deque()
        self._given_up: list[Any] = []
        self._baton = Baton(self._loop)
        self._beat = 0.0
        self._end: float | None = None
        super().init_process()

    def get_thread_pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(2 * self.cfg.threads)  # the second half is for when the first is stuck

    def init_signals(self) -> None:
        super().init_signals()
        signal.signal(signal.SIGABRT, signal.SIG_DFL)  # from the master, where Python's own handlers cannot run any more
        signal.pthread_sigmask(signal.SIG_UNBLOCK, Arbiter.SIGNALS)  # which the master held back until now

    # The main loop.

    def run(self) -> None:
        self._watch.start()
        self.drift.start()
        self.poller.register(self.method_queue.fileno(), selectors.EVENT_READ, self.method_queue.run_callbacks)
        self._baton.run(self.PIPE)
        if self._watch.busy:
            os._exit(0)  # a thread that never returns would keep the interpreter from its end
        self.tpool.shutdown(wait=False)

    def _loop(self) -> None:
        """Begun again by each thread that takes it over, because a request was not quick."""
        self._queue.slows()
        self._unpoll()
        while self.alive:
            self._round(1.0)
        if self._end is None:
            self.set_accept_enabled(False)
            self._cap_keepalive(time.monotonic() + STOP_KEEPALIVE_LINGER)
            self._end = time.monotonic() + self.cfg.graceful_timeout
        while self.nr_conns > 0 and (now := time.monotonic()) < self._end:
            first = self.keepalived_conns[0].timeout if self.keepalived_conns else now + 1.0
            self._round(min(max(first - now, 0.0), 1.0))
        self.murder_keepalived(force=True)

    def _round(self, timeout: float) -> None:
        now = time.monotonic()
        if now - self._beat > BEAT or not self.alive:
            self._beat = now
            self.notify()
            self.murder_keepalived()
            self.murder_pending()
            self.alive = self.alive and self.is_parent_alive()
        self.wait_for_and_dispatch_events(timeout)
        self._answer_quick()

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        self._queue.look()
        self._run_next()
        self._show()
        if self.nr_conns >= self.worker_connections:
            self._close_oldest()
        self.set_accept_enabled(self.alive and self.nr_conns < self.worker_connections)
        if self._queue.waiting or (self.alive and not self._accepting):
            timeout = 0 if self._queue.quick and self._queue.waiting else GLANCE
        if self._queue.stalled():  # what waits, and what would come on an open connection, is better told so at once
            self.murder_keepalived(force=True)
            for connection in self._queue.give_up():
                connection.exchange.full = True
                self._submit(self._refusing, connection)
        while self._leaving and self._leaving[0].timeout <= time.monotonic():
            self._drained(self._leaving[0])
        super().wait_for_and_dispatch_events(timeout)

    def _answer_quick(self) -> None:
        """Answer here what is quick. Raises Relieved where it was not, and another thread has gone on in the meantime."""
        for place in range(self._queue.waiting):
            if not self._queue.quick or not (connection := self._queue.next()):
                break
            if place == 0:
                self._show()
            turn, began = self._baton.begin(), time.monotonic()
            kept = self._answered(connection)
            if not self._baton.finish(turn):
                self.method_queue.defer(self._finish, connection, kept)
                raise Relieved
            if connection.exchange.facts:
                self._queue.took(time.monotonic() - began)
            self._finish(connection, kept)
        if self._queue.waiting:
            self._unpoll()

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
        connection.is_polled = False
        if sockets.readable(client):
            self._start(connection)
        else:
            self._wait_for(connection, self.pending_conns)

    def _wait_for(self, connection: Any, idle: deque[Any]) -> None:
        """Wait for its next request, in the company of other ``idle`` ones; where the worker stops, not for long."""
        connection.set_timeout()
        if not self.alive:
            connection.timeout = min(connection.timeout, time.monotonic() + STOP_KEEPALIVE_LINGER)
        connection.idle = idle
        idle.append(connection)
        if not connection.is_polled:
            self._poll(connection, self._come)

    def _come(self, connection: Any, _: socket.socket) -> None:
        connection.idle.remove(connection)
        self._start(connection)

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
        """Give threads what may run, but for what is quick (see ``_answer_quick``)."""
        while not self._queue.quick and (connection := self._queue.next()):
            self._submit(self.tpool, connection)

    def _show(self) -> None:
        """Tell the other workers, and whoever watches, how much there is to do here."""
        self.slot.busy = self._in_progress[0] = self._queue.busy
        self._waiting[0] = self._queue.waiting

    def _submit(self, pool: ThreadPoolExecutor, connection: Any) -> None:
        self._ignore(connection)
        pool.submit(self._answer_in_thread, connection)

    def _answer_in_thread(self, connection: Any) -> None:
        self.method_queue.defer(self._finish, connection, self._answered(connection))

    def _answered(self, connection: Any) -> bool:
        """Whether it was answered so that the connection can be used again."""
        try:
            return bool(self.handle(connection))
        except BaseException as error:  # noqa: BLE001 a thread must not end by it, and the loop even less
            observe.log_exception(error, connection.exchange.identity or "-")
            return False

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

    def handle_request(self, req: Any, conn: Any) -> bool:
        headers = dict(req.headers)
        _check(req.version, headers.get("HOST"))
        again = _AGAIN in headers and "EXPECT" not in headers
        self._company.join(again)
        try:
            if again:
                self._begin(req, conn)
            return self._respond(req, conn)
        finally:
            if again and conn.exchange.suspect is not None:
                conn.exchange.suspect.cleared()
            self._company.leave(again)

    def _respond(self, request: Any, connection: Any) -> bool:
        """Have the application answer. Whether the connection can be used for another request."""
        if request._expected_100_continue:  # noqa: SLF001 gunicorn's own asks it, too
            connection.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.nr += 1
        if self.nr >= self.max_requests:
            self.alive = False
        response = Response(request, connection.exchange)
        body = self.wsgi(environ_of(request, connection), response.start)
        full = len(self.keepalived_conns) >= self.max_keepalived
        closing = full or not self.alive or request.should_close() or self._crowded()
        response.send(connection.sock, body, closing)
        if hasattr(body, "close"):
            body.close()
        return not closing

    def _begin(self, request: Any, connection: Any) -> None:
        """Tell nginx that this one is computed, by a part of its answer: should the process end now, it is the reason."""
        sockets.send(connection.sock, _BEGINNING)
        connection.exchange.begun = len(_BEGINNING)
        connection.exchange.suspect = Suspect(self.metrics)
        identity = observe.request_id(dict(request.headers).get("X-REQUEST-ID"))
        observe.log(level="warning", message="asked again, because a process ended under it", request_id=identity)

    def _keepalive_after(self, conn: Any, keepalive: bool) -> bool:
        if keepalive and getattr(conn.parser.mesg.body.reader, "length", 1) == 0:
            conn.parser.mesg = None  # it was read to its end, and nobody need look again
            return True
        if conn.exchange.full and keepalive:  # its body was not read, and is not waited for
            return bool(conn.parser.finish_body(deadline=time.monotonic() + GLANCE))
        return bool(super()._keepalive_after(conn, keepalive))

    def _finish(self, connection: Any, kept: bool) -> None:
        exchange = connection.exchange
        if connection in self._given_up:
            self._given_up.remove(connection)
            util.close(connection.sock)
            return
        if not exchange.full:
            # A connection that closes and a look at /livez take no time, and tell nothing of how long a prediction takes.
            seconds = time.monotonic() - exchange.queued - exchange.waited if exchange.facts else None
            self._queue.done(connection, seconds)
            self._run_next()
        if not kept or exchange.lost:
            self._let_go(connection)
        elif connection.parser.unreader.buf.getvalue():  # the next request has come with this one
            self._start(connection)
        else:
            self._wait_for(connection, self.keepalived_conns)

    def _let_go(self, connection: Any) -> None:
        """Close a connection without waiting for its client, and so that the client can read what was sent."""
        self._ignore(connection)
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
        self._close(connection)

    def _close(self, connection: Any) -> None:
        self._ignore(connection)
        self.nr_conns -= 1
        util.close(connection.sock)

    def _poll(self, connection: Any, callback: Any) -> None:
        connection.is_polled = True
        self.poller.register(connection.sock, selectors.EVENT_READ, functools.partial(callback, connection))

    def _ignore(self, connection: Any) -> None:
        """Not look for what comes on it."""
        if connection.is_polled:
            connection.is_polled = False
            self.poller.unregister(connection.sock)

    def _unpoll(self) -> None:
        """Not look for what comes on the connections of requests. Those answered before the next look stay."""
        for connection in self._queue:
            self._ignore(connection)

    # What ends otherwise.

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: Exception) -> None:
        """Answer what gunicorn could not read, or where something broke before the application could answer."""
        exchange = self.current.exchange
        if exchange.claim():
            self._send(client, refusal(exc), exchange)

    def _answer_late(self, connection: Any) -> None:
        """Called by the thread that keeps the time."""
        exchange = connection.exchange
        if exchange.suspect is not None:
            exchange.suspect.cleared()
        self._send(connection.sock, exchange.lateness(), exchange)
        with contextlib.suppress(OSError):
            connection.sock.shutdown(socket.SHUT_RDWR)  # a thread that waits for the client's bytes sees their end
        if not exchange.arriving:
            self.method_queue.defer(self._give_up, connection)

    def _send(self, client: socket.socket, error: Exception, exchange: Exchange) -> None:
        identity = exchange.identity or observe.request_id(None)
        response = replace(failure(error, identity, exchange.shape), facts=exchange.facts)
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
        """End at once, whatever is under way: this thread itself may hold the locks that an orderly end waits for."""
        os._exit(0)

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


def _check(version: tuple[int, int], host: str | None) -> None:
    """What gunicorn takes and HTTP/1.1 does not: no name of the host (RFC 9112, 3.2), or none; a later version."""
    if version > (1, 1):
        raise http.errors.InvalidHTTPVersion(version)
    if not _HOST.fullmatch(host or "") or (host is None and version == (1, 1)):
        raise http.errors.InvalidHeader("HOST")
