"""Measures those that run, in rounds: each is asked in turn, then all again, so that a busy minute is everybody's."""

from __future__ import annotations

import contextlib
import io
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from bench import models
from bench.contenders import RECORDS, WHOLE, Contender
from bench.environments import Unavailable
from bench.load import Question, ask, connect, press
from bench.processes import cpu_seconds, pss_mib
from bench.stage import Running, Task, right, started

ROTATION = 16  # different rows that a server is asked about in turn
CHECKED = 64  # answers that are looked at before any is timed, and as many rows in one request
BULK = 100_000  # rows
TIMES = 3  # requests of so many, in a row


class Sample(NamedTuple):
    """One measurement. cpu: µs of the whole process tree for one request. rate: requests a second. p50, p99: ms.

    errors: of ``requests``: answers that never came, refusals, and the ``wrong`` ones, where labels were looked at.
    """

    work: str
    model: str
    name: str
    way: str
    connections: int
    cpu: float
    rate: float
    p50: float
    p99: float
    errors: int
    requests: int
    wrong: int = 0

    @property
    def is_good(self) -> bool:
        """Whether it counts: a refusal is quick, so a server that refuses one in a hundred is not measured by the rest."""
        return self.errors * 100 <= self.requests


class Plan(NamedTuple):
    """How much of everything. seconds: of one measurement. minutes: after which no further round begins."""

    rounds: int
    seconds: int
    connections: tuple[int, ...]
    starts: int
    workers: tuple[int, ...]
    minutes: int


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def check(running: Running, asked: Task) -> int:
    """How many of the answers were wrong: to rows alone, to many at once, and to all of a second of load."""
    rows = [asked.some([place]) for place in range(CHECKED)] + [asked.some(list(range(CHECKED)))]
    wrong = 0
    for way in running.roots:
        connection = connect(running.port(way))
        for some, expected in rows:
            question = running.contender.question(some, expected)
            _, status, body = ask(connection, question)
            if status != 200 or not right(running.contender, question, body):
                wrong += 1
                say(f"  {running.contender.name} answered {status} {body[:200]!r}")
        connection.close()
        some, expected = asked.some([0])
        question = running.contender.question(some, expected)
        label = msgspec.json.encode(expected[0]).decode() if running.contender.labels else "predictions"
        wrong += press(running.port(way), [question], 16, 1, label).wrong
    return wrong


def one_row(all_running: list[Running], asked: Task, plan: Plan) -> Iterator[Sample]:
    """A round of requests of one row. Iris on each number of connections, bare and behind nginx; the others in one way."""
    is_first = asked.name == "iris"
    for connections in plan.connections if is_first else (16,):
        for running in all_running:
            for way in running.roots if is_first else ("nginx",):
                questions = [running.contender.question(*asked.some([place])) for place in range(ROTATION)]
                yield _press("one row", running, running.contender.name, way, asked, questions, connections, plan)
            if running.contender.name == "tepal" and not is_first:
                name, body = WHOLE
                whole = running.contender._replace(ask=body)
                questions = [whole.question(*asked.some([place])) for place in range(ROTATION)]
                yield _press("one row", running, name, "nginx", asked, questions, connections, plan)


def thousand_rows(all_running: list[Running], asked: Task, plan: Plan) -> Iterator[Sample]:
    """A round of requests of 1,000 rows on four connections."""
    rows, expected = asked.some(list(range(1000)))
    for running, name, contender in _with_records(all_running):
        yield _press("1,000 rows", running, name, "nginx", asked, [contender.question(rows, expected)], 4, plan)


def bulk(all_running: list[Running], asked: Task, plan: Plan) -> Iterator[Sample]:
    """A round of requests of 100,000 rows, one at a time, each label of each answer looked at; Tepal's other formats too."""
    rows, expected = asked.some(list(range(BULK)))
    for running, name, contender in _with_records(all_running):
        if contender.labels is not None:
            yield _bulk(running, name, asked, contender.question(rows, expected))
        if name == "tepal":
            for format_, question in _binary(rows.values, expected):
                yield _bulk(running, f"tepal, {format_}", asked, question)
    yield _in_process(asked, rows.values)


def _with_records(all_running: list[Running]) -> Iterator[tuple[Running, str, Contender]]:
    for running in all_running:
        yield running, running.contender.name, running.contender
        if running.contender.name == "tepal":
            name, body = RECORDS
            yield running, name, running.contender._replace(ask=body)


def _press(
    work: str, running: Running, name: str, way: str, asked: Task, questions: list[Question], connections: int, plan: Plan
) -> Sample:
    seconds = plan.seconds if connections in (4, 16) else plan.seconds / 2  # what the claims on CPU are of, for longer
    before = cpu_seconds(running.roots[way])
    seen = press(running.port(way), questions, connections, seconds)
    spent = cpu_seconds(running.roots[way]) - before
    cpu, rate = spent / max(1, seen.requests) * 1e6, seen.requests / seen.seconds
    return Sample(work, asked.name, name, way, connections, cpu, rate, seen.p50, seen.p99, seen.errors, seen.requests)


