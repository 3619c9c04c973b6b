"""What is claimed of Tepal, each with the bar that it must reach and the figure that came."""

from __future__ import annotations

import operator
import statistics
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from bench.figures import Figures, Run

HOLDS = {"≤": operator.le, "≥": operator.ge, ">": operator.gt}
HELLOS = ("hello", "hello-plain")
NO_PEERS = ("tepal", "hello", "least", "seed", "no server")


class Claim(NamedTuple):
    """bar: a sign and a number. value: None where it was not measured."""

    says: str
    bar: str
    value: float | None

    @property
    def holds(self) -> bool | None:
        sign, limit = self.bar.split()
        return None if self.value is None else HOLDS[sign](self.value, float(limit))


def claims(figures: Figures, run: Run) -> Iterator[Claim]:
    """All of them."""
    yield from _one_row(figures)
    yield from _other_models(figures)
    yield from _many_rows(figures)
    yield from _start_and_memory(run)
    wrong = run.checked.get("tepal")
    if wrong is not None:
        wrong += sum(one.wrong for one in figures.samples if one.name.startswith("tepal"))
    yield Claim("answers that are not the estimator's own", "≤ 0", wrong)


def _one_row(figures: Figures) -> Iterator[Claim]:
    at = {"work": "one row", "model": "iris", "connections": 16}
    for name, bar in (*((hello, "≤ 1.15") for hello in HELLOS), ("seed", "≤ 0.25")):
        yield Claim(f"Iris, CPU behind nginx, × {name}", bar, figures.ratio("tepal", name, way="nginx", **at))
    yield Claim("Iris, CPU bare, × fastapi-tuned", "≤ 0.9", figures.ratio("tepal", "fastapi-tuned", way="bare", **at))
    for connections in (16, 64):
        at = {"work": "one row", "model": "iris", "connections": connections, "way": "nginx"}
        ours, says = figures.median("rate", name="tepal", **at), f"Iris, requests/s at {connections} connections"
        yield Claim(f"{says}, × seed", "≥ 4", _over(ours, figures.median("rate", name="seed", **at)))
        yield Claim(f"{says}, × the best peer", "> 1", _over(ours, _best(figures, "rate", max, **at)))
    at["connections"] = 16
    ours = figures.median("p99", name="tepal", **at)
    yield Claim("Iris, p99 at 16 connections, × the best peer", "≤ 1", _over(ours, _best(figures, "p99", min, **at)))


def _other_models(figures: Figures) -> Iterator[Claim]:
    for model, times in (("table", 5), ("forest", 5), ("boosting", 2), ("text", 2)):
        at = {"work": "one row", "model": model, "connections": 16, "way": "nginx"}
        yield Claim(f"{model}, CPU, × hello", "≤ 1.5", figures.ratio("tepal", "hello", **at))
        best = _best(figures, "cpu", min, **at)
        yield Claim(
            f"{model}, CPU of the best peer, × ours", f"≥ {times}", _over(best, figures.median("cpu", name="tepal", **at))
        )


def _many_rows(figures: Figures) -> Iterator[Claim]:
    at = {"work": "1,000 rows", "model": "iris"}
    ours = figures.median("rate", name="tepal", **at)
    for name, bar in (("seed", "≥ 2"), ("kserve", "> 1")):
        yield Claim(f"1,000 rows, rows/s, × {name}", bar, _over(ours, figures.median("rate", name=name, **at)))
    at = {"work": "100,000 rows", "model": "iris"}
    ours = figures.median("rate", name="tepal", **at)
    yield Claim("100,000 rows, rows/s, × the best peer", "> 1", _over(ours, _best(figures, "rate", max, **at)))
    floor = figures.median("p50", name="no server: np.load, predict", **at)
    for kind in ("npy", "Arrow"):
        took = figures.median("p50", name=f"tepal, {kind}", **at)
        yield Claim(f"100,000 rows of {kind}, time, × no server", "≤ 2", _over(took, floor))


def _start_and_memory(run: Run) -> Iterator[Claim]:
    if not {"tepal", "seed"} <= run.feet.keys():
        return
    ours, theirs = run.feet["tepal"], run.feet["seed"]
    if ours.start and theirs.start:
        start = statistics.median(ours.start) / statistics.median(theirs.start)
        yield Claim("start to the first answer, × seed", "≤ 1", start)
    yield Claim("PSS of 2 workers, × seed", "≤ 0.6", _over(ours.memory.get(2), theirs.memory.get(2)))
    if ours.memory.keys() >= {1, 4}:
        yield Claim("MiB of each further worker", "≤ 15", (ours.memory[4] - ours.memory[1]) / 3)


def _over(one: float | None, two: float | None) -> float | None:
    return one / two if one is not None and two else None


def _best(figures: Figures, field: str, choose: Callable[[Iterable[float]], float], **at: object) -> float | None:
    """Of the peers: neither Tepal, nor a limit, nor the baseline."""
    peers = [name for name in figures.names(**at) if not name.startswith(NO_PEERS)]
    values = [value for name in peers if (value := figures.median(field, name=name, **at)) is not None]
    return choose(values) if values else None
