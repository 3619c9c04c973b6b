"""Who is measured: how each is installed and started, what is sent to it, and how its answer reads."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from bench.environments import ROOT, Unavailable
from bench.load import Question

PEERS = ROOT / "bench" / "peers"
JSON = "application/json"
SKLEARN = "scikit-learn==1.9.1 joblib==1.6.0"
FRAMES = f"{SKLEARN} pandas==3.1.1"


class Place(NamedTuple):
    """Where one is started. home: the folder of the fitted model. store: Tepal's. scratch: for what it writes."""

    python: Path
    port: int
    workers: int
    model: str
    home: Path
    store: Path
    scratch: Path

    @property
    def bin(self) -> Path:
        return self.python.parent


class Rows(NamedTuple):
    """Rows to ask about. values: lists of values, or texts."""

    kind: str
    columns: list[str]
    values: list[Any]

    @property
    def records(self) -> list[dict[str, Any]]:
        if self.kind == "text":
            return [{"text": text} for text in self.values]
        return [dict(zip(self.columns, row)) for row in self.values]


class Contender(NamedTuple):
    """requirements: "" for what Tepal's own image has. shows: packages whose versions are told. ask: rows to path and body.

    labels: what the decoded answer says; None for a constant one. door: "ours", Tepal's nginx, or "plain".
    """

    name: str
    says: str
    requirements: str
    shows: tuple[str, ...]
    command: Callable[[Place], list[str]]
    environ: Callable[[Place], dict[str, str]]
    ask: Callable[[Rows], tuple[str, Any]]
    labels: Callable[[Any], list[str]] | None
    door: str = "ours"

    def question(self, rows: Rows, expected: list[str]) -> Question:
        path, body = self.ask(rows)
        return Question(path, json.dumps(body, separators=(",", ":")).encode(), JSON, expected if self.labels else None)


def _model_environ(place: Place) -> dict[str, str]:
    # One thread for the numerical libraries, as Tepal has it: the workers use the cores.
    return {
        "BENCH_MODEL": str(place.home),
        "BENCH_WORKERS": str(place.workers),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "PATH": f"{place.bin}{os.pathsep}{os.environ['PATH']}",
    }


# Tepal, and what stands beside it in the same environment.


def _tepal_environ(place: Place) -> dict[str, str]:
    return {
        "HOST": "127.0.0.1",
        "PORT": str(place.port),
        "MODEL_STORE": str(place.store),
        "MODELS": place.model,
        "WEB_CONCURRENCY": str(place.workers),
    }


def _tepal_body(rows: Rows) -> Any:
    if len(rows.values) == 1:
        return rows.values[0] if rows.kind == "matrix" else rows.records[0]
    return rows.records if rows.kind == "frame" else rows.values


def _tepal(rows: Rows) -> tuple[str, Any]:
    return "/predict?probabilities=false", _tepal_body(rows)


def _tepal_whole(rows: Rows) -> tuple[str, Any]:
    return "/predict", _tepal_body(rows)


def _tepal_records(rows: Rows) -> tuple[str, Any]:
    return "/predict?probabilities=false", rows.records


PLAIN_OPTIONS = ("--worker-class", "gthread", "--threads", "4", "--keep-alive", "75", "--preload", "--no-control-socket")


def _hello_plain(place: Place) -> list[str]:
    command = [str(place.python), "-m", "gunicorn", "--bind", f"127.0.0.1:{place.port}", "--workers", str(place.workers)]
    return [*command, *PLAIN_OPTIONS, "bench.peers.hello_plain:app"]


# The baseline.


def _seed(place: Place) -> list[str]:
    command = [str(place.python), "-m", "gunicorn", "--bind", f"127.0.0.1:{place.port}", "--workers", str(place.workers)]
    return [*command, "--no-control-socket", "--chdir", str(PEERS), "seed:app"]


def _seed_ask(rows: Rows) -> tuple[str, Any]:
    return "/predict", rows.records[0] if len(rows.values) == 1 else rows.records


# The peers.


