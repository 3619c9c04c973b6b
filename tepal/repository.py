"""The model repository: the versions on disk, and those of them that are loaded and may serve."""

from __future__ import annotations

import difflib
import os
import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from time import monotonic
from typing import Any, Literal, NamedTuple

from tepal import manifest as manifests
from tepal.attempts import Attempts
from tepal.errors import ArtifactError, NotFound, NotReady, RepositoryError
from tepal.model import Awaited, Model
from tepal.version import BadVersion, RuntimeName, Version, load

__all__ = ["BadVersion", "Change", "Model", "Repository", "Version", "load", "versions_on_disk"]

# Seconds between two looks at what is on disk.
LOOK_EVERY = 1.0
# Seconds for which the first requests to a new worker wait, so that it does not answer as of the start of its master.
FIRST_LOOK = 2.0

# This process. os.getpid() is a call of the system, and this is asked for at each request.
_here = os.getpid()


def _forked() -> None:
    global _here  # noqa: PLW0603
    _here = os.getpid()


os.register_at_fork(after_in_child=_forked)

Fingerprint = tuple[tuple[str, int, int, int, int, int, int], ...]


class Change(NamedTuple):
    """What became of a version on disk. seconds: how long it took to load and test.

    what: ``loaded``; ``refused`` for the reason; ``kept``, for the reason, where a loaded one goes on in place of what
    became of its files; ``dropped`` where it is gone.
    """

    name: str
    number: str
    what: Literal["loaded", "refused", "kept", "dropped"]
    reason: str | None = None
    seconds: float = 0.0


