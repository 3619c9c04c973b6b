"""A model in containers of its own, over models that are promoted on this machine: both override files, as they are."""

from __future__ import annotations

import concurrent.futures
import contextlib
import shutil
import sys

import cloudpickle
import pytest

from tepal import choice
from tests import models, servers
from tests.models import Stall
from tests.parts import need
from tests.servers import ROOT
from tests.stack import containers
from tests.stack.containers import logs, run, wait_until
from tests.stack.load import RATE, Load, endure
from tests.stack.refusals import ask, check, stall
from tests.transports import over_http
from tests.wire import request
from train import iris

FILES = ["-f", "docker-compose.yml", "-f", "docker-compose.rooms.yml", "-f", "docker-compose.mounted.yml"]
TIMEOUT = 4
LEAK = 20  # MB of each request


@pytest.mark.parametrize("program", [["docker", "compose"], ["docker-compose"]], ids=" ".join)
@pytest.mark.parametrize("files", [FILES, FILES[:4], FILES[:2] + FILES[4:]], ids=" ".join)
def test_the_files_are_valid(program, files):
    """For both programs, together and each alone."""
    need(program[0])
    run(*program, *files, "config", "--quiet", cwd=ROOT)


def ended(stack, service: str) -> int:
    """Workers of a service that something ended."""
    return sum(logs(replica).count("was sent SIG") for replica in stack.replicas(service))


def started(stack, service: str) -> list[str]:
    """When its containers were, each."""
    return [run("docker", "inspect", "--format", "{{.State.StartedAt}}", replica) for replica in stack.replicas(service)]


@pytest.fixture(scope="module", name="folder")
def _folder(store, tmp_path_factory):
    """A checkout with iris, and a `language` that harms its process on demand, whose code goes with it."""
    folder = containers.checkout(tmp_path_factory.mktemp("checkout"), "rooms")
    shutil.copytree(store / "iris", folder / "model" / "iris")
    cloudpickle.register_pickle_by_value(models)
    models.publish_stall(folder / "model", "language")
    cloudpickle.unregister_pickle_by_value(models)
    return folder


@pytest.fixture(scope="module", name="stack")
def _stack(folder):
    """For this very Python."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    settings = {"TIMEOUT": str(TIMEOUT), "WEB_CONCURRENCY": "2", "PYTHON": python}
    with containers.stack(["docker", "compose", *FILES], folder, servers.free_port(), **settings) as stack:
        wait_until(lambda: answers(stack.port), lambda: stack("logs"))
        yield stack


def answers(port: int) -> bool:
    """Whether the model in the room does."""
    with contextlib.suppress(OSError):
        return ask(port, stall(0, Stall.SLEEPS, "language")).status == 200
    return False


def test_the_model_is_loaded_in_its_own_replica_alone(stack):
    """The others list it."""
    listed = over_http(stack.port)(request("GET", "/models")).json["models"]

    assert {model["name"]: model["status"] for model in listed} == {"iris": "ready", "language": "elsewhere"}
    assert over_http(stack.port)(request("GET", "/models/language")).json["status"] == "ready"
    assert over_http(stack.port)(request("GET", "/readyz")).json["models"] == {"iris": "1"}


@pytest.mark.parametrize("fault", ["leaks", "dies"])
def test_a_model_that_ends_its_processes_ends_no_other_s(stack, fault):
    """By memory, of which its container has so much, or by itself; nobody else's request fails, and it comes back."""
    rows = 0

    def harm() -> None:
        nonlocal rows
        rows += 1
        if fault == "dies":
            check(ask(stack.port, stall(0, Stall.DIES, "language")), 500, "model_error")
        else:
            ask(stack.port, stall(LEAK, Stall.KEEPS, "language"))

    before = [ended(stack, service) for service in ("api", "language")]
    since = started(stack, "api")
    endure(Load(stack.port, rate=RATE, in_time=TIMEOUT + 0.5), harm, 0.05 if fault == "leaks" else 1)
    of_others, of_its_own = (ended(stack, service) - then for service, then in zip(("api", "language"), before))

    print(f"{rows} rows, {of_its_own} workers ended")
    assert of_others == 0
    assert started(stack, "api") == since
    assert 1 <= of_its_own <= 2 * rows
    wait_until(lambda: answers(stack.port), lambda: stack("logs"), seconds=10)


def test_a_model_that_hangs_fails_no_other_s_requests(stack):
    """Beside as many that hang as their replica has threads, and more. How fast they stay: tests/stack/test_rooms.py."""
    statuses: set[int] = set()

    def many_hang() -> None:
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            stuck = [pool.submit(ask, stack.port, stall(60, way, "language")) for way in (Stall.SLEEPS, Stall.HOLDS) * 4]
            statuses.update(hanging.result().status for hanging in stuck)

    endure(Load(stack.port, rate=RATE, in_time=TIMEOUT), many_hang, 0)
    assert statuses <= {503, 504}


def test_its_replica_is_started_again_alone(stack):
    """Nobody else notices."""
    with Load(stack.port, rate=RATE) as load:
        stack("restart", "--timeout", "12", "language")
        wait_until(lambda: answers(stack.port), lambda: stack("logs"))

    print(load)
    assert load.failures == []


def test_what_is_promoted_on_this_machine_answers_at_once(stack, folder):
    """A version that was not there when the containers started, too."""
    iris.run("svm", iris.ALGORITHMS["svm"], folder / "model")
    home = folder / "model" / "iris"

    for version in ("1", "2", "1", "2"):
        choice.promote(home, version)
        assert over_http(stack.port)(request("POST", "/predict", "[5.9,3.0,5.1,1.8]")).json["version"] == version
