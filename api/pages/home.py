"""The page at ``/`` for a browser: what is served, and how to ask."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import msgspec

from api.message import Response
from tepal import Repository, __version__
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


def page(repository: Repository) -> Response:
    """The page as HTML, without a script."""
    html = _template().render(
        version=__version__,
        models=[_shown(model) for model in repository.models.values()],
        default=repository.default_name,
    )
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": _policy(),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Vary": "Accept",
    }
    return Response(200, headers, html.encode())


def _shown(model: Model) -> dict[str, Any]:
    default = model.default
    if default is None:
        return {"name": model.name, "reason": model.reason}
    manifest = default.manifest
    return {
        "name": model.name,
        "reason": None,
        "version": default.number,
        "manifest": manifest,
        "columns": manifest.signature.columns,
        "example": msgspec.json.encode(manifest.golden.rows[0]).decode(),
        "answer": msgspec.json.encode(manifest.golden.together.predictions[0]).decode(),
        "metrics": {key: value for key, value in manifest.metrics.items() if isinstance(value, (int, float))},
    }
