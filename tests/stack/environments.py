"""Other people's clients, each in an environment of its own: made once from its lock, and kept for the next run."""

from __future__ import annotations

import fcntl
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.parts import missing
from tests.servers import ROOT

CLIENTS = Path(__file__).parent / "clients"
KEPT = ROOT / ".venv-clients"


def ask(client: str, **asked: Any) -> Any:
    """What ``clients/ask_<client>.py`` prints to a question, as the Python of its own environment runs it."""
    command = [python_of(client), "-W", "ignore", CLIENTS / f"ask_{client}.py"]
    done = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def python_of(client: str) -> Path:
    """The Python of an environment with what ``clients/<client>.txt`` locks, made where it is not there.

    Skips the test where it cannot be made; fails it where REQUIRE_PARTS is set.
    """
    lock = CLIENTS / f"{client}.txt"
    made_of = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = KEPT / f"{client}-{made_of}"
    KEPT.mkdir(exist_ok=True)
    with (KEPT / f"{client}.lock").open("w") as alone:
        fcntl.flock(alone, fcntl.LOCK_EX)
        if not (folder / "whole").exists():
            _make(folder, lock)
            (folder / "whole").touch()
    return folder / "bin" / "python"


def _make(folder: Path, lock: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "--disable-pip-version-check"]
    for command in (
        [sys.executable, "-m", "venv", "--clear", "--without-pip", str(folder)],
        # Compiled when imported: most of it never is.
        [*pip, "install", "--quiet", "--no-compile", "--only-binary", ":all:", "--require-hashes", "-r", str(lock)],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            missing(f"the environment of {lock.name} cannot be made: {done.stderr.strip()[-500:]}")
