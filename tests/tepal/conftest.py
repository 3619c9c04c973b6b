"""The command line, as its own process."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.fixture(name="tepal")
def _tepal(store):
    def run(*arguments, model_store=store, **environ):
        command = [sys.executable, "-m", "tepal", *map(str, arguments)]
        environ = {"MODEL_STORE": str(model_store), "PATH": "", **environ}
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environ)

    return run
