"""The project as a whole: what it exports, that it installs, that nothing of a developer's gets into the runtime."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import tepal

ROOT = Path(__file__).parent.parent


def packages(lock: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9-]+)==([^ ;]+)", (ROOT / lock).read_text(), re.MULTILINE))


def test_the_exported_names_are_those_listed():
    imported = {name for name in vars(tepal) if not name.startswith("_") and not hasattr(vars(tepal)[name], "__path__")}
    modules = {name for name in imported if type(vars(tepal)[name]).__name__ == "module"}

    assert {*tepal.__all__} - {"__version__"} == imported - modules | {"publish"}


def test_the_wheel_holds_the_library_and_the_command(tmp_path):
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-cache-dir"]
    source = tmp_path / "source"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(source)], check=True)

    subprocess.run([*build, "--wheel-dir", str(tmp_path), str(source)], check=True)

    (wheel,) = tmp_path.glob("tepal-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"tepal", f"tepal-{tepal.__version__}.dist-info"}
    committed = subprocess.run(["git", "-C", source, "ls-files", "tepal"], capture_output=True, text=True, check=True)
    assert {name for name in names if name.startswith("tepal/")} == set(committed.stdout.split())
    entry = next(name for name in names if name.endswith("entry_points.txt"))
    assert "tepal = tepal.cli:main" in zipfile.ZipFile(wheel).read(entry).decode()


def test_every_requirement_is_pinned_with_hashes():
    for lock in ("requirements.txt", "requirements-arrow.txt", "requirements-train.txt", "requirements-dev.txt"):
        text = (ROOT / lock).read_text()
        entries = re.split(r"\n(?=[a-z0-9])", text)
        assert all("==" in entry and "--hash=sha256:" in entry for entry in entries), lock


def test_the_runtime_has_no_developer_tools_and_the_same_versions():
    runtime, development = packages("requirements.txt"), packages("requirements-dev.txt")

    assert not runtime.keys() & {"pytest", "ruff", "mypy", "hypothesis", "pandas", "setuptools", "pip"}
    assert runtime.items() <= development.items()
    assert packages("requirements-arrow.txt").items() <= development.items()
    assert runtime["scikit-learn"]


def test_what_trains_is_what_serves():
    assert packages("requirements.txt").items() <= packages("requirements-train.txt").items()


def test_the_changelog_knows_the_version():
    assert f"## {tepal.__version__}" in (ROOT / "CHANGELOG.md").read_text()
