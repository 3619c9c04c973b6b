"""What happens to whole containers, under load and through the real stack: no answer is lost, wrong or late."""

from __future__ import annotations

import os
import random
import shutil
import sys
import time

import pytest

from tests import servers
from tests.stack import containers
from tests.stack.containers import run, wait_until
from tests.stack.load import Load
from tests.stack.test_faults import RATE, endure

TIMEOUT = int(os.environ.get("TIMEOUT", "4"))
IN_TIME = TIMEOUT + 0.5


@pytest.fixture(scope="module", name="stack")
def _stack(store, tmp_path_factory):
    """Two replicas that serve iris and stall; stall's code is for this very Python."""
    folder = containers.checkout(tmp_path_factory.mktemp("checkout"), "faults")
    for model in ("iris", "stall"):
        shutil.copytree(store / model, folder / "model" / model)
    settings = {
        "TIMEOUT": str(TIMEOUT),
        "WEB_CONCURRENCY": "2",
        "PYTHON": f"{sys.version_info.major}.{sys.version_info.minor}",
    }
    with containers.stack(["docker", "compose"], folder, servers.free_port(), **settings) as stack:
        yield stack


@pytest.fixture(name="load")
def _load(stack):
    """A load on a stack of two replicas, not begun. What the log says of requests that failed is shown."""
    stack.scale(2)
    load = Load(stack.port, rate=RATE, in_time=IN_TIME)
    yield load
    failed = {failure.partition(":")[0] for failure in load.failures}
    if failed:
        print(*(line for line in stack("logs", "--no-color").splitlines() if any(f'"{one}"' in line for one in failed)), sep="\n")


def in_container(identity, signal):
    """Send a signal to what a container runs, the child of its init. (docker kill is a stop that is meant.)"""
    run("docker", "exec", identity, "sh", "-c", f"kill -{signal} $(cat /proc/1/task/1/children)")


def is_asked(replica, load):
    """Whether a replica got requests of this load in the last second."""
    return load.prefix in run("docker", "logs", "--since", "1s", replica)


def killed(stack):
    """Not started again by Docker, because its own kill is a stop that is meant."""
    replica = random.choice(stack.replicas())
    run("docker", "kill", replica)
    time.sleep(2)
    run("docker", "start", replica)
    return replica


def died(stack):
    """As where memory runs out: Docker starts it again."""
    replica = random.choice(stack.replicas())
    in_container(replica, "KILL")
    time.sleep(2)
    return replica


def stopped(stack):
    """Gracefully."""
    replica = random.choice(stack.replicas())
    run("docker", "stop", "--time", "10", replica)
    run("docker", "start", replica)
    return replica


def unplugged(stack):
    replica = random.choice(stack.replicas())
    network = f"{stack.name}_default"
    run("docker", "network", "disconnect", "--force", network, replica)
    time.sleep(3)
    run("docker", "network", "connect", "--alias", "api", network, replica)
    return replica


def paused(stack):
    """For longer than a request may take."""
    replica = random.choice(stack.replicas())
    run("docker", "pause", replica)
    time.sleep(TIMEOUT + 2)
    run("docker", "unpause", replica)
    return replica


def hung_up(stack):
    """HUP: gunicorn's workers are replaced."""
    replica = random.choice(stack.replicas())
    in_container(replica, "HUP")
    time.sleep(3)
    return replica


def reloaded(stack):
    """nginx reads its configuration again."""
    in_container(stack("ps", "--quiet", "nginx"), "HUP")
    time.sleep(1)
    return stack.replicas()[0]


@pytest.mark.parametrize("fault", [killed, died, stopped, unplugged, paused, hung_up, reloaded], ids=lambda fault: fault.__name__)
def test_no_request_is_lost(stack, load, fault):
    """Each fault again as soon as the last is overcome: until the replica gets requests again."""

    def fault_and_recovery():
        replica = fault(stack)
        wait_until(lambda: is_asked(replica, load), lambda: stack("logs"))

    endure(load, fault_and_recovery, 1)


def test_scaling_under_load(stack, load):
    """From two to four to one: the new ones are asked within five seconds, those that go finish what they have."""

    def scale():
        replicas = stack.scale(4)
        wait_until(lambda: all(is_asked(replica, load) for replica in replicas), lambda: stack("logs"), seconds=5)
        stack.scale(1)

    endure(load, scale, 1)
