"""Tepal, more than a tenth dearer: what the check of a request's cost must find."""

from __future__ import annotations

from typing import Any

import flask

from api import app as tepal


def create_app() -> flask.Flask:
    app = tepal.create_app()
    answer = app.wsgi_app

    def dearer(environ: Any, start_response: Any) -> Any:
        for _ in range(600):  # some 3,000 instructions
            _ = environ
        return answer(environ, start_response)

    app.wsgi_app = dearer
    return app
