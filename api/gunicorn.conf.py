"""How gunicorn runs the service. Each value has its why."""

import gc
import os
from pathlib import Path
from typing import Any

# What is imported and loaded now stays (see ``on_starting``): to look through it for garbage again and again takes a
# tenth of the start.
gc.disable()

# Before numpy is imported: one thread a request (see tepal/runtime/sklearn.py). An operator's own value stands.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

from api import startup  # noqa: E402
from api.server.slots import Slot, most  # noqa: E402
from api.settings import Settings  # noqa: E402

settings = Settings.from_environ(os.environ)

wsgi_app = "api.app:create_app()"
bind = f"{settings.host}:{settings.port}"
workers = settings.web_concurrency

# Threads, because they keep connections open: nginx then needs no new one for each request.
worker_class = "api.server.worker.Worker"
threads = settings.threads

# Connections that a worker may hold, most of them idle; how many requests it takes is another matter (api/server/queue.py).
worker_connections = 512

# Longer than nginx keeps its side (60 s), so that it is never gunicorn that closes on a request on its way.
keepalive = 75

# Models are loaded once, before the fork, and their memory is shared. Loading never raises because of a model.
preload_app = True

# Containers get 10 s from most platforms between SIGTERM and SIGKILL; 9 leave time to end.
graceful_timeout = 9

# Silence, in seconds, after which a worker is taken for dead: native code holds the interpreter, or somebody stopped it.
# Its other requests are then asked for again by nginx, in what is left of their time.
timeout = max(2, settings.timeout // 4)

# For models that leak; spread, so that not all workers are replaced at once.
max_requests = settings.max_requests
max_requests_jitter = settings.max_requests // 10

# The heartbeat's file is touched often: in memory, not on a disk.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 gunicorn makes a file of its own in it

# The control socket can stop the server, and needs a place to write that a read-only container has not.
control_socket_disable = True

# Only the headers of HTTP itself are believed, not those that would set a path's prefix or a scheme, whoever sends them: so
# no client's address need be looked up.
forwarder_headers = ""
secure_scheme_headers: dict[str, str] = {}
forwarded_allow_ips = "*"
limit_request_line = 8190  # bytes, the most that gunicorn takes

# The application writes one line a request; gunicorn tells of trouble only.
accesslog = None
loglevel = "warning"
logger_class = "api.server.log.Log"


def on_starting(server: Any) -> None:
    # What is loaded now stays: the garbage collector need not look at it again, and so does not write to its memory,
    # which the workers share. New objects are looked at less often than Python does, for which a large body that is being
    # read is nothing but candidates; but not so seldom that a look takes longer than a request.
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000)
    gc.enable()
    Slot.make(most(workers))


def child_exit(server: Any, worker: Any) -> None:
    worker.metrics.leave(1 + worker.slot.place)
    worker.slot.free()


def when_ready(server: Any) -> None:
    startup.report(settings, server.app.wsgi().extensions["tepal"].repository)
