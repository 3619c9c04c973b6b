"""An environment of its own for each peer, in ``.venv-bench/``, with the models fitted by its own libraries."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
HOME = ROOT / ".venv-bench"
OWN = os.environ.get("BENCH_PYTHON") and Path.cwd() / os.environ["BENCH_PYTHON"]
PYTHONS = (sys.executable, "python3.12", "python3.11", "python3.13")  # not every peer takes every one


class Unavailable(Exception):
    """A server that cannot be measured here; the message says why."""


def python(requirements: str, frames: bool = False) -> Path:
    """The Python of an environment that has these packages, made where it is missing. Raises Unavailable.

    Without any, those of Tepal's image with its extra for Arrow; frames: one whose models need pandas. Or what BENCH_PYTHON
    names.
    """
    folder = place(requirements, frames)
    if not requirements and OWN:
        return OWN
    locks = [ROOT / ("requirements-train.txt" if frames else "requirements.txt"), ROOT / "requirements-arrow.txt"]
    arguments = requirements.split() or ["--require-hashes", *(f"--requirement={lock}" for lock in locks)]
    stamp, requirements = folder / "requirements.txt", requirements or "".join(lock.read_text() for lock in locks)
    if stamp.exists() and stamp.read_text() == requirements:
        return folder / "bin" / "python"
    reason = ""
    for candidate in dict.fromkeys(filter(None, map(shutil.which, PYTHONS))):
        shutil.rmtree(folder, ignore_errors=True)
        print(f"installing {' '.join(arguments)} with {Path(candidate).name}", file=sys.stderr, flush=True)
        done = _run(candidate, "-m", "venv", str(folder))
        if done.returncode == 0:
            done = _run(str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", *arguments)
        if done.returncode == 0:
            stamp.write_text(requirements)
            return folder / "bin" / "python"
        reason = reason or (done.stderr.strip().splitlines() or ["it says nothing"])[-1][:300]
    raise Unavailable(f"cannot be installed: {reason}")


def place(requirements: str, frames: bool = False) -> Path:
    """The folder of that environment."""
    if not requirements and OWN:
        return OWN.parents[1]
    return HOME / (
        requirements.split("==", maxsplit=1)[0].split("[", maxsplit=1)[0] or ("tepal-frames" if frames else "tepal")
    )


def versions(interpreter: Path, names: tuple[str, ...]) -> str:
    """Python's version and those of these packages, in one line."""
    code = (
        "import sys, platform, importlib.metadata as m\nprint('Python', platform.python_version(), end='')\n"
        "for n in sys.argv[1:]:\n  print(',', n, m.version(n), end='')"
    )
    return _run(str(interpreter), "-c", code, *names).stdout.strip()


def models(interpreter: Path, name: str, wanted: list[str]) -> Path:
    """The folder of the models that this Python fitted, those wanted at least. Raises Unavailable."""
    source = ROOT / "bench" / "models.py"
    folder = HOME / "models" / f"{name}-{hashlib.sha256(source.read_bytes()).hexdigest()[:10]}"
    missing = [model for model in wanted if not (folder / model / "model.json").exists()]
    if missing:
        done = _run(str(interpreter), str(source), str(folder), *missing)
        if done.returncode:
            raise Unavailable(f"cannot fit the models: {done.stderr.strip().splitlines()[-1][:300]}")
    return folder


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)
