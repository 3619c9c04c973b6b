"""Commands that say which version answers: promote, rollback, split, shadow."""

from __future__ import annotations

from pathlib import Path

import click

from tepal import choice, repository
from tepal.choice import Choice
from tepal.publish import store_from_environ


@click.command("promote")
@click.argument("name")
@click.argument("version")
def promote_command(name: str, version: str) -> None:
    """Pin VERSION: it answers from now on, whatever is published after it. `latest` pins none.

    When this returns, no request that is sent later is answered by another version. It ends a split.

    Example: tepal promote iris 2
    """
    home = home_of(name)
    _say(home, choice.promote(home, version))


@click.command("rollback")
@click.argument("name")
def rollback_command(name: str) -> None:
    """Return to the version that answered before the last promotion, or to the next older one. It ends a split.

    Example: tepal rollback iris
    """
    home = home_of(name)
    _say(home, choice.rollback(home))


@click.command("split")
@click.argument("name")
@click.argument("weights", metavar="VERSION=WEIGHT...", nargs=-1, required=True)
def split_command(name: str, weights: tuple[str, ...]) -> None:
    """Let versions share the traffic, by weight. A client stays on its side: by its X-Client-ID, else its address.

    Example: tepal split iris 1=90 2=10
    """
    try:
        shares = choice.weights_of(weights)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="VERSION=WEIGHT") from None
    home = home_of(name)
    _say(home, choice.split(home, shares))


@click.command("shadow")
@click.argument("name")
@click.argument("version", metavar="VERSION|off")
def shadow_command(name: str, version: str) -> None:
    """Give VERSION a copy of the traffic; nobody gets its answers, and the model card tells how often they differ.

    Example: tepal shadow iris 2
    """
    home = home_of(name)
    _say(home, choice.shadow(home, None if version == "off" else version))


def home_of(name: str) -> Path:
    """The folder of a model. Raises NotFound for one that is not there."""
    store = store_from_environ()
    repository.numbers_of(store, name)
    return store / name


def _say(home: Path, chosen: Choice) -> None:
    if chosen.split:
        total = sum(chosen.split.values())
        sides = [f"version {number} {weight / total:.0%}" for number, weight in sorted(chosen.split.items(), key=_number)]
        click.echo(f"{home.name}: {', '.join(sides)}")
    elif chosen.pinned is not None:
        click.echo(f"{home.name}: version {chosen.pinned} answers, pinned")
    else:
        click.echo(f"{home.name}: version {choice.default(home, chosen) or '–'} answers, the newest")
    if chosen.shadow is not None:
        click.echo(f"{home.name}: version {chosen.shadow} is the shadow")


def _number(side: tuple[str, float]) -> int:
    return int(side[0])
