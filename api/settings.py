"""Settings: environment variables, each with a default, read once at the start."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import joblib
import msgspec

from tepal.manifest import NAME


class SettingError(Exception):
    """A value that cannot be used; the message is the one line to show."""


class Setting(NamedTuple):
    """One variable. default: as a person would write it. takes: what a value may be. read: text to value."""

    variable: str
    default: str
    takes: str
    means: str
    read: Callable[[str], Any]


def _whole(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text) or not low <= int(text) <= high:
            raise ValueError
        return int(text)

    return read


def _yes_or_no(text: str) -> bool:
    return {"true": True, "1": True, "false": False, "0": False}[text.lower()]


def _one_of(*values: str) -> Callable[[str], str]:
    return lambda text: {value: value for value in values}[text]


def _model_name(text: str) -> str:
    if not NAME.fullmatch(text):
        raise ValueError
    return text


def _model_names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_model_name(name.strip()) for name in text.split(",")))


def _rooms(text: str) -> tuple[str, ...]:
    pairs = [re.fullmatch(r"([^=]+)=[A-Za-z0-9][A-Za-z0-9_.-]*:[1-9][0-9]{0,4}", pair) for pair in text.split(" ") if pair]
    names = [_model_name(pair[1]) for pair in pairs if pair]
    if len(set(names)) < len(pairs):
        raise ValueError
    return tuple(names)


def _path(text: str) -> str:
    if not re.fullmatch(r"/[A-Za-z0-9._~!$&'()*+,;=:@/-]*", text):
        raise ValueError
    return text


_A_PATH = "a path, such as /predict"
_A_NAME = "a model's name (1–64 of a–z, 0–9, '_', '.', '-')"

SETTINGS = (
    Setting("PORT", "8080", "a port, 1–65535", "where gunicorn listens", _whole(1, 65535)),
    Setting("HOST", "127.0.0.1", "an address", "the address gunicorn listens on; the image sets `0.0.0.0`", str),
    Setting("MODEL_STORE", "model", "a folder", "the model repository", Path),
    Setting(
        "DEFAULT_MODEL", "", _A_NAME, "the model that answers `/predict`; without it the only one, else `iris`", _model_name
    ),
    Setting("MODELS", "", f"a comma list, each {_A_NAME}", "serve these models only; all of them without it", _model_names),
    Setting(
        "ROOMS",
        "",
        "pairs like language=language:8080 of a model and where it is, apart by spaces",
        "models that have replicas of their own: nginx sends their requests there, and nobody else loads them",
        _rooms,
    ),
    Setting("WEB_CONCURRENCY", "", "a number, 1–256", "worker processes; the usable cores without it", _whole(1, 256)),
    Setting("THREADS", "4", "a number, 1–256", "requests that one worker answers at once", _whole(1, 256)),
    Setting("TIMEOUT", "8", "a number of seconds, 1–3600", "seconds for an answer; after them 504", _whole(1, 3600)),
    Setting(
        "MAX_REQUESTS",
        "0",
        "a number, 0–999999999",
        "replace a worker after about this many requests, for a model that leaks memory; 0 never",
        _whole(0, 999999999),
    ),
    Setting(
        "MAX_BODY_MB",
        "16",
        "a number of MiB, 1–1024",
        "the largest request body; nginx and the app share it",
        _whole(1, 1024),
    ),
    Setting(
        "READY", "all", "all or any", "`/readyz` is 200 when all models can serve, or when any can", _one_of("all", "any")
    ),
    Setting(
        "RUNTIME",
        "auto",
        "auto, sklearn or compiled",
        "`auto`: the compiled form of a model where one is proven to answer as it does, else `sklearn`; or one of them",
        _one_of("auto", "sklearn", "compiled"),
    ),
    Setting(
        "ALLOW_VERSION_MISMATCH",
        "false",
        "true or false",
        "serve a model made with other library versions, if its golden rows replay",
        _yes_or_no,
    ),
    # What platforms set, by names of their own.
    Setting("AIP_HTTP_PORT", "", "a port, 1–65535", "Vertex AI's name of `PORT`, before which it counts", _whole(1, 65535)),
    Setting("SAGEMAKER_BIND_TO_PORT", "", "a port, 1–65535", "SageMaker's name of it, the same", _whole(1, 65535)),
    Setting("AIP_PREDICT_ROUTE", "", _A_PATH, "one more path on which the default model predicts, for Vertex AI", _path),
    Setting("AIP_HEALTH_ROUTE", "", _A_PATH, "one more path that answers as `/readyz`, for Vertex AI", _path),
)

# What Docker Compose alone takes; the service itself reads none of them.
COMPOSE = (
    Setting("BIND", "127.0.0.1", "an address", "the address of nginx; `0.0.0.0` lets other machines in", str),
    Setting("PUBLISHED_PORT", "8080", "a port, 1–65535", "the port of nginx", _whole(1, 65535)),
    Setting(
        "METRICS_ALLOW", "none", "none, an address, or a range like 10.0.0.0/8", "who may ask nginx for `/metrics`", str
    ),
    Setting("PYTHON", "3.13", "3.11–3.14", "the Python that the image is built with, for a model that was made there", str),
    Setting("EXTRAS", "none", "none or arrow", "`arrow`: the image has pyarrow, to read and answer Arrow and Parquet", str),
    Setting(
        "IMAGE",
        "tepal",
        "a name of an image",
        "the name of the API's image: another one for models that cannot share it",
        str,
    ),
)
# Settled in a container, or by the platform that runs it.
_NOT_OF_COMPOSE = (
    "PORT", "HOST", "MODEL_STORE", "AIP_HTTP_PORT", "SAGEMAKER_BIND_TO_PORT", "AIP_PREDICT_ROUTE", "AIP_HEALTH_ROUTE"
)  # fmt: skip

# Where SageMaker puts the model.tar.gz of an endpoint, unpacked.
SAGEMAKER_STORE = Path("/opt/ml/model")


def env_example() -> str:
    """The text of ``.env.example``: every setting that Compose passes on, each as a comment with its default."""
    lines = ["# Settings for Docker Compose: copy this file to .env, and take the `# ` from the lines that you change."]
    for setting in (*COMPOSE, *SETTINGS):
        if setting.variable not in _NOT_OF_COMPOSE:
            lines += ["", f"# {setting.means[0].upper()}{setting.means[1:]}.", f"# {setting.variable}={setting.default}"]
    return "\n".join([*lines, ""])


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of one process, one field a variable. port: the one that counts."""

    port: int
    aip_http_port: int | None
    sagemaker_bind_to_port: int | None
    aip_predict_route: str | None
    aip_health_route: str | None
    host: str
    model_store: Path
    default_model: str | None
    models: tuple[str, ...]
    rooms: tuple[str, ...]
    web_concurrency: int
    threads: int
    timeout: int
    max_requests: int
    max_body_mb: int
    ready: str
    runtime: Literal["auto", "sklearn", "compiled"]
    allow_version_mismatch: bool

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Settings:
        """Read every variable; one that is empty counts as not set. Raises SettingError at the first bad one."""
        values: dict[str, Any] = {}
        for setting in SETTINGS:
            text = environ.get(setting.variable, "").strip() or setting.default
            try:
                values[setting.variable.lower()] = setting.read(text) if text else None
            except (ValueError, KeyError):
                raise SettingError(f"{setting.variable} is {text!r}; it takes {setting.takes}") from None
        values["port"] = values["aip_http_port"] or values["sagemaker_bind_to_port"] or values["port"]
        if not environ.get("MODEL_STORE", "").strip() and _holds_something(SAGEMAKER_STORE):
            values["model_store"] = SAGEMAKER_STORE
        values["models"] = values["models"] or ()
        values["rooms"] = values["rooms"] or ()
        # joblib knows about affinity and a container's CPU quota.
        values["web_concurrency"] = values["web_concurrency"] or joblib.cpu_count()
        return cls(**values)


def _holds_something(folder: Path) -> bool:
    try:
        return any(folder.iterdir())
    except OSError:
        return False
