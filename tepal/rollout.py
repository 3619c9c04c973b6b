"""Moves the traffic of a model to another version in steps, and takes it back where that version does badly."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from math import sqrt
from pathlib import Path
from typing import NamedTuple

import msgspec

from tepal import choice
from tepal.choice import Choice
from tepal.errors import RemoteError, RolloutError
from tepal.remote import Remote

# Fewer requests, or compared rows, say nothing about a rate.
FEWEST = 20
# How far beyond its bound a rate must be for a step to end early: so many deviations, which chance hardly gives.
CLEARLY = 3.0
# Seconds between two looks at the replicas; and for which one may lack the version, or not answer (at most one step).
LOOK_EVERY = 1.0
PATIENCE = 10.0
# Seconds that one look may take.
TIMEOUT = 5.0


class Bounds(NamedTuple):
    """What makes a rollout go back.

    errors: the part of the new version's requests that end in 5xx, or of the rows that it cannot answer as the shadow.
    disagreement: the part of the rows on which its answers are not the old version's.
    """

    errors: float = 0.01
    disagreement: float = 0.25


class Counts(NamedTuple):
    """What a version was asked, and how it answered: itself, and, in rows, as the shadow of the version that answered."""

    requests: int = 0
    errors: int = 0
    compared: int = 0
    differing: int = 0
    failed: int = 0

    @property
    def few(self) -> bool:
        """Whether they are too few to tell a good version from a bad one."""
        return self.requests < FEWEST and self.compared + self.failed < FEWEST

    def bad(self, bounds: Bounds, clearly: bool = False) -> str | None:
        """Why the version must not have more traffic; None where nothing is known against it.

        clearly: only for what could not be chance.
        """
        rows = self.compared + self.failed
        if _above(self.errors, self.requests, bounds.errors, clearly):
            return f"{self.errors:,} of {self.requests:,} requests failed, more than {100 * bounds.errors:g} %"
        if _above(self.failed, rows, bounds.errors, clearly):
            return f"it could not answer {self.failed:,} of {rows:,} rows, more than {100 * bounds.errors:g} %"
        if _above(self.differing, self.compared, bounds.disagreement, clearly):
            return f"it differs on {self.differing:,} of {self.compared:,} rows, more than {100 * bounds.disagreement:g} %"
        return None


def _above(some: int, of: int, bound: float, clearly: bool) -> bool:
    expected = bound * of
    return of >= FEWEST and some > expected + (CLEARLY * sqrt(expected) if clearly else 0)


class Step(NamedTuple):
    """One step, as it begins, and as it ends. share: percent of the traffic. counts: during it; None as it begins.

    bad: why the rollout goes back; None where it goes on.
    """

    share: float
    counts: Counts | None = None
    bad: str | None = None


class Requests(msgspec.Struct):
    """Of one version, as the card of a model tells them."""

    requests: int
    server_errors: int


class Shadow(msgspec.Struct):
    """Of the shadow version."""

    version: str
    rows: dict[str, int]


class Traffic(msgspec.Struct):
    """Of one replica, by when it was started."""

    started: str
    since_start: dict[str, Requests]
    split: dict[str, float] | None = None
    shadow: Shadow | None = None


class Card(msgspec.Struct):
    """What is needed of the card of a model."""

    versions: list[str]
    traffic: Traffic

    def counts(self, number: str) -> Counts:
        """Of one version, since the replica was started."""
        asked = self.traffic.since_start.get(number, Requests(0, 0))
        shadow = self.traffic.shadow
        rows = shadow.rows if shadow is not None and shadow.version == number else {}
        agree, differ = rows.get("agree", 0), rows.get("differ", 0)
        return Counts(asked.requests, asked.server_errors, agree + differ, differ, rows.get("failed", 0))


class Sums:
    """What a version was asked since the first look, over replicas whose counters begin again where they do.

    A replica is known by when it was started: one that is met for the first time counts from then on, so that an address
    behind which there are several of them is no harm either.
    """

    def __init__(self, number: str):
        self._number = number
        self._last: dict[str, Counts] = {}

    def more(self, cards: Sequence[Card]) -> Counts:
        """What came since the last look."""
        total = Counts()
        for card in cards:
            now = card.counts(self._number)
            then = self._last.get(card.traffic.started, now)
            self._last[card.traffic.started] = now
            total = _sum(total, Counts(*(max(a - b, 0) for a, b in zip(now, then))))
        return total


def _sum(one: Counts, other: Counts) -> Counts:
    return Counts(*(a + b for a, b in zip(one, other)))


class Rollout:
    """The way of a model's traffic to the version ``number``. Nothing has moved when it is made.

    home: the folder of the model. replicas: those that serve it; their model cards say how the version does.
    Raises NotFound and ArtifactError for a version that is not there or must not serve, here; RemoteError and RolloutError
    for one that the replicas do not serve, or where there is nothing to roll out.
    """

    def __init__(self, home: Path, number: str, replicas: Sequence[Remote]):
        choice.check(home, number)
        self.before = choice.read(home)
        self.old = _old(home, self.before, number)
        choice.check(home, self.old)
        self._home, self._number, self._replicas = home, number, replicas
        self._chosen = [self.before]  # by us
        self._sums = Sums(number)
        for replica in replicas:
            self._await(replica)

    def _await(self, replica: Remote) -> None:
        """Until a replica has the version, which may just have been published."""
        name, number, until = self._home.name, self._number, time.monotonic() + PATIENCE
        while True:
            card = replica.card(name, Card)
            if number in card.traffic.since_start:
                return
            if number in card.versions:
                reason = replica.card(f"{name}/versions/{number}", Reason).reason
                raise RolloutError(f"{replica.url} cannot serve version {number} of '{name}': {reason}")
            if time.monotonic() > until:
                raise RolloutError(f"{replica.url} has no version {number} of '{name}'; it serves another model repository")
            time.sleep(0.2)

    def steps(
        self, shares: Sequence[float], every: float, bounds: Bounds, stop: Callable[[], str | None]
    ) -> Generator[Step, None, None]:
        """Give the version each of the shares, in rising percents, for ``every`` seconds; yields each as it begins and ends.

        The old version's part is answered by the new one too, as its shadow. After a last share of 100 the version is
        pinned, after a smaller one the split stays. After a bad step, and where anything is raised or the generator closed,
        what was chosen before is chosen again, unless somebody else has chosen meanwhile.
        stop: asked ten times a second; what it says, other than None, ends the rollout with a RolloutError.
        """
        done = False
        history = choice.remember(self.before, self.old)
        try:
            for share in shares:
                sides = {self.old: 100 - share, self._number: share} if share < 100 else {self._number: share}
                self._move(Choice(self.before.pinned, sides, self._number, history))
                yield Step(share)
                counts = Counts()
                until, look = time.monotonic() + every, 0.0
                self._look(every, sides)
                while (now := time.monotonic()) < until and not counts.bad(bounds, clearly=True):
                    if reason := stop():
                        raise RolloutError(reason)
                    if now >= look:
                        counts, look = _sum(counts, self._look(every, sides)), now + LOOK_EVERY
                    time.sleep(min(0.1, max(until - now, 0)))
                counts = _sum(counts, self._look(every, sides))
                bad = counts.bad(bounds)
                yield Step(share, counts, bad)
                if bad:
                    return
            shadow = None if self.before.shadow == self._number else self.before.shadow
            if shares[-1] == 100:
                self._move(Choice(self._number, {}, shadow, history))
            else:
                self._move(Choice(self.before.pinned, sides, shadow, history))
            done = True
        finally:
            if not done:
                choice.replace(self._home, self._chosen, self.before)

    def _move(self, new: Choice) -> None:
        seen, self._chosen = self._chosen, [*self._chosen, new]
        choice.replace(self._home, seen[-1:], new)

    def _look(self, every: float, sides: dict[str, float]) -> Counts:
        """What came since the last look. A replica that is just being started again is waited for, a while."""
        until = time.monotonic() + min(every, PATIENCE)
        while True:
            try:
                cards = [replica.card(self._home.name, Card) for replica in self._replicas]
            except RemoteError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.2)
                continue
            if choice.read(self._home) != self._chosen[-1]:
                raise choice.Changed(f"somebody else has chosen for model '{self._home.name}' meanwhile")
            for replica, card in zip(self._replicas, cards):
                if card.traffic.split != sides:
                    raise RolloutError(f"{replica.url} does not see what is chosen here; it serves another model repository")
            return self._sums.more(cards)


class Reason(msgspec.Struct):
    """What is needed of the card of a version that is bad."""

    reason: str | None = None


def _old(home: Path, before: Choice, number: str) -> str:
    """The version whose traffic is moved: the heaviest other one of a split, or what answers."""
    others = {side: weight for side, weight in before.split.items() if side != number}
    old = max(others, key=lambda side: others[side]) if others else choice.default(home, before)
    if old is None:
        raise RolloutError(f"model '{home.name}' has no version that may serve")
    if old == number:
        older = [one for one in choice.numbers(home) if int(one) < int(number)]
        hint = f"; pin the one that shall answer meanwhile: tepal promote {home.name} {older[-1]}" if older else ""
        raise RolloutError(f"version {number} of '{home.name}' answers already{hint}")
    return old
