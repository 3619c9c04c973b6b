"""Schemathesis asks a real gunicorn whatever its own description allows, and what it does not: all checks, 0 failures."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests import servers
from tests.parts import EXAMPLES

# What takes minutes: every limit of every schema on both of its sides, and requests that follow from one another.
LONG = EXAMPLES > 1000


@pytest.fixture(scope="module", name="service")
def _service(odd):
    with servers.gunicorn(odd) as server:
        yield server


def test_every_answer_is_as_described(service, tmp_path):
    """The models are of odd kinds: mixed columns and missing values, several outputs, a sequence, texts, odd names."""
    phases = ["examples", "fuzzing", *(["coverage", "stateful"] if LONG else [])]
    operations = 40
    command = [Path(sys.executable).with_name("schemathesis"), "run", f"{service.url}/openapi.json", "--checks", "all"]
    command += ["--phases", ",".join(phases), "--max-examples", str(EXAMPLES // operations), "--seed", "1"]
    command += ["--generation-database", "none", "--report", "json", "--report-json-path", "report.json", "--no-color"]

    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout[-20000:] + done.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["operations"]["tested"] == report["operations"]["total"] >= operations
    assert report["test_cases"]["generated"] >= EXAMPLES
    assert report["test_cases"]["with_failures"] == report["test_cases"]["errored"] == 0
    assert "Traceback" not in service.log.read_text()
    print(f"{report['test_cases']['generated']} cases")
