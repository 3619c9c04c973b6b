"""What a person reads when the service has started."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

import msgspec

from api import terminal
from api.settings import Settings
from tepal import Repository, __version__
from tepal.manifest import Manifest
from tepal.model import Model

LONGEST = 1000  # characters of a request that anyone would copy from a terminal
EVERYWHERE = "0.0.0.0"  # noqa: S104 only compared with
STDERR = 2


def report(settings: Settings, repository: Repository) -> None:
    """Print what is served, where, how it was verified, and a request to try, to standard error."""
    colour = terminal.has_colour(STDERR)
    print(text(settings, repository, terminal.width(STDERR), colour, terminal.is_one(STDERR)), file=sys.stderr, flush=True)


def text(
    settings: Settings, repository: Repository, columns: int = terminal.WIDTH, colour: bool = False, watched: bool = False
) -> str:
    """The report as text of so many columns. watched: a person at a terminal can stop it there."""
    paint = partial(terminal.paint, colour=colour)
    shown_host = "127.0.0.1" if settings.host == EVERYWHERE else settings.host
    address = f"http://{shown_host}:{settings.port}"
    workers = f"{settings.web_concurrency} workers, {settings.threads} threads each"
    apart = " " if len(f"  Tepal {__version__} serves {address} ({workers})") <= columns else "\n  "
    lines = ["", f"  {paint('Tepal', 'bold')} {__version__} serves {paint(address, 'bold')}{apart}({workers})", ""]
    longest = max((len(name) for name in (*repository.models, *repository.elsewhere)), default=0)
    for model in repository.models.values():
        lines += _of_model(model, min(longest, 24), columns, paint)
    lines += [f"  · {name:{min(longest, 24)}}  served by replicas of its own" for name in repository.elsewhere]
    served = [model.default.manifest for model in repository.models.values() if model.default is not None]
    if served:
        rows = sum(len(manifest.golden.rows) for manifest in served)
        checks = f"Verified: sha256, library versions, {rows} golden rows answered as in training."
        lines += [paint(terminal.wrapped(checks, columns, "    ", "    "), "dim")]
    lines += [terminal.wrapped(wrong, columns, f"  {paint('✗', 'red')} ", "    ") for wrong in _wrong(settings, repository)]
    lines += _to_try(repository.default_name, served, address, columns, paint)
    if watched:
        lines += ["", paint("  Ctrl-C stops it. Requests are listed below.", "dim")]
    return "\n".join([*lines, ""])


def _of_model(model: Model, name_columns: int, columns: int, paint: Any) -> list[str]:
    name = f"{model.name:{name_columns}}"
    indent = " " * (name_columns + 6)
    if model.default is None:
        return [f"  {paint('✗', 'red')} {name}  {model.reason}"]  # in one line, because of the commands to copy in it
    chosen = f" ({', '.join(model.choice.words)})" if model.choice.words else ""
    shown = f"  {paint('✓', 'green')} {name}  version {model.default.number}{chosen}  {model.default.manifest.task}"
    cautions = [f"caution: {caution}" for caution in model.default.cautions]
    return [shown, *(paint(terminal.wrapped(caution, columns, indent, indent), "yellow") for caution in cautions)]


def _wrong(settings: Settings, repository: Repository) -> Iterator[str]:
    """What keeps the service as a whole from answering."""
    name, store = repository.default_name, settings.model_store
    if not repository.names:
        yield f"no model in {store}/: train one with python -m train iris"
    elif name is not None and name not in repository.names:
        yield f"the default model '{name}' is not in {store}/: it has {', '.join(repository.models)}"


def _to_try(default: str | None, served: list[Manifest], address: str, columns: int, paint: Any) -> list[str]:
    """A request to the default model, or else to the first one, and its answer: a golden row was asked a moment ago."""
    if not served:
        return []
    manifest = next((manifest for manifest in served if manifest.name == default), served[0])
    path = "/predict" if manifest.name == default else f"/models/{manifest.name}/predict"
    body = msgspec.json.encode(manifest.example).decode()
    lines = []
    if len(body) < LONGEST:
        command = f"curl -X POST {address}{path} -d {shlex.quote(body)}"
        if len(command) + 4 > columns:
            command = f"curl -X POST {address}{path} -d {shlex.quote(terminal.folded(body, columns - 4))}"
            command = command.replace(" -d '", " -d '\n", 1)
        lines += ["", "  Try it in another terminal:", "", *_indented(command, "cyan", paint)]
        lines += ["", *_indented(terminal.folded(_answer(manifest), columns - 5, " "), "dim", paint)]
    return [*lines, "", f"  Or open {paint(address + '/', 'bold')} in a browser."]


def _answer(manifest: Manifest) -> str:
    answers = manifest.golden.alone or manifest.golden.together
    first = {"model": manifest.name, "version": str(manifest.version), "predictions": answers.predictions[:1]}
    if answers.probabilities:
        first["probabilities"] = answers.probabilities[:1]
    return msgspec.json.encode(first).decode()


def _indented(block: str, style: str, paint: Any) -> list[str]:
    return [f"    {paint(part, style)}" for part in block.splitlines()]
