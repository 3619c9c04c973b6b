"""The page at ``/`` for a browser: what is served, and how to ask."""

from __future__ import annotations

import base64
import hashlib
import re
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import msgspec

from api.message import Response
from tepal import Repository, __version__
from tepal.manifest import Manifest
from tepal.repository import Model

_HERE = Path(__file__).parent


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string((_HERE / "home.html").read_text())


@cache
def _policy() -> str:
    """Nothing may load from anywhere; the one style sheet is in the page and named by its hash."""
    styles = re.findall(r"<style>(.*?)</style>", (_HERE / "home.html").read_text(), re.DOTALL)
    hashes = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}'" for style in styles)
    return f"default-src 'none'; style-src {hashes}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


def page(repository: Repository, address: str) -> Response:
    """The page as HTML, without a script. address: as the browser knows this service, for the commands to copy."""
    html = _template().render(
        version=__version__,
        models=[_shown(model, repository.default_name) for model in repository.models.values()],
        elsewhere=list(repository.elsewhere),
        default=repository.default_name,
        address=address,
    )
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": _policy(),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Vary": "Accept",
    }
    return Response(200, headers, html.encode())


def _shown(model: Model, default_name: str | None) -> dict[str, Any]:
    default = model.default
    if default is None:
        return {"name": model.name, "reason": model.reason}
    manifest = default.manifest
    return {
        "name": model.name,
        "reason": None,
        "version": default.number,
        "chosen": model.choice.words,
        "manifest": manifest,
        "columns": manifest.signature.columns,
        "path": "/predict" if model.name == default_name else f"/models/{model.name}/predict",
        "example": shlex.quote(msgspec.json.encode(manifest.example).decode()),
        "answer": msgspec.json.encode(_answer(manifest)).decode(),
        "metrics": {key: value for key, value in manifest.metrics.items() if isinstance(value, (int, float))},
    }


def _answer(manifest: Manifest) -> Any:
    """What the model answers to the example; of a sequence to its last row, since the first may want a history."""
    golden = manifest.golden
    return golden.together.predictions[-1] if golden.alone is None else golden.alone.predictions[0]
