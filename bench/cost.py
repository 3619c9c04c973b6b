"""``python -m bench.cost``: what a request costs in steps of Python, against what is recorded in ``cost.json``.

A step is a bytecode instruction, or a call of what is not Python, anywhere in a worker: reading the request, answering it,
and back to waiting. Unlike time, steps are the same on a busy machine. They are told as multiples of those that a constant
answer of plain Flask takes under gunicorn's own worker, counted in the same run.
"""

from __future__ import annotations

import http.client
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from bench import stage
from bench.contenders import BY_NAME
from bench.environments import ROOT
from bench.load import Question, ask, connect, temporary
from bench.processes import running
from tests import servers

RECORDED = Path(__file__).with_name("cost.json")
CONFIG = str(Path(__file__).with_name("counted.conf.py"))
TEPAL = ["-c", "from api.server.master import Application; Application('%(prog)s').run()", "--config", CONFIG]
PLAIN = [
    "-m",
    "gunicorn",
    "--config",
    CONFIG,
    "--worker-class",
    "gthread",
    "--threads",
    "4",
    "--keep-alive",
    "75",
    "--preload",
]
PLAIN += ["--no-control-socket", "bench.peers.hello_plain:app"]
WARM, REQUESTS = 50, 200
MORE = 1.10  # times what is recorded, from which on it is too much


class Steps(msgspec.Struct, frozen=True):
    """Of one request. instructions: of bytecode. calls: of functions that are not Python."""

    instructions: float
    calls: float

    def over(self, other: Steps) -> Steps:
        return Steps(self.instructions / other.instructions, self.calls / other.calls)


def count(command: Sequence[str], store: Path) -> Steps:
    """The steps of one request for a row of Iris, in a server of one worker that this command of Python starts."""
    asked = stage.task("iris")
    question = BY_NAME["tepal"].question(*asked.some([0]))
    with temporary() as folder:
        counts = Path(folder) / "counts"
        counts.write_bytes(bytes(16 * 64))
        port = servers.free_port()
        environ = {
            "COUNTED_FILE": str(counts),
            "COUNTED_CONFIG": str(ROOT / "api" / "gunicorn.conf.py") if command[0] == "-c" else "",
            "HOST": "127.0.0.1",
            "PORT": str(port),
            "MODEL_STORE": str(store),
            "WEB_CONCURRENCY": "1",
        }
        bound = [] if command[0] == "-c" else ["--bind", f"127.0.0.1:{port}"]
        log = Path(folder) / "log"
        with running([sys.executable, *command, *bound], environ, log, ROOT) as process:
            stage.wait_until_it_listens(port, process, log)
            connection = connect(port)
            for _ in range(WARM):
                _answered(connection, question)
            before = _total(counts)
            for _ in range(REQUESTS):
                _answered(connection, question)
            after = _total(counts)
            connection.close()
    return Steps((after[0] - before[0]) / REQUESTS, (after[1] - before[1]) / REQUESTS)


def _answered(connection: http.client.HTTPConnection, question: Question) -> None:
    _, status, body = ask(connection, question)
    if status != 200:
        raise RuntimeError(f"it answered {status}: {body[:200]!r}")


def _total(counts: Path) -> tuple[int, int]:
    cells = memoryview(counts.read_bytes()).cast("Q")
    return sum(cells[0::2]), sum(cells[1::2])


def excess(measured: Steps, recorded: Steps) -> list[str]:
    """What of it is too much, in a sentence each."""
    pairs = [
        ("instructions", measured.instructions, recorded.instructions),
        ("calls", measured.calls, recorded.calls),
    ]
    return [
        f"{kind}: {now:.3f} times those of plain Flask, where {then:.3f} is recorded"
        for kind, now, then in pairs
        if now > then * MORE
    ]


def nearest(known: dict[str, Steps], version: str) -> Steps:
    """What is recorded for this minor version of Python, or else for the last one before it."""
    numbers = {tuple(map(int, key.split("."))): steps for key, steps in known.items()}
    return numbers[max(number for number in numbers if number <= tuple(map(int, version.split("."))))]


@click.command()
@click.option("--record", is_flag=True, help="Write what is counted into cost.json, for this minor version of Python.")
@click.option("--app", default="", help="Another application in the place of Tepal's, as gunicorn names it.")
def main(record: bool, app: str) -> None:
    """Count, and fail where a request takes 10 % more steps than what is recorded.

    Example: python -m bench.cost
    """
    known: dict[str, Steps] = msgspec.json.decode(RECORDED.read_bytes(), type=dict[str, Steps]) if RECORDED.exists() else {}
    version = ".".join(platform.python_version_tuple()[:2])
    with temporary() as folder:
        store = Path(folder)
        stage.publish(["iris"], store)
        tepal, plain = count([*TEPAL, *filter(None, [app])], store), count(PLAIN, store)
    ratio = tepal.over(plain)
    for name, steps in (("tepal", tepal), ("plain Flask", plain)):
        click.echo(f"{name}: {steps.instructions:,.0f} instructions, {steps.calls:,.0f} calls")
    click.echo(f"ratio: {ratio.instructions:.3f}, {ratio.calls:.3f}")
    if record:
        known[version] = Steps(round(ratio.instructions, 3), round(ratio.calls, 3))
        RECORDED.write_bytes(msgspec.json.format(msgspec.json.encode(dict(sorted(known.items())))) + b"\n")
    elif wrong := excess(ratio, nearest(known, version)):
        raise click.ClickException("; ".join(wrong))


if __name__ == "__main__":
    os.chdir(ROOT)
    main()
