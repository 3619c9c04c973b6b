"""What the tests ask of the machine: parts that are found, or else skipped with what to install; and how much work."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

# Cases of each property test; `make fuzz` asks for more.
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "300"))

# Seconds for which each fault is done again and again; `make chaos` asks for more.
FAULT_SECONDS = int(os.environ.get("FAULT_SECONDS", "6"))

# Predictions of the soak, after half as many to warm up; `make soak` asks for more.
SOAK_REQUESTS = int(os.environ.get("SOAK_REQUESTS", "10000"))

# Rows of a file that is predicted in bulk, and a fourth of them before; `make soak` asks for more.
BULK_ROWS = int(os.environ.get("BULK_ROWS", "200000"))

INSTALL = {
    "nginx": "apt-get install nginx",
    "envsubst": "apt-get install gettext-base",
    "chromium": "apt-get install chromium",
    "node": "apt-get install nodejs",
    "wrk": "apt-get install wrk",
    "prometheus": "apt-get install prometheus",
    "promtool": "apt-get install prometheus",
    "docker": "https://docs.docker.com/engine/install/",
    "docker-compose": "apt-get install docker-compose",
}


def need(part: str) -> str:
    """The path of a program. Skips the test where it is missing; fails it where REQUIRE_PARTS is set."""
    return shutil.which(part) or missing(f"{part} is not installed: {INSTALL[part]}")


def need_docker() -> None:
    """Skip the test unless a Docker engine answers."""
    need("docker")
    if subprocess.run(["docker", "info"], capture_output=True, check=False).returncode != 0:
        missing("no Docker engine answers: start dockerd")


def missing(reason: str) -> str:
    """Skip the running test for a missing part, or fail it where every part was promised."""
    if os.environ.get("REQUIRE_PARTS"):
        pytest.fail(reason)
    pytest.skip(reason)
