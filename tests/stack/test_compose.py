"""docker-compose.yml as both programs run it: the stack answers, grows, and survives a restart."""

from __future__ import annotations

import json
import subprocess

import pytest

from api.settings import SETTINGS
from tests import servers
from tests.parts import need
from tests.servers import ROOT
from tests.stack import containers
from tests.stack.load import Load
from tests.stack.refusals import ask, check

PROGRAMS = [
    pytest.param(["docker", "compose"], id="docker compose"),
    pytest.param(["docker-compose"], id="docker-compose 1.29"),
]


@pytest.fixture(scope="module", params=PROGRAMS, name="stack")
def _stack(request, tmp_path_factory):
    """The stack of a fresh checkout: no model is there yet."""
    folder = containers.checkout(tmp_path_factory.mktemp("checkout"))
    with containers.stack(request.param, folder, servers.free_port()) as stack:
        url = f"http://127.0.0.1:{stack.port}/livez"
        containers.wait_until(
            lambda: subprocess.run(["curl", "-sfo", "/dev/null", url], check=False).returncode == 0,
            lambda: stack("logs"),
        )
        yield stack


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_file_is_valid(program):
    """For both programs, as it is."""
    need(program[0])
    containers.run(*program, "config", "--quiet", cwd=ROOT)


def test_every_setting_is_passed_on():
    """What the API reads, but for what the image decides, or a platform that runs it without Compose."""
    need("docker")
    services = json.loads(containers.run("docker", "compose", "config", "--format", "json", "--no-interpolate", cwd=ROOT))
    passed = set(services["services"]["api"]["environment"])
    platforms = {"AIP_HTTP_PORT", "AIP_PREDICT_ROUTE", "AIP_HEALTH_ROUTE", "SAGEMAKER_BIND_TO_PORT"}

    assert passed == {setting.variable for setting in SETTINGS} - {"HOST", "PORT", "MODEL_STORE"} - platforms


def curl(stack, path, body):
    url = f"http://127.0.0.1:{stack.port}{path}"
    return json.loads(containers.run("curl", "--silent", "--show-error", "-X", "POST", url, "-d", body))


def test_records_by_curl_are_answered(stack):
    """A list of records, sent as a form by curl."""
    records = '[{"sepal_length":6.3,"sepal_width":2.3,"petal_length":4.4,"petal_width":1.3}]'

    assert curl(stack, "/predict", records)["predictions"] == ["versicolor"]


@pytest.mark.parametrize("path", ["/predict", "/models/iris-logistic/predict"])
def test_one_vector_by_curl_is_answered(stack, path):
    """By the default model, and by another one."""
    assert curl(stack, path, "[5.9,3.0,5.1,1.8]")["predictions"] == ["virginica"]


def test_only_nginx_is_published_and_only_here(stack):
    """Nothing is open to the network that nobody opened."""
    ports = json.loads(
        containers.run("docker", "inspect", "--format", "{{json .NetworkSettings.Ports}}", stack("ps", "--quiet", "nginx"))
    )
    replica = containers.run("docker", "inspect", "--format", "{{json .HostConfig.PortBindings}}", stack("ps", "-q", "api"))

    assert ports["8080/tcp"] == [{"HostIp": "127.0.0.1", "HostPort": str(stack.port)}]
    assert replica in {"{}", "null"}


def test_what_passes_nginx_is_not_too_much_for_gunicorn(stack):
    """As many headers as nginx takes, and those that it adds."""
    headers = b"".join(b"X-%d: 1\r\n" % number for number in range(95))

    check(ask(stack.port, b"GET /x HTTP/1.1\r\nHost: tepal\r\n" + headers + b"\r\n"), 404, "not_found")


@pytest.mark.parametrize("service", ["api", "nginx"])
def test_a_container_can_do_little(stack, service):
    """Read-only, no capability, no new right, not root, bounded."""
    identity = stack("ps", "--quiet", service).splitlines()[0]
    host = json.loads(containers.run("docker", "inspect", "--format", "{{json .HostConfig}}", identity))
    status = containers.run("docker", "exec", identity, "cat", "/proc/1/status", "/proc/self/status")

    assert host["ReadonlyRootfs"]
    assert host["PidsLimit"] > 0
    assert host["Memory"] > 0
    assert host["LogConfig"]["Config"]["max-size"]
    assert status.count("CapEff:\t0000000000000000\n") == 2
    assert status.count("NoNewPrivs:\t1\n") == 2
    assert "Uid:\t0" not in status


def test_scaling_adds_replicas_that_get_traffic(stack):
    """New replicas are found by themselves, and no request is lost while they start."""
    stack.scale(1)
    with Load(stack.port) as load:
        replicas = stack.scale(3)
        containers.wait_until(
            lambda: all(load.prefix in containers.logs(replica) for replica in replicas), lambda: stack("logs"), seconds=5
        )

    shares = [containers.logs(replica).count(load.prefix) for replica in replicas]
    print(f"{load.sent} sent, {len(load.failures)} failed; by replica {shares}")
    assert load.failures == []


def test_a_replica_goes_and_another_restarts_and_no_request_is_lost(stack):
    """Those that stay answer for it. One fault at a time: nginx needs up to 2 s to know who is there."""
    stack.scale(3)
    with Load(stack.port) as load:
        replica = stack.scale(2)[0]
        settled = load.sent + 3 * load.rate
        containers.wait_until(lambda: load.sent >= settled, lambda: "no request is answered")
        containers.run("docker", "restart", "--time", "12", replica)
        before = containers.logs(replica).count(load.prefix)
        containers.wait_until(lambda: containers.logs(replica).count(load.prefix) > before, lambda: stack("logs"))

    print(f"{load.sent} sent, {len(load.failures)} failed")
    assert load.failures == []


def test_without_a_replica_the_door_says_so(stack):
    """503 with the one shape, and the way back needs no restart of nginx."""
    stack("stop", "--timeout", "12", "api")
    answer = curl(stack, "/predict", "[5.9,3.0,5.1,1.8]")
    stack.scale(1)
    containers.wait_until(
        lambda: curl(stack, "/predict", "[5.9,3.0,5.1,1.8]").get("predictions") == ["virginica"], lambda: stack("logs")
    )

    assert answer["code"] == "not_ready"
