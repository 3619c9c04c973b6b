"""Starts whom is measured, each behind its nginx, and asks first whether its answers are right."""

from __future__ import annotations

import contextlib
import http.client
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import tepal
from bench import environments, models
from bench.contenders import PEERS, Contender, Place, Rows
from bench.environments import ROOT, Unavailable
from bench.load import Question, ask, connect, temporary
from bench.processes import running
from tests import servers

START = 120  # seconds in which a server must have given its first answer


class Task(NamedTuple):
    """A model, and rows to ask it about with the labels that are right."""

    name: str
    rows: Rows
    expected: list[str]

    def some(self, places: list[int]) -> tuple[Rows, list[str]]:
        """The rows of these numbers, again from the first after the last."""
        places = [place % len(self.rows.values) for place in places]
        rows = self.rows._replace(values=[self.rows.values[place] for place in places])
        return rows, [self.expected[place] for place in places]


class Running(NamedTuple):
    """One that answers. bare, door: ports without and with nginx. roots: whose process trees count in each case."""

    contender: Contender
    bare: int
    door: int
    roots: dict[str, list[int]]
    started: float  # seconds to its first answer

    def port(self, way: str) -> int:
        return self.door if way == "nginx" else self.bare


def task(name: str) -> Task:
    """The model's data as rows to ask about. What is right is what its estimator says in this process."""
    model = models.MODELS[name]
    data = model.data()
    fitted = model.estimator().fit(models.container(model.kind, data), data.labels)
    values = data.rows[:: max(1, len(data.rows) // 1000)]
    asked = data._replace(rows=values)
    return Task(name, Rows(model.kind, data.columns, values), fitted.predict(models.container(model.kind, asked)).tolist())


def publish(names: list[str], store: Path) -> None:
    """The models, as Tepal's own command would have them."""
    for name in names:
        model = models.MODELS[name]
        data = model.data()
        X = models.container(model.kind, data)
        fitted = model.estimator().fit(X, data.labels)
        named = dict(zip(data.columns, X.T)) if name == "iris" else X
        tepal.publish(fitted, name=name, X=named, y=data.labels, store=store)


@contextlib.contextmanager
def started(contender: Contender, asked: Task, store: Path, workers: int, door: bool = True) -> Iterator[Running]:
    """It runs, with as many workers, and has answered. Raises Unavailable, with the end of its log."""
    python = environments.python(contender.requirements, frames=not contender.requirements and asked.rows.kind == "frame")
    fits = python if contender.requirements else Path(sys.executable)  # Tepal's own image fits nothing
    home = environments.models(fits, contender.requirements.split("==")[0] or "tepal", [asked.name]) / asked.name
    rows, expected = asked.some([0])
    question = contender.question(rows, expected)
    with contextlib.ExitStack() as stack:
        scratch = Path(stack.enter_context(temporary()))
        place = Place(python, _free_ports(), workers, asked.name, home, store, scratch)
        command, environ = contender.command(place), contender.environ(place)
        folder = ROOT if not contender.requirements else scratch
        began = time.perf_counter()
        process = stack.enter_context(running(command, environ, scratch / "log", folder))
        seconds = _first_answer(contender, question, place.port, process, scratch / "log") - began
        roots = {"bare": [process.pid]}
        front = place.port
        if door:
            front, pid = stack.enter_context(_door(contender.door, place.port, scratch))
            roots["nginx"] = [process.pid, pid]
        yield Running(contender, place.port, front, roots, seconds)


@contextlib.contextmanager
def _door(kind: str, upstream: int, scratch: Path) -> Iterator[tuple[int, int]]:
    """Port and process id of an nginx before a server: Tepal's own, or the plain one."""
    if kind == "ours":
        with servers.nginx([f"127.0.0.1:{upstream}"]) as server:
            yield server.port, server.process.pid
        return
    port = servers.free_port()
    text = (PEERS / "seed.nginx.conf").read_text()
    text = text.replace("FOLDER", str(scratch)).replace("PORT", str(port)).replace("UPSTREAM", str(upstream))
    (scratch / "nginx.conf").write_text(text)
    scratch.chmod(0o755)  # where root starts it, nginx's workers are another user
    command = [shutil.which("nginx") or "nginx", "-e", "stderr", "-c", str(scratch / "nginx.conf"), "-g", "daemon off;"]
    with running(command, {}, scratch / "nginx.log", scratch) as process:
        wait_until_it_listens(port, process, scratch / "nginx.log")
        yield port, process.pid


def _first_answer(contender: Contender, question: Question, port: int, process: subprocess.Popen[bytes], log: Path) -> float:
    """When the right answer came."""
    end, last = time.monotonic() + START, "no answer"
    while time.monotonic() < end:
        if process.poll() is not None:
            last = f"it ended with {process.returncode}"
            break
        connection = connect(port)
        try:
            _, status, body = ask(connection, question)
            if status == 200 and right(contender, question, body):
                return time.perf_counter()
            last = f"it answered {status}: {body[:200].decode(errors='replace')}"
        except (OSError, http.client.HTTPException):
            time.sleep(0.01)
            continue
        finally:
            connection.close()
        time.sleep(0.05)
    raise Unavailable(f"cannot be started: {last}; {_last_line(log)}")


def right(contender: Contender, question: Question, body: bytes) -> bool:
    """Whether every label of an answer is what the estimator says."""
    import msgspec

    if contender.labels is None:
        return bool(body)
    try:
        return contender.labels(msgspec.json.decode(body)) == question.expected
    except (msgspec.DecodeError, KeyError, IndexError, TypeError):
        return False


def wait_until_it_listens(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Raises Unavailable where it ends first."""
    end = time.monotonic() + START
    while not _listens(port):
        if process.poll() is not None or time.monotonic() > end:
            raise Unavailable(f"it does not listen: {_last_line(log)}")
        time.sleep(0.02)


def _last_line(log: Path) -> str:
    """Of the log, without where this machine has its files."""
    lines = log.read_text(errors="replace").strip().splitlines() or ["it says nothing"]
    return lines[-1].strip().replace(str(ROOT), "")[:300]


def _free_ports() -> int:
    """A port with two more behind it that nobody listens on, for those that want several."""
    while True:
        port = servers.free_port()
        if port < 65000 and not any(map(_listens, (port + 1, port + 2))):
            return port


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
