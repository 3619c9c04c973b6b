"""What a person reads when the service has started."""

from __future__ import annotations

import shlex
import sys

import msgspec

from api.settings import Settings
from tepal import Repository, __version__

LONGEST = 1000  # characters of a request that anyone would copy from a terminal
EVERYWHERE = "0.0.0.0"  # noqa: S104 only compared with


def report(settings: Settings, repository: Repository) -> None:
    """Print what is served, where, how it was verified, and a request to try, to standard error."""
    print(text(settings, repository), file=sys.stderr, flush=True)


def text(settings: Settings, repository: Repository) -> str:
    """The report as text."""
    shown_host = "127.0.0.1" if settings.host == EVERYWHERE else settings.host
    address = f"http://{shown_host}:{settings.port}"
    lines = [
        "",
        f"Tepal {__version__} serves {address} ({settings.web_concurrency} workers, {settings.threads} threads each)",
    ]
    for model in repository.models.values():
        if model.default is None:
            lines.append(f"  ✗ {model.name}: {model.reason}")
            continue
        manifest = model.default.manifest
        checks = f"sha256 and versions verified, {len(manifest.golden.rows)} golden rows replayed"
        chosen = f" ({', '.join(words)})" if (words := model.choice.words) else ""
        lines.append(f"  ✓ {model.name} version {model.default.number}{chosen}: {manifest.task}, {checks}")
        lines.extend(f"    caution: {caution}" for caution in model.default.cautions)
    lines.extend(f"  · {name}: served by replicas of its own" for name in repository.elsewhere)
    if not repository.names:
        lines.append(f"  ✗ no model in {settings.model_store}/: train one with python -m train iris")
    name = repository.default_name
    if repository.names and name is not None and name not in repository.names:
        lines.append(
            f"  ✗ the default model '{name}' is not in {settings.model_store}/: it has {', '.join(repository.models)}"
        )
    default = repository.models[name].default if name in repository.models else None
    if default is not None:
        body = shlex.quote(msgspec.json.encode(default.manifest.example).decode())
        if len(body) < LONGEST:
            lines.append(f"  try:  curl -X POST {address}/predict -d {body}")
        lines.append(f"  see:  {address}/ in a browser")
    return "\n".join([*lines, ""])
