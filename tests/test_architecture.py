"""The arrows between the folders point one way: nginx → api → tepal ← train."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# folder → what none of its files may import
FORBIDDEN = {
    "tepal": {"api", "train", "bench", "tests", "flask", "werkzeug", "gunicorn"},
    "api": {"train", "bench", "tests", "sklearn"},
    "train": {"api", "bench", "tests", "flask"},
    "model": {"tepal", "api", "train"},
}
ONLY_IN_APP = {"flask"}


def imports(source: str) -> set[str]:
    """The top-level names that a file imports, at its top or inside a function."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add((node.module or "").split(".")[0])
        elif isinstance(node, ast.ImportFrom):
            found.add("a relative import")
    return found


def violations(folder: str, name: str, source: str) -> set[str]:
    """What a file of a folder imports and must not."""
    forbidden = FORBIDDEN[folder] | {"a relative import"}
    if folder == "api" and name != "app.py":
        forbidden |= ONLY_IN_APP
    return imports(source) & forbidden


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_no_arrow_points_the_wrong_way(folder):
    wrong = {
        str(path.relative_to(ROOT)): found
        for path in (ROOT / folder).rglob("*.py")
        if (found := violations(folder, path.name, path.read_text()))
    }

    assert wrong == {}


@pytest.mark.parametrize(
    ("folder", "name", "source", "found"),
    [
        ("tepal", "x.py", "from api.message import Request", {"api"}),
        ("tepal", "x.py", "def f():\n    import flask.json", {"flask"}),
        ("api", "x.py", "from sklearn.svm import SVC", {"sklearn"}),
        ("api", "x.py", "import flask", {"flask"}),
        ("api", "app.py", "import flask", set()),
        ("api", "x.py", "from . import app", {"a relative import"}),
        ("train", "x.py", "import api", {"api"}),
    ],
)
def test_a_planted_arrow_is_found(folder, name, source, found):
    assert violations(folder, name, source) == found


def test_no_folder_imports_in_a_circle():
    """Within a folder too, imports form a tree: a file can be read knowing only what it imports."""
    modules = {}
    for folder in ("tepal", "api", "train"):
        for path in (ROOT / folder).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            modules[".".join(part for part in parts if part != "__init__")] = path
    arrows = {name: needs(path, modules) - {name} for name, path in modules.items() if path.name != "__init__.py"}

    while arrows:
        free = {name for name, needed in arrows.items() if not needed & arrows.keys()}
        assert free, f"a circle among {sorted(arrows)}"
        arrows = {name: needed for name, needed in arrows.items() if name not in free}


def needs(path: Path, modules: dict[str, Path]) -> set[str]:
    """The project's own modules that a file imports at its top."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.module:
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
            found.add(node.module)
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
    return found & modules.keys()
