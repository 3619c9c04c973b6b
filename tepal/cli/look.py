"""Commands that read the model repository: list, show, verify."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from tepal import artifact, card, choice, repository
from tepal import manifest as manifests
from tepal.choice import Choice
from tepal.cli.output import as_json_option, print_json
from tepal.errors import ArtifactError, NotFound, RemoteError
from tepal.manifest import Manifest
from tepal.publish import store_from_environ
from tepal.remote import TIMEOUT, Remote


@click.command("list", epilog="Example: tepal list --json")
@as_json_option
def list_command(as_json: bool) -> None:
    """List the models, their versions and what they are.

    The default version is the one that answers where a request names none: what was chosen for a model by promote,
    rollback, split, shadow or rollout stands beside it. The files are checked for damage and for the libraries that are
    here; `tepal verify` also asks the models.
    """
    store = store_from_environ()
    found = repository.versions_on_disk(store)
    models = [_listed(store, name, numbers) for name, numbers in found.items()]
    if as_json:
        print_json({"models": models})
        return
    if not models:
        click.echo(f"No model in {store}/. Train one: python -m train iris")
        return
    rows = [("NAME", "VERSIONS", "DEFAULT", "TASK", "ROWS", "TRAINED", "CHOSEN" if any(map(_chosen, models)) else "")]
    rows += [
        (
            model["name"],
            _ranges(model["versions"]),
            model["default_version"] or "none",
            (model["task"] or "unknown") + (", sequence" if model["rows"] == "sequence" else ""),
            f"{model['trained']['rows']:,}" if model["trained"] else "",
            model["trained"]["at"][:10] if model["trained"] else "",
            _chosen(model),
        )
        for model in models
    ]
    for line in card.table(rows):
        click.echo(line)
    for model in models:
        if model["reason"]:
            click.echo(f"✗ {model['name']} cannot serve: {model['reason']}")


def _chosen(model: dict[str, Any]) -> str:
    return ", ".join(Choice(model["pinned"], model["split"] or {}, model["shadow"]).words)


def _listed(store: Path, name: str, numbers: Sequence[str]) -> dict[str, Any]:
    manifest, reason, chosen = None, None, Choice()
    try:
        chosen = choice.read(store / name)
        candidates = choice.candidates(chosen, numbers)
    except ArtifactError as error:
        reason, candidates = str(error), []
    for number in candidates:
        try:
            manifest, _ = artifact.verify(store / name / number)
            break
        except ArtifactError as error:
            reason = reason or f"version {number}{', which is pinned' if number == chosen.pinned else ''}: {error}"
    return {
        "name": name,
        "default_version": manifest and str(manifest.version),
        "versions": numbers,
        "pinned": chosen.pinned,
        "split": chosen.split or None,
        "shadow": chosen.shadow,
        "task": manifest and manifest.task,
        "rows": manifest and manifest.rows,
        "trained": manifest and {"at": manifest.created, "rows": manifest.n_rows},
        "reason": None if manifest else reason,
    }


def _ranges(numbers: Sequence[str]) -> str:
    """``1, 3–7``: consecutive numbers as one range."""
    runs: list[list[int]] = []
    for number in map(int, numbers):
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]}–{run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs)


@click.command("show", epilog="Example: tepal show iris")
@click.argument("name")
@click.argument("version", required=False)
@as_json_option
def show_command(name: str, version: str | None, as_json: bool) -> None:
    """Show the card of a model.

    What it takes, what it answers, how good it is, how it was made, and how to ask it. Without VERSION it is the card
    of the one that was chosen to answer, else the newest version's.
    """
    store = store_from_environ()
    numbers = repository.numbers_of(store, name, version)
    chosen = choice.read(store / name)
    number = version or choice.candidates(chosen, numbers)[0]
    folder = store / name / repository.numbers_of(store, name, number)[0]
    manifest = manifests.read(folder)
    if as_json:
        print_json(manifest)
        return
    width = max(40, min(card.WIDTH, shutil.get_terminal_size((card.WIDTH, 24)).columns))
    for line in card.lines(manifest, _checked(folder, manifest), width):
        click.echo(line)
    for use in choice.uses(chosen, number):
        click.echo(_USES[use])


_USES = {
    "pinned": "It is pinned: it answers, whatever is published after it.",
    "split": "It is in the split: it shares the traffic with others.",
    "shadow": "It is the shadow: it gets a copy of the traffic.",
}


def _checked(folder: Path, manifest: Manifest) -> str:
    try:
        artifact.verify(folder)
    except ArtifactError as error:
        return f"✗ It must not serve: {error}."
    rows = len(manifest.golden.rows)
    return (
        f"✓ Its files are whole, and the libraries are those that it was made with. "
        f"tepal verify {manifest.name} {manifest.version} also asks it its {rows} golden rows."
    )


@click.command("verify", epilog="Example: tepal verify iris --url http://127.0.0.1:8080")
@click.argument("name", required=False)
@click.argument("version", required=False)
@click.option("--url", help="Ask the service that is deployed there instead, and compare.")
@click.option(
    "--timeout",
    type=click.FloatRange(0.1, 3600),
    default=TIMEOUT,
    show_default=True,
    metavar="SECONDS",
    help="How long an answer of it may take.",
)
@as_json_option
def verify_command(name: str | None, version: str | None, url: str | None, timeout: float, as_json: bool) -> None:
    """Verify versions: all of them, those of the model NAME, or one. Exits with 1 if any fails.

    They are loaded as the service does by default: damage, library versions, and whether the golden rows, which are
    kept with the model, are answered as when it was published. With --url a deployed service is asked for them:
    whether it serves these very versions, and answers the same, each row alone and all together.
    """
    store = store_from_environ()
    found = repository.versions_on_disk(store)
    if name is not None:
        found = {name: repository.numbers_of(store, name, version)}
    if not found:
        raise NotFound(f"there is no model in {store}/ to verify")
    with _ways(url, timeout) as way:
        results = [_result(way, store, model, number) for model, numbers in found.items() for number in numbers]
    if as_json:
        print_json({"url": url, "versions": results} if url else {"versions": results})
    else:
        for result in results:
            mark = "✗" if result["reason"] else "✓"
            good = f"the same at {url}" if url else "verified"
            used = ", ".join(result["chosen"])
            used = f" ({used})" if used else ""
            click.echo(f"{mark} {result['name']} version {result['version']}{used}: {result['reason'] or good}")
    bad = sum(1 for result in results if result["reason"])
    if bad:
        those = "the version" if len(results) == 1 else f"{bad} of {len(results)} versions"
        raise ArtifactError(f"{those} must not serve" if url is None else f"the service differs in {those}")


@contextlib.contextmanager
def _ways(url: str | None, timeout: float) -> Iterator[Callable[[Path], object]]:
    """What verifies the version in a folder: here, or at a URL. It raises ArtifactError or RemoteError."""
    if url is None:
        yield repository.load
        return
    with contextlib.closing(Remote(url, timeout)) as remote:
        yield lambda folder: remote.verify(manifests.read(folder))


def _result(way: Callable[[Path], object], store: Path, name: str, number: str) -> dict[str, Any]:
    result: dict[str, Any] = {"name": name, "version": number, "reason": None, "chosen": []}
    try:
        result["chosen"] = choice.uses(choice.read(store / name), number)
        way(store / name / number)
    except (ArtifactError, RemoteError) as error:
        result["reason"] = str(error)
    return result
