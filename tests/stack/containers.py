"""Images and containers for tests, named apart from a user's own, and removed whatever happens."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.parts import need, need_docker
from tests.servers import ROOT

API = "test-tepal"
NGINX = "test-tepal-nginx"
START = 60  # seconds in which a container must answer


def run(*command: str, **options: Any) -> str:
    """The standard output of a command that must succeed; its words where it does not."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
    return str(done.stdout.strip())


def checkout(folder: Path, tag: str = "latest") -> Path:
    """A copy of what a fresh checkout holds for the builds: all but the models of this working copy.

    tag: of the images that Compose builds from it.
    """
    need_docker()
    for name in ("tepal", "train", "api", "nginx"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in (".dockerignore", "requirements.txt", "requirements-arrow.txt", "requirements-train.txt"):
        shutil.copy2(ROOT / name, folder)
    (folder / "model").mkdir()
    shutil.copy2(ROOT / "model" / "README.md", folder / "model")
    for file in ROOT.glob("docker-compose*.yml"):
        text = re.sub(r"(image: (?:\$\{IMAGE:-)?)(tepal[a-z-]*)", rf"\1test-\2:{tag}", file.read_text())
        (folder / file.name).write_text(text)
    return folder


def build(folder: Path, tag: str = API, *arguments: str) -> str:
    """Build the API's image from a checkout. Returns the tag."""
    run("docker", "build", "--quiet", "--tag", tag, "--file", "api/Dockerfile", *arguments, ".", cwd=folder)
    return tag


@contextlib.contextmanager
def container(image: str, *options: str, command: Sequence[str] = ()) -> Iterator[str]:
    """A container that runs in the background; its id."""
    identity = run("docker", "run", "--detach", *options, image, *command)
    try:
        yield identity
    finally:
        run("docker", "rm", "--force", "--volumes", identity)


def published(identity: str, port: int) -> int:
    """The port of 127.0.0.1 behind which a container's ``port`` is."""
    return int(run("docker", "port", identity, f"{port}/tcp").splitlines()[0].rpartition(":")[2])


def logs(identity: str) -> str:
    return subprocess.run(
        ["docker", "logs", identity], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True
    ).stdout


def wait_until(true: Callable[[], bool], why: Callable[[], str], seconds: float = START) -> None:
    """Wait until something is true; fails with ``why`` where it does not become so."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, why()
        time.sleep(0.1)


class Stack:
    """The whole stack under one of the two programs that read docker-compose.yml."""

    def __init__(self, program: Sequence[str], folder: Path, port: int, settings: dict[str, str]):
        self.port = port
        self.name = f"tepal-test-{uuid.uuid4().hex[:8]}"
        self._command = [*program, "-p", self.name]
        # COMPOSE_DOCKER_CLI_BUILD=0: version 1 builds by itself then, as it does where there is no BuildKit.
        environ = {**os.environ, "PUBLISHED_PORT": str(port), "COMPOSE_DOCKER_CLI_BUILD": "0", **settings}
        self._options: dict[str, Any] = {"cwd": folder, "env": environ}

    def __call__(self, *arguments: str) -> str:
        return run(*self._command, *arguments, **self._options)

    def replicas(self, service: str = "api") -> list[str]:
        """The ids of a service's containers that run."""
        labels = {"project": self.name, "service": service}
        filters = [f"--filter=label=com.docker.compose.{key}={value}" for key, value in labels.items()]
        return run("docker", "ps", "--quiet", "--no-trunc", *filters).split()

    def scale(self, replicas: int) -> list[str]:
        """Have that many healthy replicas. Returns their ids."""
        self._until_healthy()  # Compose begins nothing while one of them is not
        self("up", "--detach", "--no-build", "--scale", f"api={replicas}")
        identities = self._until_healthy()
        assert len(identities) == replicas
        return identities

    def _until_healthy(self) -> list[str]:
        identities = self.replicas()
        wait_until(lambda: {health(identity) for identity in identities} <= {"healthy"}, lambda: self("logs"))
        return identities


def health(identity: str) -> str:
    """healthy, unhealthy or starting."""
    return run("docker", "inspect", "--format", "{{.State.Health.Status}}", identity)


@contextlib.contextmanager
def stack(program: Sequence[str], folder: Path, port: int, **settings: str) -> Iterator[Stack]:
    """The stack, built and up; down again at the end, with all that belongs to it. settings: as in `.env`."""
    need(program[0])
    compose = Stack(program, folder, port, settings)
    try:
        compose("up", "--detach", "--build")
        yield compose
    finally:
        compose("down", "--volumes", "--remove-orphans", "--timeout", "12")
