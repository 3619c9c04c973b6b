"""Servers of their own for those tests that read every line of a log, or fill a body to its limit."""

from __future__ import annotations

import re

import pytest

from tests import servers
from tests.stack.raw import LogReader, Way


@pytest.fixture(scope="session")
def small(store):
    """A real gunicorn that takes bodies up to 1 MiB."""
    with servers.gunicorn(store, MAX_BODY_MB="1") as server:
        yield server


@pytest.fixture(scope="session")
def small_door(small):
    """A real nginx before ``small``."""
    with servers.nginx([f"127.0.0.1:{small.port}"], MAX_BODY_MB="1") as server:
        yield server


@pytest.fixture(params=["gunicorn", "nginx"])
def way(request, small):
    """Each way to ``small`` over a socket, in turn."""
    if request.param == "gunicorn":
        return Way("gunicorn", small.port, [small])
    door = request.getfixturevalue("small_door")
    return Way("nginx", door.port, [door, small])


@pytest.fixture
def unharmed(small):
    """Asserts that after the test the same workers are there, and that none of them wrote of a bug."""
    before, log = small.workers(), LogReader(small)
    yield
    assert small.workers() == before
    assert not re.search(rb"Traceback|Error handling", log.text())
