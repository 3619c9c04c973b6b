"""``tepal rollout``: moves the traffic to a version in steps, and back by itself."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from tepal import choice, rollout
from tepal.cli.traffic import home_of, said
from tepal.errors import RolloutError, TepalError
from tepal.remote import Remote

LONGEST = 7 * 24 * 3600.0  # seconds of a step


def _shares(ctx: click.Context, option: click.Parameter, text: str) -> list[float]:
    try:
        shares = [float(share) for share in text.split(",")]
    except ValueError:
        shares = []
    if not shares or not all(0 < one <= 100 for one in shares) or shares != sorted(set(shares)):
        raise click.BadParameter("give rising percents up to 100, such as 5,25,50,100")
    return shares


@click.command("rollout", epilog="Example: tepal rollout iris 2 --steps 5,25,50,100 --every 60")
@click.argument("name")
@click.argument("version")
@click.option(
    "--steps", "shares", default="5,25,50,100", show_default=True, callback=_shares, help="Percents of the traffic."
)
@click.option(
    "--every", type=click.FloatRange(0.1, LONGEST), default=60.0, show_default=True, metavar="SECONDS", help="For each step."
)
@click.option(
    "--max-errors",
    type=click.FloatRange(0, 100),
    default=1.0,
    show_default=True,
    metavar="PERCENT",
    help="Of its requests, and of the rows compared, that may fail.",
)
@click.option(
    "--max-disagreement",
    type=click.FloatRange(0, 100),
    default=25.0,
    show_default=True,
    metavar="PERCENT",
    help="Of the rows compared that may differ.",
)
@click.option(
    "--url",
    "urls",
    multiple=True,
    default=["http://127.0.0.1:8080"],
    show_default=True,
    metavar="URL",
    help="Of a replica; may be given again.",
)
def rollout_command(
    name: str,
    version: str,
    shares: list[float],
    every: float,
    max_errors: float,
    max_disagreement: float,
    urls: tuple[str, ...],
) -> None:
    """Move the traffic of NAME to VERSION in steps; go back by itself where it fails, or differs too much.

    How it does is read from the service's model card. A replica counts for itself, so --url is to be given for each.
    What the old version still answers is asked of the new one too, as its shadow, and compared.

    After 100 % the version is pinned; after steps that end below, the split stays. Where it goes back, all that was
    chosen is as before, and the exit code is 1. Ctrl-C goes back too. Where too little traffic comes to judge, it says so
    and goes on.
    """
    home = home_of(name)
    replicas = [Remote(url, rollout.TIMEOUT) for url in urls]
    moving = rollout.Rollout(home, version, replicas)
    _say(f"{name}: from version {moving.old} to version {version} in steps of {_listed(shares)} %, {every:g} s each")
    bounds = rollout.Bounds(max_errors / 100, max_disagreement / 100)
    judged = False
    try:
        with _asked_to_stop() as stop, contextlib.closing(moving.steps(shares, every, bounds, stop)) as steps:
            for step in steps:
                if step.counts is not None:
                    judged = judged or not step.counts.few
                    _say(f"{step.share:g} %: {_seen(step.counts)}")
                else:
                    _say(f"{step.share:g} % …")
                if step.bad:
                    raise RolloutError(step.bad)
    except (TepalError, OSError) as error:
        raise RolloutError(f"{_went(home, moving)}: {error}; {'; '.join(said(home, choice.read(home)))}") from None
    for line in said(home, choice.read(home)):
        _say(line)
    if not judged:
        _say(f"version {version} saw too little traffic to be judged")


def _went(home: Path, moving: rollout.Rollout) -> str:
    return "went back" if choice.read(home) == moving.before else "stopped"


def _seen(counts: rollout.Counts) -> str:
    said = [f"{counts.requests:,} requests, {counts.errors:,} errors"]
    if counts.compared:
        said.append(f"differs on {counts.differing:,} of {counts.compared:,} rows")
    if counts.failed:
        said.append(f"could not answer {counts.failed:,} rows")
    if counts.few:
        said.append("too little to judge")
    return ", ".join(said)


def _listed(shares: list[float]) -> str:
    return ", ".join(f"{share:g}" for share in shares)


@contextlib.contextmanager
def _asked_to_stop() -> Iterator[Callable[[], str | None]]:
    """Says by which signal the command was asked to end, when it asks itself: so nothing is left half done."""
    got: list[int] = []
    names = [name for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {name: signal.signal(signal.Signals[name], lambda number, _: got.append(number)) for name in names}
    try:
        yield lambda: f"stopped by {signal.Signals(got[0]).name}" if got else None
    finally:
        for name, old in before.items():
            signal.signal(signal.Signals[name], old)


def _say(text: str) -> None:
    click.echo(f"{time.strftime('%H:%M:%S')}  {text}")
