"""All versions of one model, and which of them answers."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tepal.choice import NOTHING, Choice, Chosen
from tepal.errors import NotReady
from tepal.version import BadVersion, Version


class Awaited(Exception):
    """The version that was chosen is not loaded yet."""


class Model:
    """All versions of one model, by number, in ascending order.

    home: its folder in the model repository; None for a model that is nowhere on disk.
    """

    def __init__(self, name: str, versions: Iterable[Version | BadVersion] = (), home: Path | None = None):
        self.name = name
        self.versions: dict[str, Version | BadVersion] = {}
        self._good: list[Version] = []
        self._chosen = None if home is None else Chosen(home)
        self._last: Version | None = None  # of those that answered by what was chosen
        self.replace(versions)

    def replace(self, versions: Iterable[Version | BadVersion]) -> None:
        """Have these versions from now on. A request that is under way keeps the one that it has found."""
        self.versions = {version.number: version for version in sorted(versions, key=lambda version: int(version.number))}
        self._good = [version for version in self.versions.values() if isinstance(version, Version)]
        # Whether anybody has asked it or not: all workers say the same when another one that is bad is chosen.
        self._last = self._of(self.choice) if self.versions else None

    @property
    def choice(self) -> Choice:
        """What was chosen by command, at this moment."""
        return NOTHING if self._chosen is None else self._chosen.now()

    @property
    def chosen(self) -> Choice:
        """The same, when somebody last looked."""
        return NOTHING if self._chosen is None else self._chosen.before()

    @property
    def default(self) -> Version | None:
        """The version that answers most: the split's heaviest, else the pinned one, else the highest that verified."""
        return self._of(self.choice)

    @property
    def reason(self) -> str | None:
        """Why the model has no default version; None where it has one."""
        if self.default is not None:
            return None
        if self._chosen is not None and self._chosen.fault is not None:
            return self._chosen.fault
        pinned = self.choice.pinned
        bad = [version for version in self.versions.values() if isinstance(version, BadVersion)]
        if pinned is not None:
            why = next((version.reason for version in bad if version.number == pinned), "it is not in the model repository")
            return f"version {pinned}, which is pinned: {why}"
        return f"version {bad[-1].number}: {bad[-1].reason}" if bad else "it is not in the model repository"

    def answering(self, client: str) -> Version:
        """The version that answers a client.

        One that went bad while another answered leaves that one answering. Raises NotReady where there is none,
        Awaited where the one that was chosen is not loaded yet.
        """
        choice = self.choice
        number = choice.side(self.name, client) or choice.pinned
        if number is not None and number not in self.versions:
            raise Awaited(number)
        version = self.versions.get(number or "")
        found = version if isinstance(version, Version) else self._of(choice)
        if found is None:
            raise NotReady(f"model '{self.name}' cannot serve: {self.reason}")
        self._last = found
        return found

    def _of(self, choice: Choice) -> Version | None:
        good = self._good
        if choice.split:
            sides = [version for version in good if version.number in choice.split]
            return max(sides, key=lambda version: choice.split[version.number], default=self._last)
        if choice.pinned is not None:
            return next((version for version in good if version.number == choice.pinned), self._last)
        if not good or (self._chosen is not None and self._chosen.fault is not None):
            return None
        return good[-1]
