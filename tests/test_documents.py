"""Every page is true: its commands answer what it shows, its tables are the code's, its links lead somewhere.

A page is added by writing it: whatever git knows, or would add, is read here.
"""

from __future__ import annotations

import doctest
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from api.errors import TABLE
from api.routes import ROUTES
from api.settings import COMPOSE, SETTINGS
from tests import documents, servers
from tests.documents import Page, tables
from tests.servers import ROOT
from tests.wire import same, same_text
from train import iris

PAGES = documents.pages()
every_page = pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
# A page that tells a story is gone through in order, by a test of its own.
STORIES = {"docs/bring-your-own-model.md"}
SHOWN = [
    pytest.param(*shown, id=f"{page.name} {place}: {shown[0][:60]}")
    for page in PAGES
    if page.name not in STORIES
    for place, shown in enumerate(page.shown(), 1)
]

# What the API answers, and what nginx does.
NGINX = (ROOT / "nginx" / "nginx.conf.template").read_text()
ERRORS = {*TABLE.values(), (500, "internal_error")}
ERRORS |= {(int(status), code) for status, code in re.findall(r"^ +(\d{3}) +([a-z_]+);$", NGINX, re.MULTILINE)}


@pytest.fixture(scope="module", name="store")
def _store(tmp_path_factory):
    """What `make run` makes where there is no model yet."""
    store = tmp_path_factory.mktemp("iris")
    for algorithm, recipe in iris.ALGORITHMS.items():
        iris.run(algorithm, recipe, store)
    return store


@pytest.fixture(scope="module", name="service")
def _service(store):
    with servers.gunicorn(store) as server:
        yield server


@pytest.mark.parametrize(("command", "output"), SHOWN)
def test_a_command_answers_what_is_shown(command, output, service, store, tmp_path):
    """curl against the running service; Python in the project's environment, over the same models."""
    place = f"127.0.0.1:{service.port}"
    command = command.replace("127.0.0.1:8080", place).replace("$ADDRESS:8080", place)
    command = re.sub(r"\bcurl ", "curl --silent --show-error ", command)
    command = re.sub(r"(?<!\S)\.venv/bin/python\b", sys.executable, command)
    environ = {**os.environ, "MODEL_STORE": str(store), "PYTHONPATH": str(ROOT)}

    done = subprocess.run(
        ["sh", "-c", f"({command}) 2>&1"], stdout=subprocess.PIPE, text=True, check=False, cwd=tmp_path, env=environ
    )

    if output.startswith("{") and output.count("\n") == 1:
        same(json.loads(output), json.loads(done.stdout), "$")
    else:
        same_text(output, done.stdout)


@every_page
def test_its_python_sessions_are_as_shown(page, service, tmp_path, monkeypatch):
    """Each `pycon` block is run by doctest, in one session a page."""
    monkeypatch.chdir(tmp_path)
    text = "\n".join(page.blocks("pycon")).replace("127.0.0.1:8080", f"127.0.0.1:{service.port}")
    test = doctest.DocTestParser().get_doctest(text, {}, page.name, page.name, 0)
    said: list[str] = []

    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=said.append)

    assert not said, "".join(said)


@every_page
def test_its_shell_is_sound(page):
    """As ShellCheck sees it; it is not run here."""
    for block in page.blocks("sh"):
        command = [Path(sys.executable).with_name("shellcheck"), "--shell=bash", "-"]
        done = subprocess.run(command, input=block, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


@every_page
def test_its_tables_are_the_codes(page):
    """A table says by its head what it lists: settings, errors or routes. Each row is so in the code."""
    for (head, *_), *rows in tables(page.text):
        for row in rows:
            if head == "variable":
                check_setting(row)
            elif head == "status":
                assert (int(row[0]), row[1].strip("`")) in ERRORS, row
            elif head == "route":
                check_routes(row[0])


def check_setting(row: list[str]) -> None:
    settings = {setting.variable for setting in (*SETTINGS, *COMPOSE)}
    assert set(re.findall(r"`([A-Z_]+)`", row[0])) <= settings, row


def check_routes(cell: str) -> None:
    known = {(route.method, route.path) for route in ROUTES}
    for method, path in re.findall(r"`([A-Z]+) (/[^`?]*)`", cell):
        assert (method, path) in known, cell


@every_page
def test_its_links_lead_somewhere(page):
    """To a file that is there, and to a heading in it."""
    for link in page.links():
        path, _, anchor = link.partition("#")
        target = (ROOT / page.name).parent / path if path else ROOT / page.name
        assert target.exists(), link
        if anchor:
            assert anchor in Page(link, target.read_text()).anchors(), link


@every_page
def test_the_files_that_it_names_exist(page):
    """A path in backticks from one of the project's folders is the path of something there."""
    folders = "api|tepal|train|nginx|tests|docs|deploy|model"
    for path in re.findall(rf"`((?:{folders})/[\w./-]*)`", page.text):
        if not path.startswith("model/"):
            assert (ROOT / path).exists(), path


@every_page
def test_the_make_targets_that_it_names_exist(page):
    """`make` commands are those of the Makefile."""
    targets = re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)

    assert set(re.findall(r"(?:`|^)make ([a-z]+)", page.text, re.MULTILINE)) <= set(targets)


def test_every_page_of_docs_is_in_the_readme():
    """Nobody finds a page that nothing links to."""
    linked = set(documents.page("README.md").links())

    for page in PAGES:
        assert not page.name.startswith(("docs/", "deploy/")) or linked & {page.name, str(Path(page.name).parent)}, page.name
