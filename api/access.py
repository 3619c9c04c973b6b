"""Who may call: the one place that decides it, before the body is read."""

from __future__ import annotations

from api.message import Request


def check(request: Request) -> None:
    """Let everyone in. A rule would raise here, and ``errors.py`` would say what the caller is told."""