class Repository:
    """The models that are served. Loaded once, before the workers fork, so that they share its memory."""

    def __init__(
        self,
        models: Iterable[Model] = (),
        default_model: str | None = None,
        *,
        store: Path | None = None,
        names: Sequence[str] = (),
        elsewhere: Sequence[str] = (),
        allow_version_mismatch: bool = False,
        runtime: RuntimeName = "auto",
    ):
        """models: as they are. store: the folder to look for more in; the rest as ``open`` has it."""
        self.models = {model.name: model for model in sorted(models, key=lambda model: model.name)}
        self.on_change: Callable[[Change], Any] = bool  # told of each change, by whichever thread sees it
        self.on_error: Callable[[Exception], Any] = bool  # told of a look that failed; the next one may not
        self._default_model = default_model
        self._store = store
        self._names = names
        # The models that others serve, with the numbers of their versions on this disk.
        self.elsewhere: dict[str, list[str]] = {name: [] for name in sorted(elsewhere) if name not in names}
        self._allow_version_mismatch = allow_version_mismatch
        self._runtime: RuntimeName = runtime
        self._fault: str | None = None  # why the folder cannot be looked into
        self._fingerprints: dict[tuple[str, str], Fingerprint] = {}
        self._attempts = Attempts()
        self._process = 0  # whose thread looks
        self._began = 0.0  # when it began
        self._once = threading.Event()  # it has looked
        self._wanted = threading.Event()  # it shall look now
        self._looking = threading.Lock()
        self._looks = 0
        self._news = threading.Condition()

    @classmethod
    def open(
        cls,
        store: Path,
        *,
        names: Sequence[str] = (),
        elsewhere: Sequence[str] = (),
        default_model: str | None = None,
        allow_version_mismatch: bool = False,
        runtime: RuntimeName = "auto",
    ) -> Repository:
        """Load every version of every model in the folder ``store``. Never raises because of what is in it.

        names: serve these models only; one that is not there is a model without versions.
        elsewhere: models that others serve; they are listed, and not loaded unless ``names`` has them.
        default_model: the model that answers where a request names none. runtime: as ``load`` has it.
        """
        repository = cls(
            [Model(name, home=store / name) for name in names],
            default_model,
            store=store,
            names=names,
            elsewhere=elsewhere,
            allow_version_mismatch=allow_version_mismatch,
            runtime=runtime,
        )
        repository.refresh()
        return repository

    def refresh(self) -> list[Change]:
        """Look at the disk: load what is new, and drop what is gone. Returns what changed.

        What is bad never takes the place of what is good. A folder that cannot be looked into changes nothing.
        """
        if self._store is None:
            return []
        with self._looking:
            try:
                changes = self._look(self._store)
                self._fault = None
            except RepositoryError as error:
                self._fault, changes = str(error), []
        self._looks += 1
        self._tell()
        for change in changes:
            self.on_change(change)
        return changes

    def _look(self, store: Path) -> list[Change]:
        found = versions_on_disk(store)
        self.elsewhere = {name: found.pop(name, []) for name in self.elsewhere}
        wanted = {name: found.get(name, []) for name in self._names} if self._names else found
        changes = [change for name, numbers in wanted.items() for change in self._refresh_model(store / name, numbers)]
        gone = [] if self._names or not store.is_dir() else [name for name in self.models if name not in wanted]
        for name in gone:
            changes += [Change(name, number, "dropped") for number in self.models[name].versions]
        if gone:
            self.models = {name: model for name, model in self.models.items() if name not in gone}
        return changes

    def _tell(self) -> None:
        with self._news:
            self._news.notify_all()

    def _refresh_model(self, home: Path, numbers: Sequence[str]) -> list[Change]:
        name = home.name
        known = self.models.get(name)
        if known is None:
            # In the list when its versions are, so that nobody meets it without them.
            model = Model(name, home=home)
            changes = self._load_into(model, home, numbers)
            self.models = dict(sorted({**self.models, name: model}.items()))
            return changes
        return self._load_into(known, home, numbers)

    def _load_into(self, model: Model, home: Path, numbers: Sequence[str]) -> list[Change]:
        versions = dict(model.versions)
        changes = []
        for number in numbers:
            fingerprint = _fingerprint(home / number)
            if number in versions and self._fingerprints.get((model.name, number)) == fingerprint:
                continue
            self._fingerprints[model.name, number] = fingerprint
            began = monotonic()
            loaded = self._load(home / number, fingerprint)
            seconds = monotonic() - began
            if isinstance(loaded, Version):
                changes.append(Change(model.name, number, "loaded", None, seconds))
            elif isinstance(versions.get(number), Version):
                changes.append(Change(model.name, number, "kept", loaded.reason, seconds))
                continue
            else:
                changes.append(Change(model.name, number, "refused", loaded.reason, seconds))
            versions[number] = loaded
            model.replace(versions.values())  # each as soon as it is there
            self._tell()
        gone = [number for number in versions if number not in numbers] if _can_tell_what_is_gone(home) else []
        changes += [Change(model.name, number, "dropped") for number in gone]
        if gone:
            model.replace(version for number, version in versions.items() if number not in gone)
        return changes

    def _load(self, path: Path, fingerprint: Fingerprint) -> Version | BadVersion:
        try:
            with self._attempts.attempt(f"{path}{fingerprint}"):
                return load(path, allow_version_mismatch=self._allow_version_mismatch, runtime=self._runtime)
        except ArtifactError as error:
            return BadVersion(path.parent.name, path.name, str(error))

    def keep_up(self) -> None:
        """Have this process look for what changes on disk, once a second. Called by every request: nearly free.

        By each process for itself: a thread that was started before a fork is not there after it.
        """
        if self._process != _here and self._store is not None:
            with self._news:
                if self._process != _here:
                    self._once.clear()
                    self._began = monotonic()
                    self._process = _here
                    looking = threading.Thread(target=_look_on, args=(weakref.ref(self),), name="looks", daemon=True)
                    looking.start()

    def find(self, name: str | None = None, number: str | None = None, client: str = "", patience: float = 0.0) -> Version:
        """The version that answers; the default model where no name is given, its default version where no number is.

        client: who asks, for a split between versions. patience: seconds to wait for a version that is not loaded yet.
        Raises NotFound for a name or number that is not there, NotReady for one that must not serve.
        """
        if self._process == _here and not self._once.is_set():
            self._once.wait(min(patience, self._began + FIRST_LOOK - monotonic()))
        model = self.model(name) if name is not None else self._default()
        if number is None:
            return self._answering(model, client, patience)
        version = model.versions.get(number)
        if version is None:
            has = ", ".join(model.versions) or "no version"
            raise NotFound(f"model '{model.name}' has no version {number[:100]!r}; it has {has}")
        if isinstance(version, BadVersion):
            raise NotReady(f"model '{model.name}' version {number} cannot serve: {version.reason}")
        return version

    def _answering(self, model: Model, client: str, patience: float) -> Version:
        until, enough = 0.0, 0
        while True:
            try:
                return model.answering(client)
            except Awaited as awaited:
                number = str(awaited)
            if not enough:
                until, enough = monotonic() + patience, self._looks + 2  # one look may be under way
            if self._looks >= enough and model.default is not None:
                return model.default  # what was chosen is not there
            with self._news:
                self._wanted.set()
                if self._looks >= enough or not self._news.wait(until - monotonic()):
                    raise NotReady(f"model '{model.name}' cannot serve: version {number} was chosen and is not there (yet)")

    def model(self, name: str) -> Model:
        """A model by name. Raises NotFound that lists what there is, NotReady for one that is served elsewhere."""
        model = self.models.get(name)
        if model is None:
            if name in self.elsewhere:
                raise NotReady(f"model '{name}' has replicas of its own (ROOMS), and this is none of them")
            raise NotFound(f"there is no model {name[:100]!r}; {self._listing(name)}")
        return model

    @property
    def names(self) -> list[str]:
        """Of all models, those that are served elsewhere included."""
        return sorted([*self.models, *self.elsewhere])

    @property
    def default_name(self) -> str | None:
        """The name of the model that answers where a request names none; None where that is not settled."""
        if self._default_model is not None:
            return self._default_model
        # Those that are served elsewhere count, so that no other answers in place of one that has moved there.
        names = list(self.models) if self._names else self.names
        if len(names) == 1:
            return names[0]
        return "iris" if "iris" in names else None

    def _default(self) -> Model:
        name = self.default_name
        if name is not None:
            if name not in self.models and name not in self.elsewhere:
                raise NotReady(f"the default model '{name}' is not in the model repository")
            return self.model(name)
        if not self.models and not self.elsewhere:
            raise NotReady(self._fault or "the model repository is empty; publish a model")
        raise NotFound(f"several models are served and none of them is the default; {self._listing('')}")

    def _listing(self, name: str) -> str:
        near = difflib.get_close_matches(name[:100], self.names, n=1)
        hint = f"did you mean '{near[0]}'? " if near else ""
        return f"{hint}there is {', '.join(self.names)}" if self.names else self._fault or "the model repository is empty"


