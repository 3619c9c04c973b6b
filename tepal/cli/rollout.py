"""``tepal rollout``: moves the traffic to a version in steps, and back by itself."""

from __future__ import annotations

import time

import click

from tepal import rollout
from tepal.cli.traffic import home_of
from tepal.errors import RolloutError
from tepal.remote import Remote


def _shares(ctx: click.Context, option: click.Parameter, text: str) -> list[float]:
    try:
        shares = [float(share) for share in text.split(",")]
    except ValueError:
        raise click.BadParameter("give percents, such as 5,25,50,100") from None
    if not all(0 < one <= 100 for one in shares) or shares != sorted(set(shares)):
        raise click.BadParameter("give rising percents up to 100, such as 5,25,50,100")
    return shares


@click.command("rollout")
@click.argument("name")
@click.argument("version")
@click.option(
    "--steps", "shares", default="5,25,50,100", show_default=True, callback=_shares, help="Percents of the traffic."
)
@click.option("--every", type=click.FloatRange(0.1), default=60.0, show_default=True, help="Seconds for each step.")
@click.option("--max-errors", type=click.FloatRange(0, 100), default=1.0, show_default=True, help="Percent of its requests.")
@click.option(
    "--max-disagreement",
    type=click.FloatRange(0, 100),
    default=25.0,
    show_default=True,
    help="Percent of the rows compared.",
)
@click.option("--url", "urls", multiple=True, default=["http://127.0.0.1:8080"], show_default=True, help="Of each replica.")
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

    What it does is read from the service's model card; a replica counts for itself, so each is to be named by --url.
    Ctrl-C goes back too.

    Example: tepal rollout iris 2 --steps 5,25,50,100 --every 60
    """
    home = home_of(name)
    replicas = [Remote(url) for url in urls]

    def read() -> rollout.Counts:
        return rollout.counts([replica.card(name, rollout.Card) for replica in replicas], version)

    bounds = rollout.Bounds(max_errors / 100, max_disagreement / 100)
    _say(f"{name}: to version {version} in steps of {', '.join(f'{share:g}' for share in shares)} %, {every:g} s each")
    for step in rollout.steps(home, version, shares, every, bounds, read):
        counts = step.counts
        differs = f", differs on {counts.differing} of {counts.compared} rows" if counts.compared else ""
        _say(f"{step.share:g} %: {counts.requests} requests, {counts.errors} errors{differs}")
        if step.bad:
            raise RolloutError(f"went back: version {version}: {step.bad}")
    _say(f"version {version} answers, pinned" if shares[-1] == 100 else f"version {version} keeps {shares[-1]:g} %")


def _say(text: str) -> None:
    click.echo(f"{time.strftime('%H:%M:%S')}  {text}")
