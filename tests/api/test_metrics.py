"""What is counted, over every transport: names as Prometheus wants them, labels that no client can choose."""

from __future__ import annotations

import random
import re
import subprocess

import pytest
from prometheus_client.parser import text_string_to_metric_families

from api.exchange import Suspect
from api.metrics import FAMILIES, LOST, METHODS, REPLACED, SHADOW_ROWS, SUSPECTS, WORKERS, Metrics, Totals
from api.routes import ROUTES
from tepal import Repository
from tests import parts
from tests.transports import in_process, over_http
from tests.wire import request

ROW = "[5.9,3.0,5.1,1.8]"


def metrics(transport) -> dict[str, float]:
    """Every sample by its name and labels, as text."""
    received = transport(request("GET", "/metrics"))
    assert received.status == 200
    assert received.headers["content-type"].startswith("text/plain; version=")
    return dict(samples(received.body.decode()))


def samples(text: str):
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            yield f"{sample.name}{{{labels}}}", sample.value


@pytest.fixture(name="direct", params=["in process", "gunicorn"])
def _direct(request):
    """The ways past nginx."""
    if request.param == "in process":
        return in_process(request.getfixturevalue("app"))
    return over_http(request.getfixturevalue("served").port)


@pytest.mark.parametrize(
    ("sent", "series"),
    [
        (
            request("POST", "/predict", ROW),
            [
                "tepal_requests_total{method=POST,model=iris,route=/predict,status=200,version=1}",
                "tepal_request_duration_seconds_count{model=iris,route=/predict,version=1}",
                "tepal_stage_duration_seconds_count{model=iris,stage=decode,version=1}",
                "tepal_stage_duration_seconds_count{model=iris,stage=predict,version=1}",
                "tepal_stage_duration_seconds_count{model=iris,stage=encode,version=1}",
                "tepal_request_rows_sum{model=iris,version=1}",
            ],
        ),
        (
            request("POST", "/models/temper/predict", "[1000,0]"),
            [
                "tepal_requests_total{method=POST,model=temper,route=/models/{name}/predict,status=500,version=1}",
                "tepal_request_errors_total{code=model_error,model=temper,version=1}",
            ],
        ),
        (
            request("POST", "/models/iris/predict", '["wide"]'),
            [
                "tepal_requests_total{method=POST,model=iris,route=/models/{name}/predict,status=422,version=1}",
                "tepal_request_errors_total{code=invalid_input,model=iris,version=1}",
            ],
        ),
        (
            request("POST", "/models/rose/predict", ROW),
            ["tepal_requests_total{method=POST,model=,route=/models/{name}/predict,status=404,version=}"],
        ),
        (request("GET", "/nowhere"), ["tepal_requests_total{method=GET,model=,route=,status=404,version=}"]),
        (request("HEAD", "/livez"), ["tepal_requests_total{method=HEAD,model=,route=/livez,status=200,version=}"]),
        (request("BREW", "/livez"), ["tepal_requests_total{method=other,model=,route=,status=405,version=}"]),
    ],
    ids=lambda value: f"{value.method} {value.target}" if hasattr(value, "target") else "",
)
def test_a_request_is_counted_once(direct, sent, series):
    before = metrics(direct)
    direct(sent)
    after = metrics(direct)

    for name in series:
        assert after[name] == before.get(name, 0) + 1, name
    counted = {name for name in after if name.startswith("tepal_requests_total")}
    (scrape,) = [name for name in counted if "route=/metrics" in name]
    changed = {name for name in counted - {scrape} if after[name] != before.get(name)}
    assert changed == {name for name in series if name.startswith("tepal_requests_total")}


def test_whatever_clients_send_labels_come_from_known_sets(app, repository):
    """Random paths, methods, models and versions: hundreds of them."""
    direct, chance = in_process(app), random.Random(3)
    letters = "abcZ019/-._~%{}\\\"'é\n "
    for _ in range(500):
        word = "".join(chance.choices(letters, k=chance.randint(1, 12)))
        path = chance.choice(("/{}", "/models/{}", "/models/{}/predict", "/models/iris/versions/{}/predict"))
        method = chance.choice((*METHODS, "BREW", "X" + str(chance.randint(0, 999))))
        direct(request(method, path.replace("{}", "".join(f"%{byte:02x}" for byte in word.encode())), ROW))

    text = direct(request("GET", "/metrics")).body.decode()

    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            for name, value in sample.labels.items():
                if family.name != "tepal_build_info":
                    found.setdefault(name, set()).add(value)
    assert found["route"] <= {"", *(route.path for route in ROUTES)}
    assert found["method"] <= {"", "other", *METHODS}
    assert found["model"] <= {"", *repository.models}
    assert found["version"] <= {"", *(number for model in repository.models.values() for number in model.versions)}
    assert all(re.fullmatch(r"[1-5]\d\d", status) for status in found["status"])


