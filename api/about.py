"""About the service: what it serves, and what each model says of itself."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from api import negotiate, shadow
from api.message import JSON, Context, Request, Response, json_response
from api.metrics import Totals
from api.pages import home
from tepal import NotFound, Repository, __version__
from tepal.repository import BadVersion, Model, Version
from tepal.signature import Column


def root(context: Context, request: Request) -> Response:
    """A page for a browser, a short JSON object for everyone else."""
    if negotiate.answer_type(request.headers.get("accept", ""), (JSON, "text/html")) == "text/html":
        return home.page(request)
    alive = json_response({"status": "alive", "name": "tepal", "models": context.repository.names})
    return alive.with_headers({"Vary": "Accept"})


def version(context: Context, request: Request) -> Response:
    """The version of Tepal, as text."""
    return Response(200, {"Content-Type": "text/plain; charset=utf-8"}, f"{__version__}\n".encode())


def models(context: Context, request: Request) -> Response:
    """Every model with its versions, the bad ones included; of one that others serve, where it stands."""
    repository = context.repository
    return json_response(
        {
            "models": [
                _listed(repository, repository.models[name])
                if name in repository.models
                else _listed_elsewhere(repository, name)
                for name in repository.names
            ]
        }
    )


def model_card(context: Context, request: Request, name: str) -> Response:
    """The card of a model: its default version's, or the reason why there is none."""
    model = context.repository.model(name)
    card = _card(context, model.default) if model.default else {"name": name, "status": "not_ready", "reason": model.reason}
    traffic = _traffic(context, model)
    return json_response(
        {
            **card,
            "default_version": model.default and model.default.number,
            "versions": list(model.versions),
            "traffic": traffic,
        }
    )


def _traffic(context: Context, model: Model) -> dict[str, Any]:
    """What was chosen by command, and what the versions and the shadow have answered since the start."""
    choice = model.choice
    told: dict[str, Any] = {"pinned": choice.pinned, "split": choice.split or None, "shadow": None}
    if choice.shadow is not None:
        told["shadow"] = shadow.report(context.metrics, model.name, choice.shadow)
    told["started"] = datetime.fromtimestamp(context.metrics.started, UTC).isoformat()
    told["since_start"] = _since_start(context, model)
    return told


def _since_start(context: Context, model: Model) -> dict[str, dict[str, int]]:
    """By number: of the versions that serve, and of those that another worker has loaded, which this one has not yet."""
    serving = {number for number, version in model.versions.items() if isinstance(version, Version)}
    asked = context.metrics.totals(model.name)
    numbers = sorted(serving | (asked.keys() - model.versions.keys()), key=int)
    return {number: asked.get(number, Totals(0, 0, 0))._asdict() for number in numbers}


def version_card(context: Context, request: Request, name: str, number: str) -> Response:
    """The card of one version, a bad one's too."""
    found = context.repository.model(name).versions.get(number)
    if found is None:
        raise NotFound(
            f"model '{name}' has no version {number[:100]!r}; it has {', '.join(context.repository.model(name).versions)}"
        )
    return json_response(_card(context, found))


def _listed(repository: Repository, model: Model) -> dict[str, Any]:
    default = model.default
    listed: dict[str, Any] = {
        "name": model.name,
        "default": model.name == repository.default_name,
        "default_version": default and default.number,
        "versions": list(model.versions),
        "task": default and default.manifest.task,
        "status": "ready" if default else "not_ready",
    }
    if model.reason:
        listed["reason"] = model.reason
    return listed


def _listed_elsewhere(repository: Repository, name: str) -> dict[str, Any]:
    return {
        "name": name,
        "default": name == repository.default_name,
        "default_version": None,
        "versions": repository.elsewhere[name],
        "task": None,
        "status": "elsewhere",
        "reason": "it has replicas of its own, which know more of it",
    }


def _card(context: Context, version: Version | BadVersion) -> dict[str, Any]:
    if isinstance(version, BadVersion):
        return {"name": version.name, "version": version.number, "status": "not_ready", "reason": version.reason}
    manifest = version.manifest
    card: dict[str, Any] = {
        "name": version.name,
        "version": version.number,
        "status": "ready",
        "task": manifest.task,
        "estimator": manifest.estimator,
        "runtime": version.runtime.name,
        "compiled": _compiled(version),
        "rows": manifest.rows,
        "signature": {"columns": [_column(column) for column in manifest.signature.columns]},
        "outputs": manifest.outputs,
        "classes": manifest.outputs[0].classes if len(manifest.outputs) == 1 else None,
        "metrics": manifest.metrics,
        "meta": manifest.meta,
        "trained": {
            "at": manifest.created,
            "rows": manifest.n_rows,
            "command": manifest.command,
            "python": manifest.python,
            "packages": manifest.packages,
        },
        "sha256": manifest.files,
        "self_test": {"result": "passed", "golden_rows": len(manifest.golden.rows)},
        "example": manifest.example,
        "drift": context.drift.report(version),
    }
    if version.cautions:
        card["cautions"] = version.cautions
    return card


def _compiled(version: Version) -> dict[str, Any]:
    """The proof of the compiled form that answers, or why none does."""
    recorded = version.manifest.runtime
    if version.not_compiled is not None or recorded is None:
        return {"reason": version.not_compiled}
    return {"proof": recorded.proof}


def _column(column: Column) -> dict[str, Any]:
    described: dict[str, Any] = {"name": column.name, "type": column.type, "nullable": column.nullable}
    if column.minimum is not None:
        described |= {"minimum": column.minimum, "maximum": column.maximum}
    if column.categories is not None:
        described |= {"categories": column.categories, "unseen": column.unseen}
    return described


ROUTES = (
    ("GET", "/", root),
    ("GET", "/version", version),
    ("GET", "/models", models),
    ("GET", "/models/{name}", model_card),
    ("GET", "/models/{name}/versions/{version}", version_card),
)
