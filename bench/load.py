"""Requests to a server of this machine: by wrk as many as it answers, or one at a time with every answer looked at."""

from __future__ import annotations

import http.client
import json
import subprocess
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from bench.environments import Unavailable

PATIENCE = 120  # seconds for one answer


class Question(NamedTuple):
    """A POST. expected: the label of each of its rows, in order; None where the answer is a constant."""

    path: str
    body: bytes
    content_type: str
    expected: list[str] | None


class Answered(NamedTuple):
    """What wrk saw. seconds: of the whole. p50, p99: ms. errors: answers other than 2xx, and those that never came.

    wrong: of the others, where that was looked at.
    """

    requests: int
    seconds: float
    p50: float
    p99: float
    errors: int
    wrong: int


SCRIPT = """
local questions = {{{questions}}}
local ready, turn, threads = {{}}, 0, {{}}
wrong = 0
function setup(thread) table.insert(threads, thread) end
function init()
  for i, q in ipairs(questions) do ready[i] = wrk.format("POST", q[1], {{["Content-Type"] = q[2]}}, q[3]) end
end
function request() turn = turn % #ready + 1; return ready[turn] end
function done(summary, latency)
  local e = summary.errors
  local lost = e.connect + e.read + e.write + e.status + e.timeout
  print(string.format("BENCH %d %d %d %d %d %d", summary.requests, summary.duration, latency:percentile(50),
                      latency:percentile(99), lost, threads[1]:get("wrong")))
end
"""
CHECK = """
function response(status, headers, body)
  if status == 200 and not string.find(body, {expected}, 1, true) then wrong = wrong + 1 end
end
"""


def press(port: int, questions: list[Question], connections: int, seconds: float, check: str = "") -> Answered:
    """Ask in turn, on so many connections at once, each as soon as the one before is answered, for so long.

    check: a text that is in every right answer; looking costs wrk time, so not where speed is measured.
    """
    told = ((question.path, question.content_type, question.body.decode()) for question in questions)
    text = SCRIPT.format(questions=", ".join(f"{{{', '.join(map(_lua, one))}}}" for one in told))
    if check:
        text += CHECK.format(expected=_lua(check))
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(text)
        script.flush()
        command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "20s", "-s", script.name]
        done = subprocess.run([*command, f"http://127.0.0.1:{port}"], capture_output=True, text=True, check=False)
    numbers = next((line.split()[1:] for line in done.stdout.splitlines() if line.startswith("BENCH ")), None)
    if numbers is None:
        raise Unavailable(f"it answers no more: wrk: {f'{done.stdout}{done.stderr}'.strip()[:200]}")
    requests, micros, p50, p99, errors, wrong = map(int, numbers)
    return Answered(requests, micros / 1e6, p50 / 1000, p99 / 1000, errors, wrong)


def _lua(text: str) -> str:
    """A string of Lua."""
    return json.dumps(text, ensure_ascii=False).replace("\\/", "/")


def ask(connection: http.client.HTTPConnection, question: Question) -> tuple[float, int, bytes]:
    """Seconds, status and body of one answer."""
    started = time.perf_counter()
    connection.request("POST", question.path, question.body, {"Content-Type": question.content_type})
    response = connection.getresponse()
    body = response.read()
    return time.perf_counter() - started, response.status, body


def connect(port: int) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)


def temporary() -> tempfile.TemporaryDirectory[str]:
    """A folder for what a server writes."""
    return tempfile.TemporaryDirectory(prefix="tepal-bench-")


def size(path: Path) -> float:
    """MiB of all files below a folder."""
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file() and not file.is_symlink()) / 2**20