def _uvicorn(app: str) -> Callable[[Place], list[str]]:
    def command(place: Place) -> list[str]:
        program = [str(place.python), "-m", "uvicorn", app, "--app-dir", str(PEERS), "--host", "127.0.0.1"]
        options = ["--port", str(place.port), "--workers", str(place.workers), "--loop", "uvloop", "--http", "httptools"]
        return [*program, *options, "--no-access-log", "--log-level", "warning"]

    return command


def _mlserver(place: Place) -> list[str]:
    settings = {
        "host": "127.0.0.1",
        "http_port": place.port,
        "grpc_port": place.port + 1,
        "metrics_port": place.port + 2,
        "parallel_workers": 0,  # in its own process: for models this small its pool costs more than it brings
        "debug": False,
    }
    uri = {"uri": str(place.home / "model.joblib")}
    model = {"name": "model", "implementation": "mlserver_sklearn.SKLearnModel", "parameters": uri}
    (place.scratch / "settings.json").write_text(json.dumps(settings))
    (place.scratch / "model-settings.json").write_text(json.dumps(model))
    return [str(place.bin / "mlserver"), "start", str(place.scratch)]


def _mlserver_ask(rows: Rows) -> tuple[str, Any]:
    path, count = "/v2/models/model/infer", len(rows.values)
    if rows.kind == "matrix":
        tensor = {"name": "x", "shape": [count, len(rows.columns)], "datatype": "FP64", "data": rows.values}
        return path, {"inputs": [tensor]}
    if rows.kind == "text":
        parameters = {"content_type": "str"}
        tensor = {"name": "x", "shape": [count], "datatype": "BYTES", "parameters": parameters, "data": rows.values}
        return path, {"parameters": parameters, "inputs": [tensor]}
    tensors = []
    for place, name in enumerate(rows.columns):
        values = [row[place] for row in rows.values]
        is_text = any(isinstance(value, str) for value in values)
        tensor = {"name": name, "shape": [count], "datatype": "BYTES" if is_text else "FP64", "data": values}
        tensors.append({**tensor, "parameters": {"content_type": "str"}} if is_text else tensor)
    return path, {"parameters": {"content_type": "pd"}, "inputs": tensors}


def _kserve(place: Place) -> list[str]:
    command = [str(place.python), str(PEERS / "kserve_model.py"), "--http_port", str(place.port)]
    return [*command, "--workers", str(place.workers), "--enable_latency_logging", "false"]


def _mlflow(place: Place) -> list[str]:
    saved = place.scratch / "saved"
    command = [str(place.python), str(PEERS / "mlflow_save.py"), str(place.home), str(saved)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=place.scratch)
    if done.returncode:
        raise Unavailable(f"cannot save the model: {done.stderr.strip().splitlines()[-1][:300]}")
    command = [str(place.bin / "mlflow"), "models", "serve", "-m", str(saved), "--env-manager", "local", "-h", "127.0.0.1"]
    return [*command, "-p", str(place.port), "-w", str(place.workers)]


def _mlflow_ask(rows: Rows) -> tuple[str, Any]:
    if rows.kind == "frame":
        return "/invocations", {"dataframe_split": {"columns": rows.columns, "data": rows.values}}
    return "/invocations", {"inputs": rows.values}


def _bentoml(place: Place) -> list[str]:
    command = [str(place.bin / "bentoml"), "serve", "bento_service:Predictor", "--working-dir", str(PEERS)]
    return [*command, "--host", "127.0.0.1", "--port", str(place.port)]


def _bentoml_ask(rows: Rows) -> tuple[str, Any]:
    return "/predict", {"rows": rows.records if rows.kind == "frame" else rows.values}


