"""Trainers as a user runs them: a process each, and the requests that they print."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec

ROOT = Path(__file__).parents[1]
PRINTED = "http://127.0.0.1:8080"  # the address in what a trainer prints


def without_pandas(folder: Path) -> dict[str, str]:
    """An environment in which pandas cannot be imported. folder: where to put what stands in its way."""
    (folder / "pandas.py").write_text("raise ModuleNotFoundError(\"No module named 'pandas'\", name='pandas')")
    return {"PYTHONPATH": str(folder)}


def train(store: Path, *arguments: object, **environ: str) -> subprocess.CompletedProcess[str]:
    """``python -m train`` with these arguments, over the model repository ``store``. environ: beside this process's own."""
    return subprocess.run(
        [sys.executable, "-m", "train", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "MODEL_STORE": str(store), **environ},
    )


def curls(told: str) -> list[str]:
    """The curl commands at the end of what a trainer printed."""
    _, found, commands = told.partition("\n    curl ")
    assert found, told
    return [f"curl {command.strip()}" for command in commands.split("\n    curl ")]


def run(curl: str, url: str) -> Any:
    """What a printed curl command gets from the server at ``url``."""
    assert PRINTED in curl
    result = subprocess.run(
        ["bash", "-c", curl.replace(PRINTED, url)], capture_output=True, text=True, check=True, timeout=30
    )
    return msgspec.json.decode(result.stdout)


def ask(port: int, path: str, body: str | None = None, content_type: str = "") -> tuple[int, Any]:
    """Status and answer of a GET, or of a POST where there is a body, to the server of this machine at ``port``."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        headers = {"Content-Type": content_type} if content_type else {}
        connection.request("GET" if body is None else "POST", path, None if body is None else body.encode(), headers)
        response = connection.getresponse()
        return response.status, msgspec.json.decode(response.read())
    finally:
        connection.close()


def refusal(result: subprocess.CompletedProcess[str]) -> str:
    """The one sentence with which a trainer gave up."""
    assert result.returncode == 1, result.stderr
    lines = [line for line in result.stderr.splitlines() if line.strip() != "fitting countries"]
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("Error: ")
    return lines[0].removeprefix("Error: ")


def opens_alone(version: Path, elsewhere: Path) -> bool:
    """Whether the pickle of a version opens in a Python that has never seen this project. elsewhere: an empty folder."""
    command = "import sys, cloudpickle; cloudpickle.load(open(sys.argv[1], 'rb')).predict; assert 'train' not in sys.modules"
    opened = subprocess.run(
        [sys.executable, "-I", "-c", command, str(version / "model.pkl")],
        cwd=elsewhere,
        capture_output=True,
        text=True,
        check=False,
    )
    assert opened.returncode == 0, opened.stderr
    return True
