"""The page is gone through as its reader would: its files written, its commands run in order, its answers compared."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

from tests import documents, servers
from tests.servers import ROOT
from tests.wire import same, same_text

PAGE = documents.page("docs/bring-your-own-model.md")
# Where the reader starts the service; what comes before is done without it.
START = "## Serve it"


def test_from_a_fitted_pipeline_to_an_answered_curl(tmp_path):
    for name, source in re.findall(r"^`(\w+\.py)`\n\n```python\n(.*?)^```$", PAGE.text, re.DOTALL | re.MULTILINE):
        (tmp_path / name).write_text(source)
    for script in ("fit.py", "publish.py"):
        run(f"{sys.executable} {script}", tmp_path)
    before, after = PAGE.text.split(START)

    walk(before, tmp_path, port=0)
    with servers.gunicorn(tmp_path / "model") as service:
        walk(after, tmp_path, service.port)


def walk(text, folder, port):
    """Run every command that a part of the page shows, and compare what it answers."""
    for command, output in documents.Page("", text).shown():
        answered = run(command.replace("127.0.0.1:8080", f"127.0.0.1:{port}"), folder)
        answered = answered.replace(f"127.0.0.1:{port}", "127.0.0.1:8080")
        if output.startswith("{") and output.count("\n") == 1:
            expected, got = json.loads(output), json.loads(answered)
            if "request_id" in got:
                got["request_id"] = expected["request_id"]
            same(expected, got, "$")
        else:
            same_text(without_times(output), without_times(answered))


def without_times(text):
    """The text without how long something took."""
    return re.sub(r" in [\d.]+ s\b", "", text)


def run(command, folder):
    """What a command prints, where the model repository is ``model/``, as it is by default."""
    command = re.sub(r"(?<!\S)\.venv/bin/python\b", sys.executable, command)
    command = re.sub(r"\bcurl ", "curl --silent --show-error ", command)
    done = subprocess.run(
        ["sh", "-c", f"({command}) 2>&1"],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stdout, done.stdout
    return done.stdout
