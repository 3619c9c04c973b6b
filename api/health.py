"""Whether the process lives, whether its models can serve, and what it has counted."""

from __future__ import annotations

from api.message import Context, Request, Response, json_response
from tepal import NotReady


def live(context: Context, request: Request) -> Response:
    """200 while the process can answer."""
    return json_response({"status": "alive"})


def ready(context: Context, request: Request) -> Response:
    """200 when the models can serve: all of them, or any (``READY``). Raises NotReady with the reasons."""
    repository = context.repository
    serving = {model.name: model.default.number for model in repository.models.values() if model.default}
    reasons = [f"model '{model.name}' cannot serve: {model.reason}" for model in repository.models.values() if model.reason]
    name = repository.default_name
    if name is not None and name not in repository.names:
        reasons.insert(0, f"the default model '{name}' is not in the model repository")
    if not repository.names:
        raise NotReady("the model repository is empty; publish a model")
    if reasons and not (context.settings.ready == "any" and serving):
        raise NotReady("; ".join(reasons))
    return json_response({"status": "ready", "models": serving})


def metrics(context: Context, request: Request) -> Response:
    """What is counted, over all workers, as Prometheus reads it."""
    drift = context.drift.families(context.repository)
    body, content_type = context.metrics.text(context.repository, request.headers.get("accept", ""), drift)
    return Response(200, {"Content-Type": content_type, "Vary": "Accept"}, body)


ROUTES = (
    ("GET", "/livez", live),
    ("GET", "/readyz", ready),
    ("GET", "/health", ready),
    ("GET", "/ping", ready),
    ("GET", "/metrics", metrics),
)
