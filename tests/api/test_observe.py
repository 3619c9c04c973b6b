"""A log that can be read by a person at a terminal and by a program, whatever a client or a model has written."""

from __future__ import annotations

import json
import os

import pytest

from api import observe

HOSTILE = ["a\r\nb", "\x1b[31m", "\x9b31m", "\x7f", "\x85", "\u2028", "\u202e", "\ud800", "\uffff", "\0", '"}\n{"', "\xff"]


@pytest.fixture(name="written")
def _written(monkeypatch):
    """What ``write`` puts into the log, as bytes."""

    def written(write):
        reading, writing = os.pipe()
        monkeypatch.setattr(observe, "STDOUT", writing)
        write()
        os.close(writing)
        with os.fdopen(reading, "rb") as log:
            return log.read()

    return written


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_a_line_is_one_line_of_printable_json_and_loses_nothing(written, text):
    line = written(lambda: observe.log(text=text))

    assert line.endswith(b"\n")
    assert line[:-1].decode().isprintable()
    assert json.loads(line)["text"] == text


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_what_a_model_raises_is_logged_whatever_its_words(written, text):
    line = written(lambda: observe.log_exception(RuntimeError(text), "id-1"))

    assert line[:-1].decode().isprintable()
    assert f"RuntimeError: {text}" in json.loads(line)["exception"]


def test_common_text_is_left_to_be_read(written):
    assert "é – 花".encode() in written(lambda: observe.log(text="é – 花"))


@pytest.mark.parametrize("given", [*HOSTILE, "", "a b", "x" * 101, "${jndi:ldap://x}", "a\n", "é"], ids=ascii)
def test_an_id_that_could_break_a_line_is_replaced(given):
    assert observe.request_id(given) != given


def test_a_closed_log_costs_no_answer(monkeypatch):
    reading, writing = os.pipe()
    os.close(reading)
    os.close(writing)
    monkeypatch.setattr(observe, "STDOUT", writing)

    observe.log(text="x")
