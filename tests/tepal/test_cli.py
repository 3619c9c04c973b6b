"""What holds for every command: help, exit codes, errors as sentences."""

from __future__ import annotations

import re

import pytest

from tepal.cli import COMMANDS


def test_what_is_not_there_is_one_sentence_and_exit_code_1(tepal):
    result = tepal("show", "irsi")

    assert (result.returncode, result.stdout) == (1, "")
    assert re.fullmatch(r"Error: there is no model 'irsi' in .*/; did you mean 'iris'\? there is iris, .*\n", result.stderr)


def test_wrong_usage_is_exit_code_2(tepal):
    assert tepal("show").returncode == 2
    assert tepal("nonsense").returncode == 2


@pytest.mark.parametrize("command", [(), *[(name,) for name in COMMANDS]])
def test_every_command_has_a_page_of_help_with_an_example(tepal, command):
    page = tepal(*command, "--help").stdout

    assert "Example: tepal" in page
    assert page.count("\n") < 50


def test_a_terminal_that_knows_few_characters_gets_what_it_can_show(tepal):
    result = tepal("show", "iris", PYTHONIOENCODING="latin-1")

    assert (result.returncode, result.stderr) == (0, "")
    assert "sepal_length  number  4.3 to 7.9\n" in result.stdout
