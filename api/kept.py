"""A body that is made from the repository when it is asked for, and kept until what is served changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from tepal import Repository
from tepal.manifest import Manifest
from tepal.repository import BadVersion, Model, Version


class Kept:
    """make: the body, from a repository. Two threads may make it at once, and both make the same."""

    def __init__(self, make: Callable[[Repository], bytes]):
        self._make = make
        self._kept: WeakKeyDictionary[Repository, tuple[tuple[Any, ...], bytes]] = WeakKeyDictionary()

    def of(self, repository: Repository) -> bytes:
        """The body for what the repository serves at this moment."""
        now = _served(repository)
        kept = self._kept.get(repository)
        if kept is None or kept[0] != now:
            kept = self._kept[repository] = (now, self._make(repository))
        return kept[1]


def _served(repository: Repository) -> tuple[Any, ...]:
    """What differs when another version is served, or another one answers.

    By their manifests: a number may be that of another version later, and the version itself must not be held here.
    """
    models = repository.models.values()
    return (repository.default_name, *((model.name, _manifest(model.default), *_manifests(model)) for model in models))


def _manifest(version: Version | BadVersion | None) -> Manifest | None:
    return version.manifest if isinstance(version, Version) else None


def _manifests(model: Model) -> list[Manifest | None]:
    return [_manifest(version) for version in model.versions.values()]