def test_names_follow_prometheus_conventions():
    """Base units, a counter ends in _total, nothing else does."""
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)
    for family in FAMILIES:
        assert re.fullmatch(r"tepal_[a-z]+(_[a-z]+)*", family.name)
        assert family.name.endswith("_total") == (family.kind == "counter"), family.name
        assert not re.search(r"milli|_ms|minutes|percent|_count|_sum|_bucket", family.name), family.name
        assert family.help.endswith("."), family.name
        assert list(family.bounds) == sorted(set(family.bounds))


def test_promtool_has_nothing_to_say_against_it(direct):
    promtool = parts.need("promtool")
    text = direct(request("GET", "/metrics")).body

    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, check=False)

    assert (done.returncode, done.stderr) == (0, b"")


def test_openmetrics_is_written_for_those_who_ask_for_it(direct):
    received = direct(request("GET", "/metrics", accept="application/openmetrics-text;version=1.0.0"))

    assert received.headers["content-type"].startswith("application/openmetrics-text")
    assert received.body.endswith(b"# EOF\n")


def test_models_say_which_version_is_the_default_and_that_it_is_ready(direct):
    found = metrics(direct)

    assert found["tepal_model_default_version{model=people,version=1}"] == 1
    assert found["tepal_model_version_ready{model=people,version=1}"] == 1
    assert found["tepal_model_load_seconds{model=people,version=1}"] > 0


class Answer:
    """A response, as far as it is counted."""

    def __init__(self, status, model="iris", code=""):
        self.status, self.code, self.stages = status, code, ()
        self.facts = {"model": model, "version": "1"}


def test_the_totals_of_a_version_are_over_every_route_and_worker():
    counted = Metrics(3)
    for place in (1, 2):
        counted.take(place)
        for answer in (Answer(200), Answer(422, code="invalid_input"), Answer(500, code="model_error"), Answer(200, "rose")):
            for route in ("/predict", "/models/{name}/predict"):
                counted.answered("POST", route, answer, {}, 0.1, 0.0)

    assert counted.totals("iris") == {"1": Totals(12, 4, 4)}
    assert counted.totals("rose") == {"1": Totals(4, 0, 0)}
    assert counted.totals("tulip") == {}


def test_gauges_of_a_dead_worker_are_gone_and_its_counters_stay():
    counted = Metrics(3)
    counted.take(1)
    counted.gauge(WORKERS)[0] = 1
    counted.add(SHADOW_ROWS, "iris", "1", "2", "agree", amount=5)
    counted.take(0)
    counted.leave(1)

    assert counted.sums(WORKERS) == {(): [0]}
    assert counted.sums(REPLACED) == {(): [1]}
    assert counted.sums(SHADOW_ROWS) == {("iris", "1", "2", "agree"): [5]}


def test_what_a_dead_worker_computed_again_is_a_failure_of_its_version():
    counted = Metrics(3)
    counted.take(1)
    guilty, answered, refused = (Suspect(counted) for _ in range(3))
    guilty.begins({"model": "iris", "version": "1"})
    guilty.begins({"model": "iris", "version": "1", "rows": 1})  # it is told of more than once
    answered.begins({"model": "iris", "version": "1"})
    answered.cleared()
    answered.cleared()  # by both threads
    refused.begins({})
    refused.cleared()
    counted.take(0)
    assert counted.totals("iris") == {}
    counted.leave(1)

    assert counted.sums(LOST) == {("iris", "1"): [1]}
    assert counted.sums(SUSPECTS) == {("iris", "1"): [0]}
    assert counted.totals("iris") == {"1": Totals(1, 0, 1)}


def test_a_value_on_a_bound_is_in_its_bucket():
    """As `le` says: less or equal."""
    counted = Metrics()
    counted.answered("POST", "/predict", Answer(200), {}, 0.001, 0.0)
    text = counted.text(Repository([]))[0].decode()

    buckets = {name: value for name, value in samples(text) if name.startswith("tepal_request_duration_seconds_bucket")}
    assert [value for name, value in buckets.items() if "le=0.0005," in name] == [0]
    assert [value for name, value in buckets.items() if "le=0.001," in name] == [1]
    assert [value for name, value in buckets.items() if "le=+Inf," in name] == [1]
