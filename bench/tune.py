"""``python -m bench.tune``: which WEB_CONCURRENCY and THREADS are best for the models in the repository, on this machine."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import statistics
from pathlib import Path
from typing import NamedTuple

import click

from bench.contenders import JSON
from bench.load import Answered, Question, press
from bench.measure import say
from bench.processes import pss_mib
from bench.report import number, spread, table
from tepal import Repository
from tests import servers

CORES = len(os.sched_getaffinity(0))
NEAR = 0.95  # of the most requests a second: what is within it is as good
LATE = 2.0  # times the least p99 of all: what is within it is acceptable
REFUSED = 0.01  # of the requests


class Setting(NamedTuple):
    workers: int
    threads: int

    def __str__(self) -> str:
        return f"WEB_CONCURRENCY={self.workers} THREADS={self.threads}"


class Tried(NamedTuple):
    """What was seen of a setting, a value a round. memory: MiB."""

    seen: list[Answered]
    memory: list[float]

    @property
    def rate(self) -> float:
        return statistics.median(one.requests / one.seconds for one in self.seen)

    @property
    def p99(self) -> float:
        return statistics.median(one.p99 for one in self.seen)

    @property
    def refused(self) -> float:
        return sum(one.errors for one in self.seen) / max(1, sum(one.requests for one in self.seen))


def questions(store: Path, names: list[str]) -> list[Question]:
    """The example of each model that can serve, as its card has it."""
    repository = Repository.open(store, names=names)
    ready = [model.default for model in repository.models.values() if model.default is not None]
    return [Question(f"/models/{one.name}/predict", json.dumps(one.manifest.example).encode(), JSON, None) for one in ready]


def settings() -> list[Setting]:
    """Half as many workers as cores, as many, and twice; one thread to eight each."""
    workers = sorted({max(1, CORES // 2), CORES, 2 * CORES})
    return [Setting(*pair) for pair in itertools.product(workers, (1, 2, 4, 8))]


def knee(tried: dict[Setting, Tried], p99: float | None = None) -> Setting:
    """Of those that refuse next to nothing and are in time, the one with the fewest processes and threads that is fast.

    p99: milliseconds that are acceptable; without it, twice what the quickest one takes.
    """
    willing = {setting: one for setting, one in tried.items() if one.refused <= REFUSED} or tried
    limit = p99 or LATE * min(one.p99 for one in willing.values())
    in_time = {setting: one for setting, one in willing.items() if one.p99 <= limit} or willing
    best = max(one.rate for one in in_time.values())
    return min(setting for setting, one in in_time.items() if one.rate >= NEAR * best)


@click.command()
@click.option("--store", type=click.Path(path_type=Path, exists=True), default="model", show_default=True)
@click.option("--models", default="", help="A comma list; all of the repository without it.")
@click.option("--connections", type=click.IntRange(1, 1000), default=16, show_default=True, help="Clients at once.")
@click.option("--p99", type=float, help="Milliseconds within which 99 of 100 answers must come.")
@click.option("--settings", "wanted", default="", help="Workers x threads to try, as 2x4,4x2; twelve of them without it.")
@click.option("--rounds", type=click.IntRange(1, 20), default=3, show_default=True)
@click.option("--seconds", type=click.IntRange(1, 60), default=2, show_default=True, help="Of each measurement.")
def main(store: Path, models: str, connections: int, p99: float | None, wanted: str, rounds: int, seconds: int) -> None:
    """Try each number of workers and threads under a load of the models' own examples, in turn.

    Example: python -m bench.tune --connections 64 --p99 50
    """
    if not shutil.which("wrk"):
        raise click.ClickException("wrk is not installed: apt-get install wrk")
    names = [name for name in models.split(",") if name]
    asked = questions(store, names)
    if not asked:
        raise click.ClickException(f"no model in {store}/ can serve: python -m train iris")
    chosen = [Setting(*map(int, pair.split("x"))) for pair in wanted.split(",") if pair] or settings()
    tried = {setting: Tried([], []) for setting in chosen}
    for round_ in range(rounds):
        for setting, found in tried.items():
            say(f"round {round_ + 1} of {rounds}: {setting}")
            environ = {"WEB_CONCURRENCY": str(setting.workers), "THREADS": str(setting.threads), "MODELS": models}
            with servers.gunicorn(store, **environ) as server:
                press(server.port, asked, connections, 1)
                found.seen.append(press(server.port, asked, connections, seconds))
                found.memory.append(pss_mib([server.process.pid]))
    click.echo(f"{CORES} cores, {connections} clients at once, in turn: {', '.join(one.path for one in asked)}\n")
    click.echo(as_table(tried))
    click.echo(f"\n{knee(tried, p99)}")


def as_table(tried: dict[Setting, Tried]) -> str:
    rows = []
    for setting, one in tried.items():
        rates = spread([seen.requests / seen.seconds for seen in one.seen])
        late = spread([seen.p99 for seen in one.seen])
        middle, memory = number(statistics.median(seen.p50 for seen in one.seen)), number(statistics.median(one.memory))
        rows.append([f"{setting.workers} × {setting.threads}", rates, middle, late, f"{one.refused:.1%}", memory])
    return table(["workers × threads", "requests/s", "p50 ms", "p99 ms", "refused", "MiB"], rows)


if __name__ == "__main__":
    main()
