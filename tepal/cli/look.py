"""Commands that read the model repository: list, show, verify."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from tepal import manifest as manifests
from tepal import repository
from tepal.errors import ArtifactError, NotFound
from tepal.manifest import Manifest
from tepal.publish import store_from_environ
from tepal.signature import Column

_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for a script to read.")


@click.command("list")
@_as_json
def list_command(as_json: bool) -> None:
    """List the models and their versions.

    Example: tepal list --json
    """
    found = repository.versions_on_disk(store_from_environ())
    if as_json:
        _print_json({"models": [{"name": name, "versions": numbers} for name, numbers in found.items()]})
        return
    if not found:
        click.echo(f"No model in {store_from_environ()}/. Train one: python -m train iris")
    width = max((len(name) for name in found), default=0)
    for name, numbers in found.items():
        click.echo(f"{name:<{width}}  versions {', '.join(numbers)}")


@click.command("show")
@click.argument("name")
@click.argument("version", required=False)
@_as_json
def show_command(name: str, version: str | None, as_json: bool) -> None:
    """Show the card of a model: what it takes, what it answers, what it was trained on.

    Example: tepal show iris
    """
    manifest = manifests.read(_folder(name, version))
    if as_json:
        _print_json(manifest)
        return
    for line in _card(manifest):
        click.echo(line)


@click.command("verify")
@click.argument("name", required=False)
@click.argument("version", required=False)
@_as_json
def verify_command(name: str | None, version: str | None, as_json: bool) -> None:
    """Load versions as the service does by default: digests, library versions, golden rows. Exits with 1 if any fails.

    Example: tepal verify iris
    """
    found = repository.versions_on_disk(store_from_environ())
    if not found:
        raise NotFound(f"there is no model in {store_from_environ()}/ to verify")
    if name is not None:
        folder = _folder(name, version)
        found = {name: [folder.name] if version else found[name]}
    results = [_verified(model, number) for model, numbers in found.items() for number in numbers]
    if as_json:
        _print_json({"versions": results})
    else:
        for result in results:
            mark = "✗" if result["reason"] else "✓"
            click.echo(f"{mark} {result['name']} version {result['version']}: {result['reason'] or 'verified'}")
    bad = sum(1 for result in results if result["reason"])
    if bad:
        raise ArtifactError(f"{bad} of {len(results)} versions must not serve")


def _verified(name: str, number: str) -> dict[str, str | None]:
    try:
        repository.load(store_from_environ() / name / number)
    except ArtifactError as error:
        return {"name": name, "version": number, "reason": str(error)}
    return {"name": name, "version": number, "reason": None}


def _folder(name: str, version: str | None) -> Path:
    store = store_from_environ()
    found = repository.versions_on_disk(store)
    if name not in found:
        raise NotFound(f"there is no model {name!r} in {store}/; there is {', '.join(found) or 'none'}")
    if version is not None and version not in found[name]:
        raise NotFound(f"model '{name}' has no version {version!r}; it has {', '.join(found[name])}")
    return store / name / (version or found[name][-1])


def _card(manifest: Manifest) -> list[str]:
    lines = [
        f"{manifest.name} version {manifest.version}: {manifest.task}, {manifest.estimator}",
        f"  trained   {manifest.created} on {manifest.n_rows} rows, by {manifest.command}",
        f"  made with Python {manifest.python}, " + ", ".join(f"{name} {v}" for name, v in manifest.packages.items()),
        "  takes",
        *[f"    {column.name}: {_described(column)}" for column in manifest.signature.columns],
        "  answers",
    ]
    for output in manifest.outputs:
        classes = ", ".join(str(label) for label in output.classes or ())
        lines.append(f"    {output.name}: {classes or 'a number'}{', with probabilities' if output.probabilities else ''}")
    simple = {key: value for key, value in manifest.metrics.items() if isinstance(value, (int, float, str))}
    if simple:
        lines += ["  metrics", *[f"    {key}: {value}" for key, value in simple.items()]]
    if manifest.meta:
        lines += ["  meta", *[f"    {key}: {value}" for key, value in manifest.meta.items()]]
    return lines


def _described(column: Column) -> str:
    words: list[str] = [column.type]
    if column.minimum is not None:
        words.append(f"{column.minimum!r}–{column.maximum!r} in training")
    if column.categories is not None:
        words.append(f"one of {', '.join(column.categories[:10])}{', …' if len(column.categories) > 10 else ''}")
    if column.nullable:
        words.append("may be null")
    return ", ".join(words)


def _print_json(value: Any) -> None:
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
