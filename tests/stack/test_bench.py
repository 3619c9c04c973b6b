"""The benchmark runs, counts what it says, and does not take a wrong answer or a refusal for speed."""

from __future__ import annotations

import http.server
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bench import measure, report, stage
from bench.contenders import BY_NAME
from bench.figures import Figures, Run
from bench.load import Answered
from bench.measure import Footprint, Sample
from bench.processes import cpu_seconds, pss_mib, running, tree
from bench.tune import Setting, Tried, knee
from tests import models
from tests.documents import tables
from tests.parts import need
from tests.servers import ROOT

SAMPLE = Sample("one row", "iris", "tepal", "nginx", 16, 200.0, 5000.0, 3.0, 9.0, 0, 1000)


def test_the_quick_one_measures_tepal_beside_its_limit(tmp_path):
    """Every part of it, for two servers that need no environment of their own."""
    for part in ("wrk", "nginx", "envsubst"):
        need(part)
    page = tmp_path / "page.md"
    options = ["--quick", "--rounds", "1", "--servers", "tepal,hello", "--output", str(page)]

    command, environ = [sys.executable, "-m", "bench", *options], {**os.environ, "BENCH_PYTHON": sys.executable}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=environ)

    assert done.returncode == 0, done.stderr
    text = page.read_text()
    assert text in done.stdout
    who = next(rows for rows in tables(text) if "wrong answers" in rows[0])
    assert [(row[0], row[-1]) for row in who[1:]] == [("tepal", "0"), ("hello", "0")]
    for work in ("one row", "1,000 rows", "100,000 rows", "Start, memory, size"):
        assert work in text
    (ratio,) = re.findall(r"Iris, CPU behind nginx, × hello +\| ≤ 1.15 \| +([0-9.]+)", text)
    assert float(ratio) > 0.5


def test_the_time_of_processes_that_have_ended_counts(tmp_path):
    """A worker that is replaced under load would else be free."""
    burn = "import time\nwhile time.process_time() < 0.5: pass"
    parent = (
        f"import subprocess, sys, time; subprocess.run([sys.executable, '-c', '''{burn}''']); print('done'); time.sleep(60)"
    )
    log = tmp_path / "log"
    with running([sys.executable, "-uc", parent], {}, log, tmp_path) as process:
        assert pss_mib([process.pid]) > 1
        while "done" not in log.read_text():
            assert process.poll() is None
        spent = cpu_seconds([process.pid])
        everyone = tree([process.pid])

    assert everyone == {process.pid}
    assert spent >= 0.45
    assert not Path(f"/proc/{process.pid}").exists()


class Liar(http.server.BaseHTTPRequestHandler):
    """Whatever is asked, it is a setosa."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        body = b'{"predictions":["setosa"]}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Nothing: the test needs no log."""


def test_wrong_answers_are_seen():
    need("wrk")
    asked = stage.task("iris")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Liar) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        port = server.server_address[1]
        wrong = measure.check(stage.Running(BY_NAME["tepal"], port, port, {"bare": []}, 0.0), asked)
        server.shutdown()
        thread.join()

    setosas = asked.expected[: measure.CHECKED].count("setosa")
    assert setosas > 0
    assert wrong == measure.CHECKED - setosas + 1  # and the request of them all


def test_who_refuses_is_not_quick():
    """A sample of refusals is shown, and is no figure."""
    refusals = SAMPLE._replace(cpu=20.0, rate=50_000.0, errors=900)
    figures = Figures([SAMPLE, refusals])

    assert figures.median("rate", name="tepal") == SAMPLE.rate
    assert Figures([refusals]).median("rate", name="tepal") is None
    assert "900 of 2,000" in report.speed(figures, "one row", "iris", 16, "nginx")


def test_a_ratio_is_that_of_each_round():
    """A busy round is busy for both."""
    rounds = [("hello", 100.0), ("tepal", 120.0), ("hello", 300.0), ("tepal", 360.0), ("hello", 200.0), ("tepal", 240.0)]
    figures = Figures([SAMPLE._replace(name=name, cpu=cpu) for name, cpu in rounds])

    assert figures.ratio("tepal", "hello") == pytest.approx(1.2)


def test_who_could_not_be_measured_is_listed():
    run = Run(
        "python -m bench", samples=[SAMPLE], checked={"tepal": 0}, feet={"tepal": Footprint([1.0], {2: 100.0}, 8.0, 0.0)}
    )
    run.refuse("mlflow", "iris", "cannot be installed: no such thing")

    assert re.search(
        r"^\| mlflow +\|.*not measured: iris: cannot be installed: no such thing", report.page(run), re.MULTILINE
    )


def tried(rate: float, p99: float, refused: int = 0) -> Tried:
    return Tried([Answered(round(rate), 1.0, 1.0, p99, refused, 0)], [100.0])


@pytest.mark.parametrize(
    ("found", "chosen"),
    [
        (
            {(1, 4): tried(1000, 10), (2, 4): tried(2000, 10), (4, 4): tried(2010, 10)},
            (2, 4),
        ),  # no more for twice the memory
        ({(1, 4): tried(1000, 10), (2, 4): tried(2000, 50)}, (1, 4)),  # late
        ({(1, 4): tried(1000, 10), (2, 4): tried(9000, 1, refused=4000)}, (1, 4)),  # quick to refuse
        ({(2, 1): tried(1000, 10), (2, 2): tried(1300, 12), (2, 8): tried(1320, 15)}, (2, 2)),
    ],
)
def test_the_setting_to_use_is_the_least_that_is_as_fast(found, chosen):
    assert knee({Setting(*pair): one for pair, one in found.items()}) == chosen


def test_a_late_setting_is_for_those_who_may_wait():
    found = {Setting(1, 4): tried(1000, 10), Setting(2, 4): tried(2000, 50)}

    assert knee(found, p99=100) == (2, 4)


def test_tune_prints_what_to_set(tmp_path):
    need("wrk")
    store = tmp_path / "store"
    models.publish_stall(store)
    options = ["--store", str(store), "--settings", "1x1,1x2", "--rounds", "1", "--seconds", "1"]

    done = subprocess.run(
        [sys.executable, "-m", "bench.tune", *options], capture_output=True, text=True, check=False, cwd=ROOT
    )

    assert done.returncode == 0, done.stderr
    assert re.search(r"^WEB_CONCURRENCY=1 THREADS=[12]$", done.stdout, re.MULTILINE)
    assert [row[0] for row in tables(done.stdout)[0][1:]] == ["1 × 1", "1 × 2"]


def test_tune_says_where_there_is_nothing_to_measure(tmp_path):
    need("wrk")

    done = subprocess.run(
        [sys.executable, "-m", "bench.tune", "--store", str(tmp_path)], capture_output=True, text=True, check=False, cwd=ROOT
    )

    assert done.returncode == 1
    assert "no model in" in done.stderr
