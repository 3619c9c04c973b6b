"""The page at ``/docs``: Swagger UI, from files of this machine alone."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from api.message import Context, Request, Response
from api.pages import files
from tepal import NotFound

_HERE = Path(__file__).parent
_THEIRS = Path(str(resources.files("flask_swagger_ui"))) / "dist"

# Each file beside the page, with its type: Swagger UI's own, and what starts it.
_PLACES = {
    "favicon-32x32.png": _THEIRS / "favicon-32x32.png",
    "start.js": _HERE / "docs.js",
    "swagger-ui-bundle.js": _THEIRS / "swagger-ui-bundle.js",
    "swagger-ui.css": _THEIRS / "swagger-ui.css",
}
FILES = {name: files.type_of(name) for name in _PLACES}

# Nothing may load from elsewhere, and nothing that is written into the page may run. Its pictures are in its style sheet.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def page(_: Context, request: Request) -> Response:
    """The page itself, which loads the files beside it and the description."""
    response = files.sent(_HERE / "docs.html", request)
    return response.with_headers({"Content-Security-Policy": _POLICY})


def file(_: Context, request: Request, name: str) -> Response:
    """One of the files beside the page."""
    if name not in _PLACES:
        raise NotFound(f"the page has no file {name[:100]!r}; it has {', '.join(FILES)}")
    return files.sent(_PLACES[name], request)


ROUTES = (
    ("GET", "/docs", page),
    ("GET", "/docs/{file}", file),
)
