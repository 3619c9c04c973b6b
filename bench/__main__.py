"""``python -m bench``: Tepal beside a baseline, the limit and its peers, on this machine, in one run."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click

from bench import measure, report, stage
from bench.contenders import BY_NAME, CONTENDERS, Contender
from bench.environments import HOME, Unavailable
from bench.figures import Run
from bench.load import temporary
from bench.measure import Plan, say
from bench.models import MODELS

WHOLE = Plan(rounds=5, seconds=2, connections=(1, 16, 64), starts=3, workers=(1, 2, 4), minutes=40)
QUICK = Plan(rounds=2, seconds=1, connections=(16,), starts=1, workers=(2,), minutes=5)
WORKERS = len(os.sched_getaffinity(0))
KEPT = HOME / "run.json"  # what was measured so far
PARTS = ("row", "rows", "feet")


class Names(click.ParamType[list[str]]):
    """A comma list of names that are known."""

    name = "names"

    def __init__(self, known: tuple[str, ...]):
        self.known = known

    def convert(self, value: str | list[str], param: click.Parameter | None, ctx: click.Context | None) -> list[str]:
        names = value.split(",") if isinstance(value, str) else value
        for name in names:
            if name not in self.known:
                self.fail(f"{name!r} is none of {', '.join(self.known)}", param, ctx)
        return names


@click.command()
@click.option(
    "--quick", is_flag=True, help="Fewer and shorter measurements, of Iris alone: minutes, and no more than a hint."
)
@click.option("--servers", type=Names(tuple(BY_NAME)), default=list(BY_NAME), help="A comma list; all of them without it.")
@click.option("--models", type=Names(tuple(MODELS)), help="A comma list; all of them without it.")
@click.option("--rounds", type=click.IntRange(1, 100), help="How often each is measured.")
@click.option("--parts", type=Names(PARTS), default=list(PARTS), help="One row, many rows, start and memory: row,rows,feet.")
@click.option("--output", type=click.Path(path_type=Path), help="Write the page to this file too.")
@click.option("--again", is_flag=True, help="Measure nothing: the page of what was measured last.")
def main(
    quick: bool,
    servers: list[str],
    models: list[str] | None,
    rounds: int | None,
    parts: list[str],
    output: Path | None,
    again: bool,
) -> None:
    """Measure, and print what came as a page of tables.

    Example: python -m bench --quick --servers tepal,hello,seed
    """
    if again:
        run = Run.read(KEPT)
    else:
        missing = [part for part in ("wrk", "nginx", "envsubst") if not shutil.which(part)]
        if missing:
            raise click.ClickException(f"not installed: {', '.join(missing)}")
        plan = QUICK if quick else WHOLE
        plan = plan._replace(rounds=rounds or plan.rounds)
        run = Run(f"python -m bench {' '.join(sys.argv[1:])}".strip())
        chosen = [contender for contender in CONTENDERS if contender.name in servers]
        fill(run, plan, chosen, models or (["iris"] if quick else list(MODELS)), parts)
    page = report.page(run)
    click.echo(page)
    if output:
        output.write_text(page)


def fill(run: Run, plan: Plan, chosen: list[Contender], models: list[str], parts: list[str]) -> None:
    """Measure it all, and keep what there is after each round."""
    end = time.monotonic() + 60 * plan.minutes
    with temporary() as folder:
        store = Path(folder)
        stage.publish(list(dict.fromkeys(["iris", *models])), store)
        if "feet" in parts:
            for name, footprint in measure.footprints(chosen, stage.task("iris"), store, plan, run.refused):
                run.feet[name] = footprint
                run.write(KEPT)
        for place, model in enumerate(models if {"row", "rows"} & {*parts} else []):
            # Each model has its part of the time that is left, Iris the most; rounds that do not fit in are left out.
            weights = [3 if name == "iris" else 1 for name in models[place:]]
            share = max(0.0, end - time.monotonic()) * weights[0] / sum(weights)
            for samples in of_model(run, model, chosen, store, plan, parts, time.monotonic() + share):
                run.samples.extend(samples)
                run.write(KEPT)


def start(stack: contextlib.ExitStack, contender: Contender, asked: stage.Task, store: Path) -> stage.Running:
    """At the second try where the first is in vain: its ports may have been taken in the meantime. Raises Unavailable."""
    with contextlib.suppress(Unavailable):
        return stack.enter_context(stage.started(contender, asked, store, WORKERS))
    return stack.enter_context(stage.started(contender, asked, store, WORKERS))


def of_model(
    run: Run, model: str, chosen: list[Contender], store: Path, plan: Plan, parts: list[str], end: float
) -> Iterator[list[measure.Sample]]:
    """Round after round of one model, with everybody there at once, so that a round can go from one to the next."""
    asked, all_running = stage.task(model), []
    with contextlib.ExitStack() as stack:
        for contender in chosen:
            say(f"{model}: starting {contender.name}")
            try:
                running = start(stack, contender, asked, store)
            except Unavailable as reason:
                run.refuse(contender.name, model, str(reason))
                continue
            run.checked[contender.name] = run.checked.get(contender.name, 0) + measure.check(running, asked)
            all_running.append(running)
        rounds = []
        if "row" in parts:
            rounds.append(measure.one_row)
        if "rows" in parts and model == "iris":
            rounds += [measure.thousand_rows, measure.bulk]
        for round_ in range(plan.rounds):
            if round_ and time.monotonic() > end:
                say(f"{model}: no time for more than {round_} rounds")
                return
            say(f"{model}: round {round_ + 1} of {plan.rounds}")
            for of_round in rounds:
                try:
                    yield list(of_round(all_running, asked, plan))
                except Unavailable as reason:
                    say(f"{model}: this part of round {round_ + 1} counts for nobody: {reason}")


if __name__ == "__main__":
    main()