def _bulk(running: Running, name: str, asked: Task, question: Question) -> Sample:
    connection = connect(running.port("nginx"))
    before, took, refused, wrong = cpu_seconds(running.roots["nginx"]), list[float](), 0, 0
    for _ in range(TIMES):
        seconds, status, body = ask(connection, question)
        took.append(seconds)
        if status != 200 or not right(running.contender, question, body):
            refused += status != 200
            wrong += status == 200
            say(f"  {name} answered {status} {body[:200]!r}")
    spent = cpu_seconds(running.roots["nginx"]) - before
    connection.close()
    return _of_bulk(asked, name, "nginx", took, spent)._replace(errors=refused + wrong, wrong=wrong)


def _of_bulk(asked: Task, name: str, way: str, took: list[float], spent: float) -> Sample:
    middle, most, count = statistics.median(took), max(took), len(took)
    cpu = spent / count * 1e6
    return Sample(f"{BULK:,} rows", asked.name, name, way, 1, cpu, 1 / middle, middle * 1e3, most * 1e3, 0, count)


def _binary(values: list[Any], expected: list[str]) -> Iterator[tuple[str, Question]]:
    X, path = np.array(values), "/predict?probabilities=false"
    file = io.BytesIO()
    np.save(file, X)
    yield "npy", Question(path, file.getvalue(), "application/x-npy", expected)
    with contextlib.suppress(ImportError):
        import pyarrow as pa

        names = models.MODELS["iris"].data().columns
        table = pa.table(dict(zip(names, X.T)))
        sink = io.BytesIO()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        yield "Arrow", Question(path, sink.getvalue(), "application/vnd.apache.arrow.stream", expected)


def _in_process(asked: Task, values: list[Any]) -> Sample:
    """Reading the same array from .npy bytes and predicting, without any server: the floor."""
    model = models.MODELS[asked.name]
    data = model.data()
    fitted = model.estimator().fit(models.container(model.kind, data), data.labels)
    file = io.BytesIO()
    np.save(file, np.array(values))
    took, before = list[float](), time.process_time()
    for _ in range(TIMES):
        began = time.perf_counter()
        file.seek(0)
        fitted.predict(np.load(file))
        took.append(time.perf_counter() - began)
    return _of_bulk(asked, "no server: np.load, predict", "–", took, time.process_time() - before)


class Footprint(NamedTuple):
    """start: seconds to the first answer, of each start. memory: MiB of PSS when idle, by the number of workers."""

    start: list[float]
    memory: dict[int, float]
    door: float  # MiB of its nginx
    idle: float  # milliseconds of CPU a second while nobody asks


def footprints(
    contenders: list[Contender], asked: Task, store: Path, plan: Plan, refused: dict[str, str]
) -> Iterator[tuple[str, Footprint]]:
    """Start and memory of each, without nginx; in rounds too. What is known so far of one, each time that it is more."""
    found = {contender.name: Footprint([], {}, 0, 0) for contender in contenders}
    for workers in plan.workers:
        for round_ in range(plan.starts if workers == 2 else 1):
            say(f"start and memory with {workers} workers: round {round_ + 1}")
            for contender in contenders:
                if contender.name in refused:
                    continue
                known = found[contender.name]
                for is_last in (False, True):  # some end by themselves after a start, now and then
                    try:
                        with started(contender, asked, store, workers, door=workers == 2) as running:
                            found[contender.name] = _footprint(known, running, asked, workers)
                        yield contender.name, found[contender.name]
                        break
                    except Unavailable as reason:
                        say(f"{contender.name}: {reason}")
                        if is_last:
                            refused[contender.name] = str(reason)


def _footprint(known: Footprint, running: Running, asked: Task, workers: int) -> Footprint:
    _warm(running, asked)
    memory = {**known.memory, workers: pss_mib(running.roots["bare"])}
    if workers != 2:
        return known._replace(memory=memory)
    both, idle = pss_mib(running.roots["nginx"]), known.idle
    if not known.start:
        time.sleep(5)  # what it still does after a start and a load
        before = cpu_seconds(running.roots["bare"])
        time.sleep(1)
        idle = (cpu_seconds(running.roots["bare"]) - before) * 1e3
    return Footprint([*known.start, running.started], memory, both - memory[2], idle)


def _warm(running: Running, asked: Task) -> None:
    """So many requests that every worker has had some."""
    press(running.bare, [running.contender.question(*asked.some([0]))], 16, 1)
