"""Moves the traffic of a model to another version in steps, and takes it back where that version does badly."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from tepal import choice
from tepal.errors import RolloutError

# Fewer requests, or compared rows, say nothing about a rate.
FEWEST = 20


class Bounds(NamedTuple):
    """What makes a rollout go back. errors: the part of the new version's requests that end in 5xx. disagreement: the
    part of the rows on which its answers are not the old version's.
    """

    errors: float = 0.01
    disagreement: float = 0.25


class Counts(NamedTuple):
    """What a version was asked, and how it answered as a shadow, over all replicas, since their start."""

    requests: int = 0
    errors: int = 0
    compared: int = 0
    differing: int = 0

    def since(self, before: Counts) -> Counts:
        """The difference; a service that was started again begins at 0."""
        return Counts(*(now - then if now >= then else now for now, then in zip(self, before)))


class Step(NamedTuple):
    """One step. share: percent of the traffic. counts: during it. bad: why the rollout cannot go on."""

    share: float
    counts: Counts
    bad: str | None = None


def steps(
    home: Path,
    number: str,
    shares: Sequence[float],
    every: float,
    bounds: Bounds,
    read: Callable[[], Counts],
) -> Iterator[Step]:
    """Give the version ``number`` of the model in ``home`` each of the shares, in percent, for ``every`` seconds.

    The old version's part is answered by the new one too, as its shadow. read: the new version's counts.
    Yields each step as it ends. After a last one of 100 the version is promoted; after a bad one, and where the caller
    or ``read`` fails, what was chosen before is chosen again. Raises RolloutError where there is nothing to roll out.
    """
    before = choice.read(home)
    old = choice.default(home, before)
    if old is None or old == number:
        raise RolloutError(f"version {number} of '{home.name}' answers already" if old else f"'{home.name}' has no version")
    done = False
    try:
        choice.shadow(home, number)
        for share in shares:
            choice.split(home, {old: 100 - share, number: share})
            then = read()
            time.sleep(every)
            counts = read().since(then)
            bad = _bad(counts, bounds)
            yield Step(share, counts, bad)
            if bad:
                return
        if shares[-1] == 100:
            choice.promote(home, number)
        choice.shadow(home, before.shadow if before.shadow != number else None)
        done = True
    finally:
        if not done:
            choice.restore(home, before)


def _bad(counts: Counts, bounds: Bounds) -> str | None:
    if counts.requests >= FEWEST and counts.errors > bounds.errors * counts.requests:
        return f"{counts.errors} of {counts.requests} requests failed, more than {bounds.errors:.1%}"
    if counts.compared >= FEWEST and counts.differing > bounds.disagreement * counts.compared:
        return f"it differs on {counts.differing} of {counts.compared} rows, more than {bounds.disagreement:.1%}"
    return None


class Card(msgspec.Struct):
    """What is needed of the card of a model."""

    traffic: Traffic


class Traffic(msgspec.Struct):
    """Counts of one replica."""

    since_start: dict[str, Requests]
    shadow: Shadow | None = None


class Requests(msgspec.Struct):
    """Of one version."""

    requests: int
    server_errors: int


class Shadow(msgspec.Struct):
    """Of the shadow version."""

    version: str
    rows: dict[str, int]


def counts(cards: Sequence[Card], number: str) -> Counts:
    """What the replicas say of one version, summed."""
    total = Counts()
    for card in cards:
        of = card.traffic.since_start.get(number)
        shadow = card.traffic.shadow
        rows = shadow.rows if shadow and shadow.version == number else {}
        agree, differ = rows.get("agree", 0), rows.get("differ", 0)
        one = Counts(of.requests if of else 0, of.server_errors if of else 0, agree + differ, differ)
        total = Counts(*(a + b for a, b in zip(total, one)))
    return total
