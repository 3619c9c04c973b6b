"""The same requests as a file for the REST clients of VS Code and JetBrains: ``examples/requests.http``."""

from __future__ import annotations

from api import samples
from api.samples import Ask
from tepal.manifest import Manifest


def text(manifest: Manifest) -> str:
    """The file's text, for one model."""
    blocks = [_block(ask) for ask in (Ask("Ready", "GET", "/readyz"), *samples.asks(manifest))]
    return "\n".join(["# Written by `make requests`.", "@baseUrl = http://127.0.0.1:8080", "", *blocks])


def _block(ask: Ask) -> str:
    lines = [f"### {ask.name}", f"{ask.method} {{{{baseUrl}}}}{ask.path}"]
    if ask.body:
        lines += [f"Content-Type: {ask.content_type}", "", ask.body.rstrip("\n")]
    return "\n".join([*lines, ""])
