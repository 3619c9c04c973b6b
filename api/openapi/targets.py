"""Who is asked by the routes of predictions: for each path, the models and versions that take the same rows on it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from tepal import Repository
from tepal.manifest import Manifest
from tepal.repository import Model, Version

Parameter = dict[str, Any]


class Target(NamedTuple):
    """One path, as it stands in the description.

    name: of this path among all, for the id of an operation. who: is asked. manifest, prefix: of the model whose rows
    it takes, and of its schemas' names; None where no model is ready. parameters: those of the path. several: whether
    models with other answers are asked too.
    """

    path: str
    name: str
    who: str
    tag: str
    manifest: Manifest | None = None
    prefix: str = ""
    parameters: tuple[Parameter, ...] = ()
    several: bool = False


def find(repository: Repository, path: str) -> Iterator[Target]:
    """The targets of a route; where its path holds the name of a model, one or more for each model.

    The path with a name or a number left open is there only where all of them take the same rows: no schema can say
    that with each name go other rows.
    """
    model = repository.models.get(repository.default_name or "")
    default = model.default if model else None
    if "{name}" not in path:
        manifest, prefix = (default.manifest, default.name) if default else (None, "")
        yield Target(path, "", "the default model", "Predict", manifest, prefix)
        return
    yield from _of_all(repository, path, default)
    for one, version in _ready(repository):
        yield from _of_one(path, one, version)


def ready(repository: Repository) -> list[Version]:
    """The default version of each model that has one."""
    return [version for _, version in _ready(repository)]


def schemas_of(repository: Repository) -> Iterator[tuple[str, Manifest]]:
    """The prefix of each group of versions that take and answer the same, and the manifest of one of them."""
    for model, default in _ready(repository):
        for group in _alike(model, default):
            yield _prefix(group[0], default), group[0].manifest


def path_parameter(name: str, description: str, values: Iterable[str] = (), example: str | None = None) -> Parameter:
    """A parameter of a path. values: all that it can be; none where that is open."""
    schema: dict[str, Any] = {"type": "string"}
    if enum := list(values):
        schema["enum"] = enum
    found = {"name": name, "in": "path", "required": True, "description": description, "schema": schema}
    return found if example is None else {**found, "example": example}


def _ready(repository: Repository) -> Iterator[tuple[Model, Version]]:
    """The models that have a default version, with it."""
    for model in repository.models.values():
        if (default := model.default) is not None:
            yield model, default


def _versions(model: Model) -> list[Version]:
    return [version for version in model.versions.values() if isinstance(version, Version)]


def _alike(model: Model, default: Version) -> list[list[Version]]:
    """The versions in groups of those that are described by the same schemas; the default and its group come first."""
    groups: list[list[Version]] = [[default]]
    for version in _versions(model):
        group = next((group for group in groups if _same(group[0], version)), None)
        if group is None:
            groups.append([version])
        elif version is not default:
            group.append(version)
    return groups


def _same(one: Version, other: Version) -> bool:
    """Whether the same schemas are true of both: those of one that was trained on other data tell another range."""
    return takes(one.manifest) == takes(other.manifest) and one.manifest.outputs == other.manifest.outputs


def takes(manifest: Manifest) -> list[tuple[Any, ...]]:
    """What decides which rows are taken: of each column its name, its type, and what is refused."""
    return [
        (column.name, column.type, column.dtype, column.nullable, column.categories if column.unseen == "refuse" else None)
        for column in manifest.signature.columns
    ]


def _prefix(version: Version, default: Version) -> str:
    # A capital, which no name of a model has, so that this is never another model's.
    return version.name if _same(version, default) else f"{version.name}.V{version.number}"


def _of_one(path: str, model: Model, default: Version) -> Iterator[Target]:
    """The paths of one model: with the number left open, or one for each of its versions where they take other rows."""
    name = model.name
    path = path.replace("{name}", name)
    if "{version}" not in path:
        yield Target(path, f"_{name}", name, name, default.manifest, name)
        return
    groups = _alike(model, default)
    if len(groups) == 1:
        parameter = path_parameter("version", f"A version of {name}.", _numbers(groups[0]), default.number)
        yield Target(path, f"_{name}_Version", f"a version of {name}", name, default.manifest, name, (parameter,))
        return
    for group in groups:
        for version in group:
            own = path.replace("{version}", version.number)
            who, prefix = f"version {version.number} of {name}", _prefix(group[0], default)
            yield Target(own, f"_{name}_Version_{version.number}", who, name, version.manifest, prefix)


def _of_all(repository: Repository, path: str, default: Version | None) -> Iterator[Target]:
    """The path with the name left open."""
    by_version = "{version}" in path
    name, who = ("ByVersion", "a version of a model") if by_version else ("ByName", "a model by its name")
    models = dict(_ready(repository))
    if not models:
        open_ = [path_parameter(key, "There is none yet.") for key in (("name", "version") if by_version else ("name",))]
        yield Target(path, name, who, "Predict", parameters=tuple(open_))
        return
    versions = [version for model in models for version in (_versions(model) if by_version else [models[model]])]
    reference = default or versions[0]
    if any(takes(version.manifest) != takes(reference.manifest) for version in versions):
        return
    parameters = [path_parameter("name", "The name of a model.", [model.name for model in models], reference.name)]
    if by_version:
        parameters.append(path_parameter("version", "Its version.", _numbers(versions), reference.number))
    several = len(models) > 1
    yield Target(path, name, who, "Predict", reference.manifest, reference.name, tuple(parameters), several)


def _numbers(versions: Iterable[Version]) -> list[str]:
    return sorted({version.number for version in versions}, key=int)