def _look_on(reference: weakref.ref[Repository]) -> None:
    """Have a repository look at the disk, again and again, for as long as anybody else holds it."""
    while (repository := reference()) is not None:
        wanted = repository._wanted  # noqa: SLF001 this is a part of it
        wanted.clear()
        try:
            repository.refresh()
        except Exception as error:  # noqa: BLE001 the next look may succeed, and without this thread there is none
            repository.on_error(error)
        repository._once.set()  # noqa: SLF001
        del repository
        wanted.wait(LOOK_EVERY)


def versions_on_disk(store: Path) -> dict[str, list[str]]:
    """Names of models and numbers of their versions, ascending, as the folders say. Opens no file.

    Raises RepositoryError where the folder cannot be looked into.
    """
    try:
        homes = [home for home in store.iterdir() if manifests.NAME.fullmatch(home.name) and home.is_dir()]
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise RepositoryError(f"the model repository cannot be looked into: {error.strerror}") from None
    found = {}
    for home in sorted(homes):
        try:
            numbers = [path.name for path in home.iterdir() if manifests.VERSION.fullmatch(path.name) and path.is_dir()]
        except OSError:
            numbers = ["1"]  # it cannot be looked into: loading its first version says why
        if numbers:
            found[home.name] = sorted(numbers, key=int)
    return found


def _can_tell_what_is_gone(home: Path) -> bool:
    """Whether a version of the model in the folder ``home`` that was not found is not there."""
    try:
        next(home.iterdir(), None)
    except FileNotFoundError:
        return home.parent.is_dir()
    except OSError:
        return False
    return True


def numbers_of(store: Path, name: str, number: str | None = None) -> list[str]:
    """The numbers of a model's versions on disk, ascending; only ``number`` where it is given.

    Raises NotFound for a model or version that is not there, with what is.
    """
    found = versions_on_disk(store)
    if name not in found:
        near = difflib.get_close_matches(name[:100], found, n=1)
        there = f"there is {', '.join(found)}" if found else "there is none"
        raise NotFound(f"there is no model {name!r} in {store}/; {f'did you mean {near[0]!r}? ' if near else ''}{there}")
    if number is None:
        return found[name]
    if number not in found[name]:
        raise NotFound(f"model '{name}' has no version {number!r}; it has {', '.join(found[name])}")
    return [number]


def _fingerprint(path: Path) -> Fingerprint:
    """What changes when a file of a version does; a folder that cannot be looked into has none."""
    try:
        found = [(entry.name, entry.stat()) for entry in os.scandir(path)]
    except OSError:
        return ()
    return tuple(
        sorted(
            (name, stat.st_size, stat.st_mtime_ns, stat.st_ino, stat.st_mode, stat.st_uid, stat.st_gid)
            for name, stat in found
        )
    )
