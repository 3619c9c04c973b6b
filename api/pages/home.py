"""The page at ``/`` for a browser, and the few files that it loads."""

from __future__ import annotations

from pathlib import Path

from api.message import Context, Request, Response
from api.pages import files
from tepal import NotFound

PLACE = Path(__file__).parent / "static"

# Each file of the page, with its type.
FILES = {path.name: files.type_of(path.name) for path in sorted(PLACE.iterdir())}

# Scripts and styles come from files of this service alone, and only it is asked. Text can never become markup.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)


def page(request: Request) -> Response:
    """The page as HTML: a frame that asks for the rest."""
    response = files.sent(PLACE / "index.html", request)
    return response.with_headers({"Content-Security-Policy": _POLICY, "Vary": "Accept, Accept-Encoding"})


def file(_: Context, request: Request, name: str) -> Response:
    """One of the files that the page loads. Raises NotFound for any other name."""
    if name not in FILES:
        raise NotFound(f"there is no file {name[:100]!r} of the page; there is {', '.join(FILES)}")
    return files.sent(PLACE / name, request)


ROUTES = (("GET", "/page/{file}", file),)
