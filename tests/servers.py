"""Real servers for tests, as processes of this machine: gunicorn, and nginx before it. Each on a free port."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.parts import need

ROOT = Path(__file__).parents[1]
START = 30  # seconds in which a server must have started

# What Debian 12's nginx (1.22) does not have, and what stands for it there.
OLDER_NGINX = (
    (r"\n +resolver .*?;", ""),  # the upstreams are addresses
    (r" resolve(?= max_fails)", ""),  # 1.27.3; the same
    (r"\n +keepalive_min_timeout .*?;", ""),  # 1.27.4; tells only at a reload
    (r"\n +max_headers .*?;", ""),  # 1.29.8; gunicorn has its own limit
    (r"\$host\$is_request_port\$request_port", "$http_host"),  # 1.29.3; differs only where a request names two hosts
)


class Server(NamedTuple):
    """A running server. log: the file of its standard output and error."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def workers(self) -> list[int]:
        """The process ids of its workers, of which there is at least one."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        deadline = time.monotonic() + START
        while not (found := children.read_text().split()):
            assert time.monotonic() < deadline, f"no worker is left:\n{self.log.read_text()}"
            time.sleep(0.01)
        return sorted(map(int, found))

    def settle(self, count: int) -> None:
        """Wait until it has so many workers: one that ended is replaced, one that has to end is gone."""
        deadline = time.monotonic() + START
        while len(self.workers()) != count:
            assert time.monotonic() < deadline, f"{len(self.workers())} workers:\n{self.log.read_text()}"
            time.sleep(0.01)


@contextlib.contextmanager
def gunicorn(store: Path, **environ: str) -> Iterator[Server]:
    """``python -m api`` over the model repository ``store``, with all its workers; environ: settings beside it."""
    port = int(environ.get("PORT") or free_port())
    own = {"HOST": "127.0.0.1", "PORT": str(port), "MODEL_STORE": str(store), "WEB_CONCURRENCY": "2"}
    environ = {**os.environ, **own, **environ}
    with (
        tempfile.TemporaryDirectory(prefix="tepal-gunicorn-") as folder,
        _running([sys.executable, "-m", "api"], port, Path(folder) / "log", environ, _lives) as server,
    ):
        if count := environ["WEB_CONCURRENCY"]:
            server.settle(int(count))  # the first one answers before the last is there
        yield server


@contextlib.contextmanager
def program(command: Sequence[str], port: int, store: Path) -> Iterator[Server]:
    """Another program that serves the model repository ``store`` on ``port``."""
    environ = {**os.environ, "MODEL_STORE": str(store)}
    with (
        tempfile.TemporaryDirectory(prefix="tepal-program-") as folder,
        _running(command, port, Path(folder) / "log", environ, _lives) as server,
    ):
        yield server


@contextlib.contextmanager
def nginx(upstreams: Sequence[str], **environ: str) -> Iterator[Server]:
    """This machine's nginx with the project's configuration, before ``upstreams`` (each "host:port").

    environ: settings of its container beside API.
    """
    program = need("nginx")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="tepal-nginx-") as folder:
        Path(folder).chmod(0o755)  # where root starts it, nginx's workers are another user
        configuration = Path(folder) / "nginx.conf"
        configuration.write_text(_configuration(upstreams, port, folder, environ))
        command = [program, "-e", "stderr", "-c", str(configuration), "-g", "daemon off;"]
        with _running(command, port, Path(folder) / "log", dict(os.environ), _accepts) as server:
            yield server


# As in nginx/Dockerfile.
NGINX = {"MAX_BODY_MB": "16", "TIMEOUT": "8", "METRICS_ALLOW": "none"}


def start_nginx(folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """nginx's own start, for which ``folder`` is /tmp; it leaves ``nginx.conf`` there and starts nothing."""
    need("envsubst")
    script = folder / "start"
    text = (ROOT / "nginx" / "start").read_text()
    script.write_text(text.replace("/tmp/", f"{folder}/").replace("/etc/nginx/", f"{ROOT}/nginx/"))
    environ = {"PATH": os.environ["PATH"], "API": "api:8080", **NGINX, **environ}
    return subprocess.run(["sh", script, "true"], env=environ, capture_output=True, text=True, check=False)


def _configuration(upstreams: Sequence[str], port: int, folder: str, environ: dict[str, str]) -> str:
    started = start_nginx(Path(folder), **environ)
    assert started.returncode == 0, started.stderr
    text = (Path(folder) / "nginx.conf").read_text()
    for pattern, instead in OLDER_NGINX:
        text, found = re.subn(pattern, instead, text)
        assert found, f"nothing to replace: {pattern}"
    server = re.search(r"server api:8080(.*?;)", text)
    assert server
    text = text.replace(server[0], " ".join(f"server {upstream}{server[1]}" for upstream in upstreams))
    return text.replace("/tmp/", f"{folder}/").replace("listen 8080;", f"listen 127.0.0.1:{port};")


@contextlib.contextmanager
def _running(
    command: Sequence[str], port: int, log: Path, environ: dict[str, str], ready: Callable[[int], bool]
) -> Iterator[Server]:
    with log.open("ab") as output:  # appended, because nginx opens it a second time
        process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + START
        while not ready(port):
            assert process.poll() is None, f"{command} ended at once:\n{log.read_text()}"
            assert time.monotonic() < deadline, f"{command} does not answer:\n{log.read_text()}"
            time.sleep(0.05)
        yield Server(port, process, log)
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _accepts(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def _lives(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/livez")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
