"""What is counted adds up, whatever dies; who may read it; and what Prometheus and the dashboard make of it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.parse
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

import tepal
from tests import parts, servers
from tests.models import Stall, Temper
from tests.servers import ROOT
from tests.stack.containers import wait_until
from tests.stack.refusals import HEAD, ask
from tests.transports import over_http
from tests.wire import request

OBSERVE = ROOT / "deploy" / "observe"
REQUESTS = 6000
COUNTED = ("_total", "_count", "_bucket")  # what must never go back


def scrape(port: int) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every sample of a gunicorn; asked again where the worker that should answer was just killed."""
    for attempt in range(20):
        try:
            text = over_http(port)(request("GET", "/metrics")).body.decode()
            break
        except (OSError, http.client.HTTPException):
            assert attempt < 19
            time.sleep(0.05)
    families = text_string_to_metric_families(text)
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def total(port: int, name: str, **labels: str) -> float:
    """The sum of a metric over all children with these labels."""
    found = scrape(port).items()
    return sum(value for (metric, has), value in found if metric == name and labels.items() <= dict(has).items())


class Client(threading.Thread):
    """Sends so many requests, one after the other, and knows what became of each."""

    def __init__(self, port: int, number: int, requests: int):
        super().__init__()
        self.answered: Counter[tuple[str, int]] = Counter()  # by model and status
        self.broken: list[str] = []  # the ids of those that had no answer
        self._port, self._number, self._requests = port, number, requests

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        chance = random.Random(self._number)
        for turn in range(self._requests):
            identity = f"client-{self._number}-{turn}"
            model, body = chance.choice((("iris", "[5.9,3.0,5.1,1.8]"), ("iris", '["x"]'), ("temper", "[1000,0]")))
            try:
                connection.request("POST", f"/models/{model}/predict", body, {"X-Request-ID": identity})
                with connection.getresponse() as response:
                    response.read()
                self.answered[model, response.status] += 1
            except (OSError, http.client.HTTPException):
                connection.close()
                self.broken.append(identity)
        connection.close()


