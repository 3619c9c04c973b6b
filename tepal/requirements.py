"""What the models of a repository need where they serve: read from their manifests, so that nothing of theirs runs.

One environment serves them all. Of each model those versions count that were chosen to answer, or as the shadow; the
newest one where none was.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

from tepal import artifact, choice
from tepal import manifest as manifests
from tepal.errors import ArtifactError
from tepal.manifest import Manifest
from tepal.repository import versions_on_disk

# An older scikit-learn may not stand a newer one of these.
BENEATH_SCIKIT_LEARN = ("numpy", "scipy")

# What may go into a file that pip reads.
_PIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9][A-Za-z0-9.!+_-]*")


class Requirements(NamedTuple):
    """What one environment must hold.

    python: the minor version on which the models were made (the highest, where code by value does not settle it);
    None where there is no model. packages: names on the package index, with exact versions. needed_by: the models
    that need each of them. notes: sentences about what this leaves out.
    """

    python: str | None
    packages: dict[str, str]
    needed_by: dict[str, list[str]]
    notes: list[str]


def read(store: Path, names: Collection[str] = ()) -> Requirements:
    """What the models in the folder ``store`` need, or those of them that are named.

    numpy and scipy are among it only beside a scikit-learn that is not the one installed here.
    Raises ArtifactError where this Python cannot run a model, no environment can hold what two of them need, or the file
    that says what was chosen is damaged.
    """
    found = versions_on_disk(store)
    notes = [f"there is no model {name!r} in {store}/" for name in names if name not in found]
    counted: list[Manifest] = []
    others: list[Manifest] = []
    for name in found if not names else [name for name in found if name in names]:
        readable = _readable([store / name / number for number in reversed(found[name])], notes)
        wanted = _wanted(store / name, readable)
        counted += [manifest for manifest in readable if str(manifest.version) in wanted]
        others += [manifest for manifest in readable if str(manifest.version) not in wanted]
    _check_that_they_can_share(counted)
    for manifest in counted:
        _check(manifest)
    needed_by: dict[str, list[str]] = {}
    packages = {}
    for manifest in sorted(counted, key=_here_and_new):  # so that the last one decides about numpy and scipy
        for package, version in _pinned(manifest).items():
            packages[package] = version
            needed_by[package] = sorted({*needed_by.get(package, ()), manifest.name})
    for manifest in others:
        missing = artifact.exact_packages(manifest).items() - packages.items()
        if manifest.by_value and manifest.python_minor != artifact.PYTHON:
            missing.add(("Python", manifest.python_minor))
        if missing:
            chosen = choice.read(store / manifest.name)
            which = "chosen" if chosen.pinned or chosen.split else "newest"
            needs = f"{_called(manifest)}, which needs {_named(sorted(missing))}"
            notes.append(f"only the {which} version of a model counts: {needs}, will not serve")
    return Requirements(_python(counted), dict(sorted(packages.items())), needed_by, notes)


def _wanted(home: Path, readable: Sequence[Manifest]) -> set[str]:
    """The numbers of the versions that answer, and of the shadow."""
    chosen = choice.read(home)
    answer = choice.candidates(chosen, [str(manifest.version) for manifest in reversed(readable)])
    return {*(answer if chosen.split else answer[:1]), *([] if chosen.shadow is None else [chosen.shadow])}


def _readable(paths: Sequence[Path], notes: list[str]) -> list[Manifest]:
    """The manifests in the folders of versions; of one that cannot be used there is a note instead."""
    readable = []
    for path in paths:
        try:
            readable.append(manifests.read(path))
        except ArtifactError as error:
            notes.append(f"'{path.parent.name}' version {path.name} is left out: {error}")
    return readable


def _check(manifest: Manifest) -> None:
    """Raise ArtifactError where pip would take a package for something else, or this Python cannot run the model."""
    for package, version in manifest.packages.items():
        if not _PIN.fullmatch(f"{package}=={version}"):
            raise ArtifactError(f"{_called(manifest)} names no package and version: {package!r} {version!r}")
    try:
        artifact.check_python(manifest)
    except ArtifactError as error:
        raise ArtifactError(f"{_called(manifest)} cannot serve here: {error}") from None


def _check_that_they_can_share(counted: Sequence[Manifest]) -> None:
    _check_equal(counted, {_called(one): f"Python {one.python_minor}" for one in counted if one.by_value})
    for package in sorted({package for manifest in counted for package in artifact.exact_packages(manifest)}):
        needs = {_called(one): artifact.exact_packages(one).get(package) for one in counted}
        _check_equal(counted, {one: f"{package} {version}" for one, version in needs.items() if version is not None})


def _check_equal(counted: Sequence[Manifest], needs: Mapping[str, str]) -> None:
    """Raise ArtifactError with a command for each image, where versions do not all need the same of something."""
    apart: dict[str, list[Manifest]] = {}
    for manifest in counted:
        if _called(manifest) in needs:
            apart.setdefault(needs[_called(manifest)], []).append(manifest)
    if len(apart) < 2:
        return
    said = ", ".join(f"{_called(group[0])} needs {need}" for need, group in apart.items())
    names = [{manifest.name for manifest in group} for group in apart.values()]
    for both in sorted({name for one, other in combinations(names, 2) for name in one & other}):
        raise ArtifactError(
            f"no image can hold what the chosen versions of '{both}' need: {said}; choose one that answers alone: "
            f"tepal promote {both} VERSION, and tepal shadow {both} off"
        )
    next(iter(apart.values())).extend(manifest for manifest in counted if _called(manifest) not in needs)
    commands = ", and ".join(_command_for(group) for group in apart.values())
    raise ArtifactError(f"no image can hold what all models need: {said}; build one for each: {commands}")


def _command_for(group: Sequence[Manifest]) -> str:
    names = ",".join(sorted({manifest.name for manifest in group}))
    return f"IMAGE=tepal:{group[0].name} MODELS={names} {artifact.build_command(_python(group) or '')}"


def _python(counted: Sequence[Manifest]) -> str | None:
    settled = [manifest for manifest in counted if manifest.by_value] or counted
    return max((manifest.python_minor for manifest in settled), key=lambda minor: (len(minor), minor), default=None)


def _pinned(manifest: Manifest) -> dict[str, str]:
    exact = artifact.exact_packages(manifest)
    if exact.get("scikit-learn") == artifact.installed("scikit-learn"):
        return exact
    return exact | {package: manifest.packages[package] for package in BENEATH_SCIKIT_LEARN if package in manifest.packages}


def _here_and_new(manifest: Manifest) -> tuple[bool, str]:
    return manifest.python_minor == artifact.PYTHON, manifest.created


def _called(manifest: Manifest) -> str:
    return f"'{manifest.name}' version {manifest.version}"


def _named(packages: Iterable[tuple[str, str]]) -> str:
    return ", ".join(f"{package} {version}" for package, version in packages)
