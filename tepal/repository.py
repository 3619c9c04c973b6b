"""The model repository: the versions on disk, and those of them that are loaded and may serve."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path
from time import perf_counter

from tepal import artifact, selftest
from tepal import manifest as manifests
from tepal.errors import ArtifactError, NotFound, NotReady, without_paths
from tepal.manifest import Manifest
from tepal.notes import SeenInTraining
from tepal.runtime.sklearn import SklearnRuntime
from tepal.wire.formats import Readers


class Version:
    """A version that was loaded, verified and self-tested, with all that a request to it needs."""

    def __init__(self, manifest: Manifest, runtime: SklearnRuntime, cautions: Sequence[str] = (), load_seconds: float = 0.0):
        self.name = manifest.name
        self.number = str(manifest.version)
        self.manifest = manifest
        self.cautions = cautions
        self.load_seconds = load_seconds
        self.runtime = runtime
        self.readers = Readers(manifest.signature)
        self.seen = SeenInTraining(manifest.signature)


class BadVersion:
    """A version that must not serve, with the reason. It is listed, and touches no other."""

    def __init__(self, name: str, number: str, reason: str):
        self.name = name
        self.number = number
        self.reason = reason


def load(path: Path, *, allow_version_mismatch: bool = False) -> Version:
    """Verify, unpickle and self-test the artifact in ``…/<name>/<version>``.

    Raises ArtifactError with the reason why it must not serve.
    """
    began = perf_counter()
    manifest, pickled = artifact.verify(path, allow_version_mismatch=allow_version_mismatch)
    try:
        estimator = artifact.load(pickled)
        runtime = SklearnRuntime(estimator, manifest.outputs, manifest.signature.container, manifest.history)
        selftest.replay(manifest.signature, runtime, manifest.golden)
        return Version(manifest, runtime, artifact.cautions(path), perf_counter() - began)
    except ArtifactError:
        raise
    except Exception as error:  # a pickle may hold anything; nothing in it may stop the other models
        raise ArtifactError(f"it cannot be loaded: {type(error).__name__}: {without_paths(str(error))}") from error


class Model:
    """All versions of one model, by number, in ascending order."""

    def __init__(self, name: str, versions: Iterable[Version | BadVersion] = ()):
        self.name = name
        self.versions = {version.number: version for version in sorted(versions, key=lambda version: int(version.number))}

    @property
    def default(self) -> Version | None:
        """The highest version that verified."""
        good = [version for version in self.versions.values() if isinstance(version, Version)]
        return good[-1] if good else None

    @property
    def reason(self) -> str | None:
        """Why the model has no default version; None where it has one."""
        if self.default is not None:
            return None
        bad = [version for version in self.versions.values() if isinstance(version, BadVersion)]
        return f"version {bad[-1].number}: {bad[-1].reason}" if bad else "it is not in the model repository"


class Repository:
    """The models that are served. Loaded once, before the workers fork, so that they share its memory."""

    def __init__(self, models: Iterable[Model], default_model: str | None = None):
        self.models = {model.name: model for model in sorted(models, key=lambda model: model.name)}
        self._default_model = default_model

    @classmethod
    def open(
        cls,
        store: Path,
        *,
        names: Sequence[str] = (),
        default_model: str | None = None,
        allow_version_mismatch: bool = False,
    ) -> Repository:
        """Load every version of every model in the folder ``store``. Never raises because of what is in it.

        names: serve these models only; one that is not there is a model without versions.
        default_model: the model that answers where a request names none.
        """
        found = versions_on_disk(store)
        wanted = {name: found.get(name, ()) for name in names} if names else found
        return cls(
            [_load_model(store, name, numbers, allow_version_mismatch) for name, numbers in wanted.items()], default_model
        )

    def find(self, name: str | None = None, number: str | None = None) -> Version:
        """The version that answers; the default model where no name is given, its default version where no number is.

        Raises NotFound for a name or number that is not there, NotReady for one that must not serve.
        """
        model = self.models.get(name) if name is not None else self._default()
        if model is None:
            raise NotFound(f"there is no model {(name or '')[:100]!r}; {self._listing(name or '')}")
        if number is None:
            if model.default is None:
                raise NotReady(f"model '{model.name}' cannot serve: {model.reason}")
            return model.default
        version = model.versions.get(number)
        if version is None:
            has = ", ".join(model.versions) or "no version"
            raise NotFound(f"model '{model.name}' has no version {number[:100]!r}; it has {has}")
        if isinstance(version, BadVersion):
            raise NotReady(f"model '{model.name}' version {number} cannot serve: {version.reason}")
        return version

    def model(self, name: str) -> Model:
        """A model by name. Raises NotFound that lists what there is."""
        if name not in self.models:
            raise NotFound(f"there is no model {name[:100]!r}; {self._listing(name)}")
        return self.models[name]

    @property
    def default_name(self) -> str | None:
        """The name of the model that answers where a request names none; None where that is not settled."""
        if self._default_model is not None:
            return self._default_model
        if len(self.models) == 1:
            return next(iter(self.models))
        return "iris" if "iris" in self.models else None

    def _default(self) -> Model:
        name = self.default_name
        if name is not None:
            if name not in self.models:
                raise NotReady(f"the default model '{name}' is not in the model repository")
            return self.models[name]
        if not self.models:
            raise NotReady("the model repository is empty; publish a model, then start again")
        raise NotFound(f"several models are served and none of them is the default; {self._listing('')}")

    def _listing(self, name: str) -> str:
        near = difflib.get_close_matches(name[:100], self.models, n=1)
        hint = f"did you mean '{near[0]}'? " if near else ""
        return f"{hint}there is {', '.join(self.models)}" if self.models else "the model repository is empty"


def versions_on_disk(store: Path) -> dict[str, list[str]]:
    """Names of models and numbers of their versions, ascending, as the folders say. Opens no file."""
    if not store.is_dir():
        return {}
    found = {}
    for home in sorted(store.iterdir()):
        if home.is_dir() and manifests.NAME.fullmatch(home.name):
            try:
                numbers = [path.name for path in home.iterdir() if manifests.VERSION.fullmatch(path.name) and path.is_dir()]
            except OSError:
                numbers = ["1"]  # it cannot be looked into: loading its first version says why
            if numbers:
                found[home.name] = sorted(numbers, key=int)
    return found


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


def _load_model(store: Path, name: str, numbers: Sequence[str], allow_version_mismatch: bool) -> Model:
    versions: list[Version | BadVersion] = []
    for number in numbers:
        try:
            versions.append(load(store / name / number, allow_version_mismatch=allow_version_mismatch))
        except ArtifactError as error:
            versions.append(BadVersion(name, number, str(error)))
    return Model(name, versions)
