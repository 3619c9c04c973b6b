"""What a person at a terminal sees of the log, and a program does not."""

from __future__ import annotations

import json
import os
import pty

import pytest

from api import observe, terminal
from tests.api.test_observe import HOSTILE

FACTS = {"model": "iris", "version": "1", "rows": 2}


def at_a_terminal(monkeypatch, write, **environ) -> str:
    """What ``write`` puts into the log of a terminal."""
    mine, theirs = pty.openpty()
    monkeypatch.setattr(observe, "STDOUT", theirs)
    monkeypatch.setattr(observe, "is_watched", terminal.is_one)  # another test has the same number for another file
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    write()
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(mine, 65536):
            shown += part
    except OSError:  # its other end is closed
        pass
    os.close(mine)
    return shown.decode().replace("\r\n", "\n")


def log_one():
    observe.log_request("id-1", "POST", "/predict", 200, 0.0123, FACTS)


def test_a_request_is_a_short_line_in_words(monkeypatch):
    shown = at_a_terminal(monkeypatch, log_one)

    assert shown[10:] == "  200  POST /predict  12.3 ms  model iris, version 1, rows 2\n"


@pytest.mark.parametrize(("environ", "coloured"), [({"TERM": "xterm"}, True), ({"TERM": "dumb"}, False), ({}, False)])
def test_it_is_coloured_where_colour_is_welcome(monkeypatch, environ, coloured):
    assert ("\x1b[32m200\x1b[0m" in at_a_terminal(monkeypatch, log_one, **environ)) == coloured
    assert "\x1b" not in at_a_terminal(monkeypatch, log_one, **environ, NO_COLOR="1")


def test_what_went_wrong_has_its_trace(monkeypatch):
    def fail():
        try:
            raise RuntimeError("a secret")
        except RuntimeError as error:
            observe.log_exception(error, "id-7")

    shown = at_a_terminal(monkeypatch, fail).splitlines()

    assert shown[0].endswith("error  a request failed (request id-7)")
    assert shown[-1] == "      RuntimeError: a secret"


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_no_word_of_anyone_moves_the_cursor(monkeypatch, text):
    shown = at_a_terminal(monkeypatch, lambda: observe.log(level="warning", message=text, model=text))

    assert shown.endswith("\n")
    assert shown[:-1].isprintable()


@pytest.mark.parametrize("value", [{"a": 'x,"y', "b": [1, 2, [3, {"c": "\\"}]]}, "a, b", [], {"long": "x" * 200, "z": 1}])
def test_folded_json_is_the_same_json(value):
    text = json.dumps(value)
    for columns in (5, 20, 300):
        assert json.loads(terminal.folded(text, columns, " ")) == value
    assert terminal.folded(text, 300) == text
