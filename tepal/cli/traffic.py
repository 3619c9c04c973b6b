"""Commands that say which version answers: promote, rollback, split, shadow."""

from __future__ import annotations

from pathlib import Path

import click

from tepal import choice, repository
from tepal.choice import Choice
from tepal.cli.output import as_json_option, print_json
from tepal.publish import store_from_environ


@click.command("promote", epilog="Example: tepal promote iris 2")
@click.argument("name")
@click.argument("version")
@as_json_option
def promote_command(name: str, version: str, as_json: bool) -> None:
    """Pin VERSION: it answers from now on, whatever is published after it. `latest` pins none.

    When this returns, no request that is sent later is answered by another version. It ends a split.
    """
    home = home_of(name)
    _say(home, choice.promote(home, version), as_json)


@click.command("rollback", epilog="Example: tepal rollback iris")
@click.argument("name")
@as_json_option
def rollback_command(name: str, as_json: bool) -> None:
    """Return to the version that answered before the last promotion, or to the next older one. It ends a split."""
    home = home_of(name)
    _say(home, choice.rollback(home), as_json)


@click.command("split", epilog="Example: tepal split iris 1=90 2=10")
@click.argument("name")
@click.argument("weights", metavar="VERSION=WEIGHT...", nargs=-1, required=True)
@as_json_option
def split_command(name: str, weights: tuple[str, ...], as_json: bool) -> None:
    """Let versions share the traffic, by weight. A client stays on its side: by its X-Client-ID, else its address."""
    try:
        shares = choice.weights_of(weights)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="VERSION=WEIGHT") from None
    home = home_of(name)
    _say(home, choice.split(home, shares), as_json)


@click.command("shadow", epilog="Example: tepal shadow iris 2")
@click.argument("name")
@click.argument("version", metavar="VERSION|off")
@as_json_option
def shadow_command(name: str, version: str, as_json: bool) -> None:
    """Give VERSION a copy of the traffic; nobody gets its answers, and the model card tells how often they differ."""
    home = home_of(name)
    _say(home, choice.shadow(home, None if version == "off" else version), as_json)


def home_of(name: str) -> Path:
    """The folder of a model. Raises NotFound for one that is not there."""
    store = store_from_environ()
    repository.numbers_of(store, name)
    return store / name


def said(home: Path, chosen: Choice) -> list[str]:
    """A choice as lines for a person."""
    if chosen.split:
        total = sum(chosen.split.values())
        sides = [f"version {number} {100 * chosen.split[number] / total:.3g} %" for number in sorted(chosen.split, key=int)]
        lines = [f"{home.name}: {', '.join(sides)}"]
    elif chosen.pinned is not None:
        lines = [f"{home.name}: version {chosen.pinned} answers, pinned"]
    else:
        newest = choice.default(home, chosen)
        lines = [f"{home.name}: version {newest} answers, the newest" if newest else f"{home.name}: no version may serve"]
    if chosen.shadow is not None:
        lines.append(f"{home.name}: version {chosen.shadow} is the shadow")
    return lines


def _say(home: Path, chosen: Choice, as_json: bool) -> None:
    if as_json:
        told = {"name": home.name, "default_version": choice.default(home, chosen)}
        print_json(told | {"pinned": chosen.pinned, "split": chosen.split or None, "shadow": chosen.shadow})
        return
    for line in said(home, chosen):
        click.echo(line)
