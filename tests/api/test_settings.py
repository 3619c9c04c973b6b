"""Settings come from the environment, and a bad one stops the start with one line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import api.settings
from api.settings import SETTINGS, SettingError, Settings


def test_every_setting_has_a_default():
    settings = Settings.from_environ({})

    assert (settings.port, settings.host, settings.model_store) == (8080, "127.0.0.1", Path("model"))
    assert (settings.default_model, settings.models, settings.ready) == (None, (), "all")
    assert settings.web_concurrency >= 1
    assert settings.allow_version_mismatch is False
    assert len(Settings.__struct_fields__) == len(SETTINGS)


def test_an_empty_value_counts_as_not_set():
    assert Settings.from_environ({setting.variable: "" for setting in SETTINGS}) == Settings.from_environ({})


def test_values_are_read():
    environ = {"PORT": " 80 ", "MODELS": "iris, rose,iris", "ALLOW_VERSION_MISMATCH": "TRUE", "READY": "any"}

    settings = Settings.from_environ(environ)

    assert (settings.port, settings.models, settings.allow_version_mismatch) == (80, ("iris", "rose"), True)


@pytest.mark.parametrize(
    ("environ", "port"),
    [
        ({"PORT": "1", "SAGEMAKER_BIND_TO_PORT": "2", "AIP_HTTP_PORT": "3"}, 3),
        ({"PORT": "1", "SAGEMAKER_BIND_TO_PORT": "2"}, 2),
        ({"PORT": "1", "AIP_HTTP_PORT": ""}, 1),
        ({}, 8080),
    ],
)
def test_a_platform_s_own_port_comes_first(environ, port):
    assert Settings.from_environ(environ).port == port


def test_what_sagemaker_has_unpacked_is_the_model_repository_unless_one_is_named(tmp_path, monkeypatch):
    """An empty folder, or none, is no repository of anybody's; one with other things in it shows as an empty one."""
    place = tmp_path / "opt"
    monkeypatch.setattr(api.settings, "SAGEMAKER_STORE", place)
    before = Settings.from_environ({}).model_store
    place.mkdir()
    empty = Settings.from_environ({}).model_store
    (place / "model.joblib").touch()

    assert before == empty == Path("model")
    assert Settings.from_environ({"MODEL_STORE": " "}).model_store == place
    assert Settings.from_environ({"MODEL_STORE": "mine"}).model_store == Path("mine")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("AIP_HTTP_PORT", "eighty"),
        ("SAGEMAKER_BIND_TO_PORT", "0"),
        ("AIP_PREDICT_ROUTE", "predict"),
        ("AIP_PREDICT_ROUTE", "/a b"),
        ("AIP_HEALTH_ROUTE", "/health?x=1"),
        ("AIP_HEALTH_ROUTE", "/{name}"),
        ("PORT", "eighty"),
        ("PORT", "0"),
        ("PORT", "65536"),
        ("PORT", "8 0"),
        ("PORT", "٨٠"),
        ("WEB_CONCURRENCY", "-1"),
        ("THREADS", "1.5"),
        ("MAX_BODY_MB", "1_0"),
        ("MODELS", "iris,,rose"),
        ("MODELS", "../iris"),
        ("DEFAULT_MODEL", "a..b"),
        ("READY", "some"),
        ("ROOMS", "language"),
        ("ROOMS", "language=language"),
        ("ROOMS", "language=:8080"),
        ("ROOMS", "Language=language:8080"),
        ("ROOMS", "a..b=language:8080"),
        ("ROOMS", "a=language:8080,b=language:8080"),
        ("ROOMS", "a=language:8080\tb=language:8080"),
        ("ROOMS", "a=language:8080 b=language:80 a=language:8080"),
        ("ROOMS", "a=$host:8080"),
        ("ALLOW_VERSION_MISMATCH", "perhaps"),
    ],
)
def test_a_value_that_cannot_be_used_names_the_variable_what_came_and_what_it_takes(variable, value):
    takes = next(setting.takes for setting in SETTINGS if setting.variable == variable)

    with pytest.raises(SettingError) as caught:
        Settings.from_environ({variable: value})

    assert str(caught.value) == f"{variable} is {value!r}; it takes {takes}"


def run(*arguments, **environ):
    command = [sys.executable, "-m", "api", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env={**os.environ, **environ})


def test_a_bad_setting_stops_the_start_with_one_line_and_exit_code_3():
    result = run(PORT="eighty")

    assert (result.returncode, result.stdout) == (3, "")
    assert result.stderr == "tepal: PORT is 'eighty'; it takes a port, 1–65535\n"


def test_help_lists_every_setting():
    result = run("--help")

    assert result.returncode == 0
    assert all(f"  {setting.variable} " in result.stdout for setting in SETTINGS)
    assert run("--nonsense").returncode == 2
