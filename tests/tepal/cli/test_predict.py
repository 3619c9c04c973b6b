"""The command predict, as its own process: what it prints, and where."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import subprocess
import sys


def rows(folder, text="5,3,1,0.2\n9,3,1,0.2\n"):
    (folder / "in.csv").write_text(text)
    return folder / "in.csv"


def test_it_says_what_it_did_and_warns_beside(tepal, tmp_path):
    result = tepal("predict", "iris", rows(tmp_path), "-o", tmp_path / "out.csv")

    assert result.returncode == 0
    assert re.fullmatch(rf"iris version 1 answered 2 rows in \d+\.\d s: {tmp_path}/out.csv\n", result.stdout)
    assert result.stderr == "Warning: row 1, column 'sepal_length': 9.0 is outside the range 4.3–7.9 seen in training\n"
    assert (tmp_path / "out.csv").read_text() == "prediction\nsetosa\nsetosa\n"


def test_many_warnings_are_counted(tepal, tmp_path):
    result = tepal("predict", "iris", rows(tmp_path, "9,3,1,0.2\n" * 2000), "-o", tmp_path / "out.csv")

    assert result.stderr.count("\n") == 6
    assert result.stderr.endswith("Warning: … and 1,995 more\n")


def test_a_script_reads_json(tepal, tmp_path):
    told = json.loads(tepal("predict", "iris", rows(tmp_path), "-o", tmp_path / "out.csv", "--json").stdout)

    assert told == {
        "name": "iris",
        "version": "1",
        "output": f"{tmp_path}/out.csv",
        "rows": 2,
        "warnings": [{"row": 1, "column": "sepal_length", "message": "9.0 is outside the range 4.3–7.9 seen in training"}],
        "warnings_total": 1,
    }


def test_a_refusal_is_one_sentence_and_no_file(tepal, tmp_path):
    result = tepal("predict", "iris", rows(tmp_path, "5,3,1,wide\n"), "-o", tmp_path / "out.csv")

    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == (
        f"Error: {tmp_path}/in.csv: row 0 (line 1): column 'petal_width' expects a number, got the string \"wide\"\n"
    )
    assert not (tmp_path / "out.csv").exists()


def test_a_version_that_may_not_serve_is_passed_over_unless_it_was_asked_for(tepal, store, tmp_path):
    shutil.copytree(store / "iris", tmp_path / "iris")
    shutil.copytree(tmp_path / "iris" / "1", tmp_path / "iris" / "2")  # says that it is 1
    command = ("predict", "iris", rows(tmp_path, "5,3,1,0.2\n"), "-o", tmp_path / "out.csv")

    newest = tepal(*command, model_store=tmp_path)
    asked = tepal(*command, "--version", "2", model_store=tmp_path)
    none = tepal(*command, "--version", "3", model_store=tmp_path)

    assert newest.returncode == 0
    assert newest.stderr.startswith("Warning: version 2 of model 'iris' cannot answer: ")
    assert newest.stderr.endswith("; version 1 answers\n")
    assert asked.returncode == none.returncode == 1
    assert asked.stderr.startswith("Error: version 2 of model 'iris' cannot answer: ")
    assert none.stderr == "Error: model 'iris' has no version '3'; it has 1, 2\n"


def on_a_terminal(store, source, target, term):
    """What a run writes to a terminal of that kind."""
    own, other = pty.openpty()
    environ = {**os.environ, "MODEL_STORE": str(store), "TERM": term, "NO_COLOR": "1"}
    command = [sys.executable, "-m", "tepal", "predict", "iris", str(source), "-o", str(target)]
    with subprocess.Popen(command, env=environ, stdout=other, stderr=other) as process:
        os.close(other)
        shown = b""
        while part := _read(own):
            shown += part
    os.close(own)
    assert process.returncode == 0
    return shown.decode()


def _read(descriptor):
    try:
        return os.read(descriptor, 1 << 16)
    except OSError:  # how a terminal says that nobody is there any more
        return b""


def test_a_terminal_shows_how_far_it_is(store, tmp_path):
    source = rows(tmp_path, "5,3,1,0.2\n" * 30_000)

    assert re.search(
        r"predicting  \[#+-*\] +\d+%.*100%", on_a_terminal(store, source, tmp_path / "out.csv", "xterm"), re.DOTALL
    )
    assert "[" not in on_a_terminal(store, source, tmp_path / "out.csv", "dumb")


def test_parquet_without_its_package_says_what_to_install(store, tmp_path):
    script = "import sys; sys.modules['pyarrow'] = None; sys.argv[0] = 'tepal'; from tepal.cli import main; main()"
    source = rows(tmp_path, "5,3,1,0.2\n")
    for arguments in ([source, "-o", tmp_path / "out.parquet"], [tmp_path / "in.parquet", "-o", tmp_path / "out.csv"]):
        (tmp_path / "in.parquet").write_bytes(b"PAR1")
        result = subprocess.run(
            [sys.executable, "-c", script, "predict", "iris", *map(str, arguments)],
            env={**os.environ, "MODEL_STORE": str(store)}, capture_output=True, text=True, check=False,
        )  # fmt: skip

        assert result.returncode == 1
        assert result.stderr == (
            "Error: Parquet needs pyarrow, which is not installed here; run: pip install pyarrow, "
            "or build the image with it: EXTRAS=arrow docker compose up --build\n"
        )
    assert {path.name for path in tmp_path.iterdir()} == {"in.csv", "in.parquet"}
