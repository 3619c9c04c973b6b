"""The notebook runs from its first cell to its last, and prints what it shows."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests import servers
from tests.servers import ROOT

NOTEBOOK = ROOT / "examples" / "wine.ipynb"
CELLS = json.loads(NOTEBOOK.read_text())["cells"]
# Where the reader is told to start the service.
START = next(i for i, cell in enumerate(CELLS) if "## Start the service" in "".join(cell["source"]))

# Reads cells as JSON lines, and writes what each prints: what a kernel does, with the notebook's names in __main__.
KERNEL = """
import contextlib, io, json, sys
for line in sys.stdin:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(json.loads(line), "cell", "exec"), globals())
    print(json.dumps(printed.getvalue()), flush=True)
"""


@pytest.fixture(name="run")
def _run(tmp_path):
    """Run cells, one after the other, in one process; each answers what it prints."""
    kernel = subprocess.Popen(
        [sys.executable, "-c", KERNEL],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={"MODEL_STORE": str(tmp_path / "model"), "PYTHONPATH": str(ROOT), "PATH": ""},
    )

    def run(source):
        kernel.stdin.write(json.dumps(source) + "\n")
        kernel.stdin.flush()
        line = kernel.stdout.readline()
        assert line, f"the cell failed:\n{source}"
        return json.loads(line)

    yield run
    kernel.stdin.close()
    kernel.wait(10)
    kernel.stdout.close()


def test_the_notebook_trains_publishes_asks_and_compares(run, tmp_path):
    cells = [(i, "".join(cell["source"]), cell) for i, cell in enumerate(CELLS) if cell["cell_type"] == "code"]
    printed = {i: run(source) for i, source, _ in cells if i < START}

    with servers.gunicorn(tmp_path / "model") as service:
        for i, source, _ in cells:
            if i > START:
                printed[i] = run(source.replace("127.0.0.1:8080", f"127.0.0.1:{service.port}"))

    shown = {i: "".join(line for output in cell["outputs"] for line in output["text"]) for i, _, cell in cells}
    assert printed == shown
    assert [printed[i] for i, source, _ in cells if "predict_proba" in source] == ["True\nTrue\n"]
