"""``python -m api`` serves the model repository with gunicorn; so does ``python -m api serve``, as SageMaker says it."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

from api.settings import SETTINGS, SettingError, Settings, env_example


def main() -> None:
    """Check the settings, then become gunicorn.

    Exit code 3 for a setting that cannot be used, 1 where another program has the port.
    """
    if sys.argv[1:] == ["--env-example"]:
        print(env_example(), end="")
        sys.exit(0)
    if sys.argv[1:] == ["--requests-http"]:
        print(requests_of(Settings.from_environ(os.environ)), end="")
        sys.exit(0)
    if sys.argv[1:] not in ([], ["serve"]):
        print(usage())
        sys.exit(0 if sys.argv[1] in ("-h", "--help") else 2)
    try:
        settings = Settings.from_environ(os.environ)
    except SettingError as error:
        print(f"tepal: {error}", file=sys.stderr)
        sys.exit(3)
    if reason := taken(settings.host, settings.port):
        print(f"tepal: cannot listen on {settings.host}:{settings.port}: {reason}; set PORT or HOST", file=sys.stderr)
        sys.exit(1)
    os.environ["WEB_CONCURRENCY"] = str(settings.web_concurrency)  # gunicorn reads it too, and an empty one ends it
    from api.server.master import Application

    sys.argv[1:] = ["--config", str(Path(__file__).with_name("gunicorn.conf.py"))]
    Application("%(prog)s [OPTIONS]").run()


def taken(host: str, port: int) -> str | None:
    """Why nobody can listen there, None where one can. gunicorn would try five times, and say so ten times.

    Bound and not listened on: a connection that was accepted here would be broken off a moment later.
    """
    try:
        address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        with socket.socket(address[0], socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address[4])
    except OSError as error:
        return error.strerror
    return None


def requests_of(settings: Settings) -> str:
    """The file of requests to the default model."""
    from api import requests_http
    from tepal import Repository

    return requests_http.text(Repository.open(settings.model_store, names=settings.models).find().manifest)


def usage() -> str:
    """The help text, from the same table as the settings."""
    lines = [
        "Usage: python -m api [serve]",
        "",
        "Serves the model repository with gunicorn. Settings are environment variables:",
        "",
    ]
    for setting in SETTINGS:
        default = f" (default {setting.default})" if setting.default else ""
        lines.append(f"  {setting.variable:<24}{setting.means.replace('`', '')}{default}")
    lines += [
        "",
        "--env-example prints a file of them for Docker Compose.",
        "--requests-http prints requests to the default model, for the REST clients of VS Code and JetBrains.",
        "",
        "Example: PORT=9000 MODELS=iris python -m api",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