CONTENDERS = (
    Contender(
        "tepal",
        "as shipped; it answers labels alone, as the others do",
        "",
        ("flask", "gunicorn", "scikit-learn", "numpy"),
        lambda place: [str(place.python), "-m", "api"],
        _tepal_environ,
        _tepal,
        lambda answer: answer["predictions"],
    ),
    Contender(
        "hello",
        "a constant from a route of Flask by the same nginx, gunicorn worker and settings, with ids, counts and log lines",
        "",
        ("flask", "gunicorn"),
        lambda place: [str(place.python), "-m", "bench.peers.hello", "whole"],
        _tepal_environ,
        _tepal,
        None,
    ),
    Contender(
        "least",
        "the floor: the same without the session, contexts and signals that Flask makes, as Tepal does without them",
        "",
        ("flask", "gunicorn"),
        lambda place: [str(place.python), "-m", "bench.peers.hello", "least"],
        _tepal_environ,
        _tepal,
        None,
    ),
    Contender(
        "hello-plain",
        "a constant by plain Flask under gunicorn's own gthread worker: no ids, no counts, no log line, no deadline",
        "",
        ("flask", "gunicorn"),
        _hello_plain,
        lambda _: {},
        _tepal,
        None,
    ),
    Contender(
        "seed",
        "the baseline: Flask, a DataFrame and a pickle under gunicorn's default worker, behind nginx's default proxy",
        f"flask==3.1.3 gunicorn==27.0.1 {FRAMES}",
        ("flask", "gunicorn", "pandas", "scikit-learn"),
        _seed,
        _model_environ,
        _seed_ask,
        lambda answer: answer["prediction"],
        "plain",
    ),
    Contender(
        "fastapi",
        "as documented: pydantic rows, uvicorn with uvloop and httptools, no access log",
        f"fastapi==0.165.0 uvicorn[standard]==0.54.0 orjson==3.13.0 {FRAMES}",
        ("fastapi", "uvicorn", "scikit-learn"),
        _uvicorn("fastapi_documented:app"),
        _model_environ,
        lambda rows: ("/predict", rows.records),
        lambda answer: answer["predictions"],
    ),
    Contender(
        "fastapi-tuned",
        "by hand: orjson, no validation, a coroutine, scikit-learn's own checks off",
        f"fastapi==0.165.0 uvicorn[standard]==0.54.0 orjson==3.13.0 {FRAMES}",
        ("fastapi", "uvicorn", "orjson", "scikit-learn"),
        _uvicorn("fastapi_tuned:app"),
        _model_environ,
        lambda rows: ("/predict", rows.values),
        lambda answer: answer["predictions"],
    ),
    Contender(
        "mlserver",
        "its scikit-learn runtime, `parallel_workers` 0, which is its fastest here",
        f"mlserver==1.7.1 mlserver-sklearn==1.7.1 {SKLEARN}",
        ("mlserver", "scikit-learn"),
        _mlserver,
        _model_environ,
        _mlserver_ask,
        lambda answer: answer["outputs"][0]["data"],
    ),
    Contender(
        "kserve",
        "`ModelServer` with a model class, v1, no latency log",
        f"kserve==0.21.0 {SKLEARN}",
        ("kserve", "scikit-learn"),
        _kserve,
        _model_environ,
        lambda rows: ("/v1/models/model:predict", {"instances": rows.values}),
        lambda answer: answer["predictions"],
    ),
    Contender(
        "mlflow",
        "`mlflow models serve`, its pyfunc scoring server",
        f"mlflow==3.17.2 {SKLEARN}",
        ("mlflow", "scikit-learn"),
        _mlflow,
        lambda place: {**_model_environ(place), "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"},
        _mlflow_ask,
        lambda answer: answer["predictions"],
    ),
    Contender(
        "bentoml",
        "a service with one typed API, no access log",
        f"bentoml==1.4.40 {FRAMES}",
        ("bentoml", "scikit-learn"),
        _bentoml,
        lambda place: {**_model_environ(place), "BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOME": str(place.scratch)},
        _bentoml_ask,
        lambda answer: answer,
    ),
    Contender(
        "litserve",
        "a `LitAPI`, as many inference workers and servers as cores, no access log",
        f"litserve==0.2.19 {FRAMES}",
        ("litserve", "scikit-learn"),
        lambda place: [str(place.python), str(PEERS / "litserve_api.py"), str(place.port), str(place.workers)],
        _model_environ,
        lambda rows: ("/predict", {"rows": rows.values}),
        lambda answer: answer["predictions"],
    ),
)
BY_NAME = {contender.name: contender for contender in CONTENDERS}

# Other ways to ask a server that runs already.
WHOLE = ("tepal, with probabilities", _tepal_whole)
RECORDS = ("tepal, as records", _tepal_records)
