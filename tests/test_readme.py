"""The README is whole: it lists every setting, error and route, its tree is the tree, and its example publishes a model.

That what stands in it is true, `test_documents.py` checks, as of every page.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from api.app import create_app
from api.errors import TABLE
from api.routes import ROUTES
from api.settings import COMPOSE, SETTINGS, Settings, env_example
from tepal.cli import COMMANDS
from tests import documents
from tests.documents import tables
from tests.servers import ROOT
from tests.transports import in_process
from tests.wire import request
from train.__main__ import main as trainers_there_are

README = documents.page("README.md")


def table(text: str) -> list[list[str]]:
    """The rows of the first table, without its head."""
    return tables(text)[0][1:]


def test_the_first_screen_starts_it_and_asks_it():
    first = "\n".join(README.text.splitlines()[:30])

    assert "make run" in first
    assert "docker compose up --build" in first
    assert "curl -X POST http://127.0.0.1:8080/predict" in first
    assert '"predictions":["virginica"]' in first


def test_the_settings_are_those_of_the_code():
    expected = [[f"`{setting.variable}`", setting.default or "–", setting.means] for setting in SETTINGS]

    assert table(README.section("Settings").split("With Compose")[0]) == expected


def test_the_settings_of_compose_are_those_of_its_file():
    compose = (ROOT / "docker-compose.yml").read_text()
    defaults = dict(re.findall(r"\$\{(\w+):-([^}]*)\}", compose))
    rows = table(README.section("Settings").split("With Compose")[1])

    assert rows == [[f"`{setting.variable}`", setting.default, setting.means] for setting in COMPOSE]
    documented = {row[0].strip("`"): row[1] for row in rows}
    of_the_app = {setting.variable: setting.default for setting in SETTINGS}
    assert documented.items() <= defaults.items()
    assert defaults.items() <= {**of_the_app, **documented}.items()


def test_the_example_of_an_env_file_is_made_from_the_settings():
    assert (ROOT / ".env.example").read_text() == env_example()


def test_every_error_is_in_the_table():
    documented = {(int(row[0]), row[1].strip("`")) for row in table(README.section("What goes wrong says so"))}

    assert documented == {*TABLE.values(), (500, "internal_error"), (504, "timeout")}


def test_every_route_is_in_the_readme():
    for route in ROUTES:
        assert route.path in README.text.replace("\n", " "), route.path


def test_every_command_and_every_trainer_is_in_the_readme():
    commands, trainers = (tables(README.section("Your own model"))[i][1:] for i in (0, 1))

    assert {word for row in commands for word in re.findall(r"`([a-z]+)", row[0])} == set(COMMANDS)
    assert {row[0].strip("`") for row in trainers} == set(trainers_there_are.list_commands(None))


@pytest.mark.parametrize(
    "body", re.findall(r"`([\[{].*?[\]}])`", README.section("What to send").split("Columns are matched")[0])
)
def test_every_shape_is_answered(body, app):
    received = in_process(app)(request("POST", "/predict", body))

    assert received.status == 200, received.body
    assert set(received.json["predictions"]) <= {"virginica", "versicolor"}


def test_the_tree_is_the_tree():
    tree = README.section("What is where").split("```\n")[1]
    shown_folders, parent = set(), ""
    for line in tree.splitlines():
        name = line.split()[0].rstrip("/")
        parent = parent if line.startswith(" ") else name
        shown_folders.add(f"{parent}/{name}" if line.startswith(" ") else name)
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    folders = {str(Path(*Path(file).parts[:depth])) for file in files for depth in (1, 2) if len(Path(file).parts) > depth}
    visible = {folder for folder in folders if not folder.startswith((".", "tests/"))}

    assert shown_folders == visible


def test_publishing_a_model_of_ones_own_works_as_written(tmp_path):
    (script,) = README.blocks("python")
    environ = {"PYTHONPATH": str(ROOT), "PATH": ""}
    subprocess.run([sys.executable, "-W", "error", "-c", script], cwd=tmp_path, check=True, env=environ)

    send = in_process(create_app(Settings.from_environ({"MODEL_STORE": str(tmp_path / "model")})))
    received = send(request("POST", "/models/rent/predict", '{"area":100,"rooms":4}'))
    assert received.status == 200
    assert abs(received.json["predictions"][0] - 300) < 1e-9