def test_counters_equal_what_the_clients_counted_while_workers_are_killed(store):
    """But for those requests whose worker was killed, each of which is known by its id; and no counter ever goes back."""
    with servers.gunicorn(store) as server:
        clients = [Client(server.port, number, REQUESTS // 4) for number in range(4)]
        for client in clients:
            client.start()
        deaths, seen = 0, {}
        while any(client.is_alive() for client in clients):
            with contextlib.suppress(ProcessLookupError):
                os.kill(random.choice(server.workers()), signal.SIGKILL)
                deaths += 1
            time.sleep(0.2)
            now = {key: value for key, value in scrape(server.port).items() if key[0].endswith(COUNTED)}
            assert [key for key, value in seen.items() if now.get(key, 0) < value] == []
            seen = now
        for client in clients:
            client.join()
        server.settle(2)

        answered = sum((client.answered for client in clients), Counter())
        broken = {identity for client in clients for identity in client.broken}
        lines = [json.loads(line) for line in server.log.read_text().splitlines() if '"request_id":"client-' in line]
        extra = Counter()
        for (model, status), count in answered.items():
            labels = {"model": model, "status": str(status), "route": "/models/{name}/predict"}
            extra[model, status] = int(total(server.port, "tepal_requests_total", **labels)) - count
        named = [line["request_id"] for line in lines if "status" in line and line["request_id"] in broken]
        print(
            f"{sum(answered.values())} answered, {deaths} kills, {len(broken)} without an answer; counted besides: {extra}"
        )
        print(f"computed, but not answered: {named}")
        assert set(answered) == {("iris", 200), ("iris", 422), ("temper", 500)}
        assert min(extra.values()) >= 0
        assert sum(extra.values()) <= len(named) <= len(broken)
        counted = total(server.port, "tepal_requests_total", route="/models/{name}/predict")
        assert counted == sum(answered.values()) + sum(extra.values())
        assert 5 < total(server.port, "tepal_workers_replaced_total") <= deaths  # some were killed twice
        wait_until(lambda: total(server.port, "tepal_workers") == 2, server.log.read_text, seconds=10)


def test_an_answer_that_another_thread_gives_is_counted_once(store):
    """A model that is too slow, a body that never comes, what is no HTTP."""
    with servers.gunicorn(store, TIMEOUT="1", WEB_CONCURRENCY="1") as server:
        over_http(server.port)(request("POST", "/models/stall/predict", f"[2,{Stall.SLEEPS}]"))
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
            client.sendall(HEAD + b"Content-Length: 17\r\n\r\n[5.9,")
            assert b" 408 " in client.recv(65536)
        ask(server.port, b"GET / HTTP/3.7\r\nHost: x\r\n\r\n")
        time.sleep(1.5)  # until the sleeper has come back, too late

        assert total(server.port, "tepal_requests_total", model="stall") == 1
        assert total(server.port, "tepal_requests_total", model="stall", version="1", status="504") == 1
        assert total(server.port, "tepal_request_errors_total", code="timeout") == 1
        assert total(server.port, "tepal_request_errors_total", code="request_timeout") == 1
        assert total(server.port, "tepal_requests_total", status="505", method="", route="") == 1


def test_what_a_full_queue_refuses_is_counted(store):
    """And what runs and waits meanwhile is shown, since the metrics are answered all the same."""
    with servers.gunicorn(store, WEB_CONCURRENCY="1", THREADS="1") as server:
        ask_stall = lambda: over_http(server.port)(request("POST", "/models/stall/predict", "[0.5,0]"))  # noqa: E731
        for _ in range(8):
            ask_stall()
        statuses: list[int] = []
        askers = [threading.Thread(target=lambda: statuses.append(ask_stall().status)) for _ in range(6)]
        for asker in askers:
            asker.start()
        time.sleep(0.25)
        busy = total(server.port, "tepal_requests_in_progress")
        for asker in askers:
            asker.join()

        assert busy >= 1
        assert total(server.port, "tepal_request_errors_total", code="overloaded") == statuses.count(503) > 0
        assert total(server.port, "tepal_requests_waiting") == 0


PATHS = ["/metrics", "/metrics?x=1", "//metrics", "/%6detrics", "/x/../metrics", "/./metrics", "http://tepal/metrics"]


@pytest.mark.parametrize("path", PATHS)
def test_nginx_lets_nobody_read_them_however_it_is_written(door, path):
    answer = ask(door.port, f"GET {path} HTTP/1.1\r\nHost: tepal\r\nX-Request-ID: one\r\n\r\n".encode())

    assert (answer.status, answer.headers["Content-Type"]) == (403, "application/json")
    body = json.loads(answer.body)
    assert (body["code"], body["request_id"]) == ("forbidden", "one")
    assert "METRICS_ALLOW" in body["error"]
    assert b"tepal_requests" not in answer.body


@pytest.mark.parametrize(
    ("allowed", "status"), [("127.0.0.1", 200), ("127.0.0.0/8", 200), ("10.0.0.0/8", 403), ("::1", 403)]
)
def test_nginx_lets_those_who_are_named(served, allowed, status):
    with servers.nginx([f"127.0.0.1:{served.port}"], METRICS_ALLOW=allowed) as door:
        received = over_http(door.port)(request("GET", "/metrics"))

        assert received.status == status
        assert (b"tepal_requests_total" in received.body) == (status == 200)
        assert over_http(door.port)(request("GET", "/livez")).status == 200


@pytest.mark.parametrize("value", ["me", "1.2.3", "1.2.3.4;", "0.0.0.0/0 all", "unix:", "", "all"])
def test_a_value_that_names_nobody_ends_the_start_of_nginx(value):
    environ = {**os.environ, "TIMEOUT": "8", "MAX_BODY_MB": "16", "METRICS_ALLOW": value}

    done = subprocess.run(["sh", ROOT / "nginx" / "start"], capture_output=True, text=True, check=False, env=environ)

    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == f"tepal-nginx: METRICS_ALLOW is '{value}'; it takes none, an address, or a range like 10.0.0.0/8\n"


@pytest.mark.parametrize("value", ["none", "10.0.0.7", "10.0.0.0/8", "::1", "2001:db8::/32"])
def test_a_value_that_names_somebody_is_taken(value):
    """What comes next needs nginx's image."""
    environ = {"PATH": "/usr/bin:/bin", "TIMEOUT": "8", "MAX_BODY_MB": "16", "METRICS_ALLOW": value}

    done = subprocess.run(["sh", ROOT / "nginx" / "start", "true"], capture_output=True, text=True, check=False, env=environ)

    assert done.returncode != 3
    assert "METRICS_ALLOW" not in done.stderr


def test_rows_of_all_workers_tell_whether_a_model_drifts(tmp_path):
    """In the card and in the metrics: the training itself has not, what moved has, and the other model is not concerned."""
    rows = np.random.default_rng(0).normal(0, 1, (2000, 2))
    for name in ("same", "moved"):
        tepal.publish(Temper().fit(rows, rows[:, 0]), name=name, X=rows, store=tmp_path)
    with servers.gunicorn(tmp_path, WEB_CONCURRENCY="2") as server:
        send = over_http(server.port)  # a connection each, so that both workers get some
        for start in range(0, 2000, 100):
            batch = rows[start : start + 100]
            assert send(request("POST", "/models/same/predict", json.dumps(batch.tolist()))).status == 200
            assert send(request("POST", "/models/moved/predict", json.dumps(np.abs(batch).tolist()))).status == 200

        # Tries, such as those of the page's form, are not what comes.
        assert send(request("POST", "/models/same/predict", "[[9, 9]]", x_tepal_drift="off")).status == 200

        def drift(name):
            return send(request("GET", f"/models/{name}")).json["drift"]

        wait_until(lambda: drift("same")["rows"] == drift("moved")["rows"] == 2000, lambda: str(drift("same")), seconds=10)

        assert {column["state"] for column in drift("same")["columns"]} == {"stable"}
        assert {column["psi"] for column in drift("same")["columns"]} == {0}
        assert {column["state"] for column in drift("moved")["columns"]} == {"drifted"}
        assert total(server.port, "tepal_drift_rows", model="same") == 2000
        assert total(server.port, "tepal_drift_psi", model="moved", column="x0") > 0.25
        assert total(server.port, "tepal_drift_values", model="same", kind="outside") == 0


# Prometheus, its rules and the dashboard.


def expressions() -> list[str]:
    """Every query of the dashboard and of the alerts, as Prometheus would get it."""
    dashboard = json.loads((OBSERVE / "grafana-tepal.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    queries += [variable["query"]["query"] for variable in dashboard["templating"]["list"]]
    text = (OBSERVE / "alerts.yml").read_text()
    alerts = re.findall(r"expr: (?:>-\n)?(.*?)\n +(?:for|labels):", text, re.DOTALL)
    queries += [re.sub(r"\s+", " ", alert) for alert in alerts]
    return [query.replace("$__rate_interval", "1m").replace("$model", ".*") for query in queries]


def test_every_name_in_the_dashboard_and_the_alerts_is_one_that_is_served(served):
    over_http(served.port)(request("POST", "/predict", "[5.9,3.0,5.1,1.8]"))
    deadline = time.monotonic() + 10
    while 'column="' not in (text := over_http(served.port)(request("GET", "/metrics")).body.decode()):
        assert time.monotonic() < deadline, "rows are counted by column within a second or two"
        time.sleep(0.1)
    known = set()
    for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE):
        known |= {f"{name}_bucket", f"{name}_sum", f"{name}_count"} if kind == "histogram" else {name}
    queries = expressions()

    used = {name for query in queries for name in re.findall(r"\btepal_\w+", query)}

    assert len(queries) > 30
    assert len(used) > 15
    assert used <= known
    for query in queries:  # and so are the labels
        labels = set(re.findall(r"\b(\w+)\s*(?:=~|!=|=)\s*\"", query)) | {
            label.strip() for group in re.findall(r"(?:by|on) \(([^)]*)\)", query) for label in group.split(",")
        }
        assert labels <= set(re.findall(r"\b(\w+)=\"", text)) | {"job", "instance", "le", "shadow", "result", "what", "code"}


@pytest.mark.parametrize("check", [("config", "prometheus.yml"), ("rules", "alerts.yml")], ids=str)
def test_promtool_finds_the_files_sound(check):
    kind, name = check
    command = [parts.need("promtool"), "check", kind, str(OBSERVE / name)]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module", name="prometheus")
def _prometheus(served, tmp_path_factory):
    """A real one with the project's own files, that asks the gunicorn of the session, and a function to query it."""
    folder: Path = tmp_path_factory.mktemp("prometheus")
    (folder / "alerts.yml").write_text((OBSERVE / "alerts.yml").read_text())
    text = (OBSERVE / "prometheus.yml").read_text()
    found = re.search(r"    dns_sd_configs:.*", text, re.DOTALL)
    text = text.replace(found[0], f'    static_configs: [{{targets: ["127.0.0.1:{served.port}"]}}]\n')
    (folder / "prometheus.yml").write_text(text.replace("15s", "1s"))
    port = servers.free_port()
    command = [parts.need("prometheus"), f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*command, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log)

    def ask_it(path: str, **query: str):
        received = over_http(port)(request("GET", f"/api/v1/{path}?{urllib.parse.urlencode(query)}"))
        assert received.status == 200, (query, received.body)
        return received.json["data"]

    def is_up() -> bool:
        with contextlib.suppress(OSError, AssertionError, http.client.HTTPException):
            return [float(one["value"][1]) for one in ask_it("query", query='up{job="tepal"}')["result"]] == [1]
        return False

    try:
        wait_until(is_up, (folder / "log").read_text, seconds=30)
        yield ask_it
    finally:
        process.terminate()
        process.wait(15)


def test_a_real_prometheus_reads_it_and_every_query_can_be_answered(prometheus, served):
    over_http(served.port)(request("POST", "/predict", "[5.9,3.0,5.1,1.8]"))
    time.sleep(3)

    for query in expressions():
        if not query.startswith("label_values"):
            prometheus("query", query=query)
    one = prometheus("query", query='sum(tepal_requests_total{model="iris",status="200"})')["result"][0]["value"][1]
    assert float(one) >= 1
    assert prometheus("query", query="tepal_workers")["result"][0]["value"][1] == "2"


def test_a_real_prometheus_evaluates_every_alert_and_none_of_a_quiet_service_is_on(prometheus):
    def rules():
        return [rule for group in prometheus("rules")["groups"] for rule in group["rules"]]

    wait_until(lambda: all(rule["health"] == "ok" for rule in rules()), lambda: str(rules()), seconds=20)

    assert len(rules()) == 7
    assert {rule["name"] for rule in rules() if rule["state"] == "firing"} <= {"TepalVersionBad"}


def test_the_dashboard_s_panels_do_not_lie_on_one_another():
    """And each says what it shows."""
    panels = json.loads((OBSERVE / "grafana-tepal.json").read_text())["panels"]
    cells = Counter(
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    )

    assert max(cells.values()) == 1
    assert max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(panel["title"] and panel["targets"] for panel in panels)
